"""Examples made of held-out models: what is written comes back, what may not ship is refused, creators are named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.data.conftest import analytic_shapes, prepared_root, sample_files  # noqa: F401 - fixtures
from wavemesh.data.dataset import PreparedShapes
from wavemesh.errors import InputError
from wavemesh.gallery.read import load_examples
from wavemesh.gallery.write import attribution, write_example
from wavemesh.geometry.camera import Camera

LICENSED = {"key": "tests_ball_2", "name": "Ball", "creator": "A. Maker", "licence": "CC-BY 4.0"}


def shapes_of(root: Path, monkeypatch: pytest.MonkeyPatch, **facts: Any) -> PreparedShapes:
    """The test split of one ball, told to have these facts."""
    shapes = PreparedShapes(root, "test")
    usual = PreparedShapes.__getitem__

    def told(self: PreparedShapes, index: int) -> Any:
        shape = usual(self, index)
        shape.meta.update(facts)
        return shape

    monkeypatch.setattr(PreparedShapes, "__getitem__", told)
    monkeypatch.setattr(shapes, "keys", ["tests_ball_2"])
    return shapes


def test_a_written_example_is_read_again(
    prepared_root: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shapes = shapes_of(prepared_root, monkeypatch, **LICENSED)
    folder = write_example(shapes, "tests_ball_2", tmp_path)
    assert folder == tmp_path / "ball-2"
    (example,) = load_examples(tmp_path)
    assert example.credit == "Ball, by A. Maker, CC-BY 4.0"
    assert [Camera(30.0, 20.0), Camera(210.0, 20.0)] == [Camera(**camera) for camera in example.cameras]
    for picture, path in zip(shapes[0].pictures, example.pictures, strict=True):
        with Image.open(path) as written:
            alpha = np.asarray(written.convert("RGBA"))[..., 3]
        assert np.array_equal(alpha > 127, picture[..., 3] > 127)


@pytest.mark.parametrize(
    "licence", [None, "", "CC-BY-NC 4.0 NonCommercial", "CC-BY-SA ShareAlike", "All rights reserved"]
)
def test_pictures_without_a_free_licence_do_not_ship(
    prepared_root: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    licence: str | None,
) -> None:
    shapes = shapes_of(prepared_root, monkeypatch, **{**LICENSED, "licence": licence})
    with pytest.raises(InputError, match="cannot ship"):
        write_example(shapes, "tests_ball_2", tmp_path)
    with pytest.raises(InputError, match="no model 'spoon'"):
        write_example(shapes, "spoon", tmp_path)
    assert not list(tmp_path.iterdir())


def test_everybody_whose_work_ships_or_was_trained_on_is_named(examples_folder: Path, tmp_path: Path) -> None:
    entries = [
        {"split": "train", "library": "tests", "licence": "CC0", "creator": "B. Builder", "name": name}
        for name in ("Stool", "Chair", "Chair")
    ]
    entries.append({**entries[0], "split": "test", "name": "Lamp"})
    entries.append({**entries[0], "creator": None, "name": "Box"})
    (tmp_path / "index.json").write_text(json.dumps(entries))
    text = attribution(tmp_path, examples_folder)
    assert "| ball | Ball | A. Maker | CC0 |\n| cube | Cube | A. Maker | CC0 |" in text
    assert "- tests, CC0, B. Builder: Chair, Stool\n" in text
    assert "- tests, CC0, unnamed: Box\n" in text
    assert "Lamp" not in text
