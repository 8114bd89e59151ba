"""The tab "Wavelets": look into the bands of a finished run, change them, and see at once what becomes of the shape."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from wavemesh.files import write_bytes
from wavemesh.geometry.export import measured_glb, mesh_bytes
from wavemesh.ui.studio import Studio
from wavemesh.ui.viewer.component import Before, build_viewer, seen
from wavemesh.ui.wavelets.content import (
    Comparison,
    WaveletEditor,
    energy_html,
    slice_pictures,
    strongest_sites,
)
from wavemesh.ui.wavelets.edit import Edit
from wavemesh.ui.wavelets.layout import BandSlices, EditControls, subbands
from wavemesh.ui.widgets.downloads import download_on_demand
from wavemesh.ui.widgets.events import PRIVATE, TOOLS, Updates, Values
from wavemesh.ui.widgets.finished import nothing_to_inspect
from wavemesh.ui.widgets.notices import explained
from wavemesh.ui.widgets.plots import points_plot
from wavemesh.ui.widgets.slices import limit_legend
from wavemesh.ui.widgets.subject import Subject, looks_at
from wavemesh.ui.workspace import KEPT_S, new_result_folder

_HELP = """A run ends with the **wavelet coefficients** of a signed distance field: an approximation at 32³, and the
details that turn it into 64³ (level 2) and then into 128³ (level 1, kept only at the sites near the surface). A band's
name says what it holds along x, y and z: **a** is the smooth part, **d** the detail. So *dad* changes along x and z
and is smooth along y."""
_NAME = "Wavelets"
_WORDS = "Its wavelet coefficients can be seen and changed here."
_EMPTY = nothing_to_inspect(_WORDS)
_OTHER_METHOD = nothing_to_inspect(_WORDS, reason="The last run was one of the triplane.")


class _Opened(NamedTuple):
    """What the tab shows: a run, an edit of it, and the run that details were taken from."""

    folder: str
    edit: Edit = Edit()
    other: str | None = None


def wavelet_tab(studio: Studio, subject: Subject) -> None:
    """Build the tab inside the current Tabs and wire it."""
    with gr.Tab(_NAME, id="wavelets"):
        _WaveletTab(studio, subject).wire()


class _WaveletTab:
    """The components, and what happens when a person uses them."""

    def __init__(self, studio: Studio, subject: Subject) -> None:
        self.studio, self.subject, self.finished_run = studio, subject, subject.finished_run
        self.editor = WaveletEditor(studio.record)
        self.opened = gr.State(None, time_to_live=KEPT_S)
        self.runs = gr.State([], time_to_live=KEPT_S)  # those of the visit, as choices
        self.empty = gr.HTML(_EMPTY)
        with gr.Column(visible=False) as self.body:
            gr.Markdown(_HELP, elem_classes="wm-note")
            with gr.Row():
                with gr.Column(scale=4, min_width=330):
                    self.controls = EditControls()
                    with gr.Row():
                        self.reset = gr.Button("Undo all edits", elem_id="reset-edit", size="md")
                        download_on_demand("Edited mesh (.glb)", self.mesh_file, [self.opened], "save-edit")
                with gr.Column(scale=8, min_width=330):
                    self.viewer = build_viewer("The edited shape", "edit-mesh")
                    self.facts = gr.Markdown(elem_classes="wm-note", elem_id="edit-facts")
                    self.slices = BandSlices()
            with gr.Row():
                with gr.Column(min_width=330):
                    gr.HTML('<p class="wm-step">Energy per band</p>')
                    gr.Markdown(
                        "Sum of squared coefficients, on a logarithmic scale; grey before, blue after the edit.",
                        elem_classes="wm-note",
                    )
                    self.energy = gr.HTML(elem_id="energy")
                with gr.Column(min_width=330):
                    gr.HTML('<p class="wm-step">Sites with fine details</p>')
                    gr.Markdown(
                        "The strongest 8,000; drag to turn. The view stays while you edit.", elem_classes="wm-note"
                    )
                    self.sites = gr.Plot(show_label=False, label="Sites with fine details", elem_id="sites")

    def wire(self) -> None:
        """Let the components act."""
        controls, slices = self.controls, self.slices
        asked = {self.opened} | slices.pickers
        shown = {self.opened, self.energy, self.sites, self.viewer, self.facts} | slices.shown
        opening: dict[str, Any] = {
            "fn": self.open_run,
            "inputs": asked | {self.finished_run, self.subject.place, self.runs},
            "outputs": shown | controls.components | {self.runs, self.empty, self.body},
            **PRIVATE,
        }
        # Again, as another run may have taken this one's place meanwhile.
        gr.on(self.subject.changes, **opening).then(**opening)
        # While a slider moves as well: what comes while a shape is decoded waits, and only its last is done.
        for control in controls.components:
            control.input(self.show_edit, asked | controls.components, shown, **TOOLS)
        self.reset.click(controls.neutral, None, controls.components, **PRIVATE).then(self.undo, asked, shown, **TOOLS)
        look = {"fn": self.show_slices, "inputs": {self.opened} | slices.pickers, "outputs": slices.shown, **TOOLS}
        for picker in slices.pickers - {slices.level}:
            picker.input(**look)
        slices.level.input(self.choose_level, {slices.level, slices.key}, slices.key, **PRIVATE).then(**look)

    @explained
    def open_run(self, values: Values) -> Updates:
        """Show another run, unedited; nothing to do where it is open already, or nobody looks."""
        folder, now = values[self.finished_run], values[self.opened]
        if folder is None:
            return self._nothing(_EMPTY)
        if (now is not None and now.folder == folder) or not looks_at(values[self.subject.place], _NAME):
            return gr.skip()
        if self.studio.record(folder).coefficients is None:
            return self._nothing(_OTHER_METHOD)
        runs = self._with_run(values[self.runs], folder)
        return {
            self.runs: runs,
            self.empty: gr.update(visible=False),
            self.body: gr.update(visible=True),
            **self.controls.neutral(),
            self.controls.other: gr.update(choices=[run for run in runs if run[1] != folder], value=None),
            **self._updates(_Opened(folder), values),
        }

    @explained
    def show_edit(self, values: Values) -> Updates:
        """The run as the controls say."""
        now = values[self.opened]
        if now is None:
            return gr.skip()
        edited = _Opened(now.folder, self.controls.edit(values), values[self.controls.other] or None)
        return self._updates(edited, values)

    @explained
    def undo(self, values: Values) -> Updates:
        """The run as it was."""
        now = values[self.opened]
        return gr.skip() if now is None else self._updates(_Opened(now.folder), values)

    @explained
    def show_slices(self, values: Values) -> Updates:
        """Other slices of the same coefficients."""
        now = values[self.opened]
        return gr.skip() if now is None else self._slices(self.editor.comparison(*now), values)

    def choose_level(self, values: Values) -> Updates:
        """The subbands of another level."""
        band = self.slices.band(values)
        return {self.slices.key: gr.update(choices=subbands(band.level), value=band.key)}

    def mesh_file(self, now: _Opened | None) -> str | None:
        """The path of the edited mesh."""
        if now is None:
            return None
        mesh = self.editor.comparison(*now).after.mesh
        path = new_result_folder(self.studio.workspace) / "edited-mesh.glb"
        path.write_bytes(mesh_bytes(mesh, ".glb"))
        return str(path)

    def _updates(self, now: _Opened, values: Values) -> Updates:
        """All that shows a run and its edit."""
        comparison = self.editor.comparison(*now)
        before, after = comparison.before.coefficients, comparison.after.coefficients
        return {
            self.opened: now,
            self.viewer: self._seen(now, comparison),
            self.facts: comparison.facts,
            **self._slices(comparison, values),
            self.energy: energy_html(before, after if now.edit != Edit() else None),
            self.sites: points_plot(*strongest_sites(after), "strength"),
        }

    def _nothing(self, words: str) -> Updates:
        """There is no run, or none that can be shown."""
        notice = gr.update(value=words, visible=True)
        return {self.opened: None, self.empty: notice, self.body: gr.update(visible=False)}

    def _seen(self, now: _Opened, comparison: Comparison) -> dict[str, Any]:
        """The value of the viewer: the shape, and where it was edited its change and the shape before."""
        first = self.studio.record(now.folder).first_view
        # Once for each run: the viewer need not fetch it again.
        decoded = Path(now.folder) / "decoded.glb"
        if not decoded.exists():
            write_bytes(decoded, mesh_bytes(comparison.before.mesh, ".glb"))
        if comparison.before is comparison.after:
            return seen(decoded, first, now.folder)
        measure = comparison.measure
        edited = new_result_folder(self.studio.workspace) / "edited.glb"
        edited.write_bytes(measured_glb(comparison.after.mesh, {measure.key: comparison.change}))
        return seen(edited, first, now.folder, before=Before(decoded), measures=[measure])

    def _slices(self, comparison: Comparison, values: Values) -> Updates:
        shown = comparison.before if values[self.slices.which] == "before" else comparison.after
        band = self.slices.band(values)
        positions = [values[position] for position in self.slices.positions]
        pictures, limit = slice_pictures(shown.coefficients, band, positions)
        return {
            **dict(zip(self.slices.pictures, pictures, strict=True)),
            self.slices.legend: limit_legend(f"Coefficients of band {band.label}", limit),
        }

    def _with_run(self, runs: list[tuple[str, str]], folder: str) -> list[tuple[str, str]]:
        """The runs of the visit as choices, newest last."""
        if any(run[1] == folder for run in runs):
            return runs
        return [*runs, (f"Run {len(runs) + 1}, seed {self.studio.record(folder).settings.seed}", folder)]
