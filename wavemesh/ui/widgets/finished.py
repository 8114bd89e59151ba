"""What the tabs that look at a finished run share: the words where there is none, and letting go of an earlier one.

The page's state `finished_run` is the folder of the run whose mesh the tab Generate shows. It is None before the first
run, and again when an example or other pictures take the run's place: then no tab may show the earlier object.
"""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import Any

import gradio as gr

from wavemesh.ui.widgets.events import Updates

_NO_RUN = "No run to inspect yet."


def nothing_to_inspect(what: str, small: bool = True, reason: str = _NO_RUN) -> str:
    """HTML for a tab without a run. what: what a run would bring there, as a sentence. reason: why there is nothing."""
    css = "wm-empty wm-empty-small" if small else "wm-empty"
    return (
        f'<div class="{css}"><div><p>{html.escape(reason)}</p><p class="wm-note">Make a mesh in the tab Generate. '
        f"{html.escape(what)} The mesh of an example was made earlier: press Generate to inspect it.</p></div></div>"
    )


def let_go(
    empty: gr.HTML, body: gr.Column, opened: gr.State | None, words: str
) -> tuple[Callable[[str | None], Updates], list[Any]]:
    """A handler of `finished_run` that empties a tab where there is no run any more, and its outputs.

    empty: shown then, with these words. body: hidden then. opened: what the tab has open, if it keeps that; None then.
    """
    kept = [] if opened is None else [opened]

    def forget(folder: str | None) -> Updates:
        if folder is not None:
            return gr.skip()
        # New updates for every call: what gradio has sent has lost its value.
        gone = {empty: gr.update(value=words, visible=True), body: gr.update(visible=False)}
        return {**gone, **dict.fromkeys(kept)}

    return forget, [empty, body, *kept]
