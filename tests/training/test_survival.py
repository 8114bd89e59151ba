"""Trainings that are killed, crowded, starved of disk or given damaged snapshots go on from the last good state."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training import slow_sums
from tests.training.test_loop import config
from wavemesh.errors import InputError
from wavemesh.training.loop import SNAPSHOTS, train
from wavemesh.training.snapshots import list_snapshots, load_latest

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")  # forks, of one thread that works

WAIT_S = 600.0  # for what takes seconds where a machine has nothing else to do


class Child:
    """A training in a process of its own, forked so that nothing is imported again; said: what it wrote."""

    def __init__(self, out: Path, steps: int, *more: int) -> None:
        self._log = out.with_name(f"{out.name}-{time.monotonic_ns()}.log")
        context = multiprocessing.get_context("fork")
        self.process = context.Process(target=_train, args=(self._log, out, steps, *more), daemon=True)
        self.process.start()

    def ended(self, within_s: float = WAIT_S) -> int:
        """The exit status."""
        self.process.join(within_s)
        assert self.process.exitcode is not None, self.said
        return self.process.exitcode

    @property
    def said(self) -> str:
        return self._log.read_text() if self._log.exists() else ""


def _train(log: Path, out: Path, steps: int, *more: int) -> None:
    sys.stdout = sys.stderr = log.open("w", buffering=1)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # as in a terminal, wherever the tests run
    sys.exit(slow_sums.main(out, steps, *more))


def wait_for_snapshot(out: Path, child: Child, after: str = "") -> None:
    deadline = time.monotonic() + WAIT_S
    while not any(path.name > after for path in list_snapshots(out / SNAPSHOTS)):
        assert child.process.exitcode is None, child.said
        assert time.monotonic() < deadline
        time.sleep(0.02)


def last_state(out: Path) -> Any:
    state = load_latest(out / SNAPSHOTS)
    assert state is not None
    return state


def killed_again_and_again(tmp_path: Path, kills: int, steps: int) -> None:
    """A run that was killed at random moments ends with the numbers of one that was not."""
    whole = Child(tmp_path / "whole", steps)
    assert (whole.ended(), whole.said) == (0, f"{steps} finished\n")
    dice, newest = random.Random(0), ""
    for _ in range(kills):
        child = Child(tmp_path / "parts", steps)
        wait_for_snapshot(tmp_path / "parts", child, newest)
        time.sleep(dice.uniform(0.0, 0.25))
        child.process.kill()
        assert child.ended() == -signal.SIGKILL
        newest = list_snapshots(tmp_path / "parts" / SNAPSHOTS)[-1].name
    assert Child(tmp_path / "parts", steps).ended() == 0
    ends = [last_state(tmp_path / name) for name in ("whole", "parts")]
    for part in ("model", "ema"):
        assert all(torch.equal(ends[0][part][key], ends[1][part][key]) for key in ends[0][part])
    logs = [(tmp_path / name / "losses.jsonl").read_text().splitlines() for name in ("whole", "parts")]
    losses = [[(line["step"], line["loss"]) for line in map(json.loads, log)] for log in logs]
    assert losses[0] == losses[1]
    assert not list((tmp_path / "parts" / SNAPSHOTS).glob(".*"))


def test_a_killed_run_goes_on_as_if_nothing_had_happened(tmp_path: Path) -> None:
    killed_again_and_again(tmp_path, 2, 20)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_run_killed_twenty_times(tmp_path: Path) -> None:
    killed_again_and_again(tmp_path, 20, 120)


def test_two_processes_in_one_folder_are_refused_and_a_closed_terminal_saves(tmp_path: Path) -> None:
    first = Child(tmp_path / "run", 2000)
    wait_for_snapshot(tmp_path / "run", first)
    second = Child(tmp_path / "run", 2000)
    assert second.ended() == 2
    assert second.said.splitlines()[-1].startswith(f"Another process trains in {tmp_path / 'run'}")
    assert first.process.pid is not None
    os.kill(first.process.pid, signal.SIGHUP)
    assert first.ended() == 0
    last = first.said.splitlines()[-1]
    step = int(last.split()[0])
    assert last == f"{step} signal"
    assert last_state(tmp_path / "run")["step"] == step


def test_a_full_disk_is_one_sentence_and_the_last_good_state_stays(tmp_path: Path) -> None:
    assert Child(tmp_path / "run", 3).ended() == 0
    size = list_snapshots(tmp_path / "run" / SNAPSHOTS)[-1].stat().st_size
    starved = Child(tmp_path / "run", 10, size // 2)
    assert starved.ended() == 2
    assert "Traceback" not in starved.said
    assert "cannot be written (File too large); the last good one is step-00000003.pt." in starved.said
    assert [path.name for path in (tmp_path / "run" / SNAPSHOTS).iterdir()] == [
        path.name for path in list_snapshots(tmp_path / "run" / SNAPSHOTS)
    ]
    assert last_state(tmp_path / "run")["step"] == 3


def two_snapshots(out: Path, line_task: Any) -> list[Path]:
    train(line_task(), config(out, total_steps=10, save_every_steps=5))
    return list_snapshots(out / SNAPSHOTS)


@pytest.mark.parametrize("place", [0.3, 0.5, 0.7])
def test_a_flipped_bit_is_noticed_and_the_snapshot_before_it_taken(
    tmp_path: Path, line_task: Any, caplog: pytest.LogCaptureFixture, place: float
) -> None:
    before, newest = two_snapshots(tmp_path, line_task)
    content = bytearray(newest.read_bytes())
    # A zip pads between its members; what is flipped is inside one.
    at = next(i for i in range(int(place * len(content)), len(content)) if content[i] not in (0, ord("Z")))
    content[at] ^= 1
    newest.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        state = last_state(tmp_path)
    assert state["step"] == 5
    assert str(newest) in caplog.text
    assert before.exists()


def test_a_foreign_snapshot_is_named_and_the_one_before_it_taken(
    tmp_path: Path, line_task: Any, caplog: pytest.LogCaptureFixture
) -> None:
    _, newest = two_snapshots(tmp_path / "run", line_task)
    train(line_task(), config(tmp_path / "whole", total_steps=12))
    state = torch.load(newest, weights_only=True)
    for foreign in (
        {"weights": torch.ones(3)},
        {**state, "model": {"other": torch.ones(2)}},
        {**state, "optimizer": 3},
    ):
        shutil.rmtree(tmp_path / "again", ignore_errors=True)
        shutil.copytree(tmp_path / "run", tmp_path / "again")
        torch.save(foreign, tmp_path / "again" / SNAPSHOTS / newest.name)
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            train(line_task(), config(tmp_path / "again", total_steps=12))
        assert newest.name in caplog.text
        ends = [last_state(tmp_path / name) for name in ("whole", "again")]
        assert all(torch.equal(ends[0]["model"][key], ends[1]["model"][key]) for key in ends[0]["model"])


def test_only_foreign_snapshots_are_one_sentence(tmp_path: Path, line_task: Any) -> None:
    for path in two_snapshots(tmp_path, line_task):
        torch.save({"weights": torch.ones(3)}, path)
    with pytest.raises(InputError, match="no snapshot of a training"):
        train(line_task(), config(tmp_path))


def test_what_a_killed_writer_left_is_removed(tmp_path: Path, line_task: Any) -> None:
    two_snapshots(tmp_path, line_task)
    half = tmp_path / SNAPSHOTS / ".step-00000011.pt.123"
    half.write_bytes(b"half")
    train(line_task(), config(tmp_path, total_steps=12))
    assert not half.exists()
    assert last_state(tmp_path)["step"] == 12


def test_a_run_that_outlives_its_terminal_is_not_stopped_by_it(tmp_path: Path, line_task: Any) -> None:
    def hang_up(step: int) -> None:
        if step == 3:
            os.kill(os.getpid(), signal.SIGHUP)

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert train(line_task(hang_up), config(tmp_path, total_steps=6)).stopped_by == "finished"
    finally:
        signal.signal(signal.SIGHUP, before)
