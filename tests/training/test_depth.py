"""Training of the depth network: mirrored batches fit, the loss is least at the truth, and it learns."""

from pathlib import Path

import pytest
import torch

from tests.data.conftest import analytic_shapes, prepared_root, sample_files  # noqa: F401 - fixtures
from wavemesh.data.dataset import PreparedShapes
from wavemesh.models.depth_network import DepthConfig, Depths
from wavemesh.training.depth import DepthTask, depth_loss
from wavemesh.training.loop import train
from wavemesh.training.settings import LoopConfig

SMALL = DepthConfig(image_size=128, widths=(8, 8, 8, 16), attention_blocks=1, heads=2)


# ruff: noqa: F811 - a fixture's name is its argument's name
@pytest.fixture
def shapes(prepared_root: Path) -> PreparedShapes:
    return PreparedShapes(prepared_root, "train")


def test_pictures_and_depths_of_a_batch_fit(shapes: PreparedShapes) -> None:
    batch = DepthTask(shapes, SMALL, batch_size=12).batch(0, 0)
    side = batch["seen"].shape[-1]
    alpha = torch.nn.functional.interpolate(batch["images"][:, 3:], size=(side, side), mode="bilinear")[:, 0] > 0.5
    overlap = (alpha & batch["seen"]).sum(dim=(1, 2)) / (alpha | batch["seen"]).sum(dim=(1, 2))
    assert float(overlap.median()) > 0.7  # some masks are imperfect on purpose, and the objects are small
    # Mirrored ones against what is not mirrored would overlap less.
    wrong = (alpha.flip(-1) & batch["seen"]).sum(dim=(1, 2)) / (alpha.flip(-1) | batch["seen"]).sum(dim=(1, 2))
    assert float((overlap - wrong).max()) > 0.1
    assert float((overlap - wrong).min()) > -0.05
    assert bool((batch["depths"][:, 1] >= batch["depths"][:, 0]).all())


def test_the_loss_is_least_at_the_truth() -> None:
    rng = torch.Generator().manual_seed(0)
    depths, seen = torch.rand(2, 2, 16, 16, generator=rng), torch.rand(2, 16, 16, generator=rng) < 0.7
    spread = torch.full_like(depths, 0.05)
    best = depth_loss(Depths(depths, spread), depths, seen)
    for shift in (0.02, -0.1):
        assert depth_loss(Depths(depths + shift, spread), depths, seen) > best
    # What is not seen does not count.
    elsewhere = depths + 3.0 * (~seen).unsqueeze(1)
    torch.testing.assert_close(depth_loss(Depths(elsewhere, spread), depths, seen), best)
    # Of an error of .1 the best spread is .1, that of a Laplace distribution.
    losses = [
        float(depth_loss(Depths(depths + 0.1, torch.full_like(depths, each)), depths, seen))
        for each in (0.05, 0.1, 0.2)
    ]
    assert min(losses) == losses[1]


@pytest.mark.whole
def test_depth_task_learns(shapes: PreparedShapes, tmp_path: Path) -> None:
    task = DepthTask(shapes, SMALL, batch_size=8)
    settings = LoopConfig(
        out_dir=tmp_path, total_steps=80, batch_size=8, learning_rate=3e-3, warmup_steps=2, amp="no", device="cpu"
    )
    losses = train(task, settings).losses
    assert sum(losses[-5:]) < sum(losses[:5]) - 5.0
