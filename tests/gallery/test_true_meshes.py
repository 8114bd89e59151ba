"""True meshes of examples: the model's shape in the world frame, the colours of its faces, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from wavemesh.errors import InputError
from wavemesh.gallery import write
from wavemesh.gallery.write import plain, write_true_mesh
from wavemesh.geometry.untrusted import read_untrusted_mesh


@pytest.fixture
def example(tmp_path: Path) -> Path:
    folder = tmp_path / "examples" / "box"
    folder.mkdir(parents=True)
    (folder / "about.json").write_text(json.dumps({"library": "tests", "key": "tests_box"}))
    return folder


@pytest.fixture
def library(tmp_path: Path, write_library: Callable[..., Path]) -> Path:
    return write_library(tmp_path / "tests.sh3f", {"box": trimesh.creation.box((2.0, 4.0, 1.0))})


def test_the_model_is_written_in_the_world_frame(example: Path, library: Path) -> None:
    path = write_true_mesh(example, library)
    assert path == example / "truth.glb"
    mesh = read_untrusted_mesh(path)
    assert np.allclose(mesh.extents, (0.9, 1.8, 0.45), atol=1e-5)
    assert mesh.is_watertight
    assert mesh.volume == pytest.approx(0.9 * 1.8 * 0.45, rel=1e-4)


def test_what_cannot_be_written_is_refused(example: Path, library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"no example '.*nowhere'"):
        write_true_mesh(example.parent / "nowhere", library)
    monkeypatch.setattr(write, "MAX_BYTES", 100)
    with pytest.raises(InputError, match="bytes; 100 may ship"):
        write_true_mesh(example, library)
    for about, words in (({"library": "tests", "key": "tests_cup"}, "no model 'tests_cup'"),
                         ({"library": "other", "key": "other_cup"}, "no library 'other'")):  # fmt: skip
        (example / "about.json").write_text(json.dumps(about))
        with pytest.raises(InputError, match=words):
            write_true_mesh(example, library)
    assert not (example / "truth.glb").exists()


def test_faces_take_the_colours_of_their_texture() -> None:
    # Two squares side by side; the picture is red on the left and blue on the right.
    vertices = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [2, 0, 0], [2, 1, 0]], float)
    faces = np.array([[0, 1, 2], [0, 2, 3], [1, 4, 5], [1, 5, 2]])
    picture = Image.new("RGB", (64, 32), (255, 0, 0))
    picture.paste((0, 0, 255), (32, 0, 64, 32))
    visual = trimesh.visual.TextureVisuals(uv=vertices[:, :2] / (2, 1), image=picture)
    mesh = plain(trimesh.Trimesh(vertices, faces, visual=visual, process=False))
    assert np.allclose(mesh.triangles, vertices[faces])
    colours = mesh.visual.vertex_colors[mesh.faces][:, 0, :3]
    assert (colours[:2, 0] > 180).all()
    assert (colours[:2, 2] < 80).all()
    assert (colours[2:, 2] > 180).all()
    assert (mesh.visual.vertex_colors[mesh.faces] == mesh.visual.vertex_colors[mesh.faces][:, :1]).all()
    assert len(mesh.vertices) == 8  # shared within a colour only
