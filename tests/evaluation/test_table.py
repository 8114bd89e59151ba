"""Bootstrap and rows of tables."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wavemesh.errors import InputError
from wavemesh.evaluation.metrics import Scores
from wavemesh.evaluation.table import Estimate, bootstrap, make_row, markdown_table


def scores(value: float) -> Scores:
    return Scores(*[value] * 8)


def test_the_interval_is_that_of_means_over_resampled_shapes() -> None:
    values = np.random.default_rng(3).beta(2, 3, size=40)
    found = bootstrap(values.tolist(), seed=5)
    draws = np.random.default_rng(5).integers(0, 40, size=(2000, 40))
    low, high = np.percentile(values[draws].mean(axis=1), [2.5, 97.5])
    assert (found.mean, found.low, found.high) == pytest.approx((values.mean(), low, high), abs=1e-12)
    assert bootstrap([0.25]) == Estimate(0.25, 0.25, 0.25)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_the_interval_holds_the_mean_and_stays_within_the_data(values: list[float]) -> None:
    estimate = bootstrap(values, rounds=400)
    assert min(values) - 1e-9 <= estimate.low <= estimate.high <= max(values) + 1e-9
    assert estimate.mean == pytest.approx(np.mean(values))


def test_rows_and_tables() -> None:
    row = make_row("WaveMesh", 1, {"a": scores(0.25), "b": scores(0.75)}, {"a": "chair", "b": "sofa"})
    assert row.count == 2
    assert row.scores["iou"].mean == 0.5
    assert row.categories["chair"]["iou"] == 0.25
    lines = markdown_table([row])
    assert lines[2].startswith("| WaveMesh | 0.500 |")
    assert len({line.count("|") for line in lines}) == 1


def test_nothing_to_average_is_refused() -> None:
    with pytest.raises(InputError):
        bootstrap([])
