"""Edits as sliders and programs describe them."""

from __future__ import annotations

from typing import Any

import pytest

from wavemesh.errors import InputError
from wavemesh.ui.wavelets.edit import Edit, band_gains, edit_by_names
from wavemesh.wavelets.bands import BANDS, Band


def test_group_and_single_gains_multiply() -> None:
    gains = dict(zip(BANDS, band_gains((2.0, 0.5, 3.0), [float(k) for k in range(14)]), strict=True))
    assert gains[BANDS[0]] == 2.0
    assert gains[BANDS[3]] == 0.5 * 2
    assert gains[Band(1, "aad")] == 3.0 * 7


def test_a_program_names_what_it_changes() -> None:
    edit = edit_by_names({"1 ddd": 0, "2 aaa": 1.5}, 0, "soft", [1, 2, 1], [])
    gains = dict(zip(BANDS, edit.gains, strict=True))
    assert (gains[Band(1, "ddd")], gains[Band(2, "aaa")], gains[Band(2, "ddd")]) == (0.0, 1.5, 1.0)
    assert (edit.threshold_mode, edit.muted, edit.taken) == ("soft", (1, 2), ())
    assert edit_by_names({}, 0.0, "hard", [], []) == Edit()


@pytest.mark.parametrize(
    "gains, said", [(["x"], "object"), ({"3 ddd": 1}, "3 ddd"), ({"1 ddd": "2"}, "'2'"), ({"1 ddd": True}, "True")]
)
def test_gains_that_a_program_gets_wrong(gains: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        edit_by_names(gains, 0.0, "hard", [], [])


@pytest.mark.parametrize("levels", [[3], "1", None])
def test_levels_that_a_program_gets_wrong(levels: Any) -> None:
    with pytest.raises(InputError, match="Levels are a list"):
        edit_by_names({}, 0.0, "hard", levels, [])
