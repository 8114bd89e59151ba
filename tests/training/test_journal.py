"""The journal: means of numbers, also of those that only some steps have."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from wavemesh.training.loop import LoopConfig, train


def run(task: Any, out_dir: Path, **changes: Any) -> list[dict[str, Any]]:
    settings: dict[str, Any] = {"total_steps": 6, "log_every": 6, "amp": "no", "device": "cpu"} | changes
    train(task, LoopConfig(out_dir=out_dir, **settings))
    return [json.loads(line) for line in (out_dir / "losses.jsonl").read_text().splitlines()]


def numbering(task_class: Any, numbers: list[dict[str, float]]) -> Any:
    """A task that reports these numbers, one dictionary per batch."""

    class Numbering(task_class):
        def loss(self, batch: Tensor, generator: torch.Generator) -> tuple[Tensor, dict[str, Any]]:
            call = self.calls
            loss, _ = super().loss(batch, generator)
            return loss, {name: torch.tensor(value) for name, value in numbers[call].items()}

    return Numbering()


def test_a_number_that_some_steps_have_is_averaged_over_those(tmp_path: Path, line_task: Any) -> None:
    numbers = [{"always": float(step)} for step in range(6)]
    numbers[1]["iou_1v"] = 0.4
    numbers[4]["iou_1v"] = 0.6
    numbers[5]["iou_4v"] = 0.8
    first, second = run(numbering(line_task, numbers), tmp_path, log_every=4)
    assert (first["always"], first["iou_1v"]) == (pytest.approx(1.5), pytest.approx(0.4))
    assert "iou_4v" not in first
    assert (second["always"], second["iou_1v"], second["iou_4v"]) == tuple(map(pytest.approx, (4.5, 0.6, 0.8)))


def test_nor_does_accumulation_dilute_it(tmp_path: Path, line_task: Any) -> None:
    numbers = [{"always": float(part)} for part in range(4)]
    numbers[1]["iou_1v"] = 0.4
    (line,) = run(numbering(line_task, numbers), tmp_path, total_steps=2, log_every=2, grad_accumulation=2)
    assert line["always"] == pytest.approx(1.5)
    assert line["iou_1v"] == pytest.approx(0.4)
