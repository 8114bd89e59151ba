"""What the page is about, as states that its tabs share, and which tab a person looks at."""

from __future__ import annotations

from typing import Any, NamedTuple

import gradio as gr

from wavemesh.ui.widgets.events import PRIVATE
from wavemesh.ui.workspace import KEPT_S

INSPECT = "Inspect"
_START = ("Generate", "Steps")


class Subject(NamedTuple):
    """The states.

    pictures: those in the tab Generate. finished_run: the folder of the run whose mesh it shows; None before the first
    run, and again when an example or other pictures take the run's place: then no tab may show the earlier object.
    place: the open tab, and the one that is open inside Inspect. unasked: the run of an example that this visit has
    begun by itself, by its id. planes: what the tab Triplane's own run left. visit: the ids of this visit's runs, the
    newest first, as the browser keeps them.

    All of them stand outside the tabs: gradio says of a state inside one that it changes when the tab is first opened.
    """

    pictures: gr.State
    finished_run: gr.State
    place: gr.State
    unasked: gr.State
    planes: gr.State
    visit: gr.State

    @property
    def changes(self) -> list[Any]:
        """What a tab that opens when it is looked at listens to; it may be open already when a run ends."""
        return [self.place.change, self.finished_run.change]


def build_subject() -> Subject:
    """The states of a page that opens. Pictures are small (see `pictures.KEPT_SIDE`)."""
    first: tuple[Any, ...] = ([], None, _START, None, None, [])
    return Subject(*(gr.State(value, time_to_live=KEPT_S) for value in first))


def follow_tabs(place: gr.State, outer: gr.Tabs, inner: gr.Tabs) -> None:
    """Keep the place."""

    def turn(now: tuple[str, str], event: gr.SelectData) -> tuple[str, str]:
        return str(event.value), now[1]

    def turn_inside(now: tuple[str, str], event: gr.SelectData) -> tuple[str, str]:
        return now[0], str(event.value)

    # Past the queue nobody would hear that the state has changed.
    outer.select(turn, place, place, **PRIVATE)
    inner.select(turn_inside, place, place, **PRIVATE)


def looks_at(place: tuple[str, str], tab: str) -> bool:
    """Whether this tab is open."""
    return place[0] == tab or (place[0] == INSPECT and place[1] == tab)
