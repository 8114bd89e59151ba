"""The cost of watching: runs by turns with and without previews, and what a slow drawing shows up as."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.ui.conftest import FakePipeline
from wavemesh.bench.previews import preview_cost
from wavemesh.geometry.camera import Camera
from wavemesh.settings import WaveMeshSettings
from wavemesh.ui import runner
from wavemesh.ui.progress import Pace
from wavemesh.ui.runner import Job, StopFlag, run_job
from wavemesh.ui.widgets.forming import write_forming

PICTURE = Image.new("RGBA", (48, 48), (200, 60, 50, 255))
JOB = Job(views=((PICTURE, Camera()),), settings=WaveMeshSettings(coarse_steps=2, detail_steps=1).filled())


def test_a_run_without_previews_makes_the_same_result(tmp_path: Path) -> None:
    ends = {}
    for previews in (True, False):
        job = replace(JOB, previews=previews)
        updates = list(run_job(FakePipeline, job, tmp_path, StopFlag(tmp_path / "stop"), Pace()))
        assert any(update.preview is not None for update in updates) == previews
        ends[previews] = updates[-1].result
    assert ends[True].faces == ends[False].faces > 0


def test_the_time_that_drawing_takes_is_what_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = FakePipeline(pause_s=0.05)
    drawings = []

    def slow(*arguments: Any) -> bool:
        drawings.append(len(pipeline.calls))
        time.sleep(0.8)
        return write_forming(*arguments)

    monkeypatch.setattr(runner, "write_forming", slow)
    cost = preview_cost(lambda: pipeline, JOB, 1)
    assert len(pipeline.calls) == 3
    assert cost["previews"] >= 1
    # Only the run that is watched shows its shape, and it waits for at least that of one step.
    assert drawings == [2] * cost["previews"]
    assert cost["seconds"]["with"] > 0.8
    assert cost["added_share"] == pytest.approx(cost["seconds"]["with"] / cost["seconds"]["without"] - 1)
