"""How the page's events run, and what their handlers take and give.

A handler that names its components as a set gets the value of each: `{component: value}`. It gives back what changes,
`{component: value or gr.update(...)}`, and leaves all else as it is; `gr.skip()` changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

Values: TypeAlias = Mapping[Any, Any]
Updates: TypeAlias = dict[Any, Any]

PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
# One after the other: each sees what the one before has left in the session's states.
IN_TURN: dict[str, Any] = {**PRIVATE, "concurrency_limit": 1, "trigger_mode": "multiple"}
# What the tabs compute shares the processor with the model; of what comes faster than it is done, the last counts.
TOOLS: dict[str, Any] = {
    **PRIVATE, "concurrency_limit": 2, "concurrency_id": "tools", "trigger_mode": "always_last",
}  # fmt: skip
