"""Small shapes, a pipeline that answers at once, and a data set in memory."""

from types import SimpleNamespace

import numpy as np
import pytest
import trimesh

from wavemesh.evaluation import evaluate, metrics, plan, samples
from wavemesh.evaluation.cameras import CameraErrors
from wavemesh.evaluation.photographs import PhotographErrors
from wavemesh.evaluation.samples import EvaluationSample, PreparedSamples, sdf_mesh
from wavemesh.geometry.camera import Camera
from wavemesh.geometry.sdf import SurfacePoints

RING = [Camera(30.0 + 90.0 * turn, 20.0) for turn in range(4)]


def sphere_sdf(radius: float, centre: tuple[float, float, float] = (0, 0, 0), n: int = 64) -> np.ndarray:
    axis = (np.arange(n) + 0.5) / n * 2 - 1
    points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1)
    return np.clip(np.linalg.norm(points - np.array(centre), axis=-1) - radius, -0.09, 0.09).astype(np.float32)


def sphere_mask(camera: Camera, radius: float, size: int = 64) -> np.ndarray:
    """The silhouette of a sphere at the origin: rays that pass within `radius` of it."""
    origins, directions = camera.rays(size)
    closest = origins - (origins * directions).sum(-1, keepdims=True) * directions
    return np.linalg.norm(closest, axis=-1) < radius


def sphere_sample(key: str, radius: float) -> EvaluationSample:
    pictures = []
    for camera in RING:
        rgba = np.full((64, 64, 4), 128, np.uint8)
        rgba[..., 3] = sphere_mask(camera, radius) * 255
        pictures.append(rgba)
    return EvaluationSample(key, "round" if radius > 0.5 else "small", sphere_sdf(radius), pictures, RING)


class MemorySamples(PreparedSamples):
    """In place of PreparedSamples; counts how often a sample was read."""

    splits = {
        "train": {f"train{radius}": radius for radius in (0.3, 0.5, 0.7)},
        "test": {"a": 0.45, "b": 0.65},
    }
    reads = 0
    shapes = None

    def __init__(self, data_root: object, split: str, with_meshes: bool = False) -> None:
        self._radii = self.splits[split]
        self.keys = list(self._radii)

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, key: str) -> EvaluationSample:
        MemorySamples.reads += 1
        return sphere_sample(key, self._radii[key])

    def __iter__(self):
        return (self[key] for key in self.keys)


def quick_surface(mesh: trimesh.Trimesh, num_points: int, seed: int = 0) -> SurfacePoints:
    points, faces = trimesh.sample.sample_surface(mesh, num_points, seed=seed)
    return SurfacePoints(points.astype(np.float32), mesh.face_normals[faces].astype(np.float32))


class FakePipeline:
    """Answers with a sphere whose radius depends on the seed; one step gives the worst one."""

    fingerprint = "0" * 12

    def __init__(self, shift: tuple[float, float, float] = (0, 0, 0)) -> None:
        self.shift = shift
        config = SimpleNamespace(bank="bior2.2", active_threshold=None, sampling=None)
        self.model = SimpleNamespace(config=config)
        self.camera_head = "head"
        self.calls: list[dict] = []

    def __call__(self, views: list, num_inference_steps: int | None = None, seed: int = 0, **options: object):
        self.calls.append({"views": len(views), "known": views[0].camera is not None, "seed": seed, **options})
        radius = 0.2 if num_inference_steps == 1 else 0.4 + 0.1 * seed
        sdf = sphere_sdf(radius, self.shift if views[0].camera is None else (0, 0, 0))
        return SimpleNamespace(sdf=sdf, mesh=sdf_mesh(sdf))


@pytest.fixture
def memory_data(monkeypatch: pytest.MonkeyPatch) -> type[MemorySamples]:
    for module in (plan, evaluate):
        monkeypatch.setattr(module, "PreparedSamples", MemorySamples)
    monkeypatch.setattr(evaluate, "held_out_errors", lambda *given: CameraErrors(6.7, 5.4, 0.1, 0.02, 0.3, 0.8, 16))
    monkeypatch.setattr(evaluate, "photograph_errors", lambda *given: PhotographErrors(0.9, 0.1, 4.0, 16))
    # What is visible of a mesh has its own tests and takes a second for each mesh; a sphere is visible all round.
    for module in (metrics, samples):
        monkeypatch.setattr(module, "visible_surface", quick_surface)
    MemorySamples.reads = 0
    return MemorySamples


@pytest.fixture
def fake_pipeline() -> FakePipeline:
    return FakePipeline()


@pytest.fixture
def sphere():
    """A function (radius, centre) -> SDF of 64^3."""
    return sphere_sdf
