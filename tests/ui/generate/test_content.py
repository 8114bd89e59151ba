"""What the tab "Generate" does when a person acts, with a pipeline that pretends."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from PIL import Image

from wavemesh.errors import InputError
from wavemesh.geometry.camera import Camera
from wavemesh.geometry.isosurface import sdf_to_mesh
from wavemesh.pipelines.record import RunRecord
from wavemesh.settings import METHODS, TriplaneSettings, WaveMeshSettings
from wavemesh.ui.generate.content import (
    add_pictures,
    agreeing_preset,
    chosen_settings,
    estimate_line,
    example_pictures,
    make_job,
    preset_values,
    with_found,
)
from wavemesh.ui.generate.presets import presets
from wavemesh.ui.generate.stage import written
from wavemesh.ui.pictures import MAX_VIEWS, in_order
from wavemesh.ui.result.content import Shape, Shapes
from wavemesh.ui.runner import Job
from wavemesh.ui.steps.content import step_mesh
from wavemesh.ui.studio import Studio

SETTINGS = WaveMeshSettings(coarse_steps=4, detail_steps=2, guidance_scale=1.5, seed=7).filled()


def job_of(pictures: list[Path], **changes: Any) -> Job:
    """The job of these files and of controls at these values."""
    held, problems = add_pictures([], pictures)
    assert problems == []
    return make_job(held, True, chosen_settings("wavemesh", {**asdict(SETTINGS), **changes}))


def test_bad_files_are_named_and_good_ones_kept(pictures: list[Path], tmp_path: Path) -> None:
    note = tmp_path / "note.png"
    note.write_text("hello")
    empty = tmp_path / "empty.jpg"
    empty.touch()
    plain = tmp_path / "plain.png"
    Image.new("RGB", (40, 30), (10, 120, 10)).save(plain)
    held, problems = add_pictures([], [note, pictures[0], empty, plain, pictures[1]])
    assert [picture.name for picture in held] == ["disc 0.png", "disc 1.png"]
    assert len(problems) == 3
    for problem, name in zip(problems, ("note.png", "empty.jpg", "plain.png"), strict=True):
        assert name in problem


def test_no_more_pictures_than_the_pipeline_takes(pictures: list[Path]) -> None:
    held, problems = add_pictures([], [pictures[0]] * (MAX_VIEWS + 3))
    assert len(held) == MAX_VIEWS
    assert len(problems) == 1
    assert "3 more were left out" in problems[0]


def test_examples_come_with_their_cameras(studio: Studio, pipeline: Any) -> None:
    assert [example.name for example in studio.examples] == ["Ball", "Cube"]
    held = example_pictures(studio.examples[1])
    assert [picture.angles for picture in held] == [(0.0, 20.0), (90.0, 20.0), (-180.0, 20.0), (-90.0, 20.0)]
    list(studio.generate(make_job(held, False, SETTINGS), "session"))
    cameras = [view.camera for view in pipeline.calls[0]["views"]]
    assert [camera.azimuth_deg for camera in cameras] == [0.0, 90.0, 180.0, 270.0]
    assert all(camera.distance == 4.56 and camera.fov_deg == 40.0 for camera in cameras)


def test_estimates_come_back_for_the_sliders(studio: Studio, pipeline: Any, pictures: list[Path]) -> None:
    held, _ = add_pictures([], pictures)
    result = list(studio.generate(make_job(held, True, SETTINGS), "session"))[-1].result
    assert result is not None
    held = with_found(held, held, result) or []
    # The first picture is the front of what is shown; the network goes on in the frame of its estimate.
    assert [picture.angles for picture in held] == [(0.0, 25.0)] * 3
    again = list(studio.generate(make_job(held, False, SETTINGS), "session"))[-1].result
    assert [view.camera.azimuth_deg for view in pipeline.calls[1]["views"]] == [40.0] * 3
    assert pipeline.calls[1]["views"][0].image.size == (64, 64)
    assert again is not None
    assert result.front_deg == again.front_deg == studio.record(again.folder).front_deg == 40.0


def test_the_mesh_faces_the_first_picture_in_every_file(studio: Studio, pictures: list[Path], tmp_path: Path) -> None:
    held, _ = add_pictures([], pictures)
    for settings, azimuth in ((SETTINGS, 40.0), (replace(SETTINGS, front="frame"), 0.0)):
        result = list(studio.generate(make_job(held, True, settings), "session"))[-1].result
        assert result is not None
        record = studio.record(result.folder)
        camera = Camera(azimuth, 25.0)
        expected = camera.project(np.asarray(record.mesh.vertices))[0]
        front = replace(camera, azimuth_deg=0.0)
        shapes, shape = Shapes(studio.record), Shape(result.folder)
        for mesh in (
            trimesh.load(written(studio, ".ply", (result, held)), process=False),
            shapes.mesh(shape),
            trimesh.load(shapes.export(shape, ".ply", tmp_path), process=False),
        ):
            np.testing.assert_allclose(front.project(np.asarray(mesh.vertices))[0], expected, atol=1e-4)
        last = len(record.steps) - 1
        stepped = front.project(np.asarray(step_mesh(record, last).vertices))[0]
        np.testing.assert_allclose(stepped, camera.project(record_surface(record, last))[0], atol=1e-4)


def record_surface(record: RunRecord, index: int) -> np.ndarray:
    """The vertices of what a step predicted, in the frame of the network."""
    return np.asarray(sdf_to_mesh(record.field(index)).vertices)


def test_sides_go_along_where_cameras_are_estimated(studio: Studio, pipeline: Any, pictures: list[Path]) -> None:
    held, _ = add_pictures([], pictures)
    held = in_order(held)
    list(studio.generate(make_job(held, True, SETTINGS), "session"))
    assert [view.side for view in pipeline.calls[0]["views"]] == ["front", "right", "back"]
    list(studio.generate(make_job(held, False, SETTINGS), "session"))
    assert [view.side for view in pipeline.calls[1]["views"]] == [None] * 3
    assert [view.camera.azimuth_deg for view in pipeline.calls[1]["views"]] == [0.0, 90.0, 180.0]


def test_estimates_find_their_pictures_when_some_have_gone(studio: Studio, pictures: list[Path]) -> None:
    ran, _ = add_pictures([], pictures)
    result = list(studio.generate(make_job(ran, True, SETTINGS), "session"))[-1].result
    assert result is not None
    result = replace(result, found=tuple((crop, Camera(10.0 * i)) for i, (crop, _) in enumerate(result.found)))
    held = with_found(ran[1:], ran, result)
    assert held is not None
    assert [picture.angles[0] for picture in held] == [10.0, 20.0]
    assert with_found(example_pictures(studio.examples[0]), ran, result) is None
    assert with_found([], ran, result) is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"coarse_steps": 0}, "coarse steps.*between 1 and 50, not 0"),
        ({"coarse_steps": 51}, "coarse steps.*between 1 and 50, not 51"),
        ({"detail_steps": 2.5}, "detail steps.*not 2.5"),
        ({"coarse_steps": None}, "not None"),
        ({"frames": 3}, "frames must be one of 1, 2, 4, not 3"),
        ({"frames": None}, "not None"),
        ({"resolution": 100}, "resolution must be one of 64, 128, not 100"),
        ({"detail_threshold": 0.5}, "threshold.*between 0 and 0.02, not 0.5"),
        ({"guidance_scale": -1.0}, "not -1.0"),
        ({"guidance_scale": float("nan")}, "not nan"),
        ({"sampler": "magic"}, "'magic'"),
        ({"seed": -3}, "seed.*not -3"),
        ({"seed": 2**40}, "seed"),
    ],
)
def test_settings_out_of_range(pictures: list[Path], changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        job_of(pictures, **changes)


def test_controls_of_other_methods_do_not_count(pictures: list[Path]) -> None:
    values = {name: value for name, value in asdict(SETTINGS).items() if name != "colours"} | {"steps": 3}
    assert chosen_settings("wavemesh", values) == SETTINGS
    assert chosen_settings("triplane", values) == TriplaneSettings(steps=3, guidance_scale=1.5, sampler="ddim", seed=7)


@pytest.mark.parametrize("method", METHODS)
def test_a_preset_sets_what_it_is_about_and_is_found_again(method: str) -> None:
    steps = dict.fromkeys(METHODS[method].stages.values(), 3)
    shipped = METHODS[method](guidance_scale=2.5, **steps).filled()
    mine = {**asdict(shipped), "seed": 5, "guidance_scale": 4.0}
    for key, preset in presets(shipped).items():
        values = preset_values(preset.settings)
        assert set(shipped.stages.values()) <= set(values)
        assert not {"seed", "guidance_scale", "sampler", "detail_threshold"} & set(values)
        assert agreeing_preset(shipped, mine | values) == key
        first = next(iter(shipped.stages.values()))
        assert agreeing_preset(shipped, {**mine, **values, first: 7}) is None


def test_the_time_of_a_run_is_told_or_what_is_wrong(studio: Studio, pictures: list[Path]) -> None:
    assert "first run measures" in estimate_line(studio, "wavemesh", asdict(SETTINGS))
    list(studio.generate(job_of(pictures), "session"))
    assert "about" in estimate_line(studio, "wavemesh", asdict(SETTINGS))
    assert "not 0" in estimate_line(studio, "wavemesh", {**asdict(SETTINGS), "coarse_steps": 0})


def test_no_picture_is_said_plainly() -> None:
    with pytest.raises(InputError, match="No picture yet"):
        make_job([], True, SETTINGS)


def test_names_of_files_come_from_no_one_else(pictures: list[Path], tmp_path: Path) -> None:
    odd = tmp_path / "..; rm -rf ~ ÄÖ.png"
    odd.write_bytes(pictures[0].read_bytes())
    assert job_of([odd]).name == "rm-rf-mesh"


def test_a_large_picture_that_cannot_be_used_is_told_with_its_own_size(tmp_path: Path) -> None:
    path = tmp_path / "wide.png"
    Image.new("RGB", (2400, 600), "white").save(path)
    held, problems = add_pictures([], [path])
    assert held == []
    assert problems == ["wide.png (2400 x 600 pixels) has no foreground: nothing stands out from its background."]
