"""What the tabs that look at a finished run say where there is none."""

from __future__ import annotations

import html

_NO_RUN = "No run to inspect yet."


def nothing_to_inspect(what: str, small: bool = True, reason: str = _NO_RUN) -> str:
    """HTML for a tab without a run. what: what a run would bring there, as a sentence. reason: why there is nothing."""
    css = "wm-empty wm-empty-small" if small else "wm-empty"
    return (
        f'<div class="{css}"><div><p>{html.escape(reason)}</p><p class="wm-note">Make a mesh in the tab Generate. '
        f"{html.escape(what)}</p></div></div>"
    )
