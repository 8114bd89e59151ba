"""A tiny prepared data set of analytic shapes, written here byte by byte rather than by the code under test."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from wavemesh.data import prepare
from wavemesh.data.prepare_model import Sample, placed_mesh
from wavemesh.geometry.camera import Camera
from wavemesh.rendering import raycast_view

RESOLUTION, IMAGE_SIZE, NUM_VIEWS = 32, 48, 6
CANONICAL = [Camera(30.0, 20.0), Camera(210.0, 20.0)]


def _shapes() -> dict[str, tuple[np.ndarray, trimesh.Trimesh]]:
    centres = (np.arange(RESOLUTION) + 0.5) / RESOLUTION * 2 - 1
    x, y, z = np.meshgrid(centres, centres, centres, indexing="ij")
    shapes = {}
    for number, (radius, place) in enumerate(
        [(0.6, (0.0, 0.0, 0.0)), (0.4, (0.3, 0.1, -0.2)), (0.5, (-0.2, -0.3, 0.2))]
    ):
        ball = trimesh.creation.icosphere(subdivisions=3, radius=radius)
        ball.apply_translation(place)
        ball.visual.vertex_colors = np.tile((200, 60 + 60 * number, 30, 255), (len(ball.vertices), 1))
        shapes[f"ball.{number}"] = (
            np.sqrt((x - place[0]) ** 2 + (y - place[1]) ** 2 + (z - place[2]) ** 2) - radius,
            ball,
        )
    box = trimesh.creation.box((1.0, 0.6, 1.4))
    outside = np.stack([np.abs(x) - 0.5, np.abs(y) - 0.3, np.abs(z) - 0.7])
    shapes["box"] = (np.linalg.norm(np.maximum(outside, 0), axis=0) + np.minimum(outside.max(axis=0), 0), box)
    return shapes


def _files(key: str, split: str, sdf: np.ndarray, mesh: trimesh.Trimesh) -> dict[str, bytes]:
    cameras = [Camera(30.0 + 70.0 * view, 20.0 + view) for view in range(NUM_VIEWS)]
    meta = {
        "key": key,
        "name": key,
        "category": "balls" if key.startswith("ball") else "boxes",
        "library": "analytic",
        "path": f"{key}.obj",
        "split": split,
        "cameras": [asdict(camera) for camera in cameras],
        "canonical_cameras": [asdict(camera) for camera in CANONICAL],
    }
    packed = io.BytesIO()
    np.savez_compressed(packed, sdf=np.rint(np.clip(sdf / 0.09, -1, 1) * 127).astype(np.int8))
    files = {"meta.json": json.dumps(meta).encode(), "sdf.npz": packed.getvalue()}
    named = [("view", IMAGE_SIZE, cameras), ("canonical", 2 * IMAGE_SIZE, CANONICAL)]
    for name, size, taken_by in named:
        for number, camera in enumerate(taken_by):
            picture = io.BytesIO()
            Image.fromarray(raycast_view(mesh, camera, size).rgba).save(picture, format="WEBP", lossless=True)
            files[f"{name}{number:02d}.webp"] = picture.getvalue()
    return files


def write_shard(path: Path, samples: dict[str, dict[str, bytes]]) -> None:
    with tarfile.open(path, "w") as archive:
        for key, files in samples.items():
            for suffix, content in files.items():
                info = tarfile.TarInfo(f"{key}.{suffix}")
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))


@pytest.fixture(scope="session")
def analytic_shapes() -> dict[str, tuple[np.ndarray, trimesh.Trimesh]]:
    """Exact SDFs (not truncated) and meshes by key."""
    return _shapes()


@pytest.fixture(scope="session")
def sample_files(analytic_shapes: dict[str, tuple[np.ndarray, trimesh.Trimesh]]) -> dict[str, dict[str, bytes]]:
    """Files by key and suffix; 'ball.2' is in the test split, the others in train."""
    return {
        key: _files(key, "test" if key == "ball.2" else "train", sdf, mesh)
        for key, (sdf, mesh) in analytic_shapes.items()
    }


@pytest.fixture
def prepared_root(tmp_path: Path, sample_files: dict[str, dict[str, bytes]]) -> Path:
    """A prepared data set in two shards."""
    keys = sorted(sample_files)
    write_shard(tmp_path / "shard-000000.tar", {key: sample_files[key] for key in keys[:2]})
    write_shard(tmp_path / "shard-000001.tar", {key: sample_files[key] for key in keys[2:]})
    return tmp_path


@pytest.fixture
def streamed_set(tmp_path: Path, sample_files: dict[str, dict[str, bytes]]) -> Path:
    """Six shards with ten training shapes, one with a test shape, and their list."""
    index: list[dict[str, str]] = []
    for number in range(7):
        split, keys = ("test", ["ball.2"]) if number == 6 else ("train", ["ball.0", "ball.1", "box"][number % 3 :][:2])
        name, named = f"shard-{number:06d}.tar", [f"{key.replace('.', '')}-{number}" for key in keys]
        write_shard(tmp_path / name, {new: sample_files[key] for new, key in zip(named, keys, strict=True)})
        index += [{"key": key, "split": split, "shard": name, "category": key[:3]} for key in named]
    (tmp_path / "index.json").write_text(json.dumps(index))
    return tmp_path


@pytest.fixture(scope="session")
def write_library() -> Callable[..., Path]:
    """Writes a furniture library: a zip with a catalogue and one OBJ, MTL and texture per model."""

    def write(path: Path, models: dict[str, trimesh.Trimesh], extra: dict[str, dict[str, str]] | None = None) -> Path:
        lines = ["# A library", "id=Tests#library", "license=CC0 1.0 (public domain)  \\u00a9 the testers"]
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for number, (stem, mesh) in enumerate(models.items(), start=1):
                entries = {"name": stem, "category": "Things", "creator": "A tester", **(extra or {}).get(stem, {})}
                entries["model"] = f"/models/{stem}/{stem}.obj"
                lines += [f"{name}#{number}={value}" for name, value in entries.items()]
                obj = [f"mtllib {stem}.mtl", "vt 0.5 0.5", "usemtl skin"]
                obj += ["v {} {} {}".format(*vertex) for vertex in mesh.vertices]
                obj += ["f {}/1 {}/1 {}/1".format(*(face + 1)) for face in mesh.faces]
                archive.writestr(f"models/{stem}/{stem}.obj", "\n".join(obj))
                archive.writestr(f"models/{stem}/{stem}.mtl", "newmtl skin\nKd 0 0 1\nmap_Kd skin.png\n")
                picture = io.BytesIO()
                Image.new("RGB", (8, 8), (220, 30, 20)).save(picture, format="PNG")
                archive.writestr(f"models/{stem}/skin.png", picture.getvalue())
            archive.writestr("PluginFurnitureCatalog.properties", "\n".join(lines))
        return path

    return write


@pytest.fixture
def quick_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Samples of `prepare` without pictures and with a random grid: for tests of what is prepared, not of how."""

    def sample(model: prepare.SourceModel, settings: object) -> Sample:
        placed_mesh(model)
        packed = io.BytesIO()
        noise = np.random.default_rng(abs(hash(model.key))).integers(-127, 127, (16,) * 3, dtype=np.int8)
        np.savez_compressed(packed, sdf=noise)
        return Sample(model.key, {"sdf.npz": packed.getvalue(), "meta.json": json.dumps(model.description).encode()})

    monkeypatch.setattr(prepare, "prepare_model", sample)
