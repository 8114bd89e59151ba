"""Buttons whose file is only written when it is wanted, in one click."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from typing import Any

import gradio as gr

from wavemesh.ui.widgets.busy import click_shown
from wavemesh.ui.widgets.events import PRIVATE
from wavemesh.ui.widgets.notices import explained


def download_on_demand(
    label: str, write: Callable[..., str | None], inputs: Sequence[Any] | Set[Any], elem_id: str
) -> gr.Button:
    """A button that calls `write` with the inputs' values and saves the file whose path comes back (None: nothing).

    inputs: components; of a set, `write` gets one `{component: value}`.
    gradio's own DownloadButton has its file before it is clicked; so a hidden one is filled and then clicked.
    """
    button = gr.Button(label, size="md", min_width=64, elem_id=elem_id)
    hidden = gr.DownloadButton(label, visible="hidden", elem_id=f"{elem_id}-file")

    @explained
    def prepare(*values: Any) -> Any:
        return write(*values) or gr.skip()

    # The address of the file reaches the page a moment after the event has ended.
    press = f"() => setTimeout(() => document.querySelector('#{elem_id}-file')?.click(), 150)"
    click_shown(button, prepare, inputs, hidden, **PRIVATE).success(None, js=press, api_visibility="private")
    return button
