"""One mesh file becomes one training sample: its distance grid, its pictures with their cameras, its description."""

from __future__ import annotations

import hashlib
import io
import json
import math
from dataclasses import asdict, dataclass

import numpy as np
import trimesh
from jaxtyping import Float, Int8, UInt8
from PIL import Image

from wavemesh.data.cameras import CANONICAL_SIZE_PX, canonical_cameras, training_cameras
from wavemesh.data.sources import SourceModel
from wavemesh.errors import InputError
from wavemesh.geometry.camera import Camera
from wavemesh.geometry.isosurface import sdf_to_mesh
from wavemesh.geometry.mesh import load_mesh, normalise, rotated
from wavemesh.geometry.orbit_depth import look_around
from wavemesh.geometry.raycast import RayCaster
from wavemesh.geometry.sdf import TRUNCATION, mesh_to_sdf
from wavemesh.rendering import Light, RaycastRenderer

NUM_CANONICAL = 4
LEAST_SILHOUETTE_IOU = 0.8
_SCALE = 127.0 / TRUNCATION


@dataclass(frozen=True)
class SampleSettings:
    """How every model is prepared: pictures per model, their side in pixels, cells along an axis of the grid."""

    num_views: int = 20
    image_size: int = 128
    resolution: int = 128

    def __post_init__(self) -> None:
        if min(self.num_views, self.image_size) < 1 or not 16 <= self.resolution <= 256:
            raise InputError(f"Views and their size must be positive and the resolution 16 to 256, not {self}.")


@dataclass(frozen=True)
class Sample:
    """A prepared model: file contents by suffix ("sdf.npz", "view00.webp", ..., "meta.json")."""

    key: str
    files: dict[str, bytes]


def quantise(sdf: Float[np.ndarray, "n n n"]) -> Int8[np.ndarray, "n n n"]:
    """The distances in steps of truncation / 127; the sign always survives."""
    steps = np.rint(np.clip(sdf, -TRUNCATION, TRUNCATION) * _SCALE).astype(np.int8)
    return np.where((sdf < 0) & (steps == 0), np.int8(-1), steps)


def _seed(key: str, purpose: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{purpose}:{key}".encode()).digest()[:8], "big")


def sample_lights(key: str, num_views: int) -> list[Light]:
    """The light of each view: the default for the canonical views, a lamp anywhere above the horizon for the others."""
    generator = np.random.default_rng(_seed(key, "lights"))
    lights = [Light()] * min(NUM_CANONICAL, num_views)
    for _ in range(num_views - len(lights)):
        turn, height = generator.uniform(0.0, 2.0 * math.pi), generator.uniform(0.1, 1.0)
        flat = math.sqrt(1.0 - height**2)
        direction = (flat * math.sin(turn), height, flat * math.cos(turn))
        diffuse, sky = generator.uniform(0.3, 0.7), generator.uniform(0.15, 0.4)
        lights.append(Light(direction, diffuse, sky, generator.uniform(0.2, 0.35)))
    return lights


def silhouette_iou(first: trimesh.Trimesh, second: trimesh.Trimesh, size: int = 112) -> float:
    """The mean overlap of the silhouettes of two meshes from five cameras."""
    cameras = [Camera(25.0, 10.0), Camera(115.0, -10.0), Camera(205.0, 30.0), Camera(295.0, 15.0), Camera(70.0, 60.0)]
    rays = [camera.rays(size) for camera in cameras]
    origins = np.concatenate([origin.reshape(-1, 3) for origin, _ in rays])
    directions = np.concatenate([direction.reshape(-1, 3) for _, direction in rays])
    one, other = (RayCaster(mesh).cast(origins, directions).hit.reshape(len(cameras), -1) for mesh in (first, second))
    return float(np.mean((one & other).sum(axis=1) / np.maximum((one | other).sum(axis=1), 1)))


def prepare_mesh(mesh: trimesh.Trimesh, key: str, description: dict[str, object], settings: SampleSettings) -> Sample:
    """The sample of a normalised mesh. Raises InputError, with the reason, for a mesh that cannot be learnt from."""
    sdf = mesh_to_sdf(mesh, settings.resolution, orbit=look_around(mesh))
    solid = sdf < 0.0
    if solid.sum() < 8:
        raise InputError(f"Only {int(solid.sum())} cells of the grid are solid.")
    overlap = silhouette_iou(mesh, sdf_to_mesh(sdf))
    if overlap < LEAST_SILHOUETTE_IOU:
        raise InputError(f"The silhouettes of grid and mesh overlap by {overlap:.3f} only.")
    cameras = training_cameras(key, mesh.vertices[np.unique(mesh.faces)], settings.num_views)
    renderer = RaycastRenderer(mesh)
    files = {}
    for number, (camera, light) in enumerate(zip(cameras, sample_lights(key, settings.num_views), strict=True)):
        files[f"view{number:02d}.webp"] = _webp(renderer.view(camera, settings.image_size, light=light).rgba)
    for number, camera in enumerate(canonical_cameras()):
        files[f"canonical{number:02d}.webp"] = _webp(renderer.view(camera, CANONICAL_SIZE_PX).rgba)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, sdf=quantise(sdf), scale=np.float32(1.0 / _SCALE))
    files["sdf.npz"] = buffer.getvalue()
    meta = {
        **description,
        "cameras": [asdict(camera) for camera in cameras],
        "canonical_cameras": [asdict(camera) for camera in canonical_cameras()],
        "mesh_stats": {
            "faces": len(mesh.faces),
            "extents": [round(float(value), 4) for value in mesh.extents],
            "solid_cells": int(solid.sum()),
            "silhouette_iou": round(overlap, 4),
        },
    }
    files["meta.json"] = json.dumps(meta, ensure_ascii=False).encode()
    return Sample(key, files)


def _webp(rgba: UInt8[np.ndarray, "s s 4"]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(rgba).save(buffer, format="WEBP", quality=88, alpha_quality=100, method=4)
    return buffer.getvalue()


def placed_mesh(model: SourceModel, max_texture: int = 512) -> trimesh.Trimesh:
    """The mesh of a model, turned and scaled into the world frame. Raises InputError where it cannot be used."""
    if model.refusal:
        raise InputError(model.refusal)
    mesh = load_mesh(model.root / model.path, max_texture)
    if model.rotation is not None:
        mesh = rotated(mesh, np.array(model.rotation).reshape(3, 3))
    return normalise(mesh)


def prepare_model(model: SourceModel, settings: SampleSettings) -> Sample:
    """The sample of a model in the world frame; raises InputError like prepare_mesh."""
    return prepare_mesh(placed_mesh(model), model.key, model.description, settings)
