"""Example folders: good ones load, damaged ones are left out with a warning."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from wavemesh.geometry.camera import Camera
from wavemesh.ui.examples import load_examples


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
