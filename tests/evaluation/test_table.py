"""Bootstrap and rows of tables."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from wavemesh.errors import InputError
from wavemesh.evaluation.metrics import Scores
from wavemesh.evaluation.table import bootstrap, make_row, markdown_table


def scores(value: float) -> Scores:
    return Scores(*[value] * 8)


def test_bootstrap_agrees_with_scipy() -> None:
    values = np.random.default_rng(3).beta(2, 3, size=40)
    ours = bootstrap(values.tolist(), rounds=20_000)
    theirs = stats.bootstrap((values,), np.mean, n_resamples=20_000, method="percentile", rng=0).confidence_interval
    assert ours.mean == pytest.approx(values.mean())
    assert ours.low == pytest.approx(theirs.low, abs=3e-3)
    assert ours.high == pytest.approx(theirs.high, abs=3e-3)


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
