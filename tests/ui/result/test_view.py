"""The handlers of the tab Result: each changes what it means and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
import pytest
import trimesh

from wavemesh.settings import WaveMeshSettings
from wavemesh.ui.generate.content import add_pictures, make_job
from wavemesh.ui.result.content import Shape
from wavemesh.ui.result.view import _ResultTab
from wavemesh.ui.studio import Studio

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
    """The tab, and what its components hold before anybody has touched it."""
    with gr.Blocks():
        tab = _ResultTab(studio, gr.State(folder))
    held = {
        component: component.value for component in vars(tab).values() if isinstance(component, gr.components.Component)
    }
    return tab, held | {getattr(tab, name): value for name, value in changes.items()}


def test_a_run_opens_as_it_was_left_and_once(studio: Studio, folder: str) -> None:
    tab, values = tab_and_values(studio, folder)
    opened = tab.open_run(values)
    assert opened[tab.wanted] == Shape(folder)
    assert (opened[tab.empty]["visible"], opened[tab.body]["visible"]) == (False, True)
    assert "Ready to print" in opened[tab.health]
    assert tab.solid not in opened  # that is drawn when the viewer is laid out
    assert tab.open_run(values | {tab.wanted: Shape(folder)}) == gr.skip()
    assert tab.open_run(values | {tab.finished_run: None}) == gr.skip()


def test_a_shape_is_drawn_once_and_in_one_place(studio: Studio, folder: str) -> None:
    tab, values = tab_and_values(studio, folder, wanted=Shape(folder))
    drawn = tab.draw(values)
    assert set(drawn) == {tab.drawn, tab.solid, tab.wire_model, tab.plot, tab.legend}
    assert len(trimesh.load(drawn[tab.solid]["value"], force="mesh").faces) > 100
    assert (drawn[tab.wire_model]["visible"], drawn[tab.plot]["visible"]) == ("hidden", False)
    assert tab.draw(values | {tab.drawn: Shape(folder)}) == gr.skip()
    wires = tab.look(values | {tab.paint: "wire"})
    assert (wires[tab.solid]["visible"], wires[tab.wire_model]["visible"]) == ("hidden", True)
    plotted = tab.look(values | {tab.place: "plot", tab.paint: "thickness"})
    assert plotted[tab.plot]["visible"]
    assert "Wall thickness" in plotted[tab.legend]


def test_the_controls_describe_a_shape(studio: Studio, folder: str) -> None:
    tab, values = tab_and_values(studio, folder, wanted=Shape(folder), level=0.02, faces=1000)
    assert tab.reshape(values)[tab.wanted] == Shape(folder, 0.02, 1000)
    assert tab.reshape(values | tab.neutral())[tab.wanted] == Shape(folder)
    assert tab.reshape(values | {tab.wanted: None}) == gr.skip()


def test_a_film_takes_the_place_of_the_other(studio: Studio, folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tab, values = tab_and_values(studio, folder, wanted=Shape(folder))
    monkeypatch.setattr(tab.shapes, "turntable", lambda shape, suffix: suffix.encode())
    shown = tab.film(".mp4", values)
    gif, mp4 = shown[tab.films[".gif"]], shown[tab.films[".mp4"]]
    assert (gif["visible"], gif["value"], mp4["visible"]) == (False, None, True)
    assert Path(mp4["value"]).read_bytes() == b".mp4"
