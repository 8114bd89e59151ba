"""The runs of a visit, as a browser tells of them."""

from __future__ import annotations

from typing import Any

import pytest

from wavemesh.ui.generate.visit import told_ids
from wavemesh.ui.runs import MAX_KEPT


@pytest.mark.parametrize(
    ("told", "found"),
    [
        (["a", "b"], ["a", "b"]),
        (["a", 3, None, {}], ["a"]),
        ("ab", []),
        (None, []),
        (["x"] * (MAX_KEPT + 5), ["x"] * MAX_KEPT),
    ],
)
def test_only_ids_are_taken(told: Any, found: list[str]) -> None:
    assert told_ids(told) == found
