"""The tab "Triplane": the three planes of a triplane run and their bands, gains, and a camera around the volume."""

from __future__ import annotations

from typing import Any

import gradio as gr

from wavemesh.geometry.export import mesh_bytes
from wavemesh.ui.studio import Studio
from wavemesh.ui.triplane.content import (
    BAND_NAMES,
    PLANE_NAMES,
    Gains,
    TriplaneEditor,
    band_arrays,
    plane_pictures,
)
from wavemesh.ui.triplane.decoder import COARSE_SIDE, FINE_SIDE, PlaneDecoder
from wavemesh.ui.triplane.own import OwnRun
from wavemesh.ui.widgets.downloads import download_on_demand
from wavemesh.ui.widgets.events import PRIVATE, TOOLS, Updates, Values
from wavemesh.ui.widgets.finished import nothing_to_inspect
from wavemesh.ui.widgets.notices import explained
from wavemesh.ui.widgets.slices import limit_legend
from wavemesh.ui.widgets.subject import Subject, looks_at
from wavemesh.ui.workspace import KEPT_S, new_result_folder

_NAME = "Triplane"
_WORDS = "With the method Triplane, its planes can be seen and changed here."
_EMPTY = nothing_to_inspect(_WORDS)
_OTHER_METHOD = nothing_to_inspect(_WORDS, reason="The last run was one of WaveMesh-Diff, without a triplane.")
_HELP = """A **triplane** holds colour and shape as features on three planes; a point looks itself up on each, and a
small network decodes the sum. Diffusion works on the planes' Haar bands: **LL** is the smooth half, **LH**, **HL** and
**HH** the horizontal, vertical and diagonal details. Colours of the planes are the three strongest components of their
channels, or one channel alone."""
# Dragging over a picture moves the sliders, which do the rest; the arrow keys move them too
# (and count as letting go).
_DRAG = """() => {
  for (const slider of document.querySelectorAll('#orbit-azimuth input, #orbit-elevation input'))
    slider.onkeyup = () => slider.dispatchEvent(new PointerEvent('pointerup', {bubbles: true}));
  for (const box of document.querySelectorAll('#orbit, #orbit-ll')) {
    if (box.dataset.drag) continue;
    box.dataset.drag = '1';
    const turn = () => document.querySelector('#orbit-azimuth input[type=range]');
    const tilt = () => document.querySelector('#orbit-elevation input[type=range]');
    let start = null;
    const move = (slider, value) => {
      slider.value = Math.min(+slider.max, Math.max(+slider.min, Math.round(value)));
      slider.dispatchEvent(new Event('input', {bubbles: true}));
    };
    box.addEventListener('pointerdown', (e) => {
      start = [e.clientX, e.clientY, +turn().value, +tilt().value];
      box.setPointerCapture(e.pointerId);
      e.preventDefault();
    });
    box.addEventListener('pointermove', (e) => {
      if (!start) return;
      const azimuth = start[2] - (e.clientX - start[0]) * 0.6;
      move(turn(), ((azimuth + 540) % 360 + 360) % 360 - 180);
      move(tilt(), start[3] + (e.clientY - start[1]) * 0.4);
    });
    box.addEventListener('pointerup', () => {
      start = null;
      turn().dispatchEvent(new PointerEvent('pointerup', {bubbles: true}));
    });
  }
}"""


def triplane_tab(studio: Studio, subject: Subject) -> None:
    """Build the tab inside the current Tabs and wire it."""
    with gr.Tab(_NAME, id="triplane"):
        _TriplaneTab(studio, subject).wire()


class _TriplaneTab:
    """The components, and what happens when a person uses them."""

    def __init__(self, studio: Studio, subject: Subject) -> None:
        self.studio, self.subject = studio, subject
        self.own = OwnRun(studio, subject)
        self.editor = TriplaneEditor(studio.record, PlaneDecoder(studio.factories["triplane"], studio.accelerator))
        self.opened = gr.State(None, time_to_live=KEPT_S)  # the folder of the run that is shown
        self.empty = gr.HTML(_EMPTY)
        self.own.build()
        with gr.Column(visible=False) as self.body:
            gr.Markdown(_HELP, elem_classes="wm-note")
            with gr.Row():
                with gr.Column(scale=4, min_width=330):
                    self._build_gains()
                with gr.Column(scale=8, min_width=330):
                    self._build_volume()
            self._build_planes()

    def _build_gains(self) -> None:
        gr.HTML('<p class="wm-step">Edit the bands</p>')
        hints = ("The smooth planes.", "Horizontal details.", "Vertical details.", "Diagonal details.")
        with gr.Group():
            self.gains = [
                gr.Slider(-1, 3, 1, step=0.05, label=f"Gain of {name}", info=hint, buttons=[], elem_id=f"gain-{name}")
                for name, hint in zip(BAND_NAMES, hints, strict=True)
            ]
        with gr.Row():
            self.reset = gr.Button("Undo all edits", elem_id="reset-planes", size="md")
            download_on_demand("Edited mesh (.glb)", self.mesh_file, {self.opened, *self.gains}, "save-planes")

    def _build_volume(self) -> None:
        gr.HTML('<p class="wm-step">The volume, rendered</p>')
        with gr.Row(elem_classes="wm-triple"):
            self.volume, self.smooth_volume = (
                gr.Image(
                    label=label, interactive=False, format="webp", buttons=[], min_width=150, elem_id=name,
                    elem_classes=["wm-shape", "wm-orbit"],
                )
                for label, name in (("LL and details", "orbit"), ("LL alone", "orbit-ll"))
            )  # fmt: skip
        gr.Markdown(
            "Drag over a picture to look around: rough while you drag, fine when let go.", elem_classes="wm-note"
        )
        with gr.Row():
            self.azimuth, self.elevation = (
                gr.Slider(-limit, limit, at, step=1, label=label, buttons=[], elem_id=f"orbit-{name}", min_width=150)
                for limit, at, label, name in (
                    (180, 30, "Azimuth (°)", "azimuth"),
                    (90, 20, "Elevation (°)", "elevation"),
                )
            )

    def _build_planes(self) -> None:
        gr.HTML('<p class="wm-step">Look at the planes</p>')
        with gr.Row():
            self.band = gr.Radio(
                [("Full", "full"), *[(name, name) for name in BAND_NAMES]], value="full", label="Band",
                elem_id="plane-band", min_width=260,
            )  # fmt: skip
            self.colours = gr.Radio(
                [("Components (PCA)", "pca"), ("One channel", "channel")], value="pca", label="Colours",
                elem_id="plane-colours", min_width=260,
            )  # fmt: skip
            self.channel = gr.Slider(
                0, 1, 0, step=1, label="Channel", buttons=[], min_width=150, elem_id="plane-channel"
            )
        with gr.Row(elem_classes="wm-triple"):
            self.planes = [
                gr.Image(
                    label=name, interactive=False, format="png",
                    buttons=[], min_width=150, elem_id=f"plane-{name}", elem_classes="wm-slice",
                )
                for name in PLANE_NAMES
            ]  # fmt: skip
        gr.Markdown("A plane's first axis runs to the right, its second one up.", elem_classes="wm-note")
        self.legend = gr.HTML(elem_id="plane-legend")

    def wire(self) -> None:
        """Let the components act."""
        camera, choices = (self.azimuth, self.elevation), (self.band, self.colours, self.channel)
        edit, pictures = {self.opened, *self.gains}, [self.volume, self.smooth_volume]
        coarse = {"fn": self.render_coarse, "inputs": edit | {*camera}, "outputs": pictures, **TOOLS}
        fine = {**coarse, "fn": self.render_fine}
        look = {"fn": self.show_planes, "inputs": edit | {*choices}, "outputs": [*self.planes, self.legend], **TOOLS}
        opening: dict[str, Any] = {
            "fn": self.open_run,
            "inputs": {*self.subject, self.opened},
            "outputs": [self.opened, self.empty, self.body, self.own.start, *self.gains, self.channel],
            **PRIVATE,
        }
        self.own.wire()
        # Again, as another run may have taken this one's place meanwhile.
        opened = gr.on([*self.subject.changes, self.own.made.change], **opening).then(**opening)
        opened = opened.then(None, js=_DRAG, api_visibility="private")
        undone = self.reset.click(self.neutral_gains, None, self.gains, **PRIVATE)
        # A rough picture at once, then the planes and the fine one.
        for rough in (opened.then(**coarse), undone.then(**coarse), *(gain.input(**coarse) for gain in self.gains)):
            rough.then(**look).then(**fine)
        for angle in camera:
            angle.input(**coarse)
            angle.release(**fine)
        for choice in choices:
            choice.input(**look)

    @explained
    def open_run(self, values: Values) -> Updates:
        """Show another run, unedited; nothing to do where it is open already, or nobody looks.

        Where the run was of another method, it is the triplane's own run of the same pictures, once there is one.
        """
        folder = values[self.subject.finished_run]
        triplane = None if folder is None else self.studio.record(folder).triplane
        if triplane is None:
            words = _EMPTY if folder is None else _OTHER_METHOD
            folder = self.own.folder(values)
            if folder is None:
                return {
                    self.opened: None,
                    self.empty: gr.update(value=words, visible=True),
                    self.body: gr.update(visible=False),
                    self.own.start: gr.update(visible=bool(values[self.subject.pictures])),
                }
            triplane = self.studio.record(folder).triplane
        if folder == values[self.opened] or triplane is None or not looks_at(values[self.subject.place], _NAME):
            return gr.skip()
        return {
            self.opened: folder,
            self.empty: gr.update(visible=False),
            self.own.start: gr.update(visible=False),
            self.body: gr.update(visible=True),
            self.channel: gr.update(maximum=triplane.ll.shape[1] - 1, value=0),
            **self.neutral_gains(),
        }

    def neutral_gains(self) -> Updates:
        """All bands as they are."""
        return dict.fromkeys(self.gains, 1.0)

    @explained
    def render_coarse(self, values: Values) -> Updates:
        """The two volumes at once, with few samples."""
        return self._rendered(values, COARSE_SIDE)

    @explained
    def render_fine(self, values: Values) -> Updates:
        """The two volumes as they stay."""
        return self._rendered(values, FINE_SIDE)

    def _rendered(self, values: Values, side: int) -> Updates:
        folder = values[self.opened]
        if folder is None:
            return gr.skip()
        gains, angles = self._gains(values), (values[self.azimuth], values[self.elevation])
        return {
            self.volume: self.editor.picture(folder, gains, *angles, side),
            self.smooth_volume: self.editor.picture(folder, Gains(gains.ll, 0.0, 0.0, 0.0), *angles, side),
        }

    @explained
    def show_planes(self, values: Values) -> Updates:
        """The three planes and their legend."""
        if values[self.opened] is None:
            return gr.skip()
        channel = int(values[self.channel])
        planes = band_arrays(self.editor.bands(values[self.opened]), self._gains(values), values[self.band])
        pictures, limit = plane_pictures(planes, channel if values[self.colours] == "channel" else None)
        legend = '<p class="wm-note">The same components and stretch for all three planes.</p>'
        if limit is not None:
            legend = limit_legend(f"Channel {channel}", limit)
        return {**dict(zip(self.planes, pictures, strict=True)), self.legend: legend}

    def mesh_file(self, values: Values) -> str | None:
        """The path of the edited mesh."""
        if values[self.opened] is None:
            return None
        path = new_result_folder(self.studio.workspace) / "edited-triplane.glb"
        path.write_bytes(mesh_bytes(self.editor.mesh(values[self.opened], self._gains(values)), ".glb"))
        return str(path)

    def _gains(self, values: Values) -> Gains:
        return Gains(*(values[gain] for gain in self.gains))
