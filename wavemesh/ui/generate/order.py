"""Which side of the object each picture shows, and the order of the pictures."""

from __future__ import annotations

import gradio as gr

from wavemesh.geometry.frame import SIDES, Side

UNKNOWN = "unknown"
_CHOICES = [("Unknown", UNKNOWN), *((side.capitalize(), side) for side in SIDES)]

# A picture that is dropped on another card takes its place. Pointers, since a picture inside a button cannot be dragged
# natively everywhere. A finger scrolls; for it and for the keyboard there are buttons.
_DRAG = """
const at = (node) => [...document.querySelectorAll('.wm-card')].indexOf(node?.closest?.('.wm-card'));
let source = -1;
document.addEventListener('pointerdown', (e) => { source = e.target.closest?.('.wm-card img') ? at(e.target) : -1; });
document.addEventListener('dragstart', (e) => { if (source >= 0) e.preventDefault(); });
document.addEventListener('pointercancel', () => { source = -1; });
document.addEventListener('pointerup', (e) => {
  const place = at(document.elementFromPoint(e.clientX, e.clientY));
  if (source >= 0 && place >= 0 && place !== source) trigger('input', {source, place});
  source = -1;
});
"""


def build_side(number: int) -> gr.Dropdown:
    """The choice of the side that a picture shows."""
    return gr.Dropdown(_CHOICES, value=UNKNOWN, label="Seen from", filterable=False, elem_id=f"side-{number}")


def build_drag() -> gr.HTML:
    """Nothing to see; its event `input` carries `source` and `place`, from where and to where a card was dragged."""
    return gr.HTML("<i></i>", js_on_load=_DRAG, elem_id="drag-cards")


def chosen_side(value: str | None) -> Side | None:
    """What the choice says."""
    return next((side for side in SIDES if side == value), None)
