"""Trains a small task and saves its weights: what `test_processes.py` runs, alone or under torchrun.

python -m tests.training.two_processes OUT ACCUMULATION [SECONDS OF A STEP]
"""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from wavemesh.training.loop import train
from wavemesh.training.settings import LoopConfig


class SumTask:
    """Learns the sum of four numbers; no two batches and no two draws of noise are alike."""

    def __init__(self) -> None:
        torch.manual_seed(3)
        self.model = nn.Sequential(nn.Linear(4, 8), nn.SiLU(), nn.Linear(8, 1))

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        return [{"params": list(self.model.parameters()), "lr": lr}]

    def batches(self, seed: int, start_step: int) -> Iterator[Tensor]:
        while True:
            yield torch.randn(8, 4, generator=torch.Generator().manual_seed(1000 * seed + start_step))
            start_step += 1

    def loss(self, batch: Tensor, generator: torch.Generator) -> tuple[Tensor, dict[str, Any]]:
        noise = 0.3 * torch.randn(len(batch), 1, generator=generator)
        return (self.model(batch) - batch.sum(dim=1, keepdim=True) - noise).square().mean(), {}

    def sample_pictures(self, ema_model: nn.Module) -> dict[str, np.ndarray]:
        return {}

    def weights(self, model: nn.Module) -> dict[str, dict[str, Tensor]]:
        return {"sum": model.state_dict()}

    def config(self) -> dict[str, Any]:
        return {}


class SlowTask(SumTask):
    """With time to be killed in."""

    def __init__(self, step_s: float) -> None:
        super().__init__()
        self.step_s = step_s

    def loss(self, batch: Tensor, generator: torch.Generator) -> tuple[Tensor, dict[str, Any]]:
        time.sleep(self.step_s)
        return super().loss(batch, generator)


def main(out: Path, accumulation: int, step_s: float = 0.0) -> None:
    torch.set_num_threads(1)
    settings = {"total_steps": 6, "warmup_steps": 2, "learning_rate": 0.05, "amp": "no", "device": "cpu"}
    if step_s:
        settings["save_every_steps"] = 1
    train(SlowTask(step_s), LoopConfig(out, grad_accumulation=accumulation, log_every=1, **settings))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), *(float(each) for each in sys.argv[3:]))
