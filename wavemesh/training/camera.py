"""Training of the camera head, on the cropped training views with their known cameras."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from wavemesh.config import to_dict
from wavemesh.data.augment import colour_jitter, imperfect_masks, mirror_views
from wavemesh.data.dataset import PreparedShapes
from wavemesh.data.photographs import photographic
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


class CameraTask:
    """The camera head; a batch is batch_size single views. Mirroring changes the cameras along with the pictures."""

    def __init__(self, data: str | Path | PreparedShapes, config: CameraHeadConfig, batch_size: int = 64) -> None:
        self.shapes = data if isinstance(data, PreparedShapes) else PreparedShapes(data, "train")
        self.settings, self.batch_size = config, batch_size
        self.model: nn.Module = CameraHead(config)

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        """All parameters at one rate."""
        return [{"params": list(self.model.parameters()), "lr": lr}]

    def batches(self, seed: int, start_step: int) -> Iterator[dict[str, Tensor]]:
        """Endless batches of images (B, 4, h, w), poses (B, 3, 4) and intrinsics (B, 3)."""
        number = start_step
        while True:
            rng = np.random.default_rng((seed, number))
            generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
            indices = rng.integers(len(self.shapes), size=self.batch_size).tolist()
            views = rng.integers(self.shapes.num_views, size=(self.batch_size, 1)).tolist()
            images = photographic(colour_jitter(self.shapes.images(indices, views), generator), generator)
            images = imperfect_masks(images, generator)
            poses, intrinsics = self.shapes.view_cameras(indices, views)
            mirrored = torch.from_numpy(rng.random(self.batch_size) < 0.5)
            turned = mirror_views(images, poses, intrinsics)
            images, poses, intrinsics = (
                torch.where(mirrored.view(-1, *[1] * (plain.ndim - 1)), other, plain)
                for plain, other in zip((images, poses, intrinsics), turned, strict=True)
            )
            yield {"images": images[:, 0], "poses": poses[:, 0], "intrinsics": intrinsics[:, 0]}
            number += 1

    def loss(self, batch: dict[str, Tensor], generator: torch.Generator) -> tuple[Tensor, dict[str, Any]]:
        """Huber loss of the six answers, and cross-entropy of the azimuth over the full circle."""
        target = camera_targets(batch["poses"], batch["intrinsics"])
        features = self.model.features(batch["images"])
        answer = self.model.answers(features).float()
        losses = nn.functional.smooth_l1_loss(answer, target, beta=0.1, reduction="none")
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
