"""The tab "Compare": the last run against its true mesh, with two guidance scales, and without one of its views."""

from __future__ import annotations

import html
import inspect
import logging
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

import gradio as gr

from wavemesh.errors import InputError
from wavemesh.ui.compare.content import (
    Displacement,
    Truth,
    look,
    measure,
    measured_html,
    mesh_picture,
    rerun,
    scores_table,
    without_view,
)
from wavemesh.ui.generate.truth import truth_mesh
from wavemesh.ui.pictures import Number
from wavemesh.ui.runner import Job
from wavemesh.ui.studio import Studio
from wavemesh.ui.widgets.finished import nothing_to_inspect

_log = logging.getLogger(__name__)

_EMPTY = nothing_to_inspect("Here it can be measured, and compared with other runs of the same pictures.")
_NO_TRUTH = (
    "Nobody knows the true shape of these pictures. Render views from a mesh in the tab Generate to measure a run."
)
_STOPPED = "Stopped early"
_TRUTH = "The pictures were rendered from a mesh: the run can be measured against it, step by step."

Comparison = Generator[list[Any], None, list[Any]]
"""Values of the outputs while it runs, and those that it ends with. The last are sent once, with nothing after them: a
value that is sent just before another change of its component may not be seen by the page."""


def compare_tab(studio: Studio, finished_run: gr.State) -> None:
    """Build the tab inside the current Tabs and wire it; finished_run holds the folder of the last run's record."""
    with gr.Tab("Compare", id="compare"):
        empty = gr.HTML(_EMPTY)
        with gr.Column(visible=False) as body:
            gr.HTML('<p class="wm-step">Against the true mesh</p>')
            truth_note = gr.Markdown(_NO_TRUTH, elem_classes="wm-note", elem_id="truth-note")
            measure_button = gr.Button("Measure", interactive=False, elem_id="measure-button")
            scores = gr.HTML(elem_id="scores")
            gr.HTML('<p class="wm-step">Two guidance scales, one seed</p>')
            with gr.Row():
                first = gr.Slider(1, 5, 1.0, step=0.1, label="First scale", min_width=140, buttons=[])
                second = gr.Slider(1, 5, 3.0, step=0.1, label="Second scale", min_width=140, buttons=[])
            guidance_buttons = _buttons("Run both", "guidance")
            guidance = _outputs("guidance", 2)
            gr.HTML('<p class="wm-step">Without one of the views</p>')
            gr.Markdown(
                "What a view contributes: the run again without it, coloured by how far the surface moved.",
                elem_classes="wm-note",
            )
            left_out = gr.Slider(1, 2, 1, step=1, label="View to leave out", buttons=[], elem_id="left-out")
            leave_buttons = _buttons("Run without it", "leave")
            leave = _outputs("leave", 3)
    controls = [empty, body, truth_note, measure_button, left_out, leave_buttons[0]]
    _wire_load(studio, finished_run, controls, [scores, *guidance, *leave])
    _wire_measure(studio, finished_run, measure_button, scores)
    _wire_guidance(studio, finished_run, guidance_buttons, (first, second), guidance)
    _wire_leave(studio, finished_run, leave_buttons, left_out, leave)


def _shown(pictures: Sequence[tuple[str, Any]], count: int) -> list[Any]:
    """New updates of `count` images, of which the first show the pictures (label, picture) and the others are hidden.

    New ones for every yield: what Gradio has sent has lost its value, and would take it from the page too.
    """
    shown = [gr.update(value=picture, label=label, visible=True) for label, picture in pictures]
    return shown + [gr.update(visible=False) for _ in range(count - len(shown))]


def _buttons(label: str, name: str) -> tuple[gr.Button, gr.Button]:
    """What starts a run, and what stops it and is hidden until then."""
    start = gr.Button(label, elem_id=f"{name}-button")
    return start, gr.Button("Stop", variant="stop", visible=False, elem_id=f"{name}-stop")


def _outputs(name: str, count: int) -> list[Any]:
    """A line of words and as many pictures side by side, hidden until there are some."""
    words = gr.HTML(elem_id=f"{name}-words")
    with gr.Row(elem_classes="wm-triple"):
        pictures = [
            gr.Image(
                show_label=True,
                label=" ",
                interactive=False,
                format="webp",
                buttons=[],
                visible=False,
                min_width=90,
                elem_id=f"{name}-{number}",
                elem_classes="wm-shape",
            )
            for number in range(count)
        ]
    return [words, *pictures]


def _wire_load(studio: Studio, finished_run: gr.State, controls: list[Any], compared: list[Any]) -> None:
    def load(folder: str | None) -> list[Any]:
        # What was compared belongs to the run before.
        nothing = ["" if isinstance(each, gr.HTML) else gr.update(value=None, visible=False) for each in compared]
        if not folder:
            return [gr.update(visible=True), gr.update(visible=False), *[gr.skip()] * 4, *nothing]
        known = truth_mesh(folder) is not None
        count = len(studio.record(folder).pictures)
        return [
            gr.update(visible=False),
            gr.update(visible=True),
            _TRUTH if known else _NO_TRUTH,
            gr.update(interactive=known),
            gr.update(maximum=max(2, count), value=1, interactive=count > 1),
            gr.update(interactive=count > 1),
            *nothing,
        ]

    finished_run.change(load, finished_run, [*controls, *compared], api_visibility="private", show_progress="hidden")


def _wire_measure(studio: Studio, finished_run: gr.State, button: gr.Button, scores: gr.HTML) -> None:
    def measure_run(folder: str | None) -> Iterator[str]:
        try:
            mesh = truth_mesh(folder) if folder else None
            if folder is None or mesh is None:
                raise InputError("There is no true mesh to measure this run against.")
            for message, measured in measure(studio.record(folder), mesh):
                yield _told(f"{message}…") if measured is None else measured_html(measured)
        except InputError as error:
            gr.Warning(str(error), title="This did not work")
            yield ""

    button.click(
        inspect.unwrap(measure_run),
        finished_run,
        scores,
        api_visibility="private",
        show_progress="hidden",
        concurrency_limit=2,
        concurrency_id="bench",
    )


def _wire_guidance(
    studio: Studio,
    finished_run: gr.State,
    buttons: tuple[gr.Button, gr.Button],
    scales: tuple[gr.Slider, gr.Slider],
    outputs: list[Any],
) -> None:
    def run_both(folder: str | None, first: Number, second: Number, request: gr.Request) -> Comparison:
        record, truth = studio.record(folder or ""), truth_mesh(folder or "")
        pictures: list[tuple[str, Any]] = []
        finished: list[tuple[str, Any]] = []
        for scale in (first, second):
            made = None
            for message, made in _run(studio, rerun(record, guidance_scale=float(scale)), request):
                if made is None:
                    yield [_told(f"Guidance {scale:g}: {message}"), *_shown(pictures, 2)]
            if made is not None:
                pictures.append((f"{scale:g}", mesh_picture(made, look(record))))
            if made is None or made.stopped:
                return [_told(f"{_STOPPED} at guidance {scale:g}."), *_shown(pictures, 2)]
            finished.append((f"Guidance {scale:g}", made))
        note, table = _told(f"Seed {record.settings.seed} both times."), ""
        if truth is not None:
            yield [_told("Measuring against the true mesh"), *_shown(pictures, 2)]
            known = Truth.of(truth)
            table = scores_table([(name, known.scores(made.sdf, made.mesh)) for name, made in finished])
        return [note + table, *_shown(pictures, 2)]

    _wire_buttons(studio, buttons, run_both, [finished_run, *scales], outputs)


def _wire_leave(
    studio: Studio,
    finished_run: gr.State,
    buttons: tuple[gr.Button, gr.Button],
    left_out: gr.Slider,
    outputs: list[Any],
) -> None:
    def run_without(folder: str | None, number: Number, request: gr.Request) -> Comparison:
        record, made = studio.record(folder or ""), None
        for message, made in _run(studio, without_view(record, int(number)), request):
            if made is None:
                yield [_told(message), *_shown([], 3)]
        if made is None:
            return [_told(f"{_STOPPED}."), *_shown([], 3)]
        moved = Displacement.between(made.mesh, record.mesh)
        camera = record.cameras[int(number) - 1]
        pictures = [
            ("All views", mesh_picture(record, look(record))),
            (f"Without view {int(number)}", moved.picture(*look(record))),
            (f"From view {int(number)}", moved.picture(camera.azimuth_deg, camera.elevation_deg)),
        ]
        note = _told(f"{_STOPPED}: this is the shape so far.") if made.stopped else ""
        return [note + moved.words(), *_shown(pictures, 3)]

    _wire_buttons(studio, buttons, run_without, [finished_run, left_out], outputs)


def _wire_buttons(
    studio: Studio,
    buttons: tuple[gr.Button, gr.Button],
    handler: Callable[..., Comparison],
    inputs: list[Any],
    outputs: list[Any],
) -> None:
    """The first button starts the handler; the second stops its model runs."""

    def run(request: gr.Request, *arguments: Any) -> Iterator[list[Any]]:
        def running(changes: Sequence[Any]) -> list[Any]:
            # The buttons with every update: of several that arrive together the page may show the last alone.
            return [gr.update(visible=False), gr.update(visible=True), *changes]

        nothing = ["", *[gr.update(visible=False) for _ in outputs[1:]]]
        yield running([gr.skip() for _ in outputs])
        comparison = handler(*arguments, request)
        try:
            while True:
                yield running(next(comparison))
        except StopIteration as end:
            last = end.value
        except InputError as error:
            gr.Warning(str(error), title="This did not work")
            last = nothing
        except Exception:
            _log.exception("a comparison failed")
            gr.Warning("Something went wrong on the server; the reason is in its log.", title="This did not work")
            last = nothing
        yield [gr.update(visible=True), gr.update(visible=False, value="Stop", interactive=True), *last]

    def stop(request: gr.Request) -> Any:
        studio.stop_flag(_session(request)).set()
        return gr.update(value="Stopping…", interactive=False)

    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    start_button, stop_button = buttons
    start_button.click(
        inspect.unwrap(run), inputs, [*buttons, *outputs], concurrency_limit=4, concurrency_id="runs", **private
    )
    stop_button.click(stop, None, stop_button, queue=False, **private)


def _session(request: gr.Request) -> str:
    """Runs of this tab are stopped apart from those of the tab Generate."""
    return f"compare{request.session_hash or ''}"


def _run(studio: Studio, job: Job, request: gr.Request) -> Iterator[tuple[str, Any]]:
    """Messages of a run of its own, and at the end its record; no record if it was stopped before its turn came."""
    for update in studio.generate(job, _session(request)):
        if update.result is None:
            yield update.progress.message, None
        else:
            yield "Done", studio.record(update.result.folder)


def _told(message: str) -> str:
    return f'<p class="wm-note">{html.escape(message)}</p>'
