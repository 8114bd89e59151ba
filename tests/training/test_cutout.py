"""Training of the cut-out network: batches fit, the loss is least at the truth, and it learns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.data.test_scenes import BLUE, GREEN, scene
from wavemesh.imaging.u2netp import SIDE, U2NetpConfig
from wavemesh.training.cutout import CutoutTask, mask_loss
from wavemesh.training.loop import train
from wavemesh.training.presets import build_task, get_preset
from wavemesh.training.settings import LoopConfig

SMALL = U2NetpConfig(width=8, inner=4)


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    for number, ground in enumerate((GREEN, BLUE)):
        picture, mask = scene(ground)
        Image.fromarray(picture).save(tmp_path / f"{number}.jpg")
        Image.fromarray((255 * mask).astype(np.uint8)).save(tmp_path / f"{number}.png")
    return tmp_path


def test_batches_are_the_network_s(scenes: Path) -> None:
    task = CutoutTask(scenes, SMALL, batch_size=3)
    first, again = (next(task.batches(seed=3, start_step=5)) for _ in range(2))
    assert first["images"].shape == (3, 3, SIDE, SIDE)
    assert first["masks"].shape == (3, 1, SIDE, SIDE)
    assert float(first["masks"].min()) >= 0.0
    assert float(first["masks"].max()) <= 1.0
    assert torch.equal(first["images"], again["images"])
    assert torch.equal(first["masks"], again["masks"])


def test_the_loss_is_least_at_the_truth() -> None:
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., 2:6, 2:6] = 1.0
    right = [12.0 * (2.0 * mask - 1.0)] * 7
    moved, empty, undecided = ([each] * 7 for each in (right[0].roll(2, -1), 0.0 * mask - 12.0, 0.0 * mask))
    losses = [float(mask_loss(each, mask)) for each in (right, undecided, moved, empty)]
    assert losses == sorted(losses)
    assert losses[0] < 0.01
    # A level that errs costs, and less than the fused answer.
    level = float(mask_loss([right[0], undecided[0], *right[2:]], mask))
    fused = float(mask_loss([undecided[0], *right[1:]], mask))
    assert losses[0] < level < fused


@pytest.mark.whole
def test_it_learns(scenes: Path, tmp_path: Path) -> None:
    task = CutoutTask(scenes, SMALL, batch_size=2)
    settings = LoopConfig(
        out_dir=tmp_path / "run",
        total_steps=25,
        batch_size=2,
        learning_rate=5e-3,
        warmup_steps=2,
        amp="no",
        device="cpu",
    )
    losses = train(task, settings).losses
    assert sum(losses[-4:]) < 0.75 * sum(losses[:4])


def test_the_preset_goes_on_with_what_ships(scenes: Path, tmp_path: Path) -> None:
    preset = get_preset("cutout")
    task = build_task(preset, scenes, preset.loop_config(tmp_path))
    assert isinstance(task, CutoutTask)
    assert sum(each.numel() for each in task.model.parameters()) == 1_125_485
