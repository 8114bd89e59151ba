"""Training of the depth network, on training views with the depths of their shapes' surfaces."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from wavemesh.config import to_dict
from wavemesh.data.augment import colour_jitter, imperfect_masks, mirror_views
from wavemesh.data.dataset import Shapes
from wavemesh.data.depths import ViewDepths
from wavemesh.data.photographs import photographic
from wavemesh.data.stream import open_shapes
from wavemesh.models.depth_network import DepthConfig, DepthNetwork, Depths, camera_features
from wavemesh.training.muon import kernel_groups, slowed

_SLOPE_WEIGHT = 2.0
_STEP = 0.15  # world units between neighbours: more is an edge, where slopes mean nothing
# Cameras that people's pictures come with are estimates; deviations of what `camera_features` gives.
_CAMERA_NOISE = (0.05, 0.03, 0.1, 0.02, 0.02)
_NOISY = 0.5
MUON_RATE = 2.5
TRUNK_RATE = 0.15


class DepthTask:
    """The depth network; a batch is batch_size single views."""

    def __init__(self, data: str | Path | Shapes, config: DepthConfig, batch_size: int = 32) -> None:
        self.shapes = data if isinstance(data, Shapes) else open_shapes(data)
        self.depths = ViewDepths(self.shapes)
        self.settings, self.batch_size = config, batch_size
        self.model: nn.Module = DepthNetwork(config)

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        """Kernels by Muon, everything else by AdamW; what was trained before more slowly."""
        groups = kernel_groups(self.model, lr, ("place", "answer"), MUON_RATE)
        return slowed(groups, self.model.trunk, TRUNK_RATE) if self.settings.pretrained else groups

    def batches(self, seed: int, start_step: int) -> Iterator[dict[str, Tensor]]:
        """Endless batches of images (B, 4, h, w), cameras (B, 5), depths (B, 2, s, s) and whether seen (B, s, s)."""
        number = start_step
        while True:
            yield self.batch(seed, number)
            number += 1

    def batch(self, seed: int, number: int) -> dict[str, Tensor]:
        """Views drawn at random, half of them mirrored."""
        rng = np.random.default_rng((seed, number))
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        indices = self.shapes.at_random(rng, seed, number, self.batch_size)
        views = rng.integers(self.shapes.num_views, size=(self.batch_size, 1)).tolist()
        images = self.shapes.images(indices, views)
        poses, intrinsics = self.shapes.view_cameras(indices, views)
        depths, seen = self.depths.maps(indices, views)
        images = imperfect_masks(photographic(colour_jitter(images, generator), generator), generator)
        mirrored = torch.from_numpy(rng.random(self.batch_size) < 0.5)
        turned = *mirror_views(images, poses, intrinsics), depths.flip(-1), seen.flip(-1)
        images, poses, intrinsics, depths, seen = (
            torch.where(mirrored.view(-1, *[1] * (plain.ndim - 1)), other, plain)[:, 0]
            for plain, other in zip((images, poses, intrinsics, depths, seen), turned, strict=True)
        )
        cameras = camera_features(poses, intrinsics)
        noise = torch.randn(cameras.shape, generator=generator) * torch.tensor(_CAMERA_NOISE)
        noisy = torch.rand(len(cameras), 1, generator=generator) < _NOISY
        return {"images": images, "cameras": cameras + noise * noisy, "depths": depths, "seen": seen}

    def loss(self, batch: dict[str, Tensor], generator: torch.Generator) -> tuple[Tensor, dict[str, Any]]:
        """What `depth_loss` says, and the mean errors of front and back in world units."""
        answer = self.model(batch["images"], batch["cameras"])
        loss = depth_loss(answer, batch["depths"], batch["seen"])
        with torch.no_grad():
            seen = batch["seen"].unsqueeze(1)
            off = ((answer.depth - batch["depths"]).abs() * seen).sum(dim=(0, 2, 3)) / seen.sum()
        return loss, {"front": off[0], "back": off[1]}

    def sample_pictures(self, ema_model: nn.Module) -> dict[str, np.ndarray]:
        """Nothing."""
        return {}

    def weights(self, model: nn.Module) -> dict[str, dict[str, Tensor]]:
        """The network's state."""
        return {"depth": model.state_dict()}

    def config(self) -> dict[str, Any]:
        """What is written beside the weights."""
        return to_dict(self.settings)


def depth_loss(answer: Depths, depths: Float[Tensor, "b 2 s s"], seen: Bool[Tensor, "b s s"]) -> Tensor:
    """Surprise of the true depths under Laplace distributions, plus errors of the slopes between neighbours."""
    weight = seen.unsqueeze(1).float()
    surprise = (answer.depth - depths).abs() / answer.spread + answer.spread.log()
    loss = (surprise * weight).sum() / (2.0 * weight.sum()).clamp_min(1.0)
    for axis in (-1, -2):
        true, found = depths.diff(dim=axis), answer.depth.diff(dim=axis)
        size = seen.shape[axis] - 1
        both = weight.narrow(axis, 0, size) * weight.narrow(axis, 1, size) * (true.abs() < _STEP)
        loss = loss + _SLOPE_WEIGHT * ((found - true).abs() * both).sum() / both.sum().clamp_min(1.0) * size
    return loss
