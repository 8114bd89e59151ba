"""The tab "Steps": walk through the recorded steps of the last run, without computing the model again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gradio as gr

from wavemesh.ui.steps.content import AXES, facts_html, slices_html, step_picture
from wavemesh.ui.studio import Studio
from wavemesh.ui.widgets.events import PRIVATE, TOOLS, Updates, Values
from wavemesh.ui.widgets.finished import nothing_to_inspect
from wavemesh.ui.widgets.notices import explained, failures_told

if TYPE_CHECKING:
    from wavemesh.pipelines.record import RunRecord

_EMPTY = nothing_to_inspect("Here you can walk through its denoising, step by step.", small=False)
_HELP = """Each step the network predicts the whole shape from what is still noisy. Walk from the first guess to the
result: the shape, slices of its wavelet bands, and the numbers of the step."""


def steps_tab(studio: Studio, finished_run: gr.State) -> None:
    """Build the tab inside the current Tabs and wire it; finished_run holds the folder of the last run's record."""
    with gr.Tab("Steps", id="steps"):
        _StepsTab(studio, finished_run).wire()


class _StepsTab:
    """The components, and what happens when a person uses them."""

    def __init__(self, studio: Studio, finished_run: gr.State) -> None:
        self.studio, self.finished_run = studio, finished_run
        self.empty = gr.HTML(_EMPTY)
        with gr.Column(visible=False) as self.body:
            gr.Markdown(_HELP, elem_classes="wm-note")
            self.step = gr.Slider(1, 2, 1, step=1, label="Step", elem_id="step", buttons=[])
            with gr.Row():
                with gr.Column(scale=5, min_width=320):
                    self.shape = gr.Image(
                        show_label=False, label="The predicted shape", interactive=False, format="webp", buttons=[],
                        elem_id="step-shape", elem_classes="wm-shape",
                    )  # fmt: skip
                    self.facts = gr.HTML(elem_id="step-facts")
                with gr.Column(scale=5, min_width=320):
                    with gr.Row():
                        self.axis = gr.Radio(
                            list(AXES), value="z", label="Slice across", min_width=130, elem_id="step-axis"
                        )
                        self.position = gr.Slider(
                            -1, 1, 0, step=0.02, label="At", min_width=130, elem_id="step-position", buttons=[]
                        )
                    self.bands = gr.HTML(elem_id="step-bands")

    def wire(self) -> None:
        """Let the components act."""
        asked = {self.finished_run, self.step, self.axis, self.position}
        shown = [self.shape, self.facts, self.bands]
        self.finished_run.change(self.open_run, self.finished_run, [self.empty, self.body, self.step], **PRIVATE).then(
            self.show, asked, shown, **PRIVATE
        )
        self.step.input(self.show, asked, shown, **TOOLS)
        for control in (self.axis, self.position):
            control.input(self.cut, asked, self.bands, **TOOLS)

    def open_run(self, folder: str | None) -> Updates:
        """A new run opens at its last step."""
        count = 0
        with failures_told():
            count = len(self.studio.record(folder).steps) if folder else 0
        updates = {self.empty: gr.update(visible=count == 0), self.body: gr.update(visible=count > 0)}
        if count:
            # A slider of one step cannot be moved, but has to have a range.
            updates[self.step] = gr.update(maximum=max(2, count), value=count, interactive=count > 1)
        return updates

    @explained
    def show(self, values: Values) -> Updates:
        """The step that the slider stands at."""
        record, index = self._chosen_step(values)
        if record is None:
            return gr.skip()
        return {
            self.shape: step_picture(record, index),
            self.facts: facts_html(record, index),
            self.bands: slices_html(record, index, values[self.axis], float(values[self.position])),
        }

    @explained
    def cut(self, values: Values) -> Updates:
        """Its slices alone."""
        record, index = self._chosen_step(values)
        if record is None:
            return gr.skip()
        return {self.bands: slices_html(record, index, values[self.axis], float(values[self.position]))}

    def _chosen_step(self, values: Values) -> tuple[RunRecord | None, int]:
        """The run and the index of one of its steps; None where there is no run."""
        folder = values[self.finished_run]
        record = self.studio.record(folder) if folder else None
        if record is None or not record.steps:
            return None, 0
        return record, min(int(values[self.step]), len(record.steps)) - 1
