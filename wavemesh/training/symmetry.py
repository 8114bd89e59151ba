"""Training of the symmetry head, on training views with how alike both sides, or all sides, of their shapes are."""

from __future__ import annotations

import math
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
from wavemesh.data.augment import (
    colour_jitter,
    estimated_cameras,
    imperfect_masks,
    mirror_views,
    object_windows,
    turn_poses,
    turn_quarter,
)
from wavemesh.data.dataset import PreparedShapes
from wavemesh.data.photographs import photographic
from wavemesh.models.symmetry_head import SymmetryHeadConfig, facing, mirror_evidence
from wavemesh.models.wavemesh import WaveMeshConfig, WaveMeshModel

# The share of a surface that lies on its mirror image: below the first an object counts as not symmetric, from the
# second on as symmetric.
NOT_ALIKE, ALIKE = 0.6, 0.9
# The same where it is turned by these angles, the worst of them. A square column has .57, a column of eight sides .7.
NOT_ROUND, ROUND = 0.65, 0.9
_TURNS_DEG = (30.0, 45.0, 90.0)
_NEAR, _MEETS = 0.02, 0.05  # world units: what is surface, and how far from it its image may lie
_NOISY = 0.5  # cameras that people's pictures come with are estimates
# Views that are asked whether the object is round, and how many of those are of round ones, which are few.
_ASKED_ROUND, _ROUND_SHARE = 0.5, 0.4
_LIMITS = ((NOT_ROUND, NOT_ALIKE), (ROUND, ALIKE))


class SymmetryTask:
    """The symmetry head of WaveMesh-Diff; a batch is batch_size single views. Everything else stays as it is."""

    may_be_new = ("symmetry",)

    def __init__(self, data: str | Path | PreparedShapes, config: WaveMeshConfig, batch_size: int = 32) -> None:
        self.shapes = data if isinstance(data, PreparedShapes) else PreparedShapes(data, "train")
        self.settings = replace(config, symmetry=config.symmetry or SymmetryHeadConfig())
        self.batch_size = batch_size
        self.model: nn.Module = WaveMeshModel(self.settings).requires_grad_(False)
        self.model.symmetry.requires_grad_(True)
        fields = (self.shapes.sdf([index])[0] for index in range(len(self.shapes)))
        # One after the other, as they do not fit memory together.
        found = [(plane_agreements(field), turn_agreement(field)) for field in fields]
        self.alike = torch.stack([planes for planes, _ in found])
        self.roundness = torch.stack([turned for _, turned in found])

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        """All by AdamW."""
        return [{"params": list(self.model.symmetry.parameters()), "lr": lr}]

    def batches(self, seed: int, start_step: int) -> Iterator[dict[str, Tensor]]:
        """Endless batches: images (B, 4, h, w), poses (B, 3, 4), intrinsics (B, 3), whether roundness is asked for (B,)
        and the agreement that is asked for (B,).
        """
        number = start_step
        while True:
            yield self.batch(np.random.default_rng((seed, number)))
            number += 1

    def batch(self, rng: np.random.Generator) -> dict[str, Tensor]:
        """Views drawn at random; every second batch is mirrored. Planes are those of the frame, turned by no or a
        quarter turn; where roundness is asked for, the one through the camera.
        """
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        count = self.batch_size
        asked_round = torch.from_numpy(rng.random(count) < _ASKED_ROUND)
        indices = self._indices(rng, asked_round)
        views = rng.integers(self.shapes.num_views, size=(count, 1)).tolist()
        images = self.shapes.images(indices, views)
        poses, intrinsics = self.shapes.view_cameras(indices, views)
        images = imperfect_masks(photographic(colour_jitter(images, generator), generator), generator)
        if rng.random() < 0.5:
            images, poses, intrinsics = mirror_views(images, poses, intrinsics)
        poses, intrinsics = (each[:, 0] for each in estimated_cameras(poses, intrinsics, generator, _NOISY))
        windows, moved = object_windows(images[:, 0], intrinsics)
        quarters = torch.from_numpy(rng.integers(2, size=count))
        turned = torch.stack([turn_poses(poses, quarter) for quarter in (0, 1)])[quarters, torch.arange(count)]
        facing_poses, facing_intrinsics = facing(poses, moved)
        return {
            "images": windows,
            "poses": torch.where(asked_round.view(-1, 1, 1), facing_poses, turned),
            "intrinsics": torch.where(asked_round.view(-1, 1), facing_intrinsics, moved),
            "asked_round": asked_round,
            "alike": torch.where(asked_round, self.roundness[indices], self.alike[indices, quarters]),
        }

    def _indices(self, rng: np.random.Generator, asked_round: Tensor) -> list[int]:
        """Shapes at random, of those that roundness is asked of a share of round ones, if there are any."""
        count = len(asked_round)
        indices = rng.integers(len(self.shapes), size=count)
        of_round = np.flatnonzero(self.roundness.numpy() > (NOT_ROUND + ROUND) / 2.0)
        if len(of_round):
            chosen = asked_round.numpy() & (rng.random(count) < _ROUND_SHARE)
            indices = np.where(chosen, rng.choice(of_round, count), indices)
        return indices.tolist()

    def loss(self, batch: dict[str, Tensor], generator: torch.Generator) -> tuple[Tensor, dict[str, Any]]:
        """Surprise at the answers, and how often the likelier answer is right, to planes and to roundness."""
        evidence = mirror_evidence(self.model.depth, batch["images"], batch["poses"], batch["intrinsics"])
        asked = batch["asked_round"]
        logits = self.model.symmetry(evidence).float()
        logit = torch.where(asked, logits[:, 1], logits[:, 0])
        low, high = (torch.where(asked, of_round, of_plane) for of_round, of_plane in _LIMITS)
        target = ((batch["alike"] - low) / (high - low)).clamp(0.0, 1.0)
        right = ((logit > 0) == (target > 0.5)).float()
        metrics = {"right": right[~asked].mean(), "round_right": right[asked].mean()}
        return F.binary_cross_entropy_with_logits(logit, target), metrics

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


def turn_agreement(sdf: Float[Tensor, "n n n"]) -> Float[Tensor, ""]:
    """The least share of the surface that lies on it again when it is turned about the vertical axis: 1 if round."""
    coarse = sdf[::2, ::2, ::2].float()
    return torch.stack([_agreement(coarse, _turned_field(coarse, angle)) for angle in _TURNS_DEG]).amin()


def _turned_field(sdf: Float[Tensor, "n n n"], degrees: float) -> Float[Tensor, "n n n"]:
    centres = (torch.arange(len(sdf)) + 0.5) / len(sdf) * 2.0 - 1.0
    x, y, z = torch.meshgrid(centres, centres, centres, indexing="ij")
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    places = torch.stack([cosine * z - sine * x, y, cosine * x + sine * z], dim=-1)  # last axis of the grid first
    return F.grid_sample(sdf[None, None], places[None], padding_mode="border", align_corners=False)[0, 0]


def _side_agreement(sdf: Float[Tensor, "n n n"]) -> Tensor:
    return _agreement(sdf, sdf.flip(0))


def _agreement(sdf: Float[Tensor, "n n n"], image: Float[Tensor, "n n n"]) -> Tensor:
    surface = sdf.abs() < _NEAR
    if not surface.any():
        return sdf.new_zeros(())
    return (image.abs()[surface] < _MEETS).float().mean()
