"""Test shapes as evaluation sees them: canonical pictures with their cameras, the true SDF and its visible surface."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from jaxtyping import Float

from wavemesh.errors import InputError
from wavemesh.evaluation.metrics import NUM_POINTS
from wavemesh.geometry.camera import Camera
from wavemesh.geometry.isosurface import sdf_to_mesh
from wavemesh.geometry.sdf import SurfacePoints, visible_surface

QUICK_SHAPES = 24
TRUTH_SEED = 0  # predictions are sampled with other seeds

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EvaluationSample:
    """One shape with its canonical views.

    sdf: (n, n, n) float32, truncated. pictures: (s, s, 4) uint8 RGBA each, straight alpha, at `cameras`.
    mesh: the original mesh in the frame of the product, where it is at hand.
    """

    key: str
    category: str
    sdf: Float[np.ndarray, "n n n"]
    pictures: Sequence[np.ndarray]
    cameras: Sequence[Camera]
    mesh: trimesh.Trimesh | None = None

    @property
    def views(self) -> list[Any]:
        """The pictures as `View`s with their cameras."""
        return self.as_views(len(self.pictures))

    def as_views(self, count: int, known: bool = True) -> list[Any]:
        """The first `count` pictures as `View`s; without cameras when they are to be estimated."""
        from wavemesh.pipelines import View

        if count > len(self.pictures):
            raise InputError(f"Shape {self.key} has {len(self.pictures)} canonical views, not {count}.")
        pairs = list(zip(self.pictures, self.cameras, strict=True))[:count]
        return [View(picture, camera if known else None) for picture, camera in pairs]

    def masks(self, count: int) -> list[np.ndarray]:
        """The silhouettes of the first `count` pictures."""
        return [picture[..., 3] >= 128 for picture in self.pictures[:count]]


@dataclass(frozen=True)
class GroundTruth:
    """What a prediction is compared with: points of the visible surface and the SDF. source: 'mesh' or 'sdf'."""

    points: SurfacePoints
    sdf: Float[np.ndarray, "n n n"]
    source: str


def sdf_mesh(sdf: Float[np.ndarray, "n n n"]) -> trimesh.Trimesh | None:
    """The surface of an SDF, or None where it has none."""
    try:
        return sdf_to_mesh(sdf)
    except InputError:
        return None


def ground_truth(sample: Any, num_points: int = NUM_POINTS, cache_dir: Path | None = None) -> GroundTruth:
    """The visible surface of a sample, kept in `cache_dir` as .npz once computed.

    The surface is that of the original mesh if the sample has one, else the isosurface of its SDF.
    Raises InputError when the SDF has no surface.
    """
    mesh = getattr(sample, "mesh", None)
    source = "sdf" if mesh is None else "mesh"
    digest = hashlib.sha256(np.ascontiguousarray(sample.sdf).tobytes()).hexdigest()[:12]
    path = None if cache_dir is None else Path(cache_dir) / f"{digest}-{source}-{num_points}.npz"
    if path is not None and path.exists():
        with np.load(path, allow_pickle=False) as data:
            return GroundTruth(SurfacePoints(data["points"], data["normals"]), sample.sdf, source)
    mesh = sdf_mesh(sample.sdf) if mesh is None else mesh
    if mesh is None:
        raise InputError(f"The true shape of {sample.key} has no surface.")
    surface = visible_surface(mesh, num_points, TRUTH_SEED)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp.npz")
        np.savez(temporary, points=surface.points.astype(np.float32), normals=surface.normals.astype(np.float32))
        temporary.replace(path)
    return GroundTruth(surface, sample.sdf, source)


def choose_keys(keys: Iterable[str], subset: str = "full") -> list[str]:
    """All keys ('full') or the 24 whose hash comes first ('quick'), in hash order: a fixed choice, spread widely."""
    ordered = sorted(keys, key=lambda key: hashlib.sha256(key.encode()).hexdigest())
    if subset not in ("quick", "full"):
        raise InputError(f"Unknown subset {subset!r}; choose quick or full.")
    return ordered[:QUICK_SHAPES] if subset == "quick" else ordered


class PreparedSamples:
    """The samples of a prepared data set by key, in the order of the data set."""

    def __init__(self, data_root: str | Path, split: str) -> None:
        from wavemesh.data.dataset import PreparedShapes

        self._shapes = PreparedShapes(data_root, split=split)
        self.keys: list[str] = list(self._shapes.keys)
        if not self.keys:
            raise InputError(f"The data set in {data_root} has no shapes in the split {split!r}.")

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, key: str) -> EvaluationSample:
        return _from_prepared(self._shapes[self.keys.index(key)])

    def __iter__(self) -> Iterator[EvaluationSample]:
        for key in self.keys:
            yield self[key]


def _from_prepared(shape: Any) -> EvaluationSample:
    """The canonical part of a prepared shape."""
    return EvaluationSample(
        key=shape.key, category=shape.category, sdf=shape.sdf, pictures=shape.pictures, cameras=shape.cameras
    )
