"""A held-out surface in one file: its look and its triangles come back, and older files are read without colours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image
from trimesh.visual import ColorVisuals, TextureVisuals
from trimesh.visual.material import MultiMaterial, SimpleMaterial

from wavemesh.data.kept_mesh import has_look, kept_bytes, kept_mesh
from wavemesh.geometry.camera import Camera
from wavemesh.rendering import Light, RaycastRenderer


def box_of_two_materials() -> trimesh.Trimesh:
    """A box, some sides of it red, the others with a picture of four squares."""
    squares = np.zeros((64, 64, 3), np.uint8)
    squares[:32, :32], squares[32:, 32:] = (20, 200, 40), (30, 60, 220)
    box = trimesh.creation.box((1.0, 1.2, 1.4))
    materials = [SimpleMaterial(diffuse=(220, 30, 20, 255)), SimpleMaterial(image=Image.fromarray(squares))]
    corners = box.vertices[box.faces].reshape(-1, 3)
    uv = np.tile([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]], (len(box.faces), 1))
    visual = TextureVisuals(uv=uv, material=MultiMaterial(materials), face_materials=np.arange(len(box.faces)) % 3 % 2)
    return trimesh.Trimesh(corners, np.arange(len(corners)).reshape(-1, 3), visual=visual, process=False)


def ball_of_vertex_colours() -> trimesh.Trimesh:
    ball = trimesh.creation.icosphere(subdivisions=2, radius=0.8)
    ball.visual = ColorVisuals(ball, vertex_colors=np.rint((ball.vertices + 1.0) * 127.0).astype(np.uint8))
    return ball


@pytest.mark.parametrize("made", [box_of_two_materials, ball_of_vertex_colours, trimesh.creation.annulus])
def test_what_is_kept_looks_as_it_did(made: object, tmp_path: Path) -> None:
    mesh = made(0.3, 0.8, 0.5) if made is trimesh.creation.annulus else made()  # type: ignore[operator]
    path = tmp_path / "shape.npz"
    path.write_bytes(kept_bytes(mesh))
    assert has_look(path)
    found = kept_mesh(path)
    assert sorted(map(tuple, found.triangles_center.round(5))) == sorted(map(tuple, mesh.triangles_center.round(5)))
    assert found.area == pytest.approx(mesh.area, rel=1e-5)
    for azimuth in (20.0, 200.0):
        camera = Camera(azimuth, 25.0)
        before, after = (RaycastRenderer(each).view(camera, 64, light=Light.flat()).rgba for each in (mesh, found))
        assert np.abs(before.astype(int) - after).mean() < 1.0
        np.testing.assert_array_equal(before[..., 3], after[..., 3])


def test_files_without_a_look_are_read(tmp_path: Path) -> None:
    path = tmp_path / "older.npz"
    box = trimesh.creation.box()
    assert not has_look(path)
    np.savez_compressed(path, vertices=box.vertices.astype(np.float32), faces=box.faces.astype(np.int32))
    assert not has_look(path)
    found = kept_mesh(path)
    assert found.volume == pytest.approx(1.0)
    assert found.visual.kind is None
