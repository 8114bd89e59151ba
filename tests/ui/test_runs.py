"""Runs that go on by themselves: followed from anywhere, stopped when nobody follows, bounded."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.ui.test_studio import job_of
from wavemesh.errors import InputError
from wavemesh.ui import runs
from wavemesh.ui.studio import Studio


def test_two_followers_see_the_same_end_and_one_that_leaves_changes_nothing(
    studio: Studio, pipeline: Any, pictures: list[Path]
) -> None:
    pipeline.pause_s = 0.05
    run = studio.runs.begin(job_of(pictures), [], True)
    first = run.follow()
    next(first)
    first.close()  # type: ignore[attr-defined]
    *_, last = run.follow()
    *_, again = studio.runs.find(run.id).follow()  # type: ignore[union-attr]
    assert last.result is again.result is run.result is not None
    assert not last.result.stopped
    assert len(run.watch.steps) == 6
    assert studio.runs.find("another") is studio.runs.find(None) is None


def test_a_run_that_nobody_follows_is_stopped(
    studio: Studio, pipeline: Any, pictures: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "ABANDONED_S", 0.3)
    pipeline.pause_s = 0.1
    run = studio.runs.begin(job_of(pictures, coarse_steps=50), [], True)
    begin = time.monotonic()
    while not run.ended and time.monotonic() - begin < 30:
        time.sleep(0.05)
    assert run.result is not None
    assert run.result.stopped
    assert pipeline.steps_done < 30


def test_a_stopped_run_keeps_its_shape_and_a_failed_one_says_why(
    studio: Studio, pipeline: Any, pictures: list[Path]
) -> None:
    pipeline.pause_s = 0.1
    run = studio.runs.begin(job_of(pictures, coarse_steps=50), [], True)
    for update in run.follow():
        if update.stage:
            studio.runs.stop(run.id)
    assert run.result is not None
    assert run.result.stopped
    for error, words in (
        (InputError("The disc is too round."), "The disc is too round."),
        (OSError(), runs.WENT_WRONG),
    ):
        pipeline.fails_with = error
        failed = studio.runs.begin(job_of(pictures), [], True)
        list(failed.follow())
        assert (failed.result, failed.problem) == (None, words)


def test_only_so_many_run_and_are_kept(
    studio: Studio, pipeline: Any, pictures: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "MAX_RUNNING", 2)
    monkeypatch.setattr(runs, "MAX_KEPT", 3)
    job, pipeline.pause_s = job_of(pictures), 0.3
    both = [studio.runs.begin(job, [], True) for _ in range(2)]
    with pytest.raises(InputError, match="2 runs are waiting already"):
        studio.runs.begin(job, [], True)
    pipeline.pause_s = 0.0
    for run in both:
        list(run.follow())
        while not run.ended:
            time.sleep(0.02)
    for _ in range(4):
        last = studio.runs.begin(job, [], True)
        list(last.follow())
        while not last.ended:
            time.sleep(0.02)
    assert studio.runs.find(both[0].id) is None
    assert studio.runs.find(last.id) is last


def test_variants_are_one_job_with_a_run_for_each_seed(
    studio: Studio, pipeline: Any, pictures: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "MAX_RUNNING", 2)
    run = studio.runs.begin(job_of(pictures, seed=5), [], True, variants=4)
    followed = [each for each, _ in run.follow_all()]
    assert list(dict.fromkeys(followed)) == run.variants
    assert [each.result.seed for each in run.variants if each.result] == [5, 6, 7, 8]
    assert [call["seed"] for call in pipeline.calls] == [5, 6, 7, 8]
    assert all(studio.runs.find(each.id) is each for each in run.variants)
    assert [len(each.watch.steps) for each in run.variants] == [6] * 4
    while not run.variants[-1].ended:
        time.sleep(0.02)
    # They have one place in the queue, and whichever is stopped, all are; what is finished is kept.
    job, pipeline.pause_s = job_of(pictures), 0.3
    run = studio.runs.begin(job, [], True, variants=4)
    list(run.follow())
    other = studio.runs.begin(job, [], True)
    with pytest.raises(InputError, match="2 runs are waiting already"):
        studio.runs.begin(job, [], True)
    studio.runs.stop(run.variants[2].id)
    list(run.follow_all())
    first, *_, last = (each.result for each in run.variants)
    assert first is not None
    assert not first.stopped
    assert last is None
    *_, update = other.follow()
    assert update.result is not None
