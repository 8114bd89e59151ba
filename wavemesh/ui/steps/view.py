"""The tab "Steps": walk through the recorded steps of the last run, without computing the model again."""

from __future__ import annotations

from typing import Any

import gradio as gr

from wavemesh.errors import InputError
from wavemesh.ui.pictures import Number
from wavemesh.ui.steps.content import facts_html, slices_html, step_facts, step_mesh, step_picture
from wavemesh.ui.studio import Studio
from wavemesh.ui.widgets.finished import nothing_to_inspect
from wavemesh.ui.workspace import new_result_folder

_EMPTY = nothing_to_inspect("Here you can walk through its denoising, step by step.", small=False)


def steps_tab(studio: Studio, finished_run: gr.State) -> None:
    """Build the tab inside the current Tabs and wire it; finished_run holds the folder of the last run's record."""
    with gr.Tab("Steps", id="steps"):
        empty = gr.HTML(_EMPTY)
        with gr.Column(visible=False) as body:
            gr.Markdown(
                "Each step the network predicts the whole shape from what is still noisy. Walk from the first guess to "
                "the result: the shape, slices of its wavelet bands, and the numbers of the step.",
                elem_classes="wm-note",
            )
            step = gr.Slider(1, 2, 1, step=1, label="Step", elem_id="step", buttons=[])
            with gr.Row():
                with gr.Column(scale=5, min_width=320):
                    shape = gr.Image(
                        show_label=False,
                        label="The predicted shape",
                        interactive=False,
                        format="webp",
                        buttons=[],
                        elem_id="step-shape",
                        elem_classes="wm-forming",
                    )
                    facts = gr.HTML(elem_id="step-facts")
                with gr.Column(scale=5, min_width=320):
                    with gr.Row():
                        axis = gr.Radio(
                            ["x", "y", "z"], value="z", label="Slice across", min_width=130, elem_id="step-axis"
                        )
                        position = gr.Slider(
                            -1, 1, 0, step=0.02, label="At", min_width=130, elem_id="step-position", buttons=[]
                        )
                    bands = gr.HTML(elem_id="step-bands")
        _wire(studio, finished_run, step, axis, position, (empty, body, shape, facts, bands))
        _add_api(studio)


def _wire(
    studio: Studio, finished_run: gr.State, step: gr.Slider, axis: gr.Radio, position: gr.Slider, shown: tuple[Any, ...]
) -> None:
    empty, body, shape, facts, bands = shown

    def load(folder: str | None) -> list[Any]:
        """A new run opens at its last step."""
        hidden = [gr.update(visible=True), gr.update(visible=False), gr.skip()]
        if not folder:
            return hidden
        try:
            count = len(studio.record(folder).steps)
        except InputError as error:
            gr.Warning(str(error))
            return hidden
        # A slider of one step cannot be moved, but has to have a range.
        slider = gr.update(maximum=max(2, count), value=count, interactive=count > 1)
        return [gr.update(visible=count == 0), gr.update(visible=count > 0), slider]

    def show(folder: str | None, number: Number, axis: str, position: Number) -> list[Any]:
        if not folder:
            return [gr.skip()] * 3
        record = studio.record(folder)
        index = min(int(number), len(record.steps)) - 1
        if index < 0:
            return [gr.skip()] * 3
        return [
            step_picture(record, index),
            facts_html(record, index),
            slices_html(record, index, axis, float(position)),
        ]

    def cut(folder: str | None, number: Number, axis: str, position: Number) -> Any:
        if not folder:
            return gr.skip()
        record = studio.record(folder)
        return slices_html(record, min(int(number), len(record.steps)) - 1, axis, float(position))

    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    busy: dict[str, Any] = {"concurrency_limit": 2, "concurrency_id": "bench", "trigger_mode": "always_last"}
    asked = [finished_run, step, axis, position]
    finished_run.change(load, finished_run, [empty, body, step], **private).then(
        show, asked, [shape, facts, bands], **private
    )
    step.input(show, asked, [shape, facts, bands], **private, **busy)
    for control in (axis, position):
        control.input(cut, asked, bands, **private, **busy)


def _add_api(studio: Studio) -> None:
    """Add the endpoint "step": a recorded step of a run bundle."""
    with gr.Column(visible=False):
        bundle = gr.File(label="Run bundle (.zip)", type="filepath")
        number = gr.Number(1, label="Step, from 1", precision=0)
        numbers = gr.JSON(label="Numbers of the step")
        mesh = gr.File(label="Mesh of the step (.glb)")
        button = gr.Button("Step")

    def step(bundle: str | None, number: Number | None) -> tuple[dict[str, Any], str]:
        """The numbers and the mesh that one recorded step of a run bundle predicted; no model is evaluated.

        Args:
            bundle: The run bundle (.zip) that the endpoint generate gave back.
            number: The step, from 1; the steps of all stages are counted through.

        Returns:
            The step's numbers and its mesh (.glb).
        """
        from wavemesh.geometry.export import mesh_bytes
        from wavemesh.pipelines.bundle import read_bundle

        try:
            if not bundle:
                raise InputError("No run bundle was given.")
            record = read_bundle(bundle)
            index = int(number or 0) - 1
            facts, surface = step_facts(record, index), step_mesh(record, index)
        except InputError as error:
            raise gr.Error(str(error), print_exception=False) from error
        path = new_result_folder(studio.workspace) / "step.glb"
        path.write_bytes(mesh_bytes(surface, ".glb"))
        return facts, str(path)

    button.click(step, [bundle, number], [numbers, mesh], api_name="step", concurrency_limit=2)
