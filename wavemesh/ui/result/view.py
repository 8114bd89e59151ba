"""The tab "Result": the mesh of a finished run, looked at, reshaped, checked, repaired, filmed and saved."""

from __future__ import annotations

from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import gradio as gr

from wavemesh.errors import InputError
from wavemesh.geometry.export import MESH_SUFFIXES, measured_glb, mesh_bytes
from wavemesh.ui.pictures import Number, example_of
from wavemesh.ui.result.against import Against
from wavemesh.ui.result.content import MAX_LEVEL, MIN_FACES, THICKNESS, Shape, Shapes, example_folder
from wavemesh.ui.result.health import health_card
from wavemesh.ui.result.others import Other
from wavemesh.ui.studio import Studio
from wavemesh.ui.viewer.component import Before, build_viewer, seen
from wavemesh.ui.widgets.busy import click_shown
from wavemesh.ui.widgets.downloads import download_on_demand
from wavemesh.ui.widgets.events import PRIVATE, TOOLS, Updates, Values
from wavemesh.ui.widgets.finished import nothing_to_inspect
from wavemesh.ui.widgets.notices import explained, tell
from wavemesh.ui.widgets.subject import Subject, looks_at
from wavemesh.ui.workspace import KEPT_S, new_result_folder

_MOST_FACES = 100_000
_DEFAULT_MM = 100
_NAME = "Result"
_LEVEL = "Which value of the distance field is the surface: above 0 the shape grows, below it shrinks."
_NO_LEVEL = "Of an example only the mesh is kept: another level needs its run, so press Generate first."
_EMPTY = nothing_to_inspect("Here it can be looked at, repaired and saved.")


def result_tab(studio: Studio, subject: Subject) -> None:
    """Build the tab inside the current Tabs and wire it."""
    with gr.Tab(_NAME, id="result"):
        _ResultTab(studio, subject).wire()


class _ResultTab:
    """The components, and what happens when a person uses them.

    wanted: the `Shape` that the controls describe. drawn: the one that the viewer shows. measured: that too, once the
    viewer has the thickness of its walls, which takes a moment more.
    """

    def __init__(self, studio: Studio, subject: Subject) -> None:
        self.studio, self.subject = studio, subject
        self.shapes = Shapes(studio.record, studio.examples)
        self._left = lru_cache(maxsize=32)(self._write_left)
        self.wanted, self.drawn, self.measured = (gr.State(None, time_to_live=KEPT_S) for _ in range(3))
        self.empty = gr.HTML(_EMPTY)
        with gr.Column(visible=False) as self.body, gr.Row():
            with gr.Column(scale=5, min_width=330):
                self._build_controls()
            with gr.Column(scale=7, min_width=330, elem_classes="wm-first"):
                self.viewer = build_viewer("The result", "result-mesh")
                self.against = Against(studio, subject)
                with gr.Row():
                    with gr.Column(min_width=300):
                        self._build_downloads()
                    with gr.Column(min_width=300):
                        self._build_films()

    def _build_controls(self) -> None:
        """What makes up the shape, and its health."""
        gr.HTML('<p class="wm-step">Shape</p>')
        with gr.Group():
            self.level = gr.Slider(
                -MAX_LEVEL, MAX_LEVEL, 0.0, step=0.002, label="Iso-level", buttons=[], elem_id="iso-level",
                info=_LEVEL,
            )  # fmt: skip
            self.faces = gr.Slider(
                MIN_FACES, _MOST_FACES, _MOST_FACES, step=500, label="Triangle budget", buttons=[],
                elem_id="face-budget", info="The most triangles; at the right end all are kept.",
            )  # fmt: skip
            self.repaired = gr.Checkbox(
                value=False, label="Repair for printing", elem_id="repair",
                info="Closes holes, joins what overlaps, drops loose crumbs; always gives a closed solid.",
            )  # fmt: skip
        self.reset = gr.Button("Undo all changes", elem_id="reset-shape", size="md")
        gr.HTML('<p class="wm-step">Health</p>')
        self.size_mm = gr.Number(
            _DEFAULT_MM, label="Printed size, longest side (mm)", minimum=1, maximum=2000, elem_id="size-mm"
        )
        self.health = gr.HTML(elem_id="health")

    def _build_downloads(self) -> None:
        """A button for each format."""
        gr.HTML('<p class="wm-step">Save</p>')
        self.texture = gr.Radio(
            [("Per vertex", False), ("As a texture", True)], value=False, label="Colours (.glb and .obj)",
            elem_id="texture", info="A texture is understood by more programs; making one takes some seconds.",
        )  # fmt: skip
        asked = {self.wanted, self.texture, self.size_mm}
        with gr.Row(elem_classes="wm-downloads"):
            for suffix in MESH_SUFFIXES:
                download_on_demand(suffix[1:].upper(), partial(self.save, suffix), asked, f"save-{suffix[1:]}")
        gr.Markdown(
            "STL and 3MF are written in millimetres at the printed size, standing upright (z up). USDZ is what phones "
            "show in the room.",
            elem_classes="wm-note",
        )

    def _build_films(self) -> None:
        """The turntable."""
        gr.HTML('<p class="wm-step">Turntable</p>')
        with gr.Row():
            self.film_buttons = {
                suffix: gr.Button(suffix[1:].upper(), elem_id=f"film-{suffix[1:]}", min_width=64)
                for suffix in (".gif", ".mp4")
            }
        common: dict[str, Any] = {"interactive": False, "visible": False, "buttons": ["download"]}
        image = gr.Image(label="Turntable (GIF)", type="filepath", format="gif", elem_id="gif", **common)
        video = gr.Video(label="Turntable (MP4)", autoplay=True, loop=True, elem_id="mp4", **common)
        self.films: dict[str, Any] = {".gif": image, ".mp4": video}

    def wire(self) -> None:
        """Let the components act."""
        whole, surface = [self.empty, self.body], [self.level, self.faces, self.repaired]
        viewer, around = [self.viewer, self.against.choice], self.against.inputs
        drawing: dict[str, Any] = {
            "fn": self.draw,
            "inputs": {self.wanted, self.drawn, *around},
            "outputs": [self.drawn, self.measured, *viewer],
            **TOOLS,
        }
        measuring: dict[str, Any] = {
            "fn": self.measure_walls,
            "inputs": {self.wanted, self.measured, *around},
            "outputs": [self.measured, *viewer],
            **TOOLS,
        }
        opening: dict[str, Any] = {
            "fn": self.open_run,
            "inputs": {*self.subject, self.wanted, self.size_mm},
            "outputs": [*whole, *surface, self.against.choice, self.wanted, self.health, *self.films.values()],
            **TOOLS,
        }
        offering: dict[str, Any] = {
            "fn": self.offer_others, "inputs": {self.wanted, *around}, "outputs": self.against.choice, **TOOLS,
        }  # fmt: skip
        # The health is there sooner than the mesh. Opened again, as another run may have taken this one's place.
        gr.on(self.subject.changes, **opening).then(**opening).then(**offering).then(**drawing).then(**measuring)
        self.subject.visit.change(**offering)
        self.against.choice.input(self.compare, {self.wanted, self.measured, *around}, viewer, **TOOLS)
        reshaping: dict[str, Any] = {
            "fn": self.reshape,
            "inputs": {self.wanted, *surface, self.size_mm, *around},
            "outputs": [self.wanted, self.drawn, self.measured, *viewer, self.health, *self.films.values()],
            **TOOLS,
        }
        for control in surface:
            control.input(**reshaping).then(**measuring)
        self.reset.click(self.neutral, None, surface, **PRIVATE).then(**reshaping).then(**measuring)
        self.size_mm.change(self.measure, {self.wanted, self.size_mm}, self.health, **TOOLS)
        for suffix, button in self.film_buttons.items():
            filming = {**TOOLS, "show_progress": "full"}
            click_shown(button, partial(self.film, suffix), {self.wanted}, list(self.films.values()), **filming)

    def neutral(self) -> Updates:
        """The controls for the shape as the run left it."""
        return {self.level: 0.0, self.faces: _MOST_FACES, self.repaired: False}

    @explained
    def open_run(self, values: Values) -> Updates:
        """A run that is not open yet, as it was left, or the mesh of an example; nothing to do where nobody looks."""
        example = example_of(values[self.subject.pictures], self.studio.examples)
        run, wanted = values[self.subject.finished_run], values[self.wanted]
        folder = run or example_folder(example)
        if folder is None:
            return {self.wanted: None, self.empty: gr.update(visible=True), self.body: gr.update(visible=False)}
        if (wanted is not None and wanted.folder == folder) or not looks_at(values[self.subject.place], _NAME):
            return gr.skip()
        shape = Shape(folder)
        return {
            self.empty: gr.update(visible=False),
            self.body: gr.update(visible=True),
            **self.neutral(),
            self.level: gr.update(value=0.0, interactive=run is not None, info=_LEVEL if run else _NO_LEVEL),
            **self.against.none(),
            self.wanted: shape,
            self.health: self._card(shape, values[self.size_mm]),
            **self._no_film(),
        }

    @explained
    def draw(self, values: Values) -> Updates:
        """The shape in the viewer, if it is not there yet."""
        shape = values[self.wanted]
        if shape is None or shape == values[self.drawn]:
            return gr.skip()
        return {self.drawn: shape, self.measured: None, **self._seen(shape, values)}

    @explained
    def reshape(self, values: Values) -> Updates:
        """The shape that the controls describe."""
        if values[self.wanted] is None:
            return gr.skip()
        faces = values[self.faces]
        shape = Shape(
            values[self.wanted].folder,
            float(values[self.level]),
            0 if faces >= _MOST_FACES else int(faces),
            bool(values[self.repaired]),
        )
        card = self._card(shape, values[self.size_mm])
        made = {self.wanted: shape, self.drawn: shape, self.measured: None, self.health: card}
        return {**made, **self._seen(shape, values), **self._no_film()}

    @explained
    def measure_walls(self, values: Values) -> Updates:
        """The same shape with the thickness of its walls, which the viewer can show then."""
        shape = values[self.wanted]
        if shape is None or shape == values[self.measured]:
            return gr.skip()
        return {self.measured: shape, **self._seen(shape, values, measured=True)}

    @explained
    def compare(self, values: Values) -> Updates:
        """The same shape beside the other that was chosen."""
        shape = values[self.wanted]
        return gr.skip() if shape is None else self._seen(shape, values, measured=shape == values[self.measured])

    def offer_others(self, values: Values) -> Updates:
        """What the shape can be compared with."""
        shape = values[self.wanted]
        return self.against.offer(None if shape is None else shape.folder, values)

    @explained
    def measure(self, values: Values) -> Updates:
        """Its health at another printed size."""
        shape = values[self.wanted]
        return gr.skip() if shape is None else {self.health: self._card(shape, values[self.size_mm])}

    @explained
    def film(self, suffix: str, values: Values) -> Updates:
        """One turn of the shape in this format, in place of the other."""
        shape = values[self.wanted]
        if shape is None:
            return gr.skip()
        path = self._written(f"turntable{suffix}", self.shapes.turntable(shape, suffix))
        return {
            film: gr.update(value=path if each == suffix else None, visible=each == suffix)
            for each, film in self.films.items()
        }

    def save(self, suffix: str, values: Values) -> str | None:
        """The path of a file with the shape."""
        shape, size_mm = values[self.wanted], float(values[self.size_mm] or 0.0)
        if shape is None:
            return None
        folder = new_result_folder(self.studio.workspace)
        return self.shapes.export(shape, suffix, folder, texture=values[self.texture], size_mm=size_mm)

    def _seen(self, shape: Shape, values: Values, measured: bool = False) -> Updates:
        """The shape in the viewer, beside what it is compared with; the view stays where a person has turned it.

        What is gone is said, and no longer compared with. measured: with its walls' thickness.
        """
        gone: Updates = {}
        try:
            before = self._before(shape, self.against.other(shape.folder, values))
        except InputError as error:
            tell(str(error), "Nothing to compare with")
            before, gone = self._before(shape), self.against.none()
        mesh = self.shapes.mesh(shape)
        content = (
            measured_glb(mesh, {THICKNESS.key: self.shapes.thickness(shape)}) if measured else mesh_bytes(mesh, ".glb")
        )
        value = seen(
            self._written("result.glb", content),
            self.shapes.first_view(shape),
            shape.folder,
            before=before,
            measures=[THICKNESS] if measured else [],
        )
        return {self.viewer: value, **gone}

    def _before(self, shape: Shape, other: Other | None = None) -> Before | None:
        """What stands left of the divider: the other, else the shape as its run left it where it was changed."""
        if other is not None:
            return Before(self._as_left(other.folder), other.words, (other.name, "This mesh"), opened=True)
        return None if shape == Shape(shape.folder) else Before(self._as_left(shape.folder))

    def _as_left(self, folder: str) -> str:
        """The path of the mesh as its run left it; the same one as long as it can be, so that it is fetched once."""
        path = self._left(folder)
        if not Path(path).exists():  # files of the workspace are forgotten
            self._left.cache_clear()
            path = self._left(folder)
        return path

    def _write_left(self, folder: str) -> str:
        return self._written("as-left.glb", mesh_bytes(self.shapes.mesh(Shape(folder)), ".glb"))

    def _no_film(self) -> Updates:
        """A film that is there shows an earlier shape."""
        return {film: gr.update(value=None, visible=False) for film in self.films.values()}

    def _card(self, shape: Shape, size_mm: Number | None) -> str:
        return health_card(self.shapes.health(shape), float(size_mm or _DEFAULT_MM), self.shapes.summary(shape))

    def _written(self, name: str, content: bytes) -> str:
        path = new_result_folder(self.studio.workspace) / name
        path.write_bytes(content)
        return str(path)
