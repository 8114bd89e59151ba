"""The tab "Compare": the last run against its true mesh, with two guidance scales, and without one of its views."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import gradio as gr
import numpy as np

from wavemesh.errors import InputError
from wavemesh.geometry.export import measured_glb, mesh_bytes
from wavemesh.ui.compare.content import (
    ERROR,
    Displacement,
    Truth,
    job_again,
    job_without_view,
    measure,
    measured_html,
    mesh_picture,
    note_html,
    scores_table,
    viewpoint,
)
from wavemesh.ui.generate.truth import truth_mesh
from wavemesh.ui.runner import Job
from wavemesh.ui.studio import Studio
from wavemesh.ui.viewer.component import Before, build_viewer, seen
from wavemesh.ui.widgets.events import PRIVATE, TOOLS, Updates, Values
from wavemesh.ui.widgets.finished import nothing_to_inspect
from wavemesh.ui.widgets.notices import failures_told
from wavemesh.ui.workspace import new_result_folder

if TYPE_CHECKING:
    import trimesh

    from wavemesh.pipelines.record import RunRecord

_EMPTY = nothing_to_inspect("Here it can be measured, and compared with other runs of the same pictures.")
_NO_TRUTH = (
    "Nobody knows the true shape of these pictures. Render views from a mesh in the tab Generate to measure a run."
)
_STOPPED = "Stopped early"
_MOST_FACES = 200_000  # of a true mesh that the viewer gets
_TRUTH = "The pictures were rendered from a mesh: the run can be measured against it, step by step."

Trying: TypeAlias = Generator[Updates, None, Updates]
"""What is shown while runs are made again, and what in the end. The last is sent once, with nothing after it: a value
that is sent just before another change of its component may not be seen by the page."""
LabelledPictures: TypeAlias = Sequence[tuple[str, np.ndarray]]


def compare_tab(studio: Studio, finished_run: gr.State) -> None:
    """Build the tab inside the current Tabs and wire it; finished_run holds the folder of the last run's record."""
    with gr.Tab("Compare", id="compare"):
        _CompareTab(studio, finished_run).wire()


class _CompareTab:
    """The components, and what happens when a person uses them."""

    def __init__(self, studio: Studio, finished_run: gr.State) -> None:
        self.studio, self.finished_run = studio, finished_run
        self.empty = gr.HTML(_EMPTY)
        with gr.Column(visible=False) as self.body:
            gr.HTML('<p class="wm-step">Against the true mesh</p>')
            self.truth_note = gr.Markdown(_NO_TRUTH, elem_classes="wm-note", elem_id="truth-note")
            self.measure_button = gr.Button("Measure", interactive=False, elem_id="measure-button")
            self.viewer = build_viewer("The run and its error", "error-mesh", visible="hidden")
            self.scores = gr.HTML(elem_id="scores")
            gr.HTML('<p class="wm-step">Two guidance scales, one seed</p>')
            with gr.Row():
                self.scales = [
                    gr.Slider(1, 5, scale, step=0.1, label=f"{number} scale", min_width=140, buttons=[])
                    for number, scale in (("First", 1.0), ("Second", 3.0))
                ]
            self.guidance = _Trial("Run both", "guidance", 2)
            gr.HTML('<p class="wm-step">Without one of the views</p>')
            gr.Markdown(
                "What a view contributes: the run again without it, coloured by how far the surface moved.",
                elem_classes="wm-note",
            )
            self.left_out = gr.Slider(1, 2, 1, step=1, label="View to leave out", buttons=[], elem_id="left-out")
            self.leave = _Trial("Run without it", "leave", 3)

    def wire(self) -> None:
        """Let the components act."""

        def measure_run(folder: str | None) -> Iterator[Updates]:
            with failures_told():
                mesh = truth_mesh(folder) if folder else None
                if folder is None or mesh is None:
                    raise InputError("There is no true mesh to measure this run against.")
                for message, measured in measure(self.studio.record(folder), mesh):
                    if measured is None:
                        yield {self.scores: note_html(f"{message}…")}
                    else:
                        viewer = gr.update(value=self.seen(folder, mesh, measured.errors), visible=True)
                        yield {self.scores: measured_html(measured), self.viewer: viewer}
                return
            yield {self.scores: ""}

        self.finished_run.change(
            self.open_run,
            self.finished_run,
            [
                *(self.empty, self.body, self.truth_note, self.measure_button, self.left_out, self.leave.start),
                *(self.scores, self.viewer, *self.guidance.results, *self.leave.results),
            ],
            **PRIVATE,
        )
        measuring = {**TOOLS, "trigger_mode": "once"}
        self.measure_button.click(
            inspect.unwrap(measure_run), self.finished_run, [self.scores, self.viewer], **measuring
        )
        self.guidance.wire(self.studio, {self.finished_run, *self.scales}, self.run_both)
        self.leave.wire(self.studio, {self.finished_run, self.left_out}, self.run_without)

    def open_run(self, folder: str | None) -> Updates:
        """What there is to compare; what was compared belongs to the run before."""
        unseen = gr.update(value=None, visible="hidden")
        cleared = {self.scores: "", self.viewer: unseen, **self.guidance.shown(), **self.leave.shown()}
        if not folder:
            return {self.empty: gr.update(visible=True), self.body: gr.update(visible=False), **cleared}
        has_truth = truth_mesh(folder) is not None
        count = len(self.studio.record(folder).pictures)
        return {
            self.empty: gr.update(visible=False),
            self.body: gr.update(visible=True),
            self.truth_note: _TRUTH if has_truth else _NO_TRUTH,
            self.measure_button: gr.update(interactive=has_truth),
            self.left_out: gr.update(maximum=max(2, count), value=1, interactive=count > 1),
            self.leave.start: gr.update(interactive=count > 1),
            **cleared,
        }

    def seen(self, folder: str, truth: trimesh.Trimesh, errors: np.ndarray) -> dict[str, Any]:
        """The value of the viewer: the run with its errors (v,), to be compared with its true mesh."""
        from wavemesh.geometry.mesh import facing

        record = self.studio.record(folder)
        files = new_result_folder(self.studio.workspace)
        run, true = files / "run.glb", files / "true-mesh.glb"
        before = None
        if len(truth.faces) <= _MOST_FACES:
            true.write_bytes(mesh_bytes(facing(truth, record.front_deg), ".glb"))
            before = Before(true, "the true mesh", ("True mesh", "This run"))
        run.write_bytes(measured_glb(facing(record.mesh, record.front_deg), {ERROR.key: errors}))
        return seen(run, record.first_view, folder, before=before, measures=[ERROR], look=ERROR.key)

    def run_both(self, values: Values, session: str) -> Trying:
        """The run with each of the guidance scales, measured where the truth is known."""
        folder = values[self.finished_run] or ""
        record, true_mesh = self.studio.record(folder), truth_mesh(folder)
        pictures: list[tuple[str, np.ndarray]] = []
        finished: list[tuple[str, RunRecord]] = []
        for scale in (float(values[slider]) for slider in self.scales):
            name = f"Guidance {scale:g}"
            job = job_again(record, guidance_scale=scale)
            made = yield from self._made(job, session, self.guidance, f"{name}: ", pictures)
            if made is not None:
                pictures.append((f"{scale:g}", mesh_picture(made, *viewpoint(record))))
            if made is None or made.stopped:
                return self.guidance.shown(f"{_STOPPED} at guidance {scale:g}.", pictures)
            finished.append((name, made))
        table = ""
        if true_mesh is not None:
            yield self.guidance.shown("Measuring against the true mesh", pictures)
            truth = Truth.of_mesh(true_mesh)
            table = scores_table([(name, truth.scores(made.sdf, made.mesh)) for name, made in finished])
        return self.guidance.shown(f"Seed {record.settings.seed} both times.", pictures, table)

    def run_without(self, values: Values, session: str) -> Trying:
        """The run without one of its views, and how far its surface moved."""
        record, number = self.studio.record(values[self.finished_run] or ""), int(values[self.left_out])
        made = yield from self._made(job_without_view(record, number), session, self.leave)
        if made is None:
            return self.leave.shown(f"{_STOPPED}.")
        moved = Displacement.between(made.mesh, record.mesh)
        camera = record.cameras[number - 1]
        pictures = [
            ("All views", mesh_picture(record, *viewpoint(record))),
            (f"Without view {number}", moved.picture(*viewpoint(record))),
            (f"From view {number}", moved.picture(camera.azimuth_deg, camera.elevation_deg)),
        ]
        message = f"{_STOPPED}: this is the shape so far." if made.stopped else ""
        return self.leave.shown(message, pictures, moved.words())

    def _made(
        self, job: Job, session: str, trial: _Trial, prefix: str = "", pictures: LabelledPictures = ()
    ) -> Generator[Updates, None, RunRecord | None]:
        """Makes a run and shows its messages; gives its record, None if it was stopped before its turn came."""
        record = None
        for update in self.studio.generate(job, session):
            if update.result is None:
                yield trial.shown(prefix + update.progress.message, pictures)
            else:
                record = self.studio.record(update.result.folder)
        return record


class _Trial:
    """A button that makes runs again, one that stops them, and what comes of them: a line of words and pictures."""

    def __init__(self, label: str, name: str, num_pictures: int) -> None:
        self.start = gr.Button(label, elem_id=f"{name}-button")
        self.stop = gr.Button("Stop", variant="stop", visible=False, elem_id=f"{name}-stop")
        self.words = gr.HTML(elem_id=f"{name}-words")
        with gr.Row(elem_classes="wm-triple"):
            self.pictures = [
                gr.Image(
                    show_label=True, label=" ", interactive=False, format="webp", buttons=[], visible=False,
                    min_width=90, elem_id=f"{name}-{number}", elem_classes="wm-shape",
                )
                for number in range(num_pictures)
            ]  # fmt: skip
        self.results = [self.words, *self.pictures]

    def shown(self, message: str = "", pictures: LabelledPictures = (), facts: str = "") -> Updates:
        """The message with facts (HTML) below it, and the first pictures; the other pictures are hidden.

        New updates for every call: what gradio has sent has lost its value, and would take it from the page too.
        """
        updates: Updates = {picture: gr.update(value=None, visible=False) for picture in self.pictures}
        for component, (label, picture) in zip(self.pictures, pictures, strict=False):
            updates[component] = gr.update(value=picture, label=label, visible=True)
        return {self.words: (note_html(message) if message else "") + facts, **updates}

    def wire(self, studio: Studio, inputs: set[Any], handler: Callable[[Values, str], Trying]) -> None:
        """Let one button start the handler, which gets the values of the inputs and a session for its runs.

        The other button stops the runs of that session.
        """

        def run(values: Values, request: gr.Request) -> Iterator[Updates]:
            def running() -> Updates:
                # The buttons with every update: of several that arrive together the page may show the last alone.
                return {self.start: gr.update(visible=False), self.stop: gr.update(visible=True)}

            last = self.shown()

            def steps() -> Iterator[Updates]:
                nonlocal last
                last = yield from handler(values, _session(request))

            yield running()
            with failures_told():
                for updates in steps():
                    yield {**running(), **updates}
            stop = gr.update(visible=False, value="Stop", interactive=True)
            yield {self.start: gr.update(visible=True), self.stop: stop, **last}

        def stop(request: gr.Request) -> Updates:
            studio.stop_flag(_session(request)).set()
            return {self.stop: gr.update(value="Stopping…", interactive=False)}

        self.start.click(
            inspect.unwrap(run),  # a type checker's wrapper would hide from gradio that it is a generator
            inputs,
            [self.start, self.stop, *self.results],
            concurrency_limit=4,
            concurrency_id="runs",
            **PRIVATE,
        )
        self.stop.click(stop, None, self.stop, queue=False, **PRIVATE)


def _session(request: gr.Request) -> str:
    """Runs of this tab are stopped apart from those of the tab Generate."""
    return f"compare{request.session_hash or ''}"
