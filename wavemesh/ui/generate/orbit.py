"""A map of the cameras around the object, seen from above; the marks can be dragged round it.

The front is below and the right on the right, so going round to the right goes anticlockwise. A mark has the number and
the colour of its picture's card, and comes nearer to the middle the higher its camera stands.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import gradio as gr

from wavemesh.ui.pictures import Picture

_RADIUS = 92.0
_NEAREST = 34.0  # of a camera straight above: its mark leaves the object to be seen
_NAMES = (("front", 0, 119), ("right", 124, 4), ("back", 0, -111), ("left", -122, 4))
_HOW = "Cameras seen from above, the higher the nearer to the middle. Drag one, or move it with the arrow keys."

# A mark is turned about the middle, its number turned back. The map is drawn again when something else changes angles;
# its own dragging moves the mark here and tells the server in the end, which then moves slider and box.
_DRAG = """
const place = (mark, azimuth) => {
  const angle = Math.round(((azimuth + 180) % 360 + 360) % 360 - 180);
  mark.setAttribute('transform', `rotate(${-angle})`);
  mark.querySelector('.wm-upright').setAttribute('transform', `rotate(${angle} 0 ${mark.dataset.radius})`);
  mark.setAttribute('aria-valuenow', angle);
  mark.setAttribute('aria-valuetext', `azimuth ${angle}°`);
};
const tell = (mark) => trigger('input', {picture: +mark.dataset.picture, azimuth: +mark.getAttribute('aria-valuenow')});
const mark = (e) => e.target.closest?.('.wm-mark[tabindex]');
let held = null;
let middle = null;  // where it was when the drag began: cards may change their height meanwhile
element.addEventListener('pointerdown', (e) => {
  held = mark(e);
  if (!held) return;
  e.preventDefault();
  held.focus({preventScroll: true});
  const box = held.ownerSVGElement.getBoundingClientRect();
  middle = [box.left + box.width / 2, box.top + box.height / 2];
  element.setPointerCapture(e.pointerId);
});
element.addEventListener('pointermove', (e) => {
  if (!held) return;
  const [x, y] = [e.clientX - middle[0], e.clientY - middle[1]];
  if (Math.hypot(x, y) > 6) place(held, Math.atan2(x, y) * 180 / Math.PI);
});
for (const end of ['pointerup', 'pointercancel']) element.addEventListener(end, () => {
  if (held) tell(held);
  held = null;
});
element.addEventListener('keydown', (e) => {
  const turn = {ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 15, PageDown: -15}[e.key];
  if (!turn || !mark(e)) return;
  e.preventDefault();
  place(mark(e), +mark(e).getAttribute('aria-valuenow') + turn);
  tell(mark(e));
});
"""


def build_orbit() -> gr.HTML:
    """The map, hidden as long as no camera is known; its event `input` carries `picture` (from 0) and `azimuth`."""
    return gr.HTML(visible=False, js_on_load=_DRAG, elem_id="orbit-map", elem_classes="wm-map")


def orbit_html(pictures: Sequence[Picture], estimate: bool) -> str:
    """The map of these pictures, where something is known of a camera; empty where nothing is.

    estimate: whether cameras are estimated: what has only a side then stands there without a grip.
    """
    marks = "".join(_mark(number, picture, estimate) for number, picture in enumerate(pictures))
    if not marks:
        return ""
    names = "".join(f'<text x="{x}" y="{y}">{name}</text>' for name, x, y in _NAMES)
    how = f'<p class="wm-note">{_HOW}</p>' if "tabindex" in marks else ""
    return (
        '<div><svg viewBox="-146 -126 292 252" role="group" aria-label="Cameras around the object, seen from above">'
        f'<circle r="{_RADIUS}"/><rect x="-18" y="-18" width="36" height="36" rx="5"/><path d="M-18 18H18"/>'
        f"<g>{names}</g>{marks}</svg>{how}</div>"
    )


def _mark(number: int, picture: Picture, estimate: bool) -> str:
    """The mark of a picture's camera; empty where nothing is known of it."""
    known = not estimate or picture.found is not None
    if not known and picture.side is None:
        return ""
    azimuth, elevation = (round(angle) for angle in picture.angles)
    radius = round(_NEAREST + (_RADIUS - _NEAREST) * math.cos(math.radians(elevation)), 1)
    told = f"azimuth {azimuth}°, elevation {elevation}°"
    grip = (
        f'tabindex="0" role="slider" aria-valuemin="-180" aria-valuemax="180" aria-valuenow="{azimuth}" '
        f'aria-valuetext="{told}"'
        if known
        else 'role="img"'
    )
    words = told if known else f"the {picture.side}, still to be estimated"
    return (
        f'<g class="wm-mark wm-picture-{number}{"" if known else " wm-presumed"}" transform="rotate({-azimuth})" '
        f'data-picture="{number}" data-radius="{radius}" aria-label="Picture {number + 1}: {words}" {grip}>'
        f"<title>Picture {number + 1}: {words}</title>"
        f'<path d="M-7 {radius - 9} 0 {radius - 20} 7 {radius - 9}Z"/><circle cy="{radius}" r="13"/>'
        f'<g class="wm-upright" transform="rotate({azimuth} 0 {radius})"><text y="{radius + 4.5}">{number + 1}</text>'
        "</g></g>"
    )
