"""A tiny task: a noisy linear regression with dropout, so that every random generator matters."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn


class LineTask:
    """Learns y = x w; `on_loss(step)` runs inside each loss and may fail, signal or return a factor."""

    def __init__(self, on_loss: Callable[[int], float | None] = lambda step: None, width: int = 4) -> None:
        torch.manual_seed(7)
        self.model = nn.Sequential(nn.Linear(width, 16), nn.BatchNorm1d(16), nn.Dropout(0.2), nn.Linear(16, 1))
        self.on_loss = on_loss
        self.calls = 0
        self.start = 0
        self.seen_dtype: torch.dtype | None = None

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        return [
            {"params": list(self.model[0].parameters()), "lr": 0.1 * lr},
            {"params": list(self.model[1:].parameters()), "lr": lr},
        ]

    def batches(self, seed: int, start_step: int) -> Iterator[Tensor]:
        self.start, self.calls = start_step, 0
        step = start_step
        while True:
            yield torch.randn(8, self.model[0].in_features, generator=torch.Generator().manual_seed(seed + step))
            step += 1

    def loss(self, batch: Tensor, generator: torch.Generator) -> tuple[Tensor, dict[str, Any]]:
        factor = self.on_loss(self.start + self.calls)
        self.calls += 1
        noise = 0.1 * torch.randn(len(batch), 1, generator=generator)
        hidden = self.model[:-1](batch)
        output = self.model[-1](hidden)
        self.seen_dtype = output.dtype
        loss = (output.float() - batch.sum(dim=1, keepdim=True) - noise).square().mean()
        return loss * (1.0 if factor is None else factor), {"mean_output": output.detach().float().mean()}

    def sample_pictures(self, ema_model: nn.Module) -> dict[str, np.ndarray]:
        torch.rand(3)
        assert not ema_model.training
        return {"grey": np.full((4, 6, 3), 128, dtype=np.uint8)}

    def weights(self, model: nn.Module) -> dict[str, dict[str, Tensor]]:
        return {"line": model.state_dict()}

    def config(self) -> dict[str, Any]:
        return {"width": self.model[0].in_features}


@pytest.fixture
def line_task() -> type[LineTask]:
    return LineTask
