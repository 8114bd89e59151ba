"""What the tabs that look at a finished run share: the words where there is none, and letting go of an earlier one.

The page's state `finished_run` is the folder of the run whose mesh the tab Generate shows. It is None before the first
run, and again when an example or other pictures take the run's place: then no tab may show the earlier object.
"""

from __future__ import annotations

import html
from typing import Any

import gradio as gr


def nothing_to_inspect(what: str, small: bool = True) -> str:
    """HTML for a tab without a run. what: what a run would bring there, as a sentence."""
    css = "wm-empty wm-empty-small" if small else "wm-empty"
    return (
        f'<div class="{css}"><div><p>No run to inspect yet.</p><p class="wm-note">Make a mesh in the tab Generate. '
        f"{html.escape(what)} The mesh of an example was made earlier: generate it anew to inspect it.</p></div></div>"
    )


def let_go(empty: gr.HTML, body: gr.Column, opened: gr.State | None, words: str) -> tuple[Any, list[Any]]:
    """A handler of `finished_run` that empties a tab where there is no run any more, and its outputs.

    empty: shown then, with these words. body: hidden then. opened: what the tab has open, if it keeps that; None then.
    """
    outputs = [empty, body, *([] if opened is None else [opened])]

    def forget(folder: str | None) -> list[Any]:
        if folder is not None:
            return [gr.skip()] * len(outputs)
        return [gr.update(value=words, visible=True), gr.update(visible=False), None][: len(outputs)]

    return forget, outputs
