"""Training of the camera head, on the cropped training views with their known cameras."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from wavemesh.config import to_dict
from wavemesh.data.augment import colour_jitter, imperfect_masks, mirror_views, object_windows
from wavemesh.data.dataset import PreparedShapes, to_network_image
from wavemesh.data.photographs import photographic
from wavemesh.data.procedural import ProceduralShapes
from wavemesh.models.camera_head import (
    CameraHead,
    CameraHeadConfig,
    azimuth_targets,
    azimuths_deg,
    camera_errors,
    camera_targets,
)

_CIRCLE_WEIGHT = 0.3
# Radians of elevation and NDC of offset count more than a unit of the azimuth's circle: they are small numbers.
_WEIGHTS = (1.0, 1.0, 4.0, 4.0, 4.0, 4.0)
_MADE_VIEWS, _MADE_TOGETHER = 8, 16  # pictures of a procedural shape, and shapes rendered at once


class CameraTask:
    """The camera head; a batch is batch_size single views. Mirroring changes the cameras along with the pictures.

    procedural: how many procedural shapes there are beside the prepared ones; every second picture is of one of them.
    They are rendered once, when batches are first asked for.
    """

    def __init__(
        self, data: str | Path | PreparedShapes, config: CameraHeadConfig, batch_size: int = 64, procedural: int = 0
    ) -> None:
        self.shapes = data if isinstance(data, PreparedShapes) else PreparedShapes(data, "train")
        self.settings, self.batch_size, self.procedural = config, batch_size, procedural
        self.model: nn.Module = CameraHead(config)

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        """All parameters at one rate."""
        return [{"params": list(self.model.parameters()), "lr": lr}]

    def batches(self, seed: int, start_step: int) -> Iterator[dict[str, Tensor]]:
        """Endless batches of images (B, 4, h, w), poses (B, 3, 4) and intrinsics (B, 3)."""
        number = start_step
        made = self._made_views()
        while True:
            rng = np.random.default_rng((seed, number))
            generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
            share = self.batch_size // 2 if made else 0
            indices = rng.integers(len(self.shapes), size=self.batch_size - share).tolist()
            views = rng.integers(self.shapes.num_views, size=(len(indices), 1)).tolist()
            images = self.shapes.images(indices, views)
            poses, intrinsics = self.shapes.view_cameras(indices, views)
            if made:
                rows = torch.from_numpy(rng.integers(len(made[0]), size=(share, 1)))
                parts = (to_network_image(made[0][rows]), made[1][rows], made[2][rows])
                pairs = zip((images, poses, intrinsics), parts, strict=True)
                images, poses, intrinsics = (torch.cat([real, other]) for real, other in pairs)
            images = imperfect_masks(photographic(colour_jitter(images, generator), generator), generator)
            mirrored = torch.from_numpy(rng.random(self.batch_size) < 0.5)
            turned = mirror_views(images, poses, intrinsics)
            images, poses, intrinsics = (
                torch.where(mirrored.view(-1, *[1] * (plain.ndim - 1)), other, plain)[:, 0]
                for plain, other in zip((images, poses, intrinsics), turned, strict=True)
            )
            # As the pipeline crops pictures before it asks for their cameras.
            images, intrinsics = object_windows(images, intrinsics)
            yield {"images": images, "poses": poses, "intrinsics": intrinsics}
            number += 1

    def _made_views(self) -> tuple[Tensor, Tensor, Tensor] | None:
        """Pictures (m, s, s, 4) uint8, poses (m, 3, 4), intrinsics (m, 3) of procedural shapes; None for no shape."""
        if self.procedural == 0:
            return None
        shapes = ProceduralShapes(num_views=_MADE_VIEWS, image_size=self.shapes.image_size)
        parts = []
        for begin in range(0, self.procedural, _MADE_TOGETHER):
            numbers = range(begin, min(begin + _MADE_TOGETHER, self.procedural))
            made = shapes.render(numbers, [range(_MADE_VIEWS) for _ in numbers])
            parts.append([each.flatten(0, 1) for each in (made.pictures, made.poses, made.intrinsics)])  # not the grids
        pictures, poses, intrinsics = (torch.cat(each) for each in zip(*parts, strict=True))
        return pictures, poses, intrinsics

    def loss(self, batch: dict[str, Tensor], generator: torch.Generator) -> tuple[Tensor, dict[str, Any]]:
        """Huber loss of the six answers, and cross-entropy of the azimuth over the full circle."""
        target = camera_targets(batch["poses"], batch["intrinsics"])
        features = self.model.features(batch["images"])
        answer = self.model.answers(features).float()
        losses = nn.functional.smooth_l1_loss(answer, target, beta=0.03, reduction="none")
        logits = self.model.azimuth(features).float()
        circle = nn.functional.cross_entropy(logits, azimuth_targets(azimuths_deg(batch["poses"])))
        with torch.no_grad():
            metrics = {name: value.mean() for name, value in camera_errors(answer, target).items()}
        loss = (losses * losses.new_tensor(_WEIGHTS)).mean() + _CIRCLE_WEIGHT * circle
        return loss, {"circle": circle.detach(), **metrics}

    def sample_pictures(self, ema_model: nn.Module) -> dict[str, np.ndarray]:
        """Nothing."""
        return {}

    def weights(self, model: nn.Module) -> dict[str, dict[str, Tensor]]:
        """The head's state."""
        return {"camera_head": model.state_dict()}

    def config(self) -> dict[str, Any]:
        """What is written beside the weights."""
        return to_dict(self.settings)
