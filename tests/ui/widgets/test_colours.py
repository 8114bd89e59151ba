"""Colours of numbers: which way a scale goes, and which way a slice lies."""

from __future__ import annotations

import numpy as np
import pytest

from wavemesh.ui.widgets.colours import diverging, legend, sequential
from wavemesh.ui.widgets.slices import cells_picture, colour_limit, limit_legend, upright


def test_scales_and_their_legend() -> None:
    low, middle, high = diverging(np.array([-1.0, 0.0, 1.0]), 1.0)
    assert low[2] > low[0]
    assert high[0] > high[2]
    assert middle.tolist() == [233, 233, 233]
    assert diverging(np.array([9.0, np.nan]), 1.0).shape == (2, 3)
    lightness = sequential(np.linspace(0, 1, 9), 0.0, 1.0).astype(int) @ [2, 7, 1]
    assert (np.diff(lightness) > 0).all()
    shown = legend("<b>", "low", "0", "high")
    assert "&lt;b&gt;" in shown
    assert "<b>" not in shown


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slices_lie_as_a_person_looks(axis: int) -> None:
    axes = [0, 1, 2]
    axes.remove(axis)
    values = np.zeros((8, 8))
    values[tuple({0: -4, 1: 6, 2: 7}[each] for each in axes)] = 1.0  # x in the middle, y towards the top, z in front
    row, column = np.argwhere(upright(values, axis))[0]
    # (row, column) from the top left: z to the right, y up; x to the right, z down; x to the right, y up.
    assert (row, column) == [(1, 7), (7, 4), (1, 4)][axis]


def test_cells_stay_squares_and_the_largest_do_not_set_the_scale() -> None:
    values = np.full((100, 100), 0.5)
    values[3, 4] = 1000.0
    assert colour_limit(values) == 0.5
    assert colour_limit(np.zeros((2, 2))) > 0
    picture = cells_picture(values[:32, :32], 1.0)
    assert picture.shape == (256, 256, 3)
    assert (picture[:8, :8] == picture[0, 0]).all()
    assert "−0.5" in limit_legend("Band", 0.5)
