"""Several processes against one that accumulates as many batches."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.training.two_processes import main
from wavemesh.training.loop import SNAPSHOTS
from wavemesh.training.snapshots import load_latest

ROOT = Path(__file__).resolve().parents[2]


def losses(folder: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (folder / "losses.jsonl").read_text("utf-8").splitlines()]


@pytest.mark.whole
@pytest.mark.parametrize("accumulation", (1, 2))
def test_two_processes_do_what_one_does_with_twice_the_batches(tmp_path: Path, accumulation: int) -> None:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    script = ["-m", "tests.training.two_processes", str(tmp_path / "two"), str(accumulation)]
    child = subprocess.run([*launcher, *script], cwd=ROOT, capture_output=True, text=True, check=False, timeout=240)
    assert child.returncode == 0, child.stderr[-2000:]
    main(tmp_path / "one", 2 * accumulation)
    one, two = (load_latest(tmp_path / name / SNAPSHOTS) for name in ("one", "two"))
    assert one["step"] == two["step"] == 6
    for name, weight in one["model"].items():
        torch.testing.assert_close(two["model"][name], weight, atol=1e-5, rtol=1e-5)
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=1e-4)
