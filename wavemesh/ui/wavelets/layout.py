"""The components of the tab "Wavelets": what is on the page and how it looks; `wavelet_tab` makes them act."""

from __future__ import annotations

from typing import Any, NamedTuple

import gradio as gr

from wavemesh.ui.widgets.finished import nothing_to_inspect
from wavemesh.wavelets.bands import BANDS, Band

_DETAIL_BANDS = BANDS[1:]
_HELP = """A run ends with the **wavelet coefficients** of a signed distance field: an approximation at 32³, and the
details that turn it into 64³ (level 2) and then into 128³ (level 1, kept only at the sites near the surface). A band's
name says what it holds along x, y and z: **a** is the smooth part, **d** the detail. So *dad* changes along x and z
and is smooth along y."""
EMPTY = nothing_to_inspect("Its wavelet coefficients can be seen and changed here.")


class Controls(NamedTuple):
    """Everything that makes up an edit; the order is the order of inputs."""

    levels: list[gr.Slider]  # approximation, level 2, level 1
    bands: list[gr.Slider]  # one for each detail band
    threshold: gr.Slider
    threshold_mode: gr.Radio
    muted: gr.CheckboxGroup
    other: gr.Dropdown
    taken: gr.CheckboxGroup

    def flat(self) -> list[Any]:
        """The components in order, the runs to take details from included."""
        return [*self.levels, *self.bands, self.threshold, self.threshold_mode, self.muted, self.other, self.taken]

    @staticmethod
    def neutral() -> list[Any]:
        """Values for `flat` that change nothing; the choice of the other run is left alone."""
        return [*[1.0] * (3 + len(_DETAIL_BANDS)), 0.0, "hard", [], gr.skip(), []]


class Pictures(NamedTuple):
    """What an edit changed."""

    before: gr.Image
    after: gr.Image
    change: gr.Image
    legend: gr.HTML
    facts: gr.Markdown


class Looks(NamedTuple):
    """The pickers of a band and the slices."""

    which: gr.Radio
    level: gr.Radio
    key: gr.Dropdown
    positions: list[gr.Slider]
    slices: list[gr.Image]
    legend: gr.HTML


def build_help() -> None:
    """What a reader has to know."""
    gr.Markdown(_HELP, elem_classes="wm-note")


def build_controls() -> tuple[Controls, gr.Button, gr.Row]:
    """The edit, the button that takes it back, and the row that it is in."""
    gr.HTML('<p class="wm-step">Edit the coefficients</p>')
    with gr.Group():
        names = ("Approximation", "Level 2 details", "Level 1 details")
        hints = (
            "Gain of the smooth shape; 1 leaves it as it is.",
            "Gain of all coarse details.",
            "Gain of all fine details.",
        )
        levels = [
            gr.Slider(0, 3, 1, step=0.05, label=name, info=hint, buttons=[], elem_id=f"gain-{number}")
            for number, (name, hint) in enumerate(zip(names, hints, strict=True))
        ]
        with gr.Accordion("Gain of single bands", open=False), gr.Row(elem_classes="wm-bands"):
            bands = [
                gr.Slider(
                    -1, 3, 1, step=0.05, label=_band_name(band), buttons=[], min_width=150, elem_id=f"gain-{_id(band)}"
                )
                for band in _DETAIL_BANDS
            ]
    with gr.Group():
        with gr.Row():
            threshold = gr.Slider(
                0, 0.1, 0, step=0.001, label="Threshold", info="Details smaller than this are removed.", buttons=[],
                min_width=150, elem_id="gains-threshold",
            )  # fmt: skip
            mode = gr.Radio(
                [("Hard", "hard"), ("Soft", "soft")], value="hard", label="How", min_width=130,
                info="Soft also shrinks the others.", elem_id="threshold-mode",
            )  # fmt: skip
        muted = gr.CheckboxGroup(
            [("Level 2 (coarse)", 2), ("Level 1 (fine)", 1)], label="Mute the details of", elem_id="muted"
        )
    with gr.Group():
        other = gr.Dropdown(
            [], label="Another run", info="Runs of this visit: make one with another seed to exchange details.",
            filterable=False, elem_id="other-run",
        )  # fmt: skip
        taken = gr.CheckboxGroup(
            [("Level 2 (coarse)", 2), ("Level 1 (fine)", 1)], label="Take its details at", elem_id="taken"
        )
    with gr.Row() as buttons:
        reset = gr.Button("Undo all edits", elem_id="reset-edit", size="md")
    return Controls(levels, bands, threshold, mode, muted, other, taken), reset, buttons


def build_pictures() -> tuple[Pictures, gr.Slider, gr.Slider]:
    """Before, after and the change, with the sliders that turn all three."""
    with gr.Row(elem_classes="wm-triple"):
        before, after, change = (
            gr.Image(
                label=label, interactive=False, format="webp", buttons=[], elem_id=name, min_width=150,
                elem_classes="wm-shape",
            )
            for label, name in (("Before", "edit-before"), ("After", "edit-after"), ("Change", "edit-change"))
        )  # fmt: skip
    legend = gr.HTML(elem_id="edit-legend")
    facts = gr.Markdown(elem_classes="wm-note", elem_id="edit-facts")
    with gr.Row():
        azimuth = gr.Slider(-180, 180, 30, step=1, label="Turn (°)", buttons=[], elem_id="edit-azimuth", min_width=150)
        elevation = gr.Slider(
            -90, 90, 20, step=1, label="Tilt (°)", buttons=[], elem_id="edit-elevation", min_width=150
        )
    return Pictures(before, after, change, legend, facts), azimuth, elevation


def build_looks() -> Looks:
    """The band pickers and the three slices."""
    gr.HTML('<p class="wm-step">Look into a band</p>')
    with gr.Row():
        which = gr.Radio(
            [("Of the run", "before"), ("As edited", "after")], value="after", label="Coefficients", min_width=200
        )
        level = gr.Radio([("2 (32³)", 2), ("1 (64³)", 1)], value=2, label="Level", min_width=150, elem_id="band-level")
        key = gr.Dropdown(
            subbands(2), value="aaa", label="Subband", min_width=150, filterable=False, elem_id="band-key"
        )
    with gr.Row(elem_classes="wm-triple"):
        slices = [
            gr.Image(
                label=f"At {axis}",
                interactive=False,
                format="png",
                buttons=[],
                min_width=100,
                elem_id=f"slice-{axis}",
                elem_classes="wm-slice",
            )
            for axis in "xyz"
        ]
    gr.Markdown(
        "From the left: a slice across x (z to the right, y up), across y (from above: x right, z down), and across z "
        "(from the front: x right, y up).",
        elem_classes="wm-note",
    )
    legend = gr.HTML(elem_id="slice-legend")
    with gr.Row():
        positions = [
            gr.Slider(-1, 1, 0, step=0.01, label=f"Slice at {axis}", buttons=[], min_width=150, elem_id=f"at-{axis}")
            for axis in "xyz"
        ]
    return Looks(which, level, key, positions, slices, legend)


def subbands(level: int) -> list[tuple[str, str]]:
    """The choices of the subband picker at a level."""
    names = {"aaa": "aaa: approximation"}
    for band in _DETAIL_BANDS:
        along = [axis for axis, letter in zip("xyz", band.key, strict=True) if letter == "d"]
        names[band.key] = f"{band.key}: detail along {', '.join(along)}"
    return [(names[band.key], band.key) for band in BANDS if band.level == level]


def _band_name(band: Band) -> str:
    return f"Level {band.level}, {band.key}"


def _id(band: Band) -> str:
    return f"{band.level}-{band.key}"
