"""A saved run that is opened: what it left is there again, and what is no run is said without a folder's name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from wavemesh.errors import InputError
from wavemesh.geometry.camera import Camera
from wavemesh.pipelines.record import RunRecord
from wavemesh.settings import WaveMeshSettings
from wavemesh.ui.generate.content import with_found
from wavemesh.ui.generate.saved import open_saved
from wavemesh.ui.runs import Runs


def record(estimated: bool) -> RunRecord:
    ball = trimesh.creation.icosphere(subdivisions=2)
    ball.visual.vertex_colors = np.tile((200, 40, 20, 255), (len(ball.vertices), 1)).astype(np.uint8)
    picture = Image.new("RGBA", (128, 128), (10, 200, 30, 255))
    return RunRecord(
        settings=WaveMeshSettings(seed=7).filled(),
        pictures=[picture, picture.rotate(90)],
        cameras=[Camera(30.0, 20.0), Camera(120.0, 10.0)],
        estimated=[estimated, estimated],
        steps=[],
        coefficients=None,
        sdf=np.ones((16, 16, 16), dtype=np.float32),
        mesh=ball,
        timings={"coarse": 1.5, "detail": 0.25},
        cut_by=["u2netp", "alpha"],
        notes=[["It touches the border."], []],
        sides=["front", None],
        front_deg=30.0,
    )


@pytest.mark.parametrize("estimated", [True, False])
def test_what_the_run_left_is_there_again(tmp_path: Path, estimated: bool) -> None:
    path = record(estimated).save(tmp_path / "of-a-visitor")
    result, pictures, estimate, settings = open_saved(path, tmp_path)
    assert estimate == estimated
    assert settings == record(estimated).settings
    assert (result.faces, result.seed, result.seconds) == (320, 7, 1.75)
    assert [picture.cut_by for picture in pictures] == ["u2netp", "alpha"]
    assert pictures[0].notes == ("It touches the border.",)
    assert pictures[0].side == "front"
    # The page's front is where the record has it: the first camera stands before it.
    assert [round(picture.angles[0]) for picture in pictures] == [0, 90]
    assert result.first.azimuth_deg == pytest.approx(0.0)
    shown = trimesh.load(result.files[".glb"], force="mesh")
    assert len(shown.faces) == 320
    again = RunRecord.load(Path(result.files[".zip"]))
    assert np.array_equal(again.mesh.vertices, record(estimated).mesh.vertices)
    assert with_found(pictures, pictures, result) is not None


def test_it_is_followed_like_a_run_that_ended(tmp_path: Path) -> None:
    def nothing(*_: object) -> None:
        raise AssertionError("nothing is to be made")

    runs = Runs(nothing, nothing)  # type: ignore[arg-type]
    run = runs.add(*open_saved(record(True).save(tmp_path / "saved"), tmp_path))
    assert runs.find(run.id) is run
    (only,) = run.follow()
    assert only.result is run.result
    assert run.result is not None
    assert run.problem is None


def test_what_is_no_run_is_said_without_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "holiday.zip"
    path.write_bytes(b"PK not a bundle")
    with pytest.raises(InputError, match=r"holiday\.zip is no run bundle") as refused:
        open_saved(path, tmp_path)
    assert str(tmp_path) not in str(refused.value)
    assert not (tmp_path / "results").exists()
