"""The components of the tab "Result": what is on the page and how it looks; `result_tab` makes them act."""

from __future__ import annotations

from typing import Any, NamedTuple

import gradio as gr

from wavemesh.ui.result.content import MAX_LEVEL, MIN_FACES
from wavemesh.ui.widgets.finished import nothing_to_inspect

MOST_FACES = 100_000
EMPTY = nothing_to_inspect("Here it can be looked at, repaired and saved.")


class Surface(NamedTuple):
    """What makes up the shape."""

    level: gr.Slider
    faces: gr.Slider
    repaired: gr.Checkbox

    @staticmethod
    def neutral() -> list[Any]:
        """Values for the shape as the run left it."""
        return [0.0, MOST_FACES, False]


class Viewer(NamedTuple):
    """How it is shown."""

    paint: gr.Radio
    place: gr.Radio
    solid: gr.Model3D
    wire: gr.Model3D
    plot: gr.Plot
    legend: gr.HTML


def build_surface() -> tuple[Surface, gr.Button]:
    """The controls of the shape, and the button that takes them back."""
    gr.HTML('<p class="wm-step">Shape</p>')
    with gr.Group():
        level = gr.Slider(
            -MAX_LEVEL, MAX_LEVEL, 0.0, step=0.002, label="Iso-level", buttons=[], elem_id="iso-level",
            info="Which value of the distance field is the surface: above 0 the shape grows, below it shrinks.",
        )  # fmt: skip
        faces = gr.Slider(
            MIN_FACES, MOST_FACES, MOST_FACES, step=500, label="Face budget", buttons=[], elem_id="face-budget",
            info="The most triangles; at the right end all are kept.",
        )  # fmt: skip
        repaired = gr.Checkbox(
            value=False, label="Repair for printing", elem_id="repair",
            info="Closes holes, joins what overlaps, drops loose crumbs; always gives a closed solid.",
        )  # fmt: skip
    return Surface(level, faces, repaired), gr.Button("As the run left it", elem_id="reset-shape", size="md")


def build_viewer() -> Viewer:
    """The mesh in gradio's viewer, once solid and once as wires, or in a plot."""
    with gr.Row(elem_classes="wm-view-controls"):
        paint = gr.Radio(
            [("Solid", "colours"), ("Wireframe", "wire"), ("Normals", "normals"), ("Wall thickness", "thickness")],
            value="colours", label="Show", elem_id="paint", min_width=260,
        )  # fmt: skip
        place = gr.Radio(
            [("3D viewer", "viewer"), ("Plot", "plot")], value="viewer", label="In", elem_id="place", min_width=180,
            info="The plot keeps its view while the shape changes.",
        )  # fmt: skip
    common: dict[str, Any] = {"show_label": False, "height": 520, "clear_color": (0.0, 0.0, 0.0, 0.0)}
    solid = gr.Model3D(label="Mesh", camera_position=(60, 72, 3.6), elem_id="result-solid", **common)
    wire = gr.Model3D(
        label="Mesh as wires", camera_position=(60, 72, 3.6), display_mode="wireframe", visible="hidden",
        elem_id="result-wire", **common,
    )  # fmt: skip
    plot = gr.Plot(show_label=False, label="Mesh", visible=False, elem_id="result-plot")
    return Viewer(paint, place, solid, wire, plot, gr.HTML(elem_id="paint-legend"))
