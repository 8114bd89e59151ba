"""Training of the symmetry head, on training views with how alike both sides of their shapes are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from wavemesh.config import to_dict
from wavemesh.data.augment import colour_jitter, imperfect_masks, mirror_views, object_windows, turn_poses, turn_quarter
from wavemesh.data.dataset import PreparedShapes
from wavemesh.data.photographs import photographic
from wavemesh.models.symmetry_head import SymmetryHeadConfig, mirror_evidence
from wavemesh.models.wavemesh import WaveMeshConfig, WaveMeshModel

# The share of a surface that lies on its mirror image: below the first an object counts as not symmetric, from the
# second on as symmetric.
NOT_ALIKE, ALIKE = 0.6, 0.9
_NEAR, _MEETS = 0.02, 0.05  # world units: what is surface, and how far from it a mirror image may lie
# Cameras that people's pictures come with are estimates: degrees of azimuth, for this share.
_CAMERA_NOISE_DEG, _NOISY = 4.0, 0.5


class SymmetryTask:
    """The symmetry head of WaveMesh-Diff; a batch is batch_size single views. Everything else stays as it is."""

    may_be_new = ("symmetry",)

    def __init__(self, data: str | Path | PreparedShapes, config: WaveMeshConfig, batch_size: int = 32) -> None:
        self.shapes = data if isinstance(data, PreparedShapes) else PreparedShapes(data, "train")
        self.settings = replace(config, symmetry=config.symmetry or SymmetryHeadConfig())
        self.batch_size = batch_size
        self.model: nn.Module = WaveMeshModel(self.settings).requires_grad_(False)
        self.model.symmetry.requires_grad_(True)
        self.alike = torch.stack([plane_agreements(self.shapes.sdf([index])[0]) for index in range(len(self.shapes))])

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        """All by AdamW."""
        return [{"params": list(self.model.symmetry.parameters()), "lr": lr}]

    def batches(self, seed: int, start_step: int) -> Iterator[dict[str, Tensor]]:
        """Endless batches of images (B, 4, h, w), poses (B, 3, 4), intrinsics (B, 3) and agreements (B,)."""
        number = start_step
        while True:
            yield self.batch(np.random.default_rng((seed, number)))
            number += 1

    def batch(self, rng: np.random.Generator) -> dict[str, Tensor]:
        """Views drawn at random, of objects turned by no or a quarter turn; every second batch is mirrored."""
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        count = self.batch_size
        indices = rng.integers(len(self.shapes), size=count).tolist()
        views = rng.integers(self.shapes.num_views, size=(count, 1)).tolist()
        images = self.shapes.images(indices, views)
        poses, intrinsics = self.shapes.view_cameras(indices, views)
        images = imperfect_masks(photographic(colour_jitter(images, generator), generator), generator)
        if rng.random() < 0.5:
            images, poses, intrinsics = mirror_views(images, poses, intrinsics)
        windows, moved = object_windows(images[:, 0], intrinsics[:, 0])
        quarters = torch.from_numpy(rng.integers(2, size=count))
        noise_deg = rng.normal(0.0, _CAMERA_NOISE_DEG, count) * (rng.random(count) < _NOISY)
        turned = torch.stack([turn_poses(poses[:, 0], quarter) for quarter in (0, 1)])[quarters, torch.arange(count)]
        return {
            "images": windows,
            "poses": _turned(turned, torch.from_numpy(noise_deg).float()),
            "intrinsics": moved,
            "alike": self.alike[indices, quarters],
        }

    def loss(self, batch: dict[str, Tensor], generator: torch.Generator) -> tuple[Tensor, dict[str, Any]]:
        """Surprise at whether the plane is one of symmetry, and how often the likelier answer is right."""
        evidence = mirror_evidence(self.model.depth, batch["images"], batch["poses"], batch["intrinsics"])
        logits = self.model.symmetry(evidence).float()
        target = ((batch["alike"] - NOT_ALIKE) / (ALIKE - NOT_ALIKE)).clamp(0.0, 1.0)
        right = ((logits > 0) == (target > 0.5)).float().mean()
        return F.binary_cross_entropy_with_logits(logits, target), {"right": right}

    def sample_pictures(self, ema_model: nn.Module) -> dict[str, np.ndarray]:
        """Nothing."""
        return {}

    def weights(self, model: nn.Module) -> dict[str, dict[str, Tensor]]:
        """State dict per network, the others with it."""
        assert isinstance(model, WaveMeshModel)
        return {name: network.state_dict() for name, network in model.networks().items()}

    def config(self) -> dict[str, Any]:
        """What is written beside the weights."""
        return to_dict(self.settings)


def plane_agreements(sdf: Float[Tensor, "n n n"]) -> Float[Tensor, "2"]:
    """The shares of the surface whose mirror image lies on it, left to right (x to -x) and front to back (z to -z)."""
    coarse = sdf[::2, ::2, ::2]
    return torch.stack([_side_agreement(coarse), _side_agreement(turn_quarter(coarse, 1))])


def _side_agreement(sdf: Float[Tensor, "n n n"]) -> Tensor:
    surface = sdf.abs() < _NEAR
    if not surface.any():
        return sdf.new_zeros(())
    return (sdf.flip(0).abs()[surface] < _MEETS).float().mean()


def _turned(poses: Float[Tensor, "b 3 4"], degrees: Float[Tensor, " b"]) -> Float[Tensor, "b 3 4"]:
    """Cameras turned about the vertical axis, azimuths growing."""
    cosine, sine = degrees.deg2rad().cos(), degrees.deg2rad().sin()
    zero, one = torch.zeros_like(sine), torch.ones_like(sine)
    rows = [(cosine, zero, sine), (zero, one, zero), (-sine, zero, cosine)]
    return torch.stack([torch.stack(row, dim=1) for row in rows], dim=1) @ poses
