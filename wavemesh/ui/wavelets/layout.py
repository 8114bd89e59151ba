"""The components of the tab "Wavelets": what is on the page and how it looks; `wavelet_tab` makes them act."""

from __future__ import annotations

from typing import Any

import gradio as gr

from wavemesh.ui.wavelets.edit import Edit, band_gains
from wavemesh.ui.widgets.events import Updates, Values
from wavemesh.wavelets.bands import BANDS, Band

_DETAIL_BANDS = BANDS[1:]
_LEVELS = [("Level 2 (coarse)", 2), ("Level 1 (fine)", 1)]
_GROUPS = (
    ("Approximation", "Gain of the smooth shape; 1 leaves it as it is."),
    ("Level 2 details", "Gain of all coarse details."),
    ("Level 1 details", "Gain of all fine details."),
)


class EditControls:
    """Everything that makes up an edit: gains, the threshold, levels to mute, and a run to take details from."""

    def __init__(self) -> None:
        gr.HTML('<p class="wm-step">Edit the coefficients</p>')
        with gr.Group():
            self._build_gains()
        with gr.Group():
            with gr.Row():
                self.threshold = gr.Slider(
                    0, 0.1, 0, step=0.001, label="Threshold", info="Details smaller than this are removed.", buttons=[],
                    min_width=150, elem_id="gains-threshold",
                )  # fmt: skip
                self.mode = gr.Radio(
                    [("Hard", "hard"), ("Soft", "soft")], value="hard", label="How", min_width=130,
                    info="Soft also shrinks the others.", elem_id="threshold-mode",
                )  # fmt: skip
            self.muted = gr.CheckboxGroup(_LEVELS, label="Mute the details of", elem_id="muted")
        with gr.Group():
            self.other = gr.Dropdown(
                [], label="Another run", info="Runs of this visit: make one with another seed to exchange details.",
                filterable=False, elem_id="other-run",
            )  # fmt: skip
            self.taken = gr.CheckboxGroup(_LEVELS, label="Take its details at", elem_id="taken")

    def _build_gains(self) -> None:
        self.groups = [  # approximation, level 2, level 1
            gr.Slider(0, 3, 1, step=0.05, label=name, info=hint, buttons=[], elem_id=f"gain-{number}")
            for number, (name, hint) in enumerate(_GROUPS)
        ]
        with gr.Accordion("Gain of single bands", open=False), gr.Row(elem_classes="wm-bands"):
            self.bands = [
                gr.Slider(
                    -1, 3, 1, step=0.05, label=f"Level {band.level}, {band.key}", buttons=[], min_width=150,
                    elem_id=f"gain-{band.level}-{band.key}",
                )
                for band in _DETAIL_BANDS
            ]  # fmt: skip

    @property
    def components(self) -> set[Any]:
        """All of them."""
        return {*self.groups, *self.bands, self.threshold, self.mode, self.muted, self.other, self.taken}

    def edit(self, values: Values) -> Edit:
        """The edit that they describe."""
        return Edit(
            band_gains([values[slider] for slider in self.groups], [values[slider] for slider in self.bands]),
            float(values[self.threshold]),
            values[self.mode],
            tuple(sorted(values[self.muted])),
            tuple(sorted(values[self.taken])),
        )

    def neutral(self) -> Updates:
        """What changes nothing; the choice of the other run is left alone."""
        gains = dict.fromkeys([*self.groups, *self.bands], 1.0)
        return {**gains, self.threshold: 0.0, self.mode: "hard", self.muted: [], self.taken: []}


class BandSlices:
    """The pickers of a band, and its three slices."""

    def __init__(self) -> None:
        gr.HTML('<p class="wm-step">Look into a band</p>')
        with gr.Row():
            self.which = gr.Radio(
                [("Of the run", "before"), ("As edited", "after")], value="after", label="Coefficients", min_width=200
            )
            self.level = gr.Radio(
                [("2 (32³)", 2), ("1 (64³)", 1)], value=2, label="Level", min_width=150, elem_id="band-level"
            )
            self.key = gr.Dropdown(
                subbands(2), value="aaa", label="Subband", min_width=150, filterable=False, elem_id="band-key"
            )
        with gr.Row(elem_classes="wm-triple"):
            self.pictures = [
                gr.Image(
                    label=f"At {axis}", interactive=False, format="png", buttons=[], min_width=100,
                    elem_id=f"slice-{axis}", elem_classes="wm-slice",
                )
                for axis in "xyz"
            ]  # fmt: skip
        gr.Markdown(
            "From the left: a slice across x (z to the right, y up), across y (from above: x right, z down), and "
            "across z (from the front: x right, y up).",
            elem_classes="wm-note",
        )
        self.legend = gr.HTML(elem_id="slice-legend")
        with gr.Row():
            self.positions = [
                gr.Slider(
                    -1, 1, 0, step=0.01, label=f"Slice at {axis}", buttons=[], min_width=150, elem_id=f"at-{axis}"
                )
                for axis in "xyz"
            ]

    @property
    def pickers(self) -> set[Any]:
        """What says which slices are shown."""
        return {self.which, self.level, self.key, *self.positions}

    @property
    def shown(self) -> set[Any]:
        """What the slices fill."""
        return {*self.pictures, self.legend}

    def band(self, values: Values) -> Band:
        """The band that is picked; while the subband is about to follow a new level, that level's first."""
        keys = [key for _, key in subbands(values[self.level])]
        key = values[self.key]
        return Band(values[self.level], key if key in keys else keys[0])


def subbands(level: int) -> list[tuple[str, str]]:
    """The choices of the subband picker at a level."""
    names = {"aaa": "aaa: approximation"}
    for band in _DETAIL_BANDS:
        along = [axis for axis, letter in zip("xyz", band.key, strict=True) if letter == "d"]
        names[band.key] = f"{band.key}: detail along {', '.join(along)}"
    return [(names[band.key], band.key) for band in BANDS if band.level == level]
