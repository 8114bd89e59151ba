"""The denoisers: what their noisy input is worth at each timestep, and the sizes of their U-Nets."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.models.conftest import TINY
from wavemesh.checkpoint import save_weights
from wavemesh.config import to_dict
from wavemesh.errors import InputError
from wavemesh.geometry.camera import Camera
from wavemesh.geometry.camera_tensors import stack_cameras
from wavemesh.models.denoiser import CoarseDenoiser, DenoiserConfig, fold_cells, signal_part, unfold_cells
from wavemesh.models.multiview_encoder import ViewFeatures
from wavemesh.models.wavemesh import WaveMeshModel
from wavemesh.sparse.tensor import SparseTensor

LAST = TINY.diffusion.timesteps - 1


def encoded(model: WaveMeshModel) -> ViewFeatures:
    poses, intrinsics = stack_cameras([Camera(30.0, 20.0)])
    images = torch.rand(1, 1, 4, 32, 32, generator=torch.Generator().manual_seed(1))
    return model.encoder.encode(images, poses[None], intrinsics[None])


def test_the_noisy_input_counts_by_its_share_of_signal() -> None:
    signal = torch.tensor([1.0, 0.5, 0.0])
    grid = torch.randn(3, 2, 4, 4, 4)
    weighted = signal_part(grid, torch.tensor([2, 0, 1]), signal)
    for sample, share in enumerate((0.0, 1.0, 0.5)):
        torch.testing.assert_close(weighted[sample], grid[sample] * share)

    rows, owner = torch.randn(5, 7), torch.tensor([0, 0, 1, 1, 1])
    weighted = signal_part(rows, torch.tensor([1, 2]), signal, owner)
    torch.testing.assert_close(weighted[:2], rows[:2] * 0.5)
    assert not weighted[2:].any()

    assert signal_part(grid, torch.tensor([2, 2, 2]), None) is grid
    assert signal_part(grid.bfloat16(), torch.tensor([1, 1, 1]), signal).dtype == torch.bfloat16


@pytest.mark.parametrize(("t", "same"), [(LAST, True), (LAST // 2, False)])
def test_noise_has_no_say_where_no_signal_is_left(tiny_model: WaveMeshModel, t: int, same: bool) -> None:
    features, step = encoded(tiny_model), torch.tensor([t])
    condition = tiny_model.coarse.condition(features)
    answers = [tiny_model.coarse(torch.randn(1, 8, 8, 8, 8), step, condition) for _ in range(2)]
    assert answers[0].abs().max() > 1e-3
    assert torch.equal(*answers) == same

    field = 0.05 * torch.randn(1, 16, 16, 16)
    coords = (torch.rand(1, 16, 16, 16) < 0.2).nonzero()
    condition = tiny_model.detail.condition(features, field, coords)
    answers = []
    for _ in range(2):
        sites = SparseTensor(torch.randn(len(coords), 7), coords, (16, 16, 16), 1)
        answers.append(tiny_model.detail(sites.features, step, condition, sites))
    assert answers[0].abs().max() > 1e-3
    assert torch.equal(*answers) == same


def test_a_denoiser_without_the_shares_takes_its_input_as_it_is(tiny_model: WaveMeshModel) -> None:
    size = DenoiserConfig((8, 16), (1, 1), hidden=8, condition_channels=8, time_dim=16)
    plain = CoarseDenoiser(size, 8, map_channels=8, context_dim=24)
    torch.nn.init.normal_(plain.unet.conv_out.weight, std=0.2)
    condition, t = plain.condition(encoded(tiny_model)), torch.tensor([LAST])
    first, second = (plain(torch.randn(1, 8, 8, 8, 8), t, condition) for _ in range(2))
    assert (first - second).abs().max() > 1e-3


def test_the_shares_belong_to_the_schedule_and_not_to_the_weights(tiny_model: WaveMeshModel) -> None:
    for part in (tiny_model.coarse, tiny_model.detail):
        assert torch.equal(part.signal.square(), tiny_model.diffusion.schedule.signal.square())
        assert part.signal[-1] == 0
        assert "signal" not in part.state_dict()


def test_the_decoder_may_have_other_blocks_than_the_encoder(tiny_model: WaveMeshModel, tmp_path: Path) -> None:
    uneven = replace(TINY, coarse=replace(TINY.coarse, blocks=(0, 1), decoder_blocks=(2, 1)))
    model = WaveMeshModel(uneven)
    assert [len(level) for level in model.coarse.unet.encoder] == [0, 1]
    assert [len(level) for level in model.coarse.unet.decoder] == [2, 1]
    assert [len(level) for level in model.detail.unet.decoder] == [1, 1]
    model.save(tmp_path / "weights")
    assert WaveMeshModel.load(tmp_path / "weights").config == uneven
    with pytest.raises(InputError, match=r"decoder_blocks must have 2 entries.*\[1\]"):
        WaveMeshModel(replace(TINY, coarse=replace(TINY.coarse, decoder_blocks=(1,))))


def test_a_configuration_from_before_a_setting_existed_takes_its_default(
    tiny_model: WaveMeshModel, tmp_path: Path
) -> None:
    older = to_dict(TINY)
    for part in ("coarse", "detail"):
        assert older[part].pop("decoder_blocks") is None
    del older["sampling"]
    parts = {name: getattr(tiny_model, name).state_dict() for name in ("encoder", "coarse", "detail")}
    save_weights(tmp_path / "weights", parts, older)
    loaded = WaveMeshModel.load(tmp_path / "weights")
    assert loaded.config == TINY
    assert loaded.config.coarse.decoder_blocks is DenoiserConfig().decoder_blocks is None

    save_weights(tmp_path / "newer", parts, older | {"colour": "red"})
    with pytest.raises(InputError, match="'colour'"):
        WaveMeshModel.load(tmp_path / "newer")


def test_folded_cells_lie_side_by_side() -> None:
    grid = torch.randn(2, 3, 8, 8, 8)
    rows = fold_cells(grid, 2)
    assert rows.shape == (2, 64, 24)
    i, j, k = 3, 0, 2
    block = grid[:, :, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2, 2 * k : 2 * k + 2]
    torch.testing.assert_close(rows[:, (i * 4 + j) * 4 + k], block.permute(0, 2, 3, 4, 1).flatten(1))
    torch.testing.assert_close(unfold_cells(rows, 2, 4), grid)
    torch.testing.assert_close(fold_cells(grid, 1), grid.flatten(2).transpose(1, 2))


def test_a_folded_denoiser_begins_from_the_same_hull(tiny_model: WaveMeshModel) -> None:
    features, t = encoded(tiny_model), torch.tensor([LAST])
    answers = []
    for fold in (1, 2):
        size = DenoiserConfig((8, 16), (1, 1), hidden=8, condition_channels=8, time_dim=16, fold=fold)
        network = CoarseDenoiser(size, 8, map_channels=8, context_dim=24)
        answers.append(network(torch.zeros(1, 8, 8, 8, 8), t, network.condition(features)))
    # Nothing is learnt yet: both answer half of what the hull says.
    assert answers[0].abs().max() > 0.1
    torch.testing.assert_close(*answers)


def test_a_folded_denoiser_sees_every_cell(tiny_model: WaveMeshModel) -> None:
    size = DenoiserConfig((8, 16), (1, 1), hidden=8, condition_channels=8, time_dim=16, fold=2)
    network = CoarseDenoiser(size, 8, map_channels=8, context_dim=24)
    torch.nn.init.normal_(network.unet.conv_out.weight, std=0.2)
    condition, t = network.condition(encoded(tiny_model)), torch.tensor([LAST // 2])
    noisy = torch.zeros(1, 8, 8, 8, 8, requires_grad=True)
    network(noisy, t, condition)[0, 0, 3, 4, 5].backward()
    assert noisy.grad is not None
    assert bool((noisy.grad[0, :, 2:4, 4:6, 4:6] != 0.0).all())
