"""Test shapes as evaluation sees them: canonical pictures with their cameras, the true SDF and its visible surface."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from jaxtyping import Float

from wavemesh.data.dataset import PreparedShapes
from wavemesh.data.kept_mesh import MAX_TEXTURE, kept_mesh
from wavemesh.data.prepare_model import placed_mesh
from wavemesh.data.sources import MESHES
from wavemesh.data.sweet_home import read_library
from wavemesh.errors import InputError
from wavemesh.evaluation.shapenet import SUBSET, of_the_classes
from wavemesh.geometry.camera import Camera
from wavemesh.geometry.frame import SIDES, Side
from wavemesh.geometry.isosurface import sdf_to_mesh
from wavemesh.geometry.sdf import SurfacePoints
from wavemesh.geometry.visible import visible_surface
from wavemesh.pipelines.views import View

NUM_POINTS = 40_000  # of each surface: with 10,000 the F-score at 0.02 cannot pass about 0.8
QUICK_SHAPES = 24
SUBSETS = ("quick", "full", SUBSET)
TRUTH_SEED = 0  # predictions are sampled with other seeds


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
    def views(self) -> list[View]:
        """The pictures as `View`s with their cameras."""
        return self.as_views(len(self.pictures))

    def as_views(self, count: int, known: bool = True, sides: bool = False) -> list[View]:
        """The first `count` pictures as `View`s; without cameras when they are to be estimated.

        sides: with the sides that a person would give for them, who calls the first one the front.
        """
        if count > len(self.pictures):
            raise InputError(f"Shape {self.key} has {len(self.pictures)} canonical views, not {count}.")
        pairs = list(zip(self.pictures, self.cameras, strict=True))[:count]
        named = self.sides[:count] if sides else [None] * count
        return [
            View(picture, camera if known else None, side=side)
            for (picture, camera), side in zip(pairs, named, strict=True)
        ]

    @property
    def sides(self) -> list[Side | None]:
        """The side nearest to each picture, counted from the first one."""
        first = self.cameras[0].azimuth_deg
        return [SIDES[round((camera.azimuth_deg - first) / 90.0) % 4] for camera in self.cameras]

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


def ground_truth(sample: EvaluationSample, num_points: int = NUM_POINTS, cache_dir: Path | None = None) -> GroundTruth:
    """The visible surface of a sample, kept in `cache_dir` as .npz once computed.

    The surface is that of the original mesh if the sample has one, else the isosurface of its SDF.
    Raises InputError when the SDF has no surface.
    """
    source = "sdf" if sample.mesh is None else "mesh"
    digest = hashlib.sha256(np.ascontiguousarray(sample.sdf).tobytes()).hexdigest()[:12]
    path = None if cache_dir is None else Path(cache_dir) / f"{digest}-{source}-{num_points}.npz"
    if path is not None and path.exists():
        with np.load(path, allow_pickle=False) as data:
            return GroundTruth(SurfacePoints(data["points"], data["normals"]), sample.sdf, source)
    mesh = sdf_mesh(sample.sdf) if sample.mesh is None else sample.mesh
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
    """All keys ('full'), those of ShapeNet's 13 classes ('shapenet13'), or 24 ('quick'), in the order of their hashes.

    The 24 are the first ones: a fixed choice, spread widely. Raises InputError for another subset and an empty one.
    """
    ordered = sorted(keys, key=lambda key: hashlib.sha256(key.encode()).hexdigest())
    if subset not in SUBSETS:
        raise InputError(f"Unknown subset {subset!r}; choose {' or '.join(SUBSETS)}.")
    if subset == SUBSET:
        return of_the_classes(ordered)
    return ordered[:QUICK_SHAPES] if subset == "quick" else ordered


def from_dataset_item(item: dict[str, Any]) -> EvaluationSample:
    """The sample of an item of `data.dataset.MeshDataset`; its pictures are premultiplied and need their alpha."""
    if not item["images"].is_floating_point():
        raise InputError(f"Pictures of a data set are float32 in [0, 1], not {item['images'].dtype}.")
    images = item["images"].detach().cpu().float().movedim(-3, -1).numpy()
    if images.shape[-1] != 4:
        raise InputError(f"Evaluation needs pictures with alpha, not {images.shape[-1]} channels.")
    alpha = images[..., 3:]
    colour = np.divide(images[..., :3], alpha, out=np.zeros_like(images[..., :3]), where=alpha > 0.0)
    pictures = np.rint(np.concatenate([colour, alpha], axis=-1).clip(0.0, 1.0) * 255.0).astype(np.uint8)
    poses, intrinsics = item["poses"].cpu().numpy(), item["intrinsics"].cpu().numpy()
    cameras = [_camera_of(pose, lens) for pose, lens in zip(poses, intrinsics, strict=True)]
    key, sdf = str(item.get("mesh_path", "")), item["sdf"].cpu().numpy()
    return EvaluationSample(key, str(item.get("category", "")), sdf, list(pictures), cameras)


def _camera_of(pose: Float[np.ndarray, "3 4"], intrinsics: Float[np.ndarray, "3"]) -> Camera:
    """The camera with this pose, which looks at the origin."""
    x, y, z = (float(value) for value in pose[:, 3])
    distance = math.sqrt(x * x + y * y + z * z)
    return Camera(
        azimuth_deg=math.degrees(math.atan2(x, z)),
        elevation_deg=math.degrees(math.asin(min(1.0, max(-1.0, y / distance)))),
        distance=distance,
        fov_deg=math.degrees(2.0 * math.atan(1.0 / float(intrinsics[0]))),
        offset=(float(intrinsics[1]), float(intrinsics[2])),
    )


class PreparedSamples:
    """The samples of one split of a prepared data set, by key, with their canonical pictures.

    with_meshes: load the original meshes as well, where `prepare` left them beside the shards.
    Raises InputError for a folder that is no prepared data set or has no shapes in the split.
    """

    def __init__(self, data_root: str | Path, split: str, with_meshes: bool = False) -> None:
        self._root = Path(data_root)
        self.shapes = PreparedShapes(self._root, split)
        self.keys: list[str] = list(self.shapes.keys)
        self._index = {key: index for index, key in enumerate(self.keys)}
        self._with_meshes = with_meshes

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, key: str) -> EvaluationSample:
        shape = self.shapes[self._index[key]]
        mesh = original_mesh(self._root, shape.meta) if self._with_meshes else None
        return EvaluationSample(key, shape.category, shape.sdf, shape.pictures, shape.cameras, mesh)

    def __iter__(self) -> Iterator[EvaluationSample]:
        for key in self.keys:
            yield self[key]


def original_mesh(data_root: Path, meta: dict[str, Any]) -> trimesh.Trimesh | None:
    """The mesh that a shape was prepared from, in the frame of the product; None where it is not at hand."""
    kept = data_root / MESHES / f"{meta.get('key', '')}.npz"
    if kept.is_file():
        return kept_mesh(kept)
    library = data_root / "source" / str(meta.get("library", ""))  # sets that were prepared before meshes were kept
    if not meta.get("library") or not library.is_dir():
        return None
    model = next((model for model in read_library(library) if model.key == meta.get("key")), None)
    return None if model is None else placed_mesh(model, MAX_TEXTURE)
