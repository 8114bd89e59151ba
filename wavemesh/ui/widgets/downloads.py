"""Buttons whose file is only written when it is wanted, in one click."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr

from wavemesh.ui.widgets.notices import explained


def download_on_demand(label: str, write: Callable[..., str | None], inputs: Sequence[Any], elem_id: str) -> gr.Button:
    """A button that calls `write` with the inputs' values and saves the file whose path comes back (None: nothing).

    gradio's own DownloadButton has its file before it is clicked; so a hidden one is filled and then clicked.
    """
    button = gr.Button(label, size="md", min_width=64, elem_id=elem_id)
    hidden = gr.DownloadButton(label, visible="hidden", elem_id=f"{elem_id}-file")

    @explained(1)
    def prepare(*values: Any) -> Any:
        path = write(*values)
        return gr.skip() if path is None else gr.update(value=path)

    # The address of the file reaches the page a moment after the event has ended.
    press = f"() => setTimeout(() => document.querySelector('#{elem_id}-file')?.click(), 150)"
    button.click(prepare, list(inputs), hidden, api_visibility="private", show_progress="hidden").success(
        None, js=press, api_visibility="private"
    )
    return button
