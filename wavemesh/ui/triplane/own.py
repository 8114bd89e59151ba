"""A run of the triplane on the pictures of the page, where the run that it shows was made by another method."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import gradio as gr

from wavemesh.ui.generate.content import make_job, same_pictures
from wavemesh.ui.pictures import Picture
from wavemesh.ui.progress import bar_html
from wavemesh.ui.studio import Studio
from wavemesh.ui.widgets.events import PRIVATE, Updates, Values
from wavemesh.ui.widgets.notices import failures_told
from wavemesh.ui.widgets.subject import Subject


@dataclass(frozen=True, eq=False)  # pictures cannot be told by their hash, which is how a state knows its changes
class Made:
    """What a run left: its pictures, and the folder of its record."""

    pictures: Sequence[Picture]
    folder: str


class OwnRun:
    """A button that makes the run, one that stops it, and how far it is."""

    def __init__(self, studio: Studio, subject: Subject) -> None:
        self.studio, self.subject, self.made = studio, subject, subject.planes

    def build(self) -> None:
        """Place the components in the current layout."""
        words = "Run the triplane on these pictures"
        self.start = gr.Button(words, variant="primary", visible=False, elem_id="own-run")
        self.stop = gr.Button("Stop", variant="stop", visible=False, elem_id="own-stop")
        self.progress = gr.HTML(visible=False, elem_id="own-progress")

    def wire(self) -> None:
        """Let the components act."""
        self.start.click(
            inspect.unwrap(self._run).__get__(self),  # a type checker's wrapper would hide that it is a generator
            {self.subject.pictures},
            [self.start, self.stop, self.progress, self.made],
            concurrency_limit=4,
            concurrency_id="runs",
            **PRIVATE,
        )

        def stop(request: gr.Request) -> Updates:
            self.studio.stop_flag(_session(request)).set()
            return {self.stop: gr.update(value="Stopping…", interactive=False)}

        self.stop.click(stop, None, self.stop, queue=False, **PRIVATE)

    def folder(self, values: Values) -> str | None:
        """The folder of the run of these pictures; None where there is none."""
        made: Made | None = values[self.made]
        return made.folder if made and same_pictures(made.pictures, values[self.subject.pictures]) else None

    def _run(self, values: Values, request: gr.Request) -> Iterator[Updates]:
        pictures: list[Picture] = values[self.subject.pictures]
        busy: Updates = {self.start: gr.update(visible=False), self.stop: gr.update(visible=True)}
        folder = None
        yield busy
        with failures_told():
            estimate = not all(picture.camera or picture.found for picture in pictures)
            job = make_job(pictures, estimate, self.studio.shipped["triplane"])
            for update in self.studio.generate(job, _session(request)):
                # New updates for every call: what gradio has sent has lost its value.
                yield {
                    self.start: gr.update(visible=False),
                    self.stop: gr.update(visible=True),
                    self.progress: gr.update(value=bar_html(update.progress), visible=True),
                }
                folder = folder if update.result is None else update.result.folder
        yield {
            self.start: gr.update(visible=folder is None),
            self.stop: gr.update(visible=False, value="Stop", interactive=True),
            self.progress: gr.update(visible=False),
            self.made: None if folder is None else Made(pictures, folder),
        }


def _session(request: gr.Request) -> str:
    """Runs of this tab are stopped apart from those of others."""
    return f"triplane{request.session_hash or ''}"
