"""Weights & Biases, offline: what its client writes is read back and compared with our log.

In a process of its own, since the client starts a service and threads that outlive a run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TRAIN = '''
import json, sys
from pathlib import Path
from tests.training.conftest import LineTask
from tests.training.test_loop import config
from wavemesh.training.loop import train

def entries(content):
    """LevelDB's log behind seven bytes: blocks of 32 KiB, in which each part has a sum, a length and a kind."""
    place, whole = 7, b""
    while place < len(content):
        if 2**15 - place % 2**15 < 7:  # no head fits into what is left of a block
            place += 2**15 - place % 2**15
            continue
        length, kind = int.from_bytes(content[place + 4 : place + 6], "little"), content[place + 6]
        whole += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # full, or the last part
            yield whole
            whole = b""

out = Path(sys.argv[1])
train(LineTask(), config(out, total_steps=10, log_every=4, sample_every=5, tracker="wandb"))

import wandb
from wandb.proto.wandb_internal_pb2 import Record

wandb.teardown()  # all is written
(path,) = out.rglob("*.wandb")
rows = {}
for data in entries(path.read_bytes()):
    record = Record()
    record.ParseFromString(data)
    items = {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
    if items:
        rows.setdefault(str(record.history.step.num), {}).update(items)
print(json.dumps(rows))
'''


@pytest.mark.whole
def test_offline_it_has_the_numbers_and_pictures_of_the_log(tmp_path: Path) -> None:
    environment = {
        **os.environ, "PYTHONPATH": str(ROOT), "WANDB_MODE": "offline", "WANDB_SILENT": "true", "HOME": str(tmp_path),
        "PYTHONWARNINGS": "ignore", "JAXTYPING_DISABLE": "1",
    }  # fmt: skip
    out, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", TRAIN, str(out)],
        cwd=elsewhere, env=environment, capture_output=True, text=True, timeout=250, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    rows = json.loads(done.stdout.splitlines()[-1])
    lines = [json.loads(line) for line in (out / "losses.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [4, 8, 10]
    for line in lines:
        told = rows[str(line.pop("step"))]
        assert {name: told[name] for name in line} == pytest.approx(line)
    assert {step for step, row in rows.items() if "grey/_type" in row or "grey" in row} == {"5", "10"}
    assert len(list(out.rglob("media/images/*.png"))) == 2
    assert list(elsewhere.iterdir()) == []  # all of it lies in the run's folder
