"""Several processes against one that accumulates as many batches."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch

from tests.data.conftest import analytic_shapes, sample_files, streamed_set  # noqa: F401 - fixtures
from tests.training.two_processes import main
from wavemesh.cli import main as command
from wavemesh.training.loop import SNAPSHOTS
from wavemesh.training.snapshots import load_latest

# ruff: noqa: F811 - a fixture's name is its argument's name
ROOT = Path(__file__).resolve().parents[2]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
# Without --multi_gpu it starts one process where there is no MPI; the run itself asks for the CPU.
ACCELERATE = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
ACCELERATE += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]


def losses(folder: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (folder / "losses.jsonl").read_text("utf-8").splitlines()]


def check_same(folder: Path, step: int, tolerance: float) -> None:
    """The runs one and two in the folder ended at this step with the same weights."""
    one, two = (load_latest(folder / name / SNAPSHOTS) for name in ("one", "two"))
    assert one["step"] == two["step"] == step
    for name, weight in one["model"].items():
        torch.testing.assert_close(two["model"][name], weight, atol=tolerance, rtol=tolerance)


@pytest.mark.whole
@pytest.mark.parametrize("accumulation", (1, 2))
def test_two_processes_do_what_one_does_with_twice_the_batches(tmp_path: Path, accumulation: int) -> None:
    script = ["-m", "tests.training.two_processes", str(tmp_path / "two"), str(accumulation)]
    child = subprocess.run([*TORCHRUN, *script], cwd=ROOT, capture_output=True, text=True, check=False, timeout=240)
    assert child.returncode == 0, child.stderr[-2000:]
    main(tmp_path / "one", 2 * accumulation)
    check_same(tmp_path, 6, 1e-5)
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=1e-4)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_accelerate_launches_two_processes_that_do_the_same(tmp_path: Path) -> None:
    script = ["-m", "tests.training.two_processes", str(tmp_path / "two"), "1"]
    child = subprocess.run([*ACCELERATE, *script], cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)
    assert child.returncode == 0, child.stderr[-2000:]
    main(tmp_path / "one", 2)
    check_same(tmp_path, 6, 1e-5)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_two_processes_stream_what_one_streams_with_twice_the_batches(tmp_path: Path, streamed_set: Path) -> None:
    arguments = ["train", "--preset", "tiny", "--data", str(streamed_set / "shard-*.tar"), "--steps", "3"]
    arguments += ["--batch-size", "2", "--amp", "no", "--device", "cpu", "--threads", "1", "--set", "lanes=2"]
    launched = [*TORCHRUN, "-m", "wavemesh", *arguments, "-o", str(tmp_path / "two")]
    child = subprocess.run(launched, cwd=ROOT, capture_output=True, text=True, check=False, timeout=900)
    assert child.returncode == 0, child.stderr[-2000:]
    assert command([*arguments, "-o", str(tmp_path / "one"), "--accumulate", "2"]) == 0
    check_same(tmp_path, 3, 1e-4)
    assert not list(streamed_set.glob("cache-*"))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_worker_that_is_killed_is_started_again_and_the_curve_is_the_same(tmp_path: Path) -> None:
    script = ["--max-restarts", "3", "-m", "tests.training.two_processes", str(tmp_path / "two"), "1", "0.3"]
    with (tmp_path / "log").open("w") as log:
        launcher = subprocess.Popen([*TORCHRUN, *script], cwd=ROOT, stdout=log, stderr=log)
        deadline = time.monotonic() + 600
        while not list((tmp_path / "two" / SNAPSHOTS).glob("step-*")):
            assert launcher.poll() is None, (tmp_path / "log").read_text()[-2000:]
            assert time.monotonic() < deadline
            time.sleep(0.05)
        workers = psutil.Process(launcher.pid).children()
        assert len(workers) == 2
        os.kill(workers[-1].pid, signal.SIGKILL)
        assert launcher.wait(900) == 0, (tmp_path / "log").read_text()[-2000:]
    assert not any(each.is_running() for each in workers)
    main(tmp_path / "one", 2)
    check_same(tmp_path, 6, 1e-5)
    # What came after the last snapshot before the kill was made twice, with the same losses.
    assert losses(tmp_path / "two")[-1] == pytest.approx(losses(tmp_path / "one")[-1], rel=1e-4)
