"""The right side of the tab "Generate": the shape as it forms, the finished mesh, and what is said about them.

Its functions give changes, {component: update}, for handlers to return. An example's mesh, seen before anything ran,
was made earlier by the bundled weights; no model runs for it.
"""

from __future__ import annotations

import html
import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from wavemesh.gallery.format import Example
from wavemesh.geometry.camera import Camera
from wavemesh.geometry.export import MESH_SUFFIXES, mesh_bytes
from wavemesh.ui.generate.content import caption
from wavemesh.ui.generate.here import Here, build_here, stop_again
from wavemesh.ui.pictures import Picture
from wavemesh.ui.progress import bar_html
from wavemesh.ui.runner import Result, Update
from wavemesh.ui.studio import Studio
from wavemesh.ui.viewer.component import build_viewer, seen
from wavemesh.ui.widgets.downloads import download_on_demand
from wavemesh.ui.widgets.events import Updates
from wavemesh.ui.widgets.forming import write_steps
from wavemesh.ui.widgets.strip import Watch, shown_steps, step_name
from wavemesh.ui.workspace import KEPT_S, new_result_folder

if TYPE_CHECKING:
    from wavemesh.pipelines.record import RunRecord

_BUNDLE, _ALL = ".zip", ".all"
Ended = tuple[Result, list[Picture]] | None  # what a run left, and the pictures it was begun with
_EMPTY = """<div class="wm-empty"><div><p>The mesh appears here.</p>
<p class="wm-note">You will see it form, step by step; Stop keeps what there is.</p></div></div>"""


@dataclass(frozen=True)
class Stage:
    """Everything that a run changes. finished: what the last run left, a state, which the row of downloads saves.

    said: what those who hear the page are told of a run. here: what stands in the tab Inspect.
    """

    generate: gr.Button
    stop: gr.Button
    progress: gr.HTML
    empty: gr.HTML
    mesh: gr.HTML
    facts: gr.Markdown
    downloads: gr.Row
    watch: gr.HTML
    finished: gr.State
    said: gr.HTML
    here: Here

    @property
    def outputs(self) -> set[Any]:
        """All components."""
        return {getattr(self, field.name) for field in fields(self)} - {self.here} | {*self.here}

    def busy(self) -> Updates:
        """A run goes on."""
        return {
            self.generate: gr.update(visible=False),
            self.stop: gr.update(visible=True),
            self.said: _aloud("The mesh is being made."),
            **self.here.during(),
        }

    def idle(self) -> Updates:
        """No run goes on."""
        return {
            self.generate: gr.update(visible=True),
            self.stop: stop_again(),
            self.progress: gr.update(visible=False),
            self.said: _aloud("No run goes on."),
            **self.here.idle(),
        }

    def during(self, update: Update, watch: Watch) -> Updates:
        """One moment of a run.

        All of it is sent again and again: an example may be picked meanwhile, and of updates that arrive together, as
        they do where the network is slow, the page may show the last alone.
        """
        bar = gr.update(value=bar_html(update.progress), visible=True)
        changes = {**self.busy(), self.progress: bar, **self.here.during(update.progress)}
        if update.measured is not None:
            changes[self.watch] = gr.update(value=watch.html(), visible=True)
        if update.preview is not None:
            mesh, first = update.preview.mesh, update.preview.first
            changes |= _hidden(self.empty, self.facts, self.downloads)
            changes[self.mesh] = gr.update(value=seen(mesh, first, str(Path(mesh).parent), forming=True), visible=True)
        return changes

    def with_mesh(self, result: Result) -> Updates:
        """The mesh of a run in the viewer."""
        return {**_hidden(self.empty), self.mesh: gr.update(value=_seen(result), visible=True)}

    def finished_with(self, result: Result) -> Updates:
        """The result of a run."""
        return {
            **self.with_mesh(result),
            **_hidden(self.here.run),
            self.facts: gr.update(value=caption(result), visible=True),
            self.watch: gr.update(visible=True),
            self.downloads: gr.update(visible=True),
            self.said: _aloud(f"The mesh is ready: {caption(result)}"),
        }

    def told(self, result: Result, record: RunRecord) -> Updates:
        """The steps of a run that has ended: their strip, and their shapes for the viewer."""
        paths = write_steps(record, shown_steps(record), Path(result.folder) / "steps")
        steps = {index: (step_name(record.steps[index]), path) for index, path in paths.items()}
        return {self.watch: Watch.of_record(record).html(), self.mesh: gr.update(value=_seen(result, steps))}

    def before_runs(self, studio: Studio, example: Example | None = None) -> Updates:
        """Nothing was made of these pictures yet: the cached result of their example, else an empty stage."""
        if example is None or example.result is None:
            return {
                **_hidden(self.watch, self.downloads, self.facts),
                **self.here.offering(example is not None),
                self.empty: gr.update(visible=True),
                self.mesh: gr.update(value=None, visible="hidden"),
            }
        # gradio gives away files of the workspace only.
        folder = new_result_folder(studio.workspace)
        mesh = shutil.copyfile(example.result.mesh, folder / f"{example.key}-mesh.glb")
        picture = shutil.copyfile(example.pictures[0], folder / "picture.webp")
        faces = example.result.faces
        line = f"An earlier result of the bundled weights, {faces:,} triangles. Press Generate to make it again."
        first = Camera(**example.cameras[0])
        return {
            **_hidden(self.empty, self.watch, self.downloads),
            **self.here.offering(True),
            self.mesh: gr.update(value=seen(mesh, first, example.key, picture=picture), visible=True),
            self.facts: gr.update(value=line, visible=True),
        }


def build_stage(studio: Studio) -> Stage:
    """The buttons, and everything that shows a run and its result."""
    with gr.Row(elem_id="run"):
        generate = gr.Button("Generate", variant="primary", size="lg", elem_id="generate-button")
        stop = gr.Button("Stop", variant="stop", size="lg", visible=False, elem_id="stop-button")
    progress = gr.HTML(visible=False, elem_id="progress")
    empty = gr.HTML(_EMPTY)
    mesh = build_viewer("The mesh", "mesh", visible="hidden")
    facts = gr.Markdown(visible=False, elem_id="facts", elem_classes="wm-note")
    finished = gr.State(None, time_to_live=KEPT_S)
    with gr.Row(visible=False, elem_classes="wm-downloads") as downloads:
        names = {suffix: suffix[1:].upper() for suffix in MESH_SUFFIXES}
        for suffix, label in {**names, _ALL: "All of these", _BUNDLE: "Run bundle"}.items():
            download_on_demand(label, partial(written, studio, suffix), [finished], f"download-{suffix[1:]}")
    watch = gr.HTML(visible=False, elem_id="watch")
    said = gr.HTML(_aloud(""), elem_id="said", elem_classes="wm-said")
    return Stage(generate, stop, progress, empty, mesh, facts, downloads, watch, finished, said, build_here())


def _seen(result: Result, steps: Mapping[int, tuple[str, str]] | None = None) -> dict[str, Any]:
    return seen(result.files[".glb"], result.first, result.folder, steps=steps, picture=result.files[".webp"])


def _aloud(words: str) -> str:
    return f'<p role="status">{html.escape(words)}</p>'


def written(studio: Studio, suffix: str, ended: Ended) -> str | None:
    """The path of a file of the run, which is made when it is asked for; None without a run.

    suffix: of a mesh, or _BUNDLE; _ALL for a .zip of the mesh in every format.
    """
    if ended is None:
        return None
    result = ended[0]
    path = Path(result.files[".glb"]).with_suffix(suffix)
    if suffix == _ALL:
        path = path.with_name(f"{path.stem}-all.zip")
        files = [written(studio, each, ended) for each in MESH_SUFFIXES]
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in filter(None, files):
                archive.write(file, Path(file).name)
        return str(path)
    if suffix != ".glb":
        from wavemesh.geometry.mesh import facing

        record = studio.record(result.folder)
        if suffix == _BUNDLE:
            return result.files[_BUNDLE]
        path.write_bytes(mesh_bytes(facing(record.mesh, record.front_deg), suffix))
    return str(path)


def _hidden(*components: Any) -> Updates:
    return {component: gr.update(visible=False) for component in components}
