"""The editor of a cut-out, one for all pictures: click the object that is meant, brush what to keep and to remove.

It lies over the page while it is open. The painting itself is JavaScript; what a stroke does is `imaging.correction`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from wavemesh.ui.generate.cards import Cards
from wavemesh.ui.widgets.events import PRIVATE, Updates, Values
from wavemesh.ui.widgets.notices import explained, failures_told
from wavemesh.ui.workspace import KEPT_S

_SCRIPT = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")
# Only attributes of the template's elements follow the value, so the canvas keeps its listeners.
_SHEET = """<div class="wm-cutout-scroll"><div class="wm-cutout-sheet"><img src="${value}" alt="" draggable="false">
<canvas tabindex="0" role="application" aria-label="The picture. Arrow keys move a mark, Enter uses the tool there.">
</canvas></div></div>"""
_TOOLS = [("Pick the object", "object"), ("Keep", "keep"), ("Remove", "remove"), ("Move the view", "move")]
_ANSWERS = itertools.count()  # a part of each answer, as the page would not notice one that is equal to the last
_CLOSED = """(index) => {
  for (const each of document.querySelectorAll('.wm-under-editor')) {
    each.inert = false;
    each.classList.remove('wm-under-editor');
  }
  document.querySelector(`#edit-${index}`)?.focus();
}"""


class CutoutEditor(NamedTuple):
    """The editor. editing: what it has open, a state. place: the index of the card that it was opened from."""

    panel: gr.Column
    title: gr.Markdown
    tool: gr.Radio
    sheet: gr.HTML
    undo: gr.Button
    start_over: gr.Button
    done: gr.Button
    cancel: gr.Button
    editing: gr.State
    place: gr.Number


def build_cutout_editor() -> CutoutEditor:
    """The editor, closed."""
    editing = gr.State(None, time_to_live=KEPT_S)
    with gr.Column(visible=False, elem_id="cutout-editor", elem_classes="wm-cutout-editor") as panel:
        title = gr.Markdown(elem_classes="wm-note", elem_id="cutout-title")
        with gr.Row(elem_classes="wm-cutout-tools"):
            tool = gr.Radio(
                _TOOLS, value="object", label="Tool", interactive=True, elem_id="cutout-tool", scale=3, min_width=280
            )
            gr.Slider(
                4,
                80,
                24,
                step=2,
                label="Brush size",
                interactive=True,
                buttons=[],
                elem_id="cutout-brush",
                min_width=140,
            )
        sheet = gr.HTML("", html_template=_SHEET, js_on_load=_SCRIPT, elem_id="cutout-sheet")
        with gr.Row(elem_classes="wm-cutout-buttons"):
            gr.Button("Zoom in", size="sm", elem_id="cutout-zoom-in", min_width=70)
            gr.Button("Zoom out", size="sm", elem_id="cutout-zoom-out", min_width=70)
            undo = gr.Button("Undo", size="sm", elem_id="cutout-undo", min_width=70)
            start_over = gr.Button("Start over", size="sm", elem_id="cutout-restart", min_width=70)
            cancel = gr.Button("Cancel", size="sm", elem_id="cutout-cancel", min_width=70)
            done = gr.Button("Done", size="sm", variant="primary", elem_id="cutout-done", min_width=70)
        place = gr.Number(0, visible=False, precision=0)
    return CutoutEditor(panel, title, tool, sheet, undo, start_over, done, cancel, editing, place)


def wire_cutout_editor(editor: CutoutEditor, table: Cards) -> None:
    """Opening from the cards, strokes, undo, and both ways to close."""
    changed = {editor.editing, editor.sheet, editor.undo, editor.start_over}

    def stroke(given: Values, event: gr.EventData) -> Updates:
        from wavemesh.ui.generate.editing import strokes_of

        editing = given[editor.editing]
        if editing is None:
            return {editor.sheet: ""}
        with failures_told():
            for each in strokes_of(event._data):
                editing = editing.stroked(each)
        # Where nothing changed, too: the page waits for an answer before it sends the next stroke.
        return _showing(editor, editing)

    @explained
    def undo(given: Values) -> Updates:
        return _showing(editor, given[editor.editing].undone())

    @explained
    def start_over(given: Values) -> Updates:
        return _showing(editor, given[editor.editing].restarted())

    @explained
    def done(given: Values) -> Updates:
        pictures = given[editor.editing].put_back(table.placed(given), keeps_angles=not given[table.estimate])
        return {**table.showing(pictures, given[table.estimate]), **_closed(editor)}

    for index, card in enumerate(table.cards):
        outputs = {editor.panel, editor.title, editor.tool, editor.place, *changed}
        card.edit.click(_opened(editor, table, index), table.inputs, outputs, **PRIVATE)
    one_at_a_time: dict[str, Any] = {**PRIVATE, "concurrency_limit": 2, "concurrency_id": "cutout"}
    editor.sheet.input(stroke, {editor.editing}, changed, **one_at_a_time)
    editor.undo.click(undo, {editor.editing}, changed, **one_at_a_time)
    editor.start_over.click(start_over, {editor.editing}, changed, **one_at_a_time)
    closed = {editor.editing, editor.panel, editor.sheet}
    editor.done.click(done, {editor.editing, *table.inputs}, {*closed, *table.outputs}, **PRIVATE).then(
        None, editor.place, js=_CLOSED, api_visibility="private"
    )
    editor.cancel.click(lambda: _closed(editor), None, closed, **PRIVATE).then(
        None, editor.place, js=_CLOSED, api_visibility="private"
    )


def _opened(editor: CutoutEditor, table: Cards, index: int) -> Callable[[Values], Updates]:
    @explained
    def open_editor(given: Values) -> Updates:
        from wavemesh.ui.generate.editing import Editing  # brings OpenCV, which a page needs no sooner

        editing = Editing.of(given[table.pictures], index)
        help_line = (
            f"**{editing.picture.name}**: what is dimmed is cut away. Click the object that is meant, or brush over "
            "what to keep and what to remove."
        )
        return {
            editor.panel: gr.update(visible=True),
            editor.title: help_line,
            editor.tool: "object",
            editor.place: index,
            **_showing(editor, editing),
        }

    return open_editor


def _showing(editor: CutoutEditor, editing: Any) -> Updates:
    touched = len(editing.steps) > 1
    by_hand = editing.picture.cut_by == "hand"
    return {
        editor.editing: editing,
        editor.sheet: f"{editing.shown()}#{next(_ANSWERS)}",
        editor.undo: gr.update(interactive=touched),
        editor.start_over: gr.update(interactive=touched or by_hand),
    }


def _closed(editor: CutoutEditor) -> Updates:
    return {editor.editing: None, editor.panel: gr.update(visible=False), editor.sheet: ""}
