"""What can be made of a finished mesh without the model: other surfaces, files, films, and its health."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from wavemesh.errors import InputError
from wavemesh.geometry.camera import Camera
from wavemesh.geometry.isosurface import sdf_to_mesh
from wavemesh.pipelines.record import RunRecord
from wavemesh.settings import WaveMeshSettings
from wavemesh.ui.result.content import THICKNESS, Shape, Shapes

RUN = "run"


@pytest.fixture
def shapes() -> Shapes:
    axis = (np.arange(48) + 0.5) / 24 - 1
    x, y, z = np.meshgrid(axis, axis, axis, indexing="ij")
    ball = np.sqrt(x**2 + y**2 + z**2) - 0.6
    crumb = np.sqrt((x - 0.8) ** 2 + (y - 0.8) ** 2 + z**2) - 0.07
    sdf = np.minimum(ball, crumb).clip(-0.09, 0.09).astype(np.float32)
    mesh = sdf_to_mesh(sdf)
    red = np.asarray(mesh.vertices)[:, :1] > 0
    mesh.visual.vertex_colors = np.where(red, [[200, 40, 40, 255]], [[40, 40, 200, 255]]).astype(np.uint8)
    record = RunRecord(WaveMeshSettings(), [], [], [], [], None, sdf, mesh)
    return Shapes(lambda folder: record)


def test_the_iso_level_grows_and_shrinks(shapes: Shapes) -> None:
    for level in (-0.05, 0.0, 0.05):
        mesh = shapes.mesh(Shape(RUN, level))
        ball = np.linalg.norm(mesh.vertices, axis=1) < 0.75
        assert np.linalg.norm(mesh.vertices[ball], axis=1).mean() == pytest.approx(0.6 + level, abs=4e-3)
    # The colours follow.
    colours = np.asarray(shapes.mesh(Shape(RUN, 0.05)).visual.vertex_colors)
    assert set(map(tuple, colours.tolist())) == {(200, 40, 40, 255), (40, 40, 200, 255)}
    with pytest.raises(InputError, match=r"0\.2"):
        Shape(RUN, 0.2)


def test_the_face_budget_is_kept(shapes: Shapes) -> None:
    few = shapes.mesh(Shape(RUN, max_faces=1000))
    assert 700 < len(few.faces) <= 1010
    assert few.volume == pytest.approx(shapes.mesh(Shape(RUN)).volume, rel=0.03)
    assert few.visual.kind == "vertex"
    with pytest.raises(InputError, match="10"):
        Shape(RUN, max_faces=10)


def test_repair_drops_the_crumb_and_says_so(shapes: Shapes) -> None:
    assert shapes.health(Shape(RUN)).components == 2
    shape = Shape(RUN, repaired=True)
    assert shapes.summary(shape) == "1 loose piece was dropped."
    assert shapes.health(shape).components == 1
    assert shapes.health(shape).printable
    assert shapes.mesh(shape) is shapes.mesh(Shape(RUN, repaired=True))


def test_the_budget_is_kept_after_a_repair_and_colours_come_from_the_run(shapes: Shapes) -> None:
    shape = Shape(RUN, level=0.01, max_faces=800, repaired=True)
    mesh = shapes.mesh(shape)
    assert 400 < len(mesh.faces) <= 800
    assert shapes.health(shape).printable
    assert shapes.health(shape).components == 1
    colours, x = np.asarray(mesh.visual.vertex_colors), np.asarray(mesh.vertices)[:, 0]
    assert (colours[x > 0.1, :3] == [200, 40, 40]).all()
    assert (colours[x < -0.1, :3] == [40, 40, 200]).all()


def test_the_first_view_is_that_of_the_first_picture(shapes: Shapes) -> None:
    record = shapes._load(RUN)
    record.cameras, record.front_deg = [Camera(50.0, 10.0), Camera(140.0)], 20.0
    assert shapes.first_view(Shape(RUN)) == Camera(30.0, 10.0)


def test_the_thickness_of_its_walls(shapes: Shapes) -> None:
    shape = Shape(RUN)
    thickness = shapes.thickness(shape)
    crumb = np.linalg.norm(shapes.mesh(shape).vertices, axis=1) > 0.75
    assert thickness[crumb].mean() == pytest.approx(0.14, abs=0.02)
    assert (thickness[~crumb] == pytest.approx(0.18)) or thickness[~crumb].min() > 0.1
    assert thickness.max() <= THICKNESS.high


@pytest.mark.parametrize("suffix", [".glb", ".obj", ".ply"])
def test_files(shapes: Shapes, suffix: str, tmp_path: Path) -> None:
    path = shapes.export(Shape(RUN, max_faces=2000), suffix, tmp_path)
    loaded = trimesh.load(path, force="mesh")
    assert loaded.volume == pytest.approx(shapes.mesh(Shape(RUN, max_faces=2000)).volume, rel=1e-3)


def test_a_textured_obj_is_a_zip_of_three_and_a_textured_glb_one_file(shapes: Shapes, tmp_path: Path) -> None:
    shape = Shape(RUN, max_faces=600)
    archive = Path(shapes.export(shape, ".obj", tmp_path, texture=True))
    assert archive.suffix == ".zip"
    with zipfile.ZipFile(archive) as file:
        assert {Path(name).suffix for name in file.namelist()} == {".obj", ".mtl", ".png"}
        file.extractall(tmp_path / "out")
    loaded = trimesh.load(tmp_path / "out" / "mesh.obj", force="mesh")
    assert loaded.visual.kind == "texture"
    textured = trimesh.load(shapes.export(shape, ".glb", tmp_path, texture=True), force="mesh")
    right = np.asarray(textured.vertices)[:, 0] > 0.3
    red, _, blue = np.asarray(textured.visual.to_color().vertex_colors)[right, :3].mean(axis=0)
    assert red > blue + 100


def test_an_stl_for_printing_stands_upright_in_millimetres(shapes: Shapes, tmp_path: Path) -> None:
    mesh = trimesh.load(shapes.export(Shape(RUN), ".stl", tmp_path, size_mm=80.0), force="mesh")
    assert mesh.extents.max() == pytest.approx(80.0, rel=1e-4)
    assert mesh.bounds[0][2] == pytest.approx(0.0, abs=1e-3)
    assert mesh.volume > 0
    with pytest.raises(InputError, match=r"0\.5"):
        shapes.export(Shape(RUN), ".3mf", tmp_path, size_mm=0.5)


def test_turntables(shapes: Shapes) -> None:
    gif = shapes.turntable(Shape(RUN, max_faces=1000), ".gif", num_frames=8, size=64)
    with Image.open(io.BytesIO(gif)) as image:
        assert (image.n_frames, image.size) == (8, (64, 64))
    assert shapes.turntable(Shape(RUN, max_faces=1000), ".mp4", num_frames=8, size=64)[4:8] == b"ftyp"
    with pytest.raises(InputError, match=r"\.avi"):
        shapes.turntable(Shape(RUN), ".avi")
