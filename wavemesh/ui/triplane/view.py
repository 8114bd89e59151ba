"""The tab "Triplane": the three planes of a triplane run and their bands, gains, and a camera around the volume."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from wavemesh.errors import InputError
from wavemesh.geometry.export import mesh_bytes
from wavemesh.ui.pictures import Number
from wavemesh.ui.studio import Studio
from wavemesh.ui.triplane.content import (
    BAND_NAMES,
    PLANE_NAMES,
    Gains,
    TriplaneBench,
    band_arrays,
    gains_of,
    plane_pictures,
)
from wavemesh.ui.triplane.decoder import COARSE_SIDE, FINE_SIDE, PlaneDecoder
from wavemesh.ui.widgets.colours import legend
from wavemesh.ui.widgets.downloads import download_on_demand
from wavemesh.ui.widgets.finished import let_go, nothing_to_inspect
from wavemesh.ui.widgets.notices import explained, refused
from wavemesh.ui.workspace import KEPT_S, new_result_folder

_PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
_BUSY: dict[str, Any] = {"concurrency_limit": 2, "concurrency_id": "bench", "trigger_mode": "always_last"}
_EMPTY = nothing_to_inspect("With the method Triplane, its planes can be seen and changed here.")
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


class _Planes(NamedTuple):
    """What is shown of the planes."""

    which: gr.Radio
    colours: gr.Radio
    channel: gr.Slider


def triplane_tab(studio: Studio, finished_run: gr.State) -> None:
    """Build the tab inside the current Tabs and wire it; finished_run holds the folder of the last run's record."""
    decoder = PlaneDecoder(studio.factories["triplane"], studio.accelerator)
    bench = TriplaneBench(studio.record, decoder)

    def write(folder: str | None, *gains: Number) -> str | None:
        return _mesh_file(studio, bench, folder, *gains)

    with gr.Tab("Triplane", id="triplane") as tab:
        folder = gr.State(None, time_to_live=KEPT_S)
        empty = gr.HTML(_EMPTY)
        with gr.Column(visible=False) as body:
            gr.Markdown(_HELP, elem_classes="wm-note")
            with gr.Row():
                with gr.Column(scale=4, min_width=330):
                    gains, reset, buttons = _build_gains()
                with gr.Column(scale=8, min_width=330):
                    orbit, camera = _build_orbit()
            planes, pictures, scale = _build_planes()
        with buttons:
            download_on_demand(
                "Edited mesh (.glb)",
                lambda *values: _mesh_file(studio, bench, *values),
                [folder, *gains],
                "save-planes",
            )
        _add_api(decoder)
    asked = [folder, *gains, *camera]

    def renderer(side: int) -> Any:
        @explained(2)
        def render(folder: str | None, *values: Number) -> list[Any]:
            if folder is None:
                return [gr.skip(), gr.skip()]
            edited = gains_of(values[:4])
            smooth = Gains(edited.ll, 0.0, 0.0, 0.0)
            return [bench.render(folder, each, values[4], values[5], side) for each in (edited, smooth)]

        return render

    @explained(4)
    def look(folder: str | None, *values: Any) -> list[Any]:
        return [gr.skip()] * 4 if folder is None else _plane_values(bench, folder, gains_of(values[:4]), values[4:])

    @explained(8)
    def open_run(run: str | None, now: str | None) -> list[Any]:
        if run is None or run == now:
            return [gr.skip()] * 8
        record = studio.record(run)
        if record.triplane is None:
            note = _EMPTY.replace(
                "No run to inspect yet.", "The last run was one of WaveMesh-Diff, without a triplane."
            )
            return [None, gr.update(value=note, visible=True), gr.update(visible=False), *[gr.skip()] * 5]
        channels = gr.update(maximum=record.triplane.ll.shape[1] - 1, value=0)
        return [run, gr.update(visible=False), gr.update(visible=True), 1.0, 1.0, 1.0, 1.0, channels]

    coarse, fine = renderer(COARSE_SIDE), renderer(FINE_SIDE)
    sights = [folder, *gains, *planes]

    def redraw(event: Any) -> None:
        """A rough picture at once, then the fine one and the planes."""
        event.then(coarse, asked, orbit, **_PRIVATE, **_BUSY).then(
            look, sights, [*pictures, scale], **_PRIVATE, **_BUSY
        ).then(fine, asked, orbit, **_PRIVATE, **_BUSY)

    forget, gone = let_go(empty, body, folder, _EMPTY)
    finished_run.change(forget, finished_run, gone, **_PRIVATE)
    redraw(
        tab.select(open_run, [finished_run, folder], [folder, empty, body, *gains, planes.channel], **_PRIVATE)
        .then(forget, finished_run, gone, **_PRIVATE)
        .then(None, js=_DRAG, api_visibility="private")
    )
    for gain in gains:
        redraw(gain.input(coarse, asked, orbit, **_PRIVATE, **_BUSY))
    redraw(reset.click(lambda: [1.0] * 4, None, gains, **_PRIVATE))
    for angle in camera:
        angle.input(coarse, asked, orbit, **_PRIVATE, **_BUSY)
        angle.release(fine, asked, orbit, **_PRIVATE, **_BUSY)
    for choice in planes:
        choice.input(look, sights, [*pictures, scale], **_PRIVATE, **_BUSY)


def _build_gains() -> tuple[list[gr.Slider], gr.Button, gr.Row]:
    gr.HTML('<p class="wm-step">Edit the bands</p>')
    hints = ("The smooth planes.", "Horizontal details.", "Vertical details.", "Diagonal details.")
    with gr.Group():
        gains = [
            gr.Slider(-1, 3, 1, step=0.05, label=f"Gain of {name}", info=hint, buttons=[], elem_id=f"gain-{name}")
            for name, hint in zip(BAND_NAMES, hints, strict=True)
        ]
    with gr.Row() as buttons:
        reset = gr.Button("Undo all edits", elem_id="reset-planes", size="md")
    return gains, reset, buttons


def _build_orbit() -> tuple[list[gr.Image], list[gr.Slider]]:
    gr.HTML('<p class="wm-step">The volume, rendered</p>')
    with gr.Row(elem_classes="wm-triple"):
        orbit = [
            gr.Image(
                label=label, interactive=False, format="webp", buttons=[], min_width=150, elem_id=name,
                elem_classes=["wm-shape", "wm-orbit"],
            )
            for label, name in (("LL and details", "orbit"), ("LL alone", "orbit-ll"))
        ]  # fmt: skip
    gr.Markdown("Drag over a picture to look around: rough while you drag, fine when let go.", elem_classes="wm-note")
    with gr.Row():
        camera = [
            gr.Slider(-180, 180, 30, step=1, label="Turn (°)", buttons=[], elem_id="orbit-azimuth", min_width=150),
            gr.Slider(-90, 90, 20, step=1, label="Tilt (°)", buttons=[], elem_id="orbit-elevation", min_width=150),
        ]
    return orbit, camera


def _build_planes() -> tuple[_Planes, list[gr.Image], gr.HTML]:
    gr.HTML('<p class="wm-step">Look at the planes</p>')
    with gr.Row():
        which = gr.Radio(
            [("Full", "full"), *[(name, name) for name in BAND_NAMES]], value="full", label="Band",
            elem_id="plane-band", min_width=260,
        )  # fmt: skip
        colours = gr.Radio(
            [("Components (PCA)", "pca"), ("One channel", "channel")], value="pca", label="Colours",
            elem_id="plane-colours", min_width=260,
        )  # fmt: skip
        channel = gr.Slider(0, 1, 0, step=1, label="Channel", buttons=[], min_width=150, elem_id="plane-channel")
    with gr.Row(elem_classes="wm-triple"):
        pictures = [
            gr.Image(
                label=name, interactive=False, format="png",
                buttons=[], min_width=150, elem_id=f"plane-{name}", elem_classes="wm-slice",
            )
            for name in PLANE_NAMES
        ]  # fmt: skip
    gr.Markdown("A plane's first axis runs to the right, its second one up.", elem_classes="wm-note")
    return _Planes(which, colours, channel), pictures, gr.HTML(elem_id="plane-legend")


def _plane_values(bench: TriplaneBench, folder: str, gains: Gains, sight: Sequence[Any]) -> list[Any]:
    """Three pictures and their legend."""
    which, colours, channel = sight
    values = band_arrays(bench.bands(folder), gains, which)
    pictures, limit = plane_pictures(values, int(channel) if colours == "channel" else None)
    if limit is None:
        return [*pictures, '<p class="wm-note">The same components and stretch for all three planes.</p>']
    return [*pictures, legend(f"Channel {int(channel)}", f"−{limit:.3g}", "0", f"+{limit:.3g}")]


def _mesh_file(studio: Studio, bench: TriplaneBench, folder: str | None, *gains: Number) -> str | None:
    if folder is None:
        return None
    path = Path(new_result_folder(studio.workspace)) / "edited-triplane.glb"
    path.write_bytes(mesh_bytes(bench.mesh(folder, gains_of(gains)), ".glb"))
    return str(path)


def _add_api(decoder: PlaneDecoder) -> None:
    """Add the endpoint "render_triplane" to the current Blocks; nothing of it is seen on the page."""
    with gr.Column(visible=False):
        bundle = gr.File(label="Run bundle (.zip) of the method triplane", type="filepath")
        gains = [gr.Number(1.0, label=f"Gain of {name}") for name in BAND_NAMES]
        azimuth = gr.Number(30.0, label="Azimuth in degrees")
        elevation = gr.Number(20.0, label="Elevation in degrees")
        size = gr.Number(FINE_SIDE, label="Pixels on a side, 16 to 512", precision=0)
        picture = gr.Image(label="Picture", format="png")
        button = gr.Button("Render triplane")

    @refused
    def render_triplane(
        bundle: str | None,
        ll: Number,
        lh: Number,
        hl: Number,
        hh: Number,
        azimuth: Number,
        elevation: Number,
        size: Number,
    ) -> Any:
        """Render a finished triplane run from any side, its bands scaled by gains; no diffusion is run.

        Args:
            bundle: The run bundle (.zip) that the endpoint generate gave back for the method triplane.
            ll: Gain of the coarse band.
            lh: Gain of the horizontal details.
            hl: Gain of the vertical details.
            hh: Gain of the diagonal details.
            azimuth: In degrees; 0 is the front.
            elevation: In degrees, -90 to 90.
            size: Pixels on a side, 16 to 512.

        Returns:
            The picture.
        """
        from wavemesh.pipelines.bundle import read_bundle

        if not bundle:
            raise InputError("A run bundle is needed: the .zip that the endpoint generate gives back.")
        if not 16 <= size <= 512:
            raise InputError(f"The picture must be 16 to 512 pixels wide, not {size}.")
        record = read_bundle(bundle)
        bench = TriplaneBench(lambda _: record, decoder)
        return bench.render("", gains_of([ll, lh, hl, hh]), azimuth, elevation, int(size))

    button.click(
        render_triplane, [bundle, *gains, azimuth, elevation, size], picture, api_name="render_triplane",
        concurrency_limit=2, concurrency_id="bench",
    )  # fmt: skip
