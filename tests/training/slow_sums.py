"""Trains a small task slowly and with many snapshots: what `test_survival.py` kills, crowds and starves of disk."""

import logging
import resource
import sys
import time
from pathlib import Path

import torch
from torch import Tensor

from tests.training.two_processes import SumTask
from wavemesh.errors import InputError
from wavemesh.training.loop import train
from wavemesh.training.settings import LoopConfig


class SlowTask(SumTask):
    """A tenth of a second a step."""

    def loss(self, batch: Tensor, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        time.sleep(0.1)
        return super().loss(batch, generator)


def main(out: Path, steps: int, largest_bytes: int | None = None) -> int:
    """The exit status of a run of so many steps, which may write files of so many bytes."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    torch.set_num_threads(1)
    if largest_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_bytes, largest_bytes))
    loop = {"warmup_steps": 2, "learning_rate": 0.05, "amp": "no", "device": "cpu", "log_every": 1}
    try:
        result = train(SlowTask(), LoopConfig(out, total_steps=steps, save_every_steps=1, **loop))
    except InputError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(f"{result.step} {result.stopped_by}\n")
    return 0
