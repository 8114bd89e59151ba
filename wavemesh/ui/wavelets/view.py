"""The tab "Wavelets": look into the bands of a finished run, change them, and see at once what becomes of the shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import gradio as gr

from wavemesh.ui.bench_api import add_wavelet_api
from wavemesh.ui.export import export_mesh
from wavemesh.ui.pictures import Number
from wavemesh.ui.studio import Studio
from wavemesh.ui.wavelets.content import (
    Comparison,
    Edit,
    WaveletBench,
    band_gains,
    energy_html,
    slice_pictures,
    strongest_sites,
)
from wavemesh.ui.wavelets.layout import (
    EMPTY,
    build_controls,
    build_help,
    build_looks,
    build_pictures,
    subbands,
)
from wavemesh.ui.widgets.colours import legend
from wavemesh.ui.widgets.downloads import download_on_demand
from wavemesh.ui.widgets.finished import let_go
from wavemesh.ui.widgets.notices import explained
from wavemesh.ui.widgets.plots import points_plot
from wavemesh.ui.workspace import KEPT_S, new_result_folder
from wavemesh.wavelets.bands import BANDS, Band

_PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
# Decoding shares the processor with the model; what comes faster than it is done is worth only its last.
_BUSY: dict[str, Any] = {"concurrency_limit": 2, "concurrency_id": "bench", "trigger_mode": "always_last"}


class _Opened(NamedTuple):
    """What the tab shows: a run, an edit of it, and the run that details were taken from."""

    folder: str
    edit: Edit = Edit()
    other: str | None = None


def wavelet_tab(studio: Studio, finished_run: gr.State) -> None:
    """Build the tab inside the current Tabs and wire it; finished_run holds the folder of the last run's record."""
    bench = WaveletBench(studio.record)
    with gr.Tab("Wavelets", id="wavelets") as tab:
        opened = gr.State(None, time_to_live=KEPT_S)
        runs = gr.State([], time_to_live=KEPT_S)
        empty = gr.HTML(EMPTY)
        with gr.Column(visible=False) as body:
            build_help()
            with gr.Row():
                with gr.Column(scale=4, min_width=330):
                    controls, reset, saving = build_controls()
                with gr.Column(scale=8, min_width=330):
                    pictures, azimuth, elevation = build_pictures()
                    looks = build_looks()
            with gr.Row():
                with gr.Column(min_width=330):
                    gr.HTML('<p class="wm-step">Energy per band</p>')
                    gr.Markdown(
                        "Sum of squared coefficients, on a logarithmic scale; grey before, blue after the edit.",
                        elem_classes="wm-note",
                    )
                    energy = gr.HTML(elem_id="energy")
                with gr.Column(min_width=330):
                    gr.HTML('<p class="wm-step">Sites with fine details</p>')
                    gr.Markdown(
                        "The strongest 8,000; drag to turn. The view stays while you edit.", elem_classes="wm-note"
                    )
                    sites = gr.Plot(show_label=False, label="Sites with fine details", elem_id="sites")
    view = [azimuth, elevation]
    sights = [looks.which, looks.level, looks.key, *looks.positions]
    shown = [opened, *pictures, *looks.slices, looks.legend, energy, sites]

    def show(now: _Opened, angles: Sequence[Number], sight: Sequence[Any]) -> list[Any]:
        """Values for `shown`."""
        comparison = bench.comparison(*now)
        coefficients = comparison.after.coefficients
        plot = points_plot(*strongest_sites(coefficients), "strength")
        table = energy_html(comparison.before.coefficients, coefficients if now.edit != Edit() else None)
        return [now, *_changed(comparison, angles), *_slices(comparison, sight), table, plot]

    @explained(len(shown) + len(controls.flat()) + 3)
    def open_run(folder: str | None, now: _Opened | None, known: list[tuple[str, str]], *values: Any) -> list[Any]:
        """Show another run, unedited; nothing to do where it is open already."""
        if folder is None or (now is not None and now.folder == folder):
            return [gr.skip()] * (len(shown) + len(controls.flat()) + 3)
        known = _with_run(known, folder, studio)
        if studio.record(folder).coefficients is None:
            note = EMPTY.replace("No run to inspect yet.", "The last run was one of the triplane.")
            return [known, gr.update(value=note, visible=True), gr.update(visible=False)] + [gr.skip()] * (
                len(shown) + len(controls.flat())
            )
        neutral = controls.neutral()
        neutral[-2] = gr.update(choices=[run for run in known if run[1] != folder], value=None)
        shows = show(_Opened(folder), values[:2], values[2:])
        return [known, gr.update(visible=False), gr.update(visible=True), *neutral, *shows]

    @explained(len(shown))
    def edit(now: _Opened | None, *values: Any) -> list[Any]:
        if now is None:
            return [gr.skip()] * len(shown)
        count = len(controls.flat())
        wanted, other = _edit_of(values[:count])
        return show(_Opened(now.folder, wanted, other), values[count : count + 2], values[count + 2 :])

    @explained(len(shown))
    def undo(now: _Opened | None, *values: Any) -> list[Any]:
        return [gr.skip()] * len(shown) if now is None else show(_Opened(now.folder), values[:2], values[2:])

    def turner(rough: bool) -> Any:
        @explained(3)
        def turn(now: _Opened | None, azimuth_deg: Number, elevation_deg: Number) -> list[Any]:
            if now is None:
                return [gr.skip()] * 3
            return list(bench.comparison(*now).pictures(azimuth_deg, elevation_deg, rough=rough))

        return turn

    @explained(4)
    def look(now: _Opened | None, *sight: Any) -> list[Any]:
        return [gr.skip()] * 4 if now is None else _slices(bench.comparison(*now), sight)

    def choose_level(level: int, key: str) -> Any:
        choices = subbands(level)
        keys = [choice[1] for choice in choices]
        return gr.update(choices=choices, value=key if key in keys else keys[0])

    def write(now: _Opened | None) -> str | None:
        if now is None:
            return None
        mesh = bench.comparison(*now).after.mesh
        return export_mesh(mesh, new_result_folder(studio.workspace), "edited-mesh")[".glb"]

    forget, gone = let_go(empty, body, opened, EMPTY)
    tab.select(
        open_run,
        [finished_run, opened, runs, *view, *sights],
        [runs, empty, body, *controls.flat(), *shown],
        **_PRIVATE,
    ).then(forget, finished_run, gone, **_PRIVATE)
    finished_run.change(forget, finished_run, gone, **_PRIVATE)
    # While a slider moves as well: what comes while a shape is decoded waits, and only its last is done.
    for control in controls.flat():
        control.input(edit, [opened, *controls.flat(), *view, *sights], shown, **_PRIVATE, **_BUSY)
    reset.click(controls.neutral, None, controls.flat(), **_PRIVATE).then(
        undo, [opened, *view, *sights], shown, **_PRIVATE, **_BUSY
    )
    for angle in view:
        angle.input(turner(True), [opened, *view], list(pictures[:3]), **_PRIVATE, **_BUSY)
        angle.release(turner(False), [opened, *view], list(pictures[:3]), **_PRIVATE, **_BUSY)
    for picker in (looks.which, looks.key, *looks.positions):
        picker.input(look, [opened, *sights], [*looks.slices, looks.legend], **_PRIVATE, **_BUSY)
    looks.level.input(choose_level, [looks.level, looks.key], looks.key, **_PRIVATE).then(
        look, [opened, *sights], [*looks.slices, looks.legend], **_PRIVATE, **_BUSY
    )
    with saving:
        download_on_demand("Edited mesh (.glb)", write, [opened], "save-edit")
    with tab:
        add_wavelet_api(studio)


def _changed(comparison: Comparison, angles: Sequence[Number]) -> list[Any]:
    """Values for `Pictures`."""
    limit = f"{comparison.limit:.3f}"
    scale = legend("Change of the surface (the object is 1.8 long)", f"−{limit} removed", "same", f"+{limit} added")
    return [*comparison.pictures(angles[0], angles[1]), scale, comparison.facts]


def _slices(comparison: Comparison, sight: Sequence[Any]) -> list[Any]:
    """Three pictures and their legend."""
    which, level, key, *positions = sight
    coefficients = (comparison.before if which == "before" else comparison.after).coefficients
    band = Band(int(level), key)
    if band not in BANDS:  # the level was just changed, and the subband is about to follow
        band = Band(int(level), subbands(int(level))[0][1])
    pictures, limit = slice_pictures(coefficients, band, positions)
    return [*pictures, legend(f"Coefficients of band {band.label}", f"−{limit:.3g}", "0", f"+{limit:.3g}")]


def _edit_of(values: Sequence[Any]) -> tuple[Edit, str | None]:
    """The edit that the controls describe, and the folder of the other run."""
    *gains, threshold, mode, muted, other, taken = values
    edit = Edit(
        band_gains(gains[:3], gains[3:]),
        float(threshold),
        mode,
        tuple(sorted(int(level) for level in muted)),
        tuple(sorted(int(level) for level in taken)),
    )
    return edit, other or None


def _with_run(known: list[tuple[str, str]], folder: str, studio: Studio) -> list[tuple[str, str]]:
    """The runs of the visit as choices, newest last; only those whose coefficients can be exchanged."""
    record = studio.record(folder)
    if record.coefficients is None or any(run[1] == folder for run in known):
        return known
    return [*known, (f"Run {len(known) + 1}, seed {record.settings.seed}", folder)]
