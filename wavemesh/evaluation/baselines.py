"""Predictions that a generative model has to beat, all from the same pictures and cameras.

Visual hull, nearest training shape by image feature, the oracle nearest training shape (Tatarchenko et al.
2019: single-view networks rarely beat it), plain regression (the same network, one step at t = T, whose answer is the
posterior mean), and the codec ceiling (the round trip through the sparse coefficients without any diffusion).
Each gives a truncated SDF, as a pipeline does, so that one path scores them all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.ndimage import distance_transform_edt

from wavemesh.errors import InputError
from wavemesh.evaluation.metrics import IOU_RESOLUTION, solid_grid
from wavemesh.geometry.camera import Camera
from wavemesh.geometry.camera_tensors import project_points, stack_cameras
from wavemesh.geometry.frame import BOX_SIDE, TRUNCATION
from wavemesh.wavelets.sparse import SparseCoefficients

FEATURE_SIZE = 32
Feature = Callable[[Sequence[np.ndarray]], np.ndarray]


def visual_hull(
    masks: Sequence[Bool[np.ndarray, "s s"]], cameras: Sequence[Camera], resolution: int = 128
) -> Float[np.ndarray, "n n n"]:
    """The truncated SDF of the largest shape inside the box of side 1.8 that has these silhouettes.

    A cell's distance in one view is the picture's distance to the silhouette's outline, scaled to the cell's depth; its
    SDF is the largest over the views. What lies outside a frame is unknown to that view, and so is kept: a silhouette
    that touches the border says nothing beyond it. Raises InputError without views or with unequal numbers of them.
    """
    if not len(masks) or len(masks) != len(cameras):
        raise InputError(f"A visual hull needs as many cameras as masks, not {len(cameras)} for {len(masks)}.")
    axis = (np.arange(resolution, dtype=np.float32) + 0.5) / resolution * 2.0 - 1.0
    # Distance to the sides of the box of the frame: the only thing known about cells that no view sees.
    inside = np.abs(axis) - BOX_SIDE / 2.0
    field = np.maximum(np.maximum(inside[:, None, None], inside[None, :, None]), inside[None, None, :])
    poses, intrinsics = stack_cameras(list(cameras))
    grid = torch.from_numpy(np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3))
    field = field.reshape(-1)
    for mask, pose, lens in zip(masks, poses, intrinsics, strict=True):
        ndc, depth = project_points(grid, pose, lens)
        field = np.maximum(field, _silhouette_distance(mask, ndc.numpy(), depth.numpy(), float(lens[0])))
    return np.clip(field, -TRUNCATION, TRUNCATION).reshape((resolution,) * 3)


def _silhouette_distance(
    mask: Bool[np.ndarray, "s s"], ndc: Float[np.ndarray, "p 2"], depth: Float[np.ndarray, "p"], focal: float
) -> Float[np.ndarray, "p"]:
    """Signed world distance of points to the cone over a silhouette, negative inside; -inf where the view is blind."""
    size = mask.shape[0]
    # Pixels beyond the border repeat the border's, so that the outline does not close along it.
    padded = np.pad(mask, size, mode="edge")
    if not padded.any():
        return np.full(len(ndc), np.inf, dtype=np.float32)
    outside = distance_transform_edt(~padded) - 0.5
    within = distance_transform_edt(padded) - 0.5 if not padded.all() else np.full(padded.shape, np.inf)
    signed = np.where(padded, -within, outside).astype(np.float32)[size:-size, size:-size]
    signed = np.clip(signed, -size, size)
    # grid_sample is the fastest bilinear lookup at hand.
    where = torch.from_numpy(np.stack([ndc[:, 0], -ndc[:, 1]], axis=-1)).view(1, 1, -1, 2)
    values = torch.nn.functional.grid_sample(
        torch.from_numpy(signed)[None, None], where, mode="bilinear", padding_mode="border", align_corners=False
    )
    pixels = values.view(-1).numpy()
    seen = (np.abs(ndc) <= 1.0).all(axis=1) & (depth > 0)
    return np.where(seen, pixels * (2.0 / size) * depth / focal, -np.inf).astype(np.float32)


def picture_feature(pictures: Sequence[np.ndarray]) -> Float[np.ndarray, "d"]:
    """The masked pictures and their masks at 32 x 32, one after the other: a plain image feature.

    pictures: (s, s, 4) uint8 RGBA with straight alpha. Euclidean distance between two features compares view by view.
    """
    parts = []
    for picture in pictures:
        rgba = torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None].float() / 255.0
        alpha = rgba[:, 3:]
        small = torch.nn.functional.adaptive_avg_pool2d(torch.cat([rgba[:, :3] * alpha, alpha], dim=1), FEATURE_SIZE)
        # Colour says less about shape than the silhouette: three channels at a half together weigh 3/4 of the mask.
        small[:, :3] *= 0.5
        parts.append(small.flatten().numpy())
    return np.concatenate(parts)


@dataclass
class TrainingShapes:
    """What retrieval needs of the training split: bit-packed 64^3 solids and image features of the canonical views.

    keys: names (n). solids (n, 64^3/64) uint64. features: (n, views, d) float32, one row of a view per picture.
    """

    keys: list[str]
    solids: np.ndarray
    features: Float[np.ndarray, "n v d"]

    @classmethod
    def from_samples(
        cls, samples: Iterable[Any], feature: Feature = picture_feature, num_views: int = 4
    ) -> TrainingShapes:
        """Reads every sample (`.key`, `.sdf`, `.pictures`) once; raises InputError when there are none."""
        keys, solids, features = [], [], []
        for sample in samples:
            keys.append(sample.key)
            solids.append(pack_solid(sample.sdf))
            features.append([feature([picture]) for picture in sample.pictures[:num_views]])
        if not keys:
            raise InputError("Retrieval needs at least one training shape.")
        return cls(keys, np.stack(solids), np.asarray(features, dtype=np.float32))

    def nearest_by_feature(self, pictures: Sequence[np.ndarray], feature: Feature = picture_feature) -> int:
        """The index of the training shape whose views at the same cameras look most alike (least squares).

        `pictures` are views 0, 1, ... at the canonical cameras, of which the training shapes have the same.
        """
        if not 0 < len(pictures) <= self.features.shape[1]:
            raise InputError(f"Retrieval compares 1 to {self.features.shape[1]} views, not {len(pictures)}.")
        query = np.stack([feature([picture]) for picture in pictures])
        difference = self.features[:, : len(pictures)] - query
        return int(np.argmin(np.einsum("nvd,nvd->n", difference, difference)))

    def oracle_nearest(self, sdf: Float[np.ndarray, "n n n"]) -> tuple[int, float]:
        """The index and the IoU at 64^3 of the training shape closest to the truth itself, without alignment."""
        query = pack_solid(sdf)
        union = np.bitwise_count(self.solids | query).sum(axis=1, dtype=np.int64)
        shared = np.bitwise_count(self.solids & query).sum(axis=1, dtype=np.int64)
        iou = shared / np.maximum(union, 1)
        best = int(np.argmax(iou))
        return best, float(iou[best])

    def save(self, path: Any) -> None:
        """Writes an .npz file that `load` reads."""
        np.savez(path, keys=np.array(self.keys), solids=self.solids, features=self.features.astype(np.float16))

    @classmethod
    def load(cls, path: Any) -> TrainingShapes:
        """The training shapes of a file written by `save`."""
        with np.load(path, allow_pickle=False) as data:
            return cls(data["keys"].tolist(), data["solids"], data["features"].astype(np.float32))


def pack_solid(sdf: Float[np.ndarray, "n n n"]) -> np.ndarray:
    """The 64^3 solid cells of an SDF as 4,096 words of 64 bits."""
    return np.packbits(solid_grid(sdf, IOU_RESOLUTION)).view(np.uint64)


def codec_ceiling(sdf: Float[np.ndarray, "n n n"], **options: Any) -> Float[np.ndarray, "n n n"]:
    """The SDF after the round trip through its sparse coefficients: what a perfect diffusion would reach."""
    return np.asarray(SparseCoefficients.from_sdf(sdf, **options).to_sdf(), dtype=np.float32).reshape(sdf.shape)


def regression(pipeline: Any, views: Sequence[Any], seed: int = 0) -> Any:
    """The pipeline's output after one step at t = T without guidance: the same network as plain regression."""
    return pipeline(views, num_inference_steps=1, guidance_scale=1.0, seed=seed)
