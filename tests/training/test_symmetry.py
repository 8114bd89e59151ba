"""Training of the symmetry head: what counts as symmetric, and that nothing else of the model changes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.data.conftest import analytic_shapes, prepared_root, sample_files  # noqa: F401 - fixtures
from tests.models.test_symmetry import posed
from wavemesh.config import from_dict
from wavemesh.data.dataset import PreparedShapes
from wavemesh.errors import InputError
from wavemesh.geometry.camera import Camera
from wavemesh.geometry.isosurface import sdf_to_mesh
from wavemesh.models.depth_network import DepthConfig
from wavemesh.models.inflation import FACING, PLANES
from wavemesh.models.symmetry_head import SymmetryHeadConfig
from wavemesh.models.wavemesh import WaveMeshConfig, WaveMeshModel
from wavemesh.training.loop import export, train
from wavemesh.training.presets import TINY_MODEL, get_preset
from wavemesh.training.settings import LoopConfig
from wavemesh.training.symmetry import AROUND, PLANE, ROUND, SymmetryTask, plane_agreements, turn_agreement

DEPTH = DepthConfig(image_size=128, widths=(8, 8, 8, 16), attention_blocks=1, heads=2)


def distances(*balls: tuple[float, float, float, float], side: int = 64) -> torch.Tensor:
    """The truncated field of balls (x, y, z, radius)."""
    axis = (torch.arange(side) + 0.5) / side * 2 - 1
    points = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1)
    fields = [(points - torch.tensor(ball[:3])).norm(dim=-1) - ball[3] for ball in balls]
    return torch.stack(fields).amin(dim=0).clamp(-0.09, 0.09)


def test_agreements_of_planes() -> None:
    pair = distances((0.4, 0.0, 0.3, 0.3), (-0.4, 0.0, 0.3, 0.3))
    sides, depths = plane_agreements(pair).tolist()
    assert sides == 1.0
    assert depths < 0.6
    # Turned by a quarter the planes change places.
    sides, depths = plane_agreements(pair.transpose(0, 2)).tolist()
    assert depths == 1.0
    assert sides < 0.6
    assert plane_agreements(torch.full((32, 32, 32), 0.09)).tolist() == [0.0, 0.0]


def test_agreement_of_turns() -> None:
    assert float(turn_agreement(distances((0.0, 0.2, 0.0, 0.6)))) > 0.99
    assert float(turn_agreement(distances((0.0, 0.5, 0.0, 0.4), (0.0, -0.4, 0.0, 0.5)))) > 0.99
    assert float(turn_agreement(distances((0.5, 0.0, 0.0, 0.3)))) < 0.1  # round, but not about the frame's axis
    axis = (torch.arange(64) + 0.5) / 32 - 1
    x, y, z = torch.meshgrid(axis, axis, axis, indexing="ij")
    column = torch.stack([x.abs(), z.abs(), y.abs() - 0.3]).amax(dim=0) - 0.5
    assert 0.3 < float(turn_agreement(column.clamp(-0.09, 0.09))) < 0.65
    assert float(turn_agreement(torch.full((32, 32, 32), 0.09))) == 0.0


# ruff: noqa: F811 - a fixture's name is its argument's name
@pytest.fixture
def shapes(prepared_root: Path) -> PreparedShapes:
    return PreparedShapes(prepared_root, "train")


def configuration(shapes: PreparedShapes) -> WaveMeshConfig:
    changes = {"resolution": shapes.resolution, **TINY_MODEL}
    return replace(from_dict(WaveMeshConfig, changes, fill_defaults=True), depth=DEPTH)


def test_only_the_head_is_trained(shapes: PreparedShapes, tmp_path: Path) -> None:
    torch.manual_seed(0)
    WaveMeshModel(configuration(shapes)).save(tmp_path / "before")
    before = WaveMeshModel.load(tmp_path / "before")
    task = SymmetryTask(shapes, configuration(shapes), batch_size=4)
    loop = LoopConfig(
        out_dir=tmp_path / "run", total_steps=2, batch_size=4, amp="no", device="cpu", init_from=tmp_path / "before"
    )
    assert train(task, loop).step == 2
    export(task, tmp_path / "run", tmp_path / "after")
    after = WaveMeshModel.load(tmp_path / "after")
    assert after.config.symmetry == SymmetryHeadConfig()
    for name, network in before.networks().items():
        for key, value in network.state_dict().items():
            torch.testing.assert_close(after.networks()[name].state_dict()[key], value, msg=f"{name}.{key}")


def test_a_batch_turns_cameras_and_shapes_together(shapes: PreparedShapes) -> None:
    task = SymmetryTask(shapes, configuration(shapes), batch_size=6)
    batch = task.batch(np.random.default_rng(0))
    assert batch["images"].shape[:2] == (6, 4)
    rotations = batch["poses"][:, :, :3]
    torch.testing.assert_close(rotations @ rotations.transpose(1, 2), torch.eye(3).expand(6, 3, 3), atol=1e-4, rtol=0.0)
    asked = batch["asked"]
    assert set(batch["alike"][asked == PLANE].tolist()) <= set(task.alike.flatten().tolist())
    assert set(batch["alike"][asked == AROUND].tolist()) <= set(task.roundness.tolist())
    assert bool(((batch["inflated"] >= 0.0) & (batch["inflated"] <= 1.0)).all())
    loss, metrics = task.loss(batch, torch.Generator())
    loss.backward()
    assert 0.0 <= float(metrics["right"]) <= 1.0
    assert all(parameter.grad is not None for parameter in task.model.symmetry.parameters())


def test_round_shapes_come_often_where_roundness_is_asked_for(shapes: PreparedShapes) -> None:
    task = SymmetryTask(shapes, configuration(shapes), batch_size=4)
    task.roundness = torch.zeros(len(shapes))
    task.roundness[1] = ROUND
    drawn = task._indices(np.random.default_rng(0), np.arange(2000) < 1000)
    share = 1.0 / len(shapes)
    assert np.mean(np.array(drawn[:1000]) == 1) == pytest.approx(0.4 + 0.6 * share, abs=0.06)
    assert np.mean(np.array(drawn[1000:]) == 1) == pytest.approx(share, abs=0.06)


def test_inflated_silhouettes_are_compared_with_the_shape_in_its_own_frame(shapes: PreparedShapes) -> None:
    task = SymmetryTask(shapes, configuration(shapes), batch_size=1)
    # A bar along z, a little beside the middle.
    bar = distances(*((0.08, 0.0, z / 10, 0.25) for z in range(-6, 7)))
    task.small[0] = torch.nn.functional.avg_pool3d(bar[None], 2)[0]
    mesh = sdf_to_mesh(bar.numpy())
    picture = posed(mesh, Camera(70.0, 10.0))
    parts = picture.images[0, 0], picture.poses[0, 0].float(), picture.intrinsics[0, 0].float()
    about_own = task._inflated_iou(0, *parts, PLANES[0], False)
    assert 0.5 < float(about_own) < 1.0
    assert float(task._inflated_iou(0, *parts, FACING, False)) < float(about_own) - 0.1
    in_mirror = task._inflated_iou(0, *parts, PLANES[0], True)
    task.small[0] = task.small[0].flip(0)
    assert task._inflated_iou(0, *parts, PLANES[0], False) == in_mirror != about_own


def test_a_head_needs_a_depth_network(shapes: PreparedShapes) -> None:
    with pytest.raises(InputError, match="depth network"):
        replace(WaveMeshConfig(), symmetry=SymmetryHeadConfig())
    assert get_preset("symmetry").task == "symmetry"
