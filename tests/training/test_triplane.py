"""The tasks of the triplane system on a small analytic data set: what is trained, exported and begun from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity
from torch import nn

from tests.data.conftest import analytic_shapes, prepared_root, sample_files  # noqa: F401 - fixtures
from wavemesh.checkpoint import load_weights, save_weights
from wavemesh.config import to_dict
from wavemesh.data import colours
from wavemesh.data.dataset import PreparedShapes
from wavemesh.errors import InputError
from wavemesh.models.plane_bands import PlaneBands
from wavemesh.models.wavelet_triplane import DetailCondition, TriplaneConfig, WaveletTriplaneDiffusion
from wavemesh.training import triplane
from wavemesh.training.loop import export, train
from wavemesh.training.presets import PRESETS, build_task, get_preset
from wavemesh.training.settings import LoopConfig
from wavemesh.training.triplane import (
    TASKS,
    CoarseTriplaneTask,
    DetailTriplaneTask,
    JointTriplaneTask,
    build_triplane_task,
    dissimilarity,
    measure_detail_scale,
    patch_pixels,
)
from wavemesh.training.triplane_autoencoder import AutoencoderTask, TriplaneTask, load_parts
from wavemesh.training.triplane_batches import TriplaneOptions

TINY = TriplaneConfig(2, resolution=16, image_size=16, width=8, time_embed_dim=8, condition_dim=8, hidden_dim=8)
OPTIONS = TriplaneOptions(batch_size=2, points=64, patches=1, patch_size=4, ray_samples=8)


# ruff: noqa: F811 - a fixture's name is its argument's name
@pytest.fixture
def shapes(prepared_root: Path, monkeypatch: pytest.MonkeyPatch) -> PreparedShapes:
    monkeypatch.setattr(colours, "NUM_POINTS", 512)
    return PreparedShapes(prepared_root, "train")


@pytest.fixture
def weights(shapes: PreparedShapes, tmp_path: Path) -> Path:
    """Exported weights of an untrained system."""
    torch.manual_seed(1)
    task = AutoencoderTask(shapes, TINY, OPTIONS)
    return save_weights(tmp_path / "weights", task.weights(task.model), task.config())


def _loop(folder: Path, steps: int, **changes: object) -> LoopConfig:
    settings = {"batch_size": 2, "learning_rate": 3e-3, "warmup_steps": 2, "amp": "no", "device": "cpu", **changes}
    return LoopConfig(out_dir=folder, total_steps=steps, **settings)


def _changed(task: TriplaneTask, before: dict[str, torch.Tensor]) -> set[str]:
    after = task.model.state_dict()
    names = {name for name, value in before.items() if not torch.equal(value, after[name])}
    return {name.split(".")[1] if name.startswith("system") else name.split(".")[0] for name in names}


@pytest.mark.whole
def test_the_autoencoder_learns_and_exports_every_part(shapes: PreparedShapes, tmp_path: Path) -> None:
    torch.manual_seed(0)
    task = AutoencoderTask(shapes, TINY, TriplaneOptions(batch_size=3, points=256, augment=False))
    before = {name: value.clone() for name, value in task.model.state_dict().items()}
    result = train(task, _loop(tmp_path / "run", 40, learning_rate=1e-2, batch_size=3, ema_decay=0.9))
    assert sum(result.losses[-5:]) < 0.75 * sum(result.losses[:5])
    assert _changed(task, before) == {"autoencoder", "renderer"}
    export(task, tmp_path / "run", tmp_path / "weights")
    parts, _ = load_weights(tmp_path / "weights")
    assert set(parts) == {"coarse_gen", "detail_diffusion", "renderer", "autoencoder"}
    assert WaveletTriplaneDiffusion.load(tmp_path / "weights").config == TINY
    picture = task.sample_pictures(task.model)["autoencoder"]
    assert picture.dtype == np.uint8


@pytest.mark.parametrize(
    ("name", "trained"),
    [
        ("triplane-coarse", {"coarse_gen"}),
        ("triplane-detail", {"detail_diffusion", "renderer"}),
        ("triplane-joint", {"coarse_gen", "detail_diffusion"}),
    ],
)
def test_a_stage_begins_from_exported_weights_and_trains_its_own_parts(
    name: str, trained: set[str], shapes: PreparedShapes, weights: Path, tmp_path: Path
) -> None:
    task = build_triplane_task(name, shapes, {}, OPTIONS, weights)
    assert isinstance(task, TASKS[name])
    stored, _ = load_weights(weights)
    before = {
        f"autoencoder.{key}" if part == "autoencoder" else f"system.{part}.{key}": value
        for part, state in stored.items()
        for key, value in state.items()
    }
    result = train(task, _loop(tmp_path / "run", 2, init_from=weights))
    assert result.step == 2
    assert all(np.isfinite(result.losses))
    assert _changed(task, before) == trained
    pictures = task.sample_pictures(task.model)
    assert all(picture.dtype == np.uint8 and picture.ndim == 3 for picture in pictures.values())
    assert len(pictures) == 1


@pytest.mark.whole
def test_the_coarse_stage_approaches_the_autoencoders_band(
    shapes: PreparedShapes, weights: Path, tmp_path: Path
) -> None:
    shown = {"view_counts": (4,), "view_weights": (1.0,)}
    options = TriplaneOptions(batch_size=3, points=64, augment=False, field_weight=0.1, **shown)
    task = build_triplane_task("triplane-coarse", shapes, {}, options, weights)
    result = train(task, _loop(tmp_path / "run", 40, init_from=weights, batch_size=3, learning_rate=1e-2))
    assert sum(result.losses[-5:]) < 0.85 * sum(result.losses[:5])


def test_every_trained_parameter_of_the_joint_stage_gets_a_gradient(shapes: PreparedShapes, weights: Path) -> None:
    task = build_triplane_task("triplane-joint", shapes, {}, OPTIONS, weights)
    batch = next(task.batches(0, 0))
    loss, metrics = task.loss(batch, torch.Generator().manual_seed(0))
    loss.backward()
    missing = [n for n, each in task.model.named_parameters() if each.requires_grad and each.grad is None]
    assert missing == []
    assert {"diffusion", "band", "render", "distance", "sign", "overlap", "colour"} == set(metrics)


def test_a_perfect_detail_network_has_no_diffusion_loss_and_returns_the_details(
    shapes: PreparedShapes, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = build_triplane_task("triplane-detail", shapes, {}, OPTIONS, weights)
    system = task.model.system
    target = PlaneBands(torch.randn(2, 3, 2, 16, 16), 0.1 * torch.randn(2, 3, 6, 16, 16))
    painted = 0.1 * torch.randn(2, 3, 6, 16, 16)

    def perfect(x_t: torch.Tensor, t: torch.Tensor, coarse: object) -> torch.Tensor:
        signal, noise = (
            each[t].view(-1, 1, 1, 1, 1) for each in (system.diffusion.schedule.signal, system.diffusion.schedule.noise)
        )
        clean = (target.details - painted) / system.detail_scale
        return signal * (x_t - signal * clean) / noise - noise * clean

    monkeypatch.setattr(system, "denoise", perfect)
    coarse = DetailCondition(target.ll, torch.zeros(2, 3, 8, 16, 16), painted, torch.ones(2, 16, 16, 16))
    guess = triplane.diffuse_details(task, target, coarse, torch.Generator().manual_seed(0))
    assert float(guess.step.loss) < 1e-6
    torch.testing.assert_close(guess.details, target.details, atol=1e-4, rtol=1e-3)


def test_detail_scales_are_those_of_the_bands(shapes: PreparedShapes, weights: Path) -> None:
    autoencoder = load_parts(weights).autoencoder
    measured = measure_detail_scale(autoencoder, shapes)
    opened = colours.open_colours(shapes)
    everything = range(len(shapes))
    volume = colours.colour_volume(opened.points(everything), opened.colours(everything), 32)
    with torch.no_grad():
        details = autoencoder(shapes.sdf(everything), volume).details
    expected = details.square().mean(dim=(0, 1, 3, 4)).sqrt()
    np.testing.assert_allclose(measured, expected, rtol=2e-3)
    task = build_triplane_task("triplane-detail", shapes, {}, OPTIONS, weights)
    assert task.settings.detail_scale == measured
    assert build_triplane_task("triplane-joint", shapes, {}, OPTIONS, weights).settings.detail_scale == (0.25,)


def test_patches_are_squares_around_the_object_and_inside_the_picture() -> None:
    alpha = torch.zeros(20, 20)
    alpha[0:3, 17:20] = 1.0
    pixels = patch_pixels(alpha, 3, 5, torch.Generator().manual_seed(0)).view(3, 5, 5)
    rows, columns = pixels // 20, pixels % 20
    assert int(rows.max()) <= 4
    assert int(columns.min()) >= 15
    torch.testing.assert_close(rows[:, 1:] - rows[:, :-1], torch.ones(3, 4, 5, dtype=torch.long))
    torch.testing.assert_close(columns[:, :, 1:] - columns[:, :, :-1], torch.ones(3, 5, 4, dtype=torch.long))
    nothing = patch_pixels(torch.zeros(6, 6), 2, 8, torch.Generator().manual_seed(0))
    assert 0 <= int(nothing.min()) <= int(nothing.max()) < 36


@pytest.mark.parametrize("name", [name for name in PRESETS if name.startswith("triplane")])
def test_presets_build_their_tasks(name: str, shapes: PreparedShapes, weights: Path, tmp_path: Path) -> None:
    preset = get_preset(name)
    if preset.after is None:
        task = build_task(preset, shapes.root, preset.loop_config(tmp_path))
        assert isinstance(task, AutoencoderTask)
        assert task.settings.triplane_channels == 16
        return
    assert preset.after in PRESETS
    with pytest.raises(InputError, match="--init"):
        build_task(preset, shapes.root, preset.loop_config(tmp_path))
    task = build_task(preset, shapes.root, preset.loop_config(tmp_path, init_from=weights))
    assert isinstance(task, CoarseTriplaneTask | DetailTriplaneTask | JointTriplaneTask)
    assert len(task.parameter_groups(1e-3)) == 2 * len(task.parts)


def test_every_trained_parameter_is_in_one_group(shapes: PreparedShapes, weights: Path) -> None:
    task = build_triplane_task("triplane-joint", shapes, {}, OPTIONS, weights)
    groups = task.parameter_groups(1e-3)
    grouped = [id(parameter) for group in groups for parameter in group["params"]]
    trained = [id(parameter) for parameter in task.model.parameters() if parameter.requires_grad]
    assert sorted(grouped) == sorted(trained)
    rates = {
        id(parameter): (group["lr"], bool(group.get("orthogonal"))) for group in groups for parameter in group["params"]
    }
    system = task.model.system
    assert rates[id(system.coarse_gen.conv_out.weight)] == (1e-3, False)
    assert rates[id(system.coarse_gen.block_in.conv_out.weight)] == (pytest.approx(8e-3), True)


def test_an_autoencoder_may_begin_anew_beside_a_renderer_that_goes_on(
    shapes: PreparedShapes, weights: Path, tmp_path: Path
) -> None:
    parts, config = load_weights(weights)
    del parts["autoencoder"]
    system = save_weights(tmp_path / "system", parts, config)
    task = build_triplane_task("triplane-autoencoder", shapes, {}, OPTIONS, system)
    assert task.settings == TINY
    train(task, _loop(tmp_path / "run", 2, init_from=system))
    export(task, tmp_path / "run", tmp_path / "both")
    stored, _ = load_weights(tmp_path / "both")
    assert "autoencoder" in stored
    for part, state in parts.items():
        for key, value in state.items():
            # Two steps of a small rate away; the other parts are as they were.
            atol = 0.05 if part == "renderer" else 0.0
            torch.testing.assert_close(stored[part][key], value, rtol=0, atol=atol)
    assert isinstance(
        build_triplane_task("triplane-detail", shapes, {}, OPTIONS, tmp_path / "both"), DetailTriplaneTask
    )


def test_dissimilarity_is_that_of_scikit_image() -> None:
    generator = torch.Generator().manual_seed(0)
    first = torch.rand(2, 3, 16, 16, generator=generator)
    second = (first + 0.2 * torch.randn(2, 3, 16, 16, generator=generator)).clamp(0, 1)
    expected = []
    for one, other in zip(first.double().numpy(), second.double().numpy(), strict=True):
        _, whole = structural_similarity(
            one, other, channel_axis=0, data_range=1.0, win_size=7, use_sample_covariance=False, full=True
        )
        expected.append(0.5 - 0.5 * whole[:, 3:-3, 3:-3].mean())
    assert float(dissimilarity(first, second)) == pytest.approx(np.mean(expected), abs=1e-5)
    assert float(dissimilarity(first, first)) == pytest.approx(0.0, abs=1e-6)


def test_a_picture_of_the_triplane_itself_has_no_rendering_loss(shapes: PreparedShapes, weights: Path) -> None:
    options = TriplaneOptions(batch_size=2, points=64, patches=2, patch_size=8, ray_samples=8)
    task = build_triplane_task("triplane-detail", shapes, {}, options, weights)
    assert isinstance(task, DetailTriplaneTask)
    batch = next(task.batches(0, 0))
    system = task.model.system
    with torch.no_grad():
        triplane = torch.randn(2, 3, 2, 32, 32)
        size = batch["images"].shape[-1]
        pixels = torch.arange(size**2).expand(2, -1)
        camera = batch["poses"][:, -1], batch["intrinsics"][:, -1]
        rgb, opacity = system.renderer.render_pixels(triplane, pixels, size, *camera, 256, 128)
        drawn = torch.cat([rgb, opacity[..., None]], dim=2).transpose(1, 2).unflatten(2, (size, size))
        other = task.rendering_loss(triplane, batch, torch.Generator().manual_seed(0))
        batch["images"][:, -1] = drawn
        task.options = replace(options, ray_samples=256)
        same = task.rendering_loss(triplane, batch, torch.Generator().manual_seed(0))
    assert float(same) < 0.02 < 0.1 < float(other)


def test_weights_without_the_autoencoder_and_other_resolutions_are_refused(
    shapes: PreparedShapes, weights: Path, tmp_path: Path
) -> None:
    parts, config = load_weights(weights)
    del parts["autoencoder"]
    save_weights(tmp_path / "system", parts, config)
    with pytest.raises(InputError, match="'autoencoder'"):
        build_triplane_task("triplane-coarse", shapes, {}, OPTIONS, tmp_path / "system")
    with pytest.raises(InputError, match="32"):
        AutoencoderTask(shapes, TriplaneConfig(2, resolution=32, image_size=16, width=8), OPTIONS)
    save_weights(tmp_path / "other", {"autoencoder": nn.Linear(1, 1).state_dict(), **parts}, to_dict(TINY))
    with pytest.raises(InputError, match="do not fit"):
        load_parts(tmp_path / "other")
