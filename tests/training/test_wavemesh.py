"""The tasks of WaveMesh-Diff on a small analytic data set: batches, losses, learning, presets."""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.data.conftest import analytic_shapes, prepared_root, sample_files  # noqa: F401 - fixtures
from tests.models.conftest import TINY
from wavemesh.checkpoint import load_weights
from wavemesh.config import from_dict
from wavemesh.data.dataset import PreparedShapes
from wavemesh.errors import InputError
from wavemesh.geometry.camera import Camera
from wavemesh.geometry.camera_tensors import stack_cameras
from wavemesh.models.camera_head import CameraHeadConfig, azimuths_deg
from wavemesh.models.depth_network import DepthConfig, DepthNetwork
from wavemesh.models.multiview_encoder import ViewFeatures
from wavemesh.models.projection import grid_points, soft_hull
from wavemesh.models.wavemesh import WaveMeshConfig, WaveMeshModel
from wavemesh.training.camera import CameraTask, chosen_views
from wavemesh.training.loop import export, train
from wavemesh.training.presets import PRESETS, build_task, get_preset
from wavemesh.training.settings import LoopConfig
from wavemesh.training.wavemesh import CoarseTask, DetailTask, ShapeBatches, TaskOptions, field_losses, measure_scales


# ruff: noqa: F811 - a fixture's name is its argument's name
@pytest.fixture
def shapes(prepared_root: Path) -> PreparedShapes:
    return PreparedShapes(prepared_root, "train")


def test_batches_depend_on_seed_and_number_alone(shapes: PreparedShapes) -> None:
    batches = ShapeBatches(shapes, TaskOptions(batch_size=2))
    through = batches(3, 0)
    for _ in range(3):
        last = next(through)
    direct = next(batches(3, 2))
    assert all(torch.equal(last[name], direct[name]) for name in last)
    other = next(batches(4, 2))
    assert not torch.equal(direct["sdf"], other["sdf"])


def test_every_shape_comes_once_a_pass(shapes: PreparedShapes) -> None:
    batches = ShapeBatches(shapes, TaskOptions(batch_size=2))
    seen = [index for number in range(3) for index in batches.indices(0, number)]
    assert sorted(seen) == sorted(list(range(len(shapes))) * 2)


def test_numbers_of_views_keep_their_weights_and_change_from_batch_to_batch(shapes: PreparedShapes) -> None:
    weights = {1: 0.45, 2: 0.15, 3: 0.1, 6: 0.3}
    options = TaskOptions(
        batch_size=1, view_counts=tuple(weights), view_weights=tuple(2.0 * w for w in weights.values())
    )
    batches = ShapeBatches(shapes, options)
    counts = [batches.view_count(number) for number in range(4000)]
    for count, weight in weights.items():
        assert counts.count(count) / 4000 == pytest.approx(weight, abs=0.003)
        # Spread evenly: any twenty batches in a row have nearly their share of each number.
        for start in range(0, 3980, 7):
            assert abs(counts[start : start + 20].count(count) - 20 * weight) < 2.5
    assert max(len(list(run)) for _, run in itertools.groupby(counts)) == 2
    for number in range(4):
        assert batches.batch(5, number)["images"].shape[1] == counts[number]
    one = ShapeBatches(shapes, TaskOptions(view_counts=(3,), view_weights=(0.2,)))
    assert {one.view_count(number) for number in range(50)} == {3}


def test_augmented_pictures_fit_their_shapes(shapes: PreparedShapes) -> None:
    batches = ShapeBatches(shapes, TaskOptions(batch_size=6, view_counts=(4,), view_weights=(1.0,)))
    batch = batches.batch(0, 0)
    empty = torch.zeros(6, 4, 0)
    features = ViewFeatures(empty, batch["images"][:, :, 3:], empty, empty, batch["poses"], batch["intrinsics"])
    hull = soft_hull(features, grid_points(32)).view(6, 32, 32, 32) > 0.5
    solid = batch["sdf"] < -0.02
    assert (hull & solid).sum() / solid.sum() > 0.93  # imperfect masks eat a pixel of 48


def test_field_losses_vanish_for_the_truth_and_weigh_thin_shapes() -> None:
    truth = torch.full((2, 16, 16, 16), 0.09)
    truth[0, 4:12, 4:12, 4:12] = -0.09
    truth[1, 8, 4:12, 4:12] = -0.09
    same_distance, same_overlap = field_losses(truth, truth, 0.09)
    assert (same_distance < 0.05).all()
    assert (same_overlap < 0.05).all()
    _, empty_overlap = field_losses(torch.full_like(truth, 0.09), truth, 0.09)
    assert (empty_overlap > 0.95).all()  # losing a thin sheet costs as much as losing a block


def test_field_losses_see_the_deep_inside_of_a_wrong_solid() -> None:
    truth = torch.full((2, 16, 16, 16), 0.09)
    truth[1, 2:6, 2:6, 2:6] = -0.09
    field = torch.full((2, 16, 16, 16), 0.09)
    field[0, 8:14, 8:14, 8:14] = -0.09  # a solid where there is none; the second lacks the one that should be
    field.requires_grad_()
    surface, overlap = field_losses(field, truth, 0.09)
    # Nothing lies near a surface: each wrong cell is off by two truncations, its sign wrong with logit 4.
    expected = 2.0 + math.log1p(math.exp(4.0))
    torch.testing.assert_close(surface, torch.full((2,), expected), rtol=1e-4, atol=0)
    assert (overlap > 0.95).all()
    surface.sum().backward()
    assert field.grad is not None
    assert field.grad[0, 11, 11, 11] < 0  # descent raises the field there, away from solid
    assert field.grad[1, 4, 4, 4] > 0
    assert not field.grad[:, 0, 0, 0].any()


def test_scaled_bands_have_unit_size(shapes: PreparedShapes) -> None:
    config = measure_scales(shapes, TINY)
    bands, _ = WaveMeshModel(config).analyse(shapes.sdf(range(len(shapes))))
    deviation = bands.square().mean(dim=(0, 2, 3, 4)).sqrt()
    torch.testing.assert_close(deviation, torch.ones(8), atol=0.02, rtol=0)


@pytest.mark.whole
def test_coarse_task_learns_its_shapes(shapes: PreparedShapes, tmp_path: Path) -> None:
    options = TaskOptions(
        batch_size=4, augment=False, drop_prob=0.0, terminal_prob=1.0, view_counts=(4,), view_weights=(1.0,)
    )
    task = CoarseTask(shapes, measure_scales(shapes, TINY), options)
    settings = LoopConfig(
        out_dir=tmp_path, total_steps=30, batch_size=4, learning_rate=4e-3, warmup_steps=5, amp="no", device="cpu"
    )
    result = train(task, settings)
    assert sum(result.losses[-5:]) < 0.8 * sum(result.losses[:5])
    pictures = task.sample_pictures(task.model)
    assert pictures["one_step"].ndim == 3
    export(task, tmp_path, tmp_path / "weights")
    _, config = load_weights(tmp_path / "weights")
    assert from_dict(WaveMeshConfig, config) == task.settings


def test_detail_task_leaves_the_encoder_alone(shapes: PreparedShapes, tmp_path: Path) -> None:
    task = DetailTask(shapes, measure_scales(shapes, TINY), TaskOptions(batch_size=2))
    before = {name: value.clone() for name, value in task.model.encoder.state_dict().items()}
    train(task, LoopConfig(out_dir=tmp_path, total_steps=3, batch_size=2, amp="no", device="cpu"))
    assert all(torch.equal(value, before[name]) for name, value in task.model.encoder.state_dict().items())
    trained = {name for name, parameter in task.model.named_parameters() if parameter.requires_grad}
    assert trained
    assert all(name.startswith("detail.") for name in trained)


@pytest.mark.whole
def test_camera_task_learns(shapes: PreparedShapes, tmp_path: Path) -> None:
    task = CameraTask(shapes, CameraHeadConfig(image_size=64, widths=(8, 8, 16)), batch_size=8)
    settings = LoopConfig(
        out_dir=tmp_path, total_steps=160, batch_size=8, learning_rate=3e-3, warmup_steps=2, amp="no", device="cpu"
    )
    losses = train(task, settings).losses
    # Batches take turns at one, two, four and eight pictures.
    assert sum(losses[-8:]) < 0.8 * sum(losses[:8])


def test_camera_batches_hold_procedural_shapes_beside_the_prepared_ones(shapes: PreparedShapes) -> None:
    config = CameraHeadConfig(image_size=64, widths=(8, 8, 16))
    plain, mixed = (CameraTask(shapes, config, batch_size=6, procedural=count) for count in (0, 3))
    stored = shapes.view_cameras(range(len(shapes)), [range(shapes.num_views)] * len(shapes))[0].flatten(0, 1)[..., 3]

    def known(batch: dict[str, torch.Tensor]) -> int:
        """How many pictures have a camera of the prepared shapes, or its mirror image."""
        positions = batch["poses"][..., 3].flatten(0, 1).abs()
        return int((torch.cdist(positions, stored.abs()).amin(dim=1) < 1e-4).sum())

    assert known(next(plain.batches(0, 0))) == 6
    batch = next(mixed.batches(0, 0))
    assert batch["images"].shape == (6, 1, 4, shapes.image_size, shapes.image_size)
    assert 3 <= known(batch) < 6  # all shapes share the canonical cameras
    # A run that goes on later has the batches that it would have had.
    batches = mixed.batches(0, 0)
    next(batches)
    following, resumed = next(batches), next(mixed.batches(0, 1))
    assert all(torch.equal(following[name], resumed[name]) for name in following)


def test_camera_batches_take_one_to_eight_pictures_of_an_object(shapes: PreparedShapes) -> None:
    task = CameraTask(shapes, CameraHeadConfig(image_size=64, widths=(8, 8, 16)), batch_size=16)
    sizes = [tuple(batch["poses"].shape[:2]) for batch in itertools.islice(task.batches(0, 0), 8)]
    assert sizes == [(16, 1), (8, 2), (4, 4), (2, 8)] * 2


def test_walking_around_an_object_goes_by_quarter_turns() -> None:
    rng = np.random.default_rng(0)
    poses = stack_cameras([Camera(15.0 * number, 20.0) for number in range(24)])[0]
    steps, repeated = [], 0
    for _ in range(300):
        chosen = chosen_views(poses, 4, rng)
        assert len(chosen) == 4
        repeated += len(set(chosen)) < 4
        turns = azimuths_deg(poses[chosen]).numpy()
        steps.append(np.abs((np.diff(turns) + 180.0) % 360.0 - 180.0))
    assert 10 < repeated < 60
    walked = [(np.abs(row - 90.0) < 50.0).all() for row in steps]
    assert 0.45 < np.mean(walked) < 0.75, "half of them, and some by chance"
    assert len(set(chosen_views(poses[:3], 8, rng))) <= 3


# Cutout is of scenes, not of shapes, symmetry begins from other weights: their own tests build them.
@pytest.mark.parametrize("name", [name for name in PRESETS if not name.startswith(("triplane", "cutout", "symmetry"))])
def test_presets_build_their_tasks(name: str, prepared_root: Path, tmp_path: Path) -> None:
    preset = get_preset(name)
    task = build_task(preset, prepared_root, preset.loop_config(tmp_path))
    assert task.parameter_groups(1e-3)


def test_another_resolution_is_refused(shapes: PreparedShapes) -> None:
    with pytest.raises(InputError, match="32"):
        CoarseTask(shapes, WaveMeshConfig(), TaskOptions())


def test_a_run_goes_on_with_a_depth_network_that_stays_as_it_is(prepared_root: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = DepthNetwork(DepthConfig(image_size=32, widths=(8, 8, 16), attention_blocks=1, heads=2))
    model = WaveMeshModel(TINY).with_depth(network)
    task = CoarseTask(prepared_root, model.config, TaskOptions(batch_size=2, train_encoder=False))
    task.model.load_state_dict(model.state_dict())
    loss, _ = task.loss(next(task.batches(0, 0)), torch.Generator().manual_seed(0))
    loss.backward()
    trained = {name.split(".")[0] for name, each in task.model.named_parameters() if each.grad is not None}
    assert trained == {"coarse"}
    assert {id(each) for group in task.parameter_groups(1e-3) for each in group["params"]} == {
        id(each) for each in task.model.coarse.parameters()
    }
