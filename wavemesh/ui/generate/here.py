"""What stands above the tabs of Inspect: the way to the run of an example, and how far a run is."""

from __future__ import annotations

from typing import Any, NamedTuple

import gradio as gr

from wavemesh.ui.progress import Progress, bar_html
from wavemesh.ui.widgets.events import Updates


class Here(NamedTuple):
    """The parts, which are placed with `render`.

    run: offers the run of the example that is shown.
    """

    run: gr.Button
    stop: gr.Button
    progress: gr.HTML

    def render(self) -> None:
        """Place them in the current layout."""
        for part in self:
            part.render()

    def offering(self, offered: bool) -> Updates:
        """Whether there is an example whose run nobody has made."""
        return {self.run: gr.update(visible=offered)}

    def during(self, progress: Progress | None = None) -> Updates:
        """A run goes on; None where nobody knows yet how far."""
        changes: Updates = {self.run: gr.update(visible=False), self.stop: gr.update(visible=True)}
        if progress is not None:
            changes[self.progress] = gr.update(value=bar_html(progress), visible=True)
        return changes

    def idle(self) -> Updates:
        """No run goes on."""
        return {self.stop: stop_again(), self.progress: gr.update(visible=False)}


def build_here() -> Here:
    """The parts, without a place."""
    return Here(
        gr.Button(
            "Run this example to open it here", variant="primary", visible=False, elem_id="run-here", render=False
        ),
        gr.Button("Stop", variant="stop", visible=False, elem_id="stop-here", render=False),
        gr.HTML(visible=False, elem_id="progress-here", render=False),
    )


def stop_again() -> Any:
    """A button to stop with, as it is before a run."""
    return gr.update(visible=False, interactive=True, value="Stop")
