"""Training of the symmetry head, on training views with how alike both sides, or all sides, of their shapes are, and
how much of them their inflated silhouettes are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from wavemesh.config import to_dict
from wavemesh.data.augment import (
    colour_jitter,
    estimated_cameras,
    imperfect_masks,
    mirror_views,
    object_windows,
    turn_quarter,
)
from wavemesh.data.dataset import PreparedShapes
from wavemesh.data.photographs import photographic
from wavemesh.models.inflation import FACING, Normal, inflated_field
from wavemesh.models.posed_pictures import PosedPictures
from wavemesh.models.symmetry_head import SymmetryHeadConfig, facing, mirror_evidence, quarter_turned
from wavemesh.models.wavemesh import WaveMeshConfig, WaveMeshModel

# The share of a surface that lies on its mirror image: below the first an object counts as not symmetric, from the
# second on as symmetric.
NOT_ALIKE, ALIKE = 0.6, 0.9
# The same where it is turned by these angles, the worst of them. A square column has .57, a column of eight sides .7.
NOT_ROUND, ROUND = 0.65, 0.9
_TURNS_DEG = (30.0, 45.0, 90.0)
_NEAR, _MEETS = 0.02, 0.05  # world units: what is surface, and how far from it its image may lie
_NOISY = 0.5  # cameras that people's pictures come with are estimates
# What a view is asked about: a plane of the frame, roundness, or the upright plane that faces the camera.
PLANE, AROUND, FACED = 0, 1, 2
_QUESTIONS = (0.45, 0.35, 0.2)
_ROUND_SHARE = 0.4  # of the views asked whether they are round, those of round ones, which are few
_INFLATED = 32  # cells along a side, in which inflated silhouettes are compared
_LIMITS = ((NOT_ROUND, NOT_ALIKE), (ROUND, ALIKE))
_NORMALS: tuple[Normal, ...] = ((1.0, 0.0, 0.0), (0.0, 0.0, 1.0), FACING, FACING)


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
        found = [(plane_agreements(field), turn_agreement(field), _small(field)) for field in fields]
        self.alike = torch.stack([planes for planes, _, _ in found])
        self.roundness = torch.stack([turned for _, turned, _ in found])
        self.small = torch.stack([small for _, _, small in found])

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        """All by AdamW."""
        return [{"params": list(self.model.symmetry.parameters()), "lr": lr}]

    def batches(self, seed: int, start_step: int) -> Iterator[dict[str, Tensor]]:
        """Endless batches: images (B, 4, h, w), poses (B, 3, 4), intrinsics (B, 3), what is asked (B,), the agreement
        of the shape with its image (B,) and the IoU with the inflated silhouette (B,), which what is round has none of.
        """
        number = start_step
        while True:
            yield self.batch(np.random.default_rng((seed, number)))
            number += 1

    def batch(self, rng: np.random.Generator) -> dict[str, Tensor]:
        """Views drawn at random; every second batch is mirrored. Planes are those of the frame, turned by no or a
        quarter turn, or the one across the camera; where roundness is asked for, the one through the camera.
        """
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        count = self.batch_size
        asked = rng.choice(3, size=count, p=_QUESTIONS)
        indices = self._indices(rng, asked == AROUND)
        views = rng.integers(self.shapes.num_views, size=(count, 1)).tolist()
        images = self.shapes.images(indices, views)
        poses, intrinsics = self.shapes.view_cameras(indices, views)
        images = imperfect_masks(photographic(colour_jitter(images, generator), generator), generator)
        is_mirrored = rng.random() < 0.5
        if is_mirrored:
            images, poses, intrinsics = mirror_views(images, poses, intrinsics)
        poses, intrinsics = (each[:, 0] for each in estimated_cameras(poses, intrinsics, generator, _NOISY))
        windows, moved = object_windows(images[:, 0], intrinsics)
        quarters = rng.integers(2, size=count)
        faced_poses, faced_intrinsics = facing(poses, moved)
        # In the order of `frames`: the frame, it turned by a quarter, through the camera, across it.
        frames = torch.stack([poses, quarter_turned(poses), faced_poses, quarter_turned(faced_poses)])
        lenses = torch.stack([moved, moved, faced_intrinsics, faced_intrinsics])
        frame = torch.from_numpy(np.where(asked == PLANE, quarters, asked + 1))
        inflated = [
            self._inflated_iou(index, windows[item], poses[item], moved[item], _NORMALS[frame[item]], is_mirrored)
            if asked[item] != AROUND
            else windows.new_zeros(())
            for item, index in enumerate(indices)
        ]
        about_plane = torch.from_numpy(asked == PLANE)
        return {
            "images": windows,
            "poses": frames[frame, torch.arange(count)],
            "intrinsics": lenses[frame, torch.arange(count)],
            "asked": torch.from_numpy(asked),
            "alike": torch.where(about_plane, self.alike[indices, quarters], self.roundness[indices]),
            "inflated": torch.stack(inflated),
        }

    def _indices(self, rng: np.random.Generator, asked_round: Bool[np.ndarray, " b"]) -> list[int]:
        """Shapes at random, of those that roundness is asked of a share of round ones, if there are any."""
        count = len(asked_round)
        indices = rng.integers(len(self.shapes), size=count)
        of_round = np.flatnonzero(self.roundness.numpy() > (NOT_ROUND + ROUND) / 2.0)
        if len(of_round):
            chosen = asked_round & (rng.random(count) < _ROUND_SHARE)
            indices = np.where(chosen, rng.choice(of_round, count), indices)
        return indices.tolist()

    def _inflated_iou(
        self, index: int, image: Tensor, pose: Tensor, intrinsics: Tensor, normal: Normal, is_mirrored: bool
    ) -> Tensor:
        """The IoU of a shape with the silhouette of one of its views inflated about a plane, cells counted by parts."""
        shape = self.small[index].flip(0) if is_mirrored else self.small[index]
        picture = PosedPictures(image[None, None], pose[None, None], intrinsics[None, None])
        cell = 2.0 / _INFLATED
        inflated = inflated_field(picture, normal, _INFLATED, cell)
        filled, solid = ((0.5 - each / cell).clamp(0.0, 1.0) for each in (inflated, shape.float()))
        return torch.minimum(filled, solid).sum() / torch.maximum(filled, solid).sum().clamp_min(1e-6)

    def loss(self, batch: dict[str, Tensor], generator: torch.Generator) -> tuple[Tensor, dict[str, Any]]:
        """Surprise at the answers, how often the likelier answer is right, to planes and to roundness, and by how much
        IoUs are missed.
        """
        evidence = mirror_evidence(self.model.depth, batch["images"], batch["poses"], batch["intrinsics"])
        asked, about = batch["asked"], batch["asked"] != FACED
        logits = self.model.symmetry(evidence).float()
        is_round, inflates = asked == AROUND, asked != AROUND
        logit = torch.where(is_round, logits[:, 1], logits[:, 0])
        low, high = (torch.where(is_round, of_round, of_plane) for of_round, of_plane in _LIMITS)
        target = ((batch["alike"] - low) / (high - low)).clamp(0.0, 1.0)
        right = ((logit > 0) == (target > 0.5)).float()
        missed = (logits[:, 2].sigmoid() - batch["inflated"]).abs()
        metrics = {
            "right": right[asked == PLANE].mean(),
            "round_right": right[is_round].mean(),
            "inflated_missed": missed[inflates].mean(),
        }
        alike = F.binary_cross_entropy_with_logits(logit[about], target[about])
        inflated = F.binary_cross_entropy_with_logits(logits[inflates, 2], batch["inflated"][inflates])
        return alike + inflated, metrics

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


def _small(sdf: Float[Tensor, "n n n"]) -> Float[Tensor, "m m m"]:
    return F.avg_pool3d(sdf[None].float(), len(sdf) // _INFLATED)[0].half()


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
