"""Training of the camera head, on the cropped training views with their known cameras."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

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
_MADE_VIEWS, _MADE_TOGETHER = 8, 2  # pictures of a procedural shape, and shapes that are rendered for a batch


class _MadeViews(NamedTuple):
    """The views of a procedural shape: (v, s, s, 4) uint8, (v, 3, 4) and (v, 3)."""

    pictures: Tensor
    poses: Tensor
    intrinsics: Tensor


class CameraTask:
    """The camera head; a batch is batch_size single views. Mirroring changes the cameras along with the pictures.

    procedural: how many procedural shapes there are beside the prepared ones; every second picture is of one of them.
    Each batch has two more of them to draw from, until all are rendered.
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
        made: list[_MadeViews] = []
        while True:
            self._add_made(made, min(self.procedural, _MADE_TOGETHER * (number + 1)))
            rng = np.random.default_rng((seed, number))
            generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
            share = self.batch_size // 2 if made else 0
            indices = rng.integers(len(self.shapes), size=self.batch_size - share).tolist()
            views = rng.integers(self.shapes.num_views, size=(len(indices), 1)).tolist()
            images = self.shapes.images(indices, views)
            poses, intrinsics = self.shapes.view_cameras(indices, views)
            if made:
                other = _chosen(made, rng.integers(len(made), size=share), rng.integers(_MADE_VIEWS, size=share))
                images, poses, intrinsics = (
                    torch.cat(pair) for pair in zip((images, poses, intrinsics), other, strict=True)
                )
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

    def _add_made(self, made: list[_MadeViews], count: int) -> None:
        """Render procedural shapes until there are `count`."""
        shapes = ProceduralShapes(num_views=_MADE_VIEWS, image_size=self.shapes.image_size)
        while len(made) < count:
            numbers = range(len(made), min(len(made) + _MADE_TOGETHER, count))
            together = shapes.render(numbers, [range(_MADE_VIEWS) for _ in numbers])
            # Pictures and cameras alone are kept: a grid is eight MiB.
            rows = zip(together.pictures, together.poses, together.intrinsics, strict=True)
            made += [_MadeViews(*row) for row in rows]

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


def _chosen(made: Sequence[_MadeViews], shapes: np.ndarray, views: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
    """Images (b, 1, 4, s, s), poses (b, 1, 3, 4) and intrinsics (b, 1, 3) of one view of each shape."""
    rows = [[part[int(view)] for part in made[int(shape)]] for shape, view in zip(shapes, views, strict=True)]
    pictures, poses, intrinsics = (torch.stack(part)[:, None] for part in zip(*rows, strict=True))
    return to_network_image(pictures), poses, intrinsics
