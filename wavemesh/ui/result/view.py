"""The tab "Result": the mesh of a finished run, looked at, reshaped, checked, repaired, filmed and saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from wavemesh.geometry.export import MESH_SUFFIXES, mesh_bytes
from wavemesh.ui.bench_api import add_result_api
from wavemesh.ui.pictures import Number
from wavemesh.ui.result.content import THICKNESS_RANGE, ResultBench, Shape, health_html
from wavemesh.ui.result.layout import EMPTY, MOST_FACES, build_surface, build_viewer
from wavemesh.ui.studio import Studio
from wavemesh.ui.widgets.colours import legend
from wavemesh.ui.widgets.downloads import download_on_demand
from wavemesh.ui.widgets.finished import let_go
from wavemesh.ui.widgets.notices import explained
from wavemesh.ui.widgets.plots import mesh_plot, wire_plot
from wavemesh.ui.workspace import KEPT_S, new_result_folder

_PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
_BUSY: dict[str, Any] = {"concurrency_limit": 2, "concurrency_id": "bench", "trigger_mode": "always_last"}
_DEFAULT_MM = 100


def result_tab(studio: Studio, finished_run: gr.State) -> None:
    """Build the tab inside the current Tabs and wire it; finished_run holds the folder of the last run's record."""
    bench = ResultBench(studio.record)
    with gr.Tab("Result", id="result") as tab:
        now, drawn = gr.State(None, time_to_live=KEPT_S), gr.State(None, time_to_live=KEPT_S)
        empty = gr.HTML(EMPTY)
        with gr.Column(visible=False) as body, gr.Row():
            with gr.Column(scale=5, min_width=330):
                surface, reset = build_surface()
                gr.HTML('<p class="wm-step">Health</p>')
                size_mm = gr.Number(
                    _DEFAULT_MM, label="Printed size, longest side (mm)", minimum=1, maximum=2000, elem_id="size-mm"
                )
                health = gr.HTML(elem_id="health")
            with gr.Column(scale=7, min_width=330, elem_classes="wm-first"):
                viewer = build_viewer()
                with gr.Row():
                    with gr.Column(min_width=300):
                        _export_part(studio, bench, now, size_mm)
                    with gr.Column(min_width=300):
                        films = _film_part(studio, bench, now)
    looks = [viewer.paint, viewer.place]
    views = [viewer.solid, viewer.wire, viewer.plot, viewer.legend]
    shown = [now, drawn, *views, health]

    def seen(shape: Shape, paint: str, place: str) -> list[Any]:
        """Values for `views`."""
        in_plot = place == "plot"
        file = None if in_plot else _viewer_file(studio, bench, shape, paint)
        wires = paint == "wire"
        # What is hidden keeps its file: a viewer that loses it while it still loads fails.
        shown_file, hidden = gr.update(value=file, visible=True), gr.update(visible="hidden")
        return [
            hidden if in_plot or wires else shown_file,
            shown_file if wires and not in_plot else hidden,
            gr.update(value=_plot(bench, shape, paint), visible=True) if in_plot else gr.update(visible=False),
            _thickness_legend() if paint == "thickness" else "",
        ]

    def show(shape: Shape, paint: str, place: str, millimetres: Number | None) -> list[Any]:
        """Values for `shown`."""
        return [shape, shape, *seen(shape, paint, place), _card(bench, shape, millimetres)]

    # In two events: gradio's viewer stays empty where its file arrives before it is laid out.
    opening = [empty, body, *surface, now, health, *films]

    @explained(len(opening))
    def open_run(folder: str | None, shape: Shape | None, millimetres: Number | None) -> list[Any]:
        if folder is None or (shape is not None and shape.folder == folder):
            return [gr.skip()] * len(opening)
        shape = Shape(folder)
        card = _card(bench, shape, millimetres)
        # A film still shows the run before.
        no_films = [gr.update(value=None, visible=False) for _ in films]
        return [gr.update(visible=False), gr.update(visible=True), *surface.neutral(), shape, card, *no_films]

    @explained(1 + len(views))
    def draw(shape: Shape | None, drawn: Shape | None, paint: str, place: str) -> list[Any]:
        if shape is None or shape == drawn:
            return [gr.skip()] * (1 + len(views))
        return [shape, *seen(shape, paint, place)]

    @explained(len(shown))
    def reshaped(shape: Shape | None, level: Number, faces: Number, repaired: bool, *values: Any) -> list[Any]:
        if shape is None:
            return [gr.skip()] * len(shown)
        wanted = Shape(shape.folder, float(level), 0 if faces >= MOST_FACES else int(faces), bool(repaired))
        return show(wanted, *values)

    @explained(len(views))
    def look(shape: Shape | None, paint: str, place: str) -> list[Any]:
        return [gr.skip()] * len(views) if shape is None else seen(shape, paint, place)

    @explained(1)
    def measure(shape: Shape | None, millimetres: Number | None) -> Any:
        return gr.skip() if shape is None else _card(bench, shape, millimetres)

    forget, gone = let_go(empty, body, now, EMPTY)
    finished_run.change(forget, finished_run, gone, **_PRIVATE)
    tab.select(open_run, [finished_run, now, size_mm], opening, **_PRIVATE, **_BUSY).then(
        forget, finished_run, gone, **_PRIVATE
    ).then(draw, [now, drawn, *looks], [drawn, *views], **_PRIVATE, **_BUSY)
    asked = [now, *surface, *looks, size_mm]
    for control in surface:
        control.input(reshaped, asked, shown, **_PRIVATE, **_BUSY)
    reset.click(surface.neutral, None, list(surface), **_PRIVATE).then(reshaped, asked, shown, **_PRIVATE, **_BUSY)
    for choice in looks:
        choice.input(look, [now, *looks], views, **_PRIVATE, **_BUSY)
    size_mm.change(measure, [now, size_mm], health, **_PRIVATE, **_BUSY)
    with tab:
        add_result_api(studio)


def _export_part(studio: Studio, bench: ResultBench, now: gr.State, size_mm: gr.Number) -> None:
    """Buttons for the four formats."""
    gr.HTML('<p class="wm-step">Save</p>')
    texture = gr.Radio(
        [("Per vertex", False), ("As a texture", True)], value=False, label="Colours (.glb and .obj)",
        elem_id="texture", info="A texture is understood by more programs; making one takes some seconds.",
    )  # fmt: skip

    def writer(suffix: str) -> Any:
        def write(shape: Shape | None, textured: bool, millimetres: Number | None) -> str | None:
            if shape is None:
                return None
            folder = new_result_folder(studio.workspace)
            return bench.export(shape, suffix, folder, texture=textured, size_mm=float(millimetres or 0.0))

        return write

    with gr.Row(elem_classes="wm-downloads"):
        for suffix in MESH_SUFFIXES:
            download_on_demand(suffix[1:].upper(), writer(suffix), [now, texture, size_mm], f"save-{suffix[1:]}")
    gr.Markdown("STL is written in millimetres at the printed size, standing upright (z up).", elem_classes="wm-note")


def _film_part(studio: Studio, bench: ResultBench, now: gr.State) -> list[Any]:
    """The turntable; gives the components that show it."""
    gr.HTML('<p class="wm-step">Turntable</p>')
    with gr.Row():
        as_gif = gr.Button("GIF", elem_id="film-gif", min_width=64)
        as_mp4 = gr.Button("MP4", elem_id="film-mp4", min_width=64)
    image = gr.Image(
        label="Turntable (GIF)", type="filepath", format="gif", interactive=False, visible=False,
        buttons=["download"], elem_id="gif",
    )  # fmt: skip
    video = gr.Video(
        label="Turntable (MP4)", interactive=False, visible=False, autoplay=True, loop=True, buttons=["download"],
        elem_id="mp4",
    )  # fmt: skip

    def film(suffix: str) -> Any:
        @explained(2)
        def make(shape: Shape | None) -> list[Any]:
            if shape is None:
                return [gr.skip(), gr.skip()]
            path = _written(studio, f"turntable{suffix}", bench.turntable(shape, suffix))
            gif = suffix == ".gif"
            return [
                gr.update(value=path if gif else None, visible=gif),
                gr.update(value=None if gif else path, visible=not gif),
            ]

        return make

    busy = {**_PRIVATE, **_BUSY, "show_progress": "full"}
    as_gif.click(film(".gif"), now, [image, video], **busy)
    as_mp4.click(film(".mp4"), now, [image, video], **busy)
    return [image, video]


def _viewer_file(studio: Studio, bench: ResultBench, shape: Shape, paint: str) -> str:
    mesh = bench.mesh(shape) if paint == "wire" else bench.painted(shape, paint)
    return _written(studio, "result.glb", mesh_bytes(mesh, ".glb"))


def _written(studio: Studio, name: str, content: bytes) -> str:
    path = Path(new_result_folder(studio.workspace)) / name
    path.write_bytes(content)
    return str(path)


def _plot(bench: ResultBench, shape: Shape, paint: str) -> Any:
    mesh, shape = bench.for_plot(shape)
    if paint == "wire":
        return wire_plot(mesh)
    if paint == "thickness":
        return mesh_plot(mesh, values=bench.thickness(shape), limits=THICKNESS_RANGE)
    return mesh_plot(mesh, colours=np.asarray(bench.painted(shape, paint).visual.vertex_colors)[:, :3])


def _card(bench: ResultBench, shape: Shape, millimetres: Number | None) -> str:
    card = health_html(bench.health(shape), float(millimetres or _DEFAULT_MM))
    summary = bench.summary(shape)
    return f'{card}<p class="wm-note" id="repair-summary">{summary}</p>' if summary else card


def _thickness_legend() -> str:
    low, high = THICKNESS_RANGE
    return legend(
        "Wall thickness (the object is 1.8 long)", f"{low:.2f}", f"{high / 2:.2f}", f"{high:.2f} and more", "sequential"
    )
