"""Example folders: good ones load, damaged ones are left out with a warning."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wavemesh.gallery.read import load_examples
from wavemesh.geometry.camera import Camera
from wavemesh.geometry.untrusted import read_untrusted_mesh
from wavemesh.rendering import raycast_view


def test_examples_load_in_order_with_credit(examples_folder: Path) -> None:
    ball, cube = load_examples(examples_folder)
    assert ball.credit == "Ball, by A. Maker, CC0"
    assert [path.name for path in cube.pictures] == ["view0.webp", "view1.webp", "view2.webp", "view3.webp"]
    assert Camera(**cube.cameras[3]) == Camera(270.0, 20.0)


def test_views_are_ordered_by_number(examples_folder: Path) -> None:
    folder = examples_folder / "cube"
    for number in range(4, 11):
        (folder / f"view{number}.webp").write_bytes(b"x")
    cameras = json.loads((folder / "cameras.json").read_text())
    (folder / "cameras.json").write_text(json.dumps((cameras * 3)[:11]))
    cube = load_examples(examples_folder)[1]
    assert [path.name for path in cube.pictures][-2:] == ["view9.webp", "view10.webp"]


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("cameras.json", "[{}]"),
        ("cameras.json", "not json"),
        ("cameras.json", '[{"roll": 3}, {}]'),
        ("cameras.json", '[{"offset": 3}, {}]'),
        ("about.json", "["),
    ],
)
def test_damaged_examples_are_left_out(
    examples_folder: Path, file: str, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    (examples_folder / "ball" / file).write_text(content)
    with caplog.at_level(logging.WARNING):
        assert [example.key for example in load_examples(examples_folder)] == ["cube"]
    assert "ball" in caplog.text


def test_no_folder_means_no_examples(tmp_path: Path) -> None:
    assert load_examples(tmp_path / "nowhere") == []
    (tmp_path / "stray.txt").touch()
    assert load_examples(tmp_path) == []


def test_bundled_true_meshes_are_what_their_pictures_show() -> None:
    having = [example for example in load_examples() if example.truth is not None]
    assert len(having) >= 2
    for example in having:
        assert example.truth is not None
        assert example.truth.stat().st_size < 150_000
        mesh = read_untrusted_mesh(example.truth)
        assert np.allclose(mesh.extents.max(), 1.8, atol=1e-3)
        view = raycast_view(mesh, Camera(**example.cameras[0]), 256)
        with Image.open(example.pictures[0]) as picture:
            alpha = np.asarray(picture.convert("RGBA").resize((256, 256)))[..., 3] > 127
        seen = view.rgba[..., 3] > 127
        assert (seen & alpha).sum() / (seen | alpha).sum() > 0.95
