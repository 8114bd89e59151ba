"""The handlers of the tab Result: each changes what it means and nothing else."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
import trimesh

from wavemesh.errors import InputError
from wavemesh.gallery.format import CachedResult
from wavemesh.settings import WaveMeshSettings
from wavemesh.ui.generate.content import add_pictures, example_pictures, make_job
from wavemesh.ui.result.content import Shape
from wavemesh.ui.result.view import _ResultTab
from wavemesh.ui.studio import Studio
from wavemesh.ui.widgets.subject import Subject

pytestmark = pytest.mark.usefixtures("gradio_without_loops")

SETTINGS = WaveMeshSettings(coarse_steps=1, detail_steps=1)


@pytest.fixture
def folder(studio: Studio, pictures: list[Path]) -> str:
    """The folder of a run."""
    job = make_job(add_pictures([], pictures[:1])[0], True, SETTINGS)
    result = list(studio.generate(job, "session"))[-1].result
    assert result is not None
    return result.folder


def tab_and_values(studio: Studio, folder: str | None, **changes: Any) -> tuple[_ResultTab, dict[Any, Any]]:
    """The tab, which is open, and what its components hold before anybody has touched it."""
    with gr.Blocks():
        tab = _ResultTab(
            studio, Subject(*(gr.State(each) for each in ([], folder, ("Result", "Steps"), None, None, [])))
        )
    parts = [*tab.subject, tab.against.choice, *vars(tab).values()]
    held = {component: component.value for component in parts if isinstance(component, gr.components.Component)}
    return tab, held | {getattr(tab, name): value for name, value in changes.items()}


def test_a_run_opens_as_it_was_left_and_once(studio: Studio, folder: str) -> None:
    tab, values = tab_and_values(studio, folder)
    opened = tab.open_run(values)
    assert opened[tab.wanted] == Shape(folder)
    assert (opened[tab.empty]["visible"], opened[tab.body]["visible"]) == (False, True)
    assert "Ready to print" in opened[tab.health]
    assert tab.viewer not in opened  # the health is there sooner
    assert tab.open_run(values | {tab.wanted: Shape(folder)}) == gr.skip()
    assert tab.open_run(values | {tab.subject.place: ("Generate", "Steps")}) == gr.skip()
    gone = tab.open_run(values | {tab.subject.finished_run: None})
    assert (gone[tab.wanted], gone[tab.empty]["visible"], gone[tab.body]["visible"]) == (None, True, False)


def test_the_mesh_of_an_example_opens_without_a_run(studio: Studio) -> None:
    ball = studio.examples[0]
    assert ball.truth is not None
    example = replace(ball, result=CachedResult(ball.truth, ball.truth, "0", 1280))
    studio.examples[0] = example
    tab, values = tab_and_values(studio, None)
    values[tab.subject.pictures] = example_pictures(example)
    opened = tab.open_run(values)
    assert opened[tab.body]["visible"]
    assert not opened[tab.level]["interactive"]
    values |= {tab.wanted: opened[tab.wanted], tab.faces: 500, tab.repaired: True}
    assert "500" in tab.reshape(values)[tab.health]
    path = tab.save(".stl", values)
    assert path is not None
    assert trimesh.load(path, force="mesh").is_watertight
    with pytest.raises(InputError, match="only the mesh is kept"):
        tab.shapes.mesh(Shape(opened[tab.wanted].folder, 0.02))


def test_a_shape_is_drawn_once_and_keeps_its_view(studio: Studio, folder: str) -> None:
    tab, values = tab_and_values(studio, folder, wanted=Shape(folder))
    drawn = tab.draw(values)
    assert set(drawn) == {tab.drawn, tab.measured, tab.viewer}
    shown = drawn[tab.viewer]
    assert len(trimesh.load(shown["file"]["path"], force="mesh").faces) > 100
    # The fake pipeline estimates 40 and 25 degrees, and the first picture is the front.
    assert (shown["azimuth"], shown["elevation"]) == (0.0, 25.0)
    assert tab.draw(values | {tab.drawn: Shape(folder)}) == gr.skip()


def test_the_walls_are_measured_once_the_shape_is_there(studio: Studio, folder: str) -> None:
    tab, values = tab_and_values(studio, folder, wanted=Shape(folder))
    shown, thick = tab.draw(values)[tab.viewer], tab.measure_walls(values)
    assert [len(value["measures"]) for value in (shown, thick[tab.viewer])] == [0, 1]
    # The viewer keeps the view as long as the subject is the same.
    assert thick[tab.viewer]["subject"] == shown["subject"] == folder
    mesh = trimesh.load(thick[tab.viewer]["file"]["path"], force="mesh", process=False)
    np.testing.assert_allclose(
        mesh.vertex_attributes["_THICKNESS"][:, 0], tab.shapes.thickness(Shape(folder)), atol=1e-6
    )
    assert thick[tab.measured] == Shape(folder)
    assert tab.measure_walls(values | {tab.measured: Shape(folder)}) == gr.skip()
    # What is saved has no such numbers.
    saved = trimesh.load(tab.save(".glb", values), force="mesh", process=False)
    assert not saved.vertex_attributes


def test_a_changed_shape_is_compared_with_the_one_that_the_run_left(studio: Studio, folder: str) -> None:
    tab, values = tab_and_values(studio, folder, wanted=Shape(folder), level=0.02)
    changed = tab.reshape(values)
    assert changed[tab.measured] is None
    before = changed[tab.viewer]["before"]["file"]["path"]
    assert trimesh.load(before, force="mesh").volume < trimesh.load(changed[tab.viewer]["file"]["path"]).volume
    assert tab.reshape(values | {tab.level: 0.03})[tab.viewer]["before"]["file"]["path"] == before
    assert tab.reshape(values | tab.neutral())[tab.viewer]["before"] is None


def test_a_shape_is_compared_with_another_run_until_that_is_gone(
    studio: Studio, folder: str, pictures: list[Path]
) -> None:
    added = add_pictures([], pictures[:1])[0]
    runs = [
        studio.runs.add(list(studio.generate(make_job(added, True, each), "session"))[-1].result, added, True, each)
        for each in (SETTINGS, replace(SETTINGS, seed=3))
    ]
    tab, values = tab_and_values(studio, folder, wanted=Shape(folder))
    assert tab.offer_others(values)[tab.against.choice]["visible"] is False
    values |= {tab.subject.visit: [run.id for run in runs], tab.against.choice: runs[1].id}
    offered = tab.offer_others(values)[tab.against.choice]
    assert (offered["visible"], offered["value"]) == (True, runs[1].id)
    assert [key for _, key in offered["choices"]] == ["", *(run.id for run in runs)]
    shown = tab.compare(values | {tab.measured: Shape(folder)})[tab.viewer]
    assert (shown["subject"], len(shown["measures"])) == (folder, 1)
    assert (shown["before"]["names"], shown["before"]["open"]) == (["disc 0, seed 3", "This mesh"], True)
    assert trimesh.load(shown["before"]["file"]["path"], force="mesh").volume > 0.0
    # An edit of this mesh changes only the right side; without a choice the shape as it was left stands on the left.
    edited = tab.reshape(values | {tab.level: 0.02})[tab.viewer]
    assert edited["before"] == shown["before"]
    left = tab.reshape(values | {tab.level: 0.02, tab.against.choice: ""})[tab.viewer]["before"]
    assert (left["names"], left["open"]) == (["Before", "After"], False)
    # The server forgets runs.
    studio.runs._runs.clear()
    with pytest.warns(UserWarning, match="That run is no longer kept"):
        gone = tab.compare(values)
    assert (gone[tab.against.choice], gone[tab.viewer]["before"]) == ("", None)
    assert tab.offer_others(values)[tab.against.choice]["value"] == ""


def test_a_run_whose_files_are_gone_is_no_longer_compared_with(
    studio: Studio, folder: str, pictures: list[Path]
) -> None:
    added = add_pictures([], pictures[:1])[0]
    result = list(studio.generate(make_job(added, True, SETTINGS), "session"))[-1].result
    assert result is not None
    run = studio.runs.add(result, added, True, SETTINGS)
    shutil.rmtree(result.folder)
    tab, values = tab_and_values(studio, folder, wanted=Shape(folder))
    with pytest.warns(UserWarning, match="no longer kept on the server"):
        gone = tab.compare(values | {tab.subject.visit: [run.id], tab.against.choice: run.id})
    assert (gone[tab.against.choice], gone[tab.viewer]["before"]) == ("", None)


def test_the_controls_describe_a_shape(studio: Studio, folder: str) -> None:
    tab, values = tab_and_values(studio, folder, wanted=Shape(folder), level=0.02, faces=1000)
    reshaped = tab.reshape(values)
    assert reshaped[tab.wanted] == Shape(folder, 0.02, 1000)
    # A film that is there shows the shape before.
    assert all(reshaped[film]["value"] is None and not reshaped[film]["visible"] for film in tab.films.values())
    assert tab.reshape(values | tab.neutral())[tab.wanted] == Shape(folder)
    assert tab.reshape(values | {tab.wanted: None}) == gr.skip()


def test_a_film_takes_the_place_of_the_other(studio: Studio, folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tab, values = tab_and_values(studio, folder, wanted=Shape(folder))
    monkeypatch.setattr(tab.shapes, "turntable", lambda shape, suffix: suffix.encode())
    shown = tab.film(".mp4", values)
    gif, mp4 = shown[tab.films[".gif"]], shown[tab.films[".mp4"]]
    assert (gif["visible"], gif["value"], mp4["visible"]) == (False, None, True)
    assert Path(mp4["value"]).read_bytes() == b".mp4"
