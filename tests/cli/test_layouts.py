"""Every layout of a data set by the documented commands: from its folder to a step of training and a row of scores."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import trimesh

from tests.data.box_files import box_obj, write
from tests.data.conftest import write_library  # noqa: F401 - a fixture, as are these
from tests.data.test_abc_chunks import mesh as abc_file
from tests.data.test_data_sets import modelnet, shapenet  # noqa: F401
from tests.data.test_objaverse import root as objaverse  # noqa: F401
from tests.data.test_objaverse_xl import subset as objaverse_xl  # noqa: F401
from tests.data.test_scanned_objects import objects as scanned_objects  # noqa: F401
from wavemesh.cli import main
from wavemesh.data.formats import FORMATS

# ruff: noqa: F811 - a fixture's name is its argument's name


@pytest.fixture
def abc(tmp_path: Path) -> Path:
    return write(tmp_path / "abc", {abc_file(number): box_obj((1, 2, number)) for number in (1, 2, 3)})


@pytest.fixture
def meshes(tmp_path: Path) -> Path:
    return write(tmp_path / "my meshes", {f"boxes/{number}.obj": box_obj((1, 2, number)) for number in (1, 3)})


@pytest.fixture
def sh3f(tmp_path: Path, write_library: Callable[..., Path]) -> Path:
    solids = {"post": trimesh.creation.box((0.5, 2.0, 0.6)), "ball": trimesh.creation.icosphere(2)}
    return write_library(tmp_path / "library.sh3f", solids)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", FORMATS)
def test_from_its_folder_to_a_row_of_scores(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    source, data = request.getfixturevalue(name.replace("-", "_")), tmp_path / "prepared"
    made = ["prepare", str(source), "-o", str(data), "--split", "train", "--limit", "3", "--workers", "1"]
    assert main([*made, "--backend", "threads", "--views", "4", "--size", "48", "--resolution", "64"]) == 0
    count = len(json.loads((data / "index.json").read_text(encoding="utf-8")))
    assert count
    trained = ["train", "--preset", "tiny", "--data", str(data), "-o", str(tmp_path / "run"), "--steps", "1"]
    assert main([*trained, "--batch-size", "2", "--amp", "no", "--device", "cpu", "--threads", "1"]) == 0
    assert json.loads((tmp_path / "run" / "losses.jsonl").read_text().splitlines()[-1])["loss"] > 0.0
    scored = ["evaluate", "--data", str(data), "--split", "train", "--views", "1", "--only-baselines", "--jobs", "1"]
    assert main([*scored, "--points", "1000", "-o", str(tmp_path / "scores")]) == 0
    rows = {row["name"]: row for row in json.loads((tmp_path / "scores" / "report.json").read_text())["rows"]}
    assert rows["visual hull"]["count"] == count
    assert rows["codec ceiling"]["scores"]["iou"]["mean"] > 0.9
