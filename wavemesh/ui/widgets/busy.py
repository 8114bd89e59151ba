"""Buttons whose work takes a while: they show it at once and cannot be pressed again until it is done."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import gradio as gr

WORKING = "Working…"


def click_shown(button: gr.Button, handler: Callable[..., Any], inputs: Any, outputs: Any, **options: Any) -> Any:
    """The event of a click, as `button.click` gives it; the button shows in the browser alone that work goes on.

    Its look comes back when the handler has ended, in whatever way.
    """
    button.click(None, None, button, js=_button(WORKING, False), api_visibility="private")
    event = button.click(handler, inputs, outputs, **options)
    event.then(None, None, button, js=_button(button.value, True), api_visibility="private")
    return event


def _button(words: Any, interactive: bool) -> str:
    update = {"__type__": "update", "value": words, "interactive": interactive}
    return f"() => ({json.dumps(update)})"
