"""Which side of the object each picture shows, and the order of the pictures."""

from __future__ import annotations

import gradio as gr

from wavemesh.geometry.frame import SIDES, Side

UNKNOWN = "unknown"
_CHOICES = [("Unknown", UNKNOWN), *((side.capitalize(), side) for side in SIDES)]

# A picture that is dropped on another card takes its place. Where there is nothing to drag with, buttons do the same.
_DRAG = """
const row = document.querySelector('.wm-cards');
const at = (e) => [...row.querySelectorAll('.wm-card')].indexOf(e.target.closest?.('.wm-card'));
let source = -1;
row.addEventListener('dragstart', (e) => { source = at(e); });
row.addEventListener('dragend', () => { source = -1; });
row.addEventListener('dragover', (e) => { if (source >= 0 && at(e) >= 0) e.preventDefault(); });
row.addEventListener('drop', (e) => {
  if (source < 0 || at(e) < 0) return;
  e.preventDefault();
  e.stopPropagation();
  if (at(e) !== source) trigger('input', {source, target: at(e)});
  source = -1;
});
"""


def build_side(number: int) -> gr.Dropdown:
    """The choice of the side that a picture shows."""
    return gr.Dropdown(_CHOICES, value=UNKNOWN, label="Seen from", filterable=False, elem_id=f"side-{number}")


def build_drag() -> gr.HTML:
    """Nothing to see; its event `input` carries `source` and `target`, places (from 0) of a card that was dragged."""
    return gr.HTML("", js_on_load=_DRAG, elem_id="drag-cards")


def chosen_side(value: str | None) -> Side | None:
    """What the choice says."""
    return next((side for side in SIDES if side == value), None)
