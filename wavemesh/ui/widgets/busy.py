"""Buttons whose work takes a while: they show it at once and cannot be pressed again until it is done."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import gradio as gr

WORKING = "Working…"
# A button that must not be pressed for a while, as the browser's own part of an event.
HELD, FREED = (f"() => ({json.dumps({'__type__': 'update', 'interactive': able})})" for able in (False, True))
# Before gradio hears of a click, which can take longer than a person waits for a sign. Once on the page.
WATCH_CLICKS = """
document.addEventListener('click', (event) => {
  const button = event.target.closest?.('.wm-slow');
  if (!button) return;
  if (button.ariaBusy === 'true') event.stopImmediatePropagation();
  else button.ariaBusy = 'true';
}, true);
"""


def click_shown(button: gr.Button, handler: Callable[..., Any], inputs: Any, outputs: Any, **options: Any) -> Any:
    """The event of a click, as `button.click` gives it; the button, which has an elem_id, shows that work goes on.

    Its look comes back when the handler has ended, in whatever way. The page needs `WATCH_CLICKS`.
    """
    button.elem_classes = [*button.elem_classes, "wm-slow"]
    busy, idle = (
        {"__type__": "update", "value": words, "interactive": words != WORKING} for words in (WORKING, button.value)
    )
    button.click(None, None, button, js=f"() => ({json.dumps(busy)})", api_visibility="private")
    event = button.click(handler, inputs, outputs, **options)
    look = f"() => {{ document.querySelector('#{button.elem_id}').ariaBusy = 'false'; return {json.dumps(idle)}; }}"
    event.then(None, None, button, js=look, api_visibility="private")
    return event
