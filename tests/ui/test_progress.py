"""Progress: never backwards, and seconds left that come true for an even pace."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavemesh.ui.progress import Pace, Progress, bar_html, estimate_text


@given(
    durations=st.lists(st.floats(0.0, 5.0), min_size=3, max_size=12),
    coarse=st.integers(1, 6),
)
def test_the_bar_never_runs_backwards(durations: list[float], coarse: int) -> None:
    coarse = min(coarse, len(durations) - 1)
    detail = len(durations) - coarse
    clock = Pace().clock({"coarse": coarse, "detail": detail})
    elapsed, fractions = 0.0, []
    for index, duration in enumerate(durations):
        elapsed += duration
        stage, step, total = ("coarse", index, coarse) if index < coarse else ("detail", index - coarse, detail)
        progress = clock.step(stage, step, total, elapsed)
        assert progress.seconds_left is not None
        assert progress.seconds_left >= 0
        fractions.append(progress.fraction)
    assert fractions == sorted(fractions)
    assert 0 <= fractions[0] <= fractions[-1] < 1


def test_an_even_pace_is_learnt_from_run_to_run() -> None:
    pace = Pace()
    for _ in range(6):
        clock, elapsed = pace.clock({"coarse": 4, "detail": 2}), 1.0
        for stage, steps, seconds in (("coarse", 4, 2.0), ("detail", 2, 3.0)):
            for step in range(steps):
                elapsed += seconds
                left = clock.step(stage, step, steps, elapsed).seconds_left
                truth = (4 * 2.0 + 2 * 3.0 + 1.0 + 1.5) - elapsed
                error = abs((left or 0.0) - truth)
        clock.finished(1.5)
    assert error == pytest.approx(0.0, abs=0.1)


def test_a_run_tells_how_long_the_next_one_takes() -> None:
    pace = Pace()
    assert pace.estimate({"coarse": 4}) is None
    for _ in range(3):
        clock, elapsed = pace.clock({"coarse": 4, "detail": 2}), 0.5
        for stage, steps, seconds in (("coarse", 4, 2.0), ("detail", 2, 3.0)):
            for step in range(steps):
                elapsed += seconds
                clock.step(stage, step, steps, elapsed)
        clock.finished(1.5)
    assert pace.estimate({"coarse": 4, "detail": 2}) == pytest.approx(0.5 + 8.0 + 6.0 + 1.5)
    assert pace.estimate({"coarse": 10}) == pytest.approx(0.5 + 20.0 + 1.5)
    # Guidance and frames act on the coarse steps only.
    assert pace.estimate({"coarse": 4, "detail": 2}, passes=2) == pytest.approx(0.5 + 16.0 + 6.0 + 1.5)
    assert pace.estimate({"coarse": 4, "detail": 2}, passes=8) == pytest.approx(0.5 + 64.0 + 6.0 + 1.5)
    clock = pace.clock({"coarse": 2}, passes=4)
    for step, elapsed in enumerate((0.5 + 5.0, 0.5 + 10.0)):
        clock.step("coarse", step, 2, elapsed)
    clock.finished(1.5)  # four passes in one batch cost less than four steps, and two are guessed from the nearer one
    assert pace.estimate({"coarse": 2}, passes=4) == pytest.approx(0.5 + 10.0 + 1.5)
    assert pace.estimate({"coarse": 2}, passes=8) == pytest.approx(0.5 + 20.0 + 1.5)
    assert pace.estimate({"coarse": 2}) == pytest.approx(0.5 + 4.0 + 1.5)
    assert pace.estimate({"triplane": 4}) is None
    assert estimate_text(16.2) == "This will take about 16 s."
    assert "first run" in estimate_text(None)


def test_the_bar_is_html_without_surprises() -> None:
    assert bar_html(None) == ""
    bar = bar_html(Progress("<b>Coarse</b>", 0.426, 3.2))
    assert 'aria-valuenow="43"' in bar
    assert "about 3 s left" in bar
    assert "<b>" not in bar
