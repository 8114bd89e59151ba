"""The whole model: bands and back, active sites, conditions, saving and loading."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.models.conftest import TINY
from wavemesh.errors import InputError
from wavemesh.geometry.camera import Camera
from wavemesh.geometry.camera_tensors import stack_cameras
from wavemesh.models.denoiser import CoarseDenoiser, DenoiserConfig
from wavemesh.models.depth_network import DepthConfig, DepthNetwork
from wavemesh.models.multiview_encoder import ViewFeatures
from wavemesh.models.wavemesh import WaveMeshConfig, WaveMeshModel
from wavemesh.sparse.tensor import SparseTensor
from wavemesh.wavelets.sparse import gather_sites


def sphere(resolution: int = 32, radius: float = 0.6) -> torch.Tensor:
    axis = (torch.arange(resolution) + 0.5) / resolution * 2 - 1
    points = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1)
    return (points.norm(dim=-1) - radius).clamp(-0.09, 0.09)[None]


def encoded(model: WaveMeshModel, views: int = 2, batch: int = 1) -> ViewFeatures:
    poses, intrinsics = stack_cameras([Camera(40.0 * index, 15.0) for index in range(views)])
    images = torch.rand(batch, views, 4, 32, 32, generator=torch.Generator().manual_seed(1))
    return model.encoder.encode(images, poses.expand(batch, -1, -1, -1), intrinsics.expand(batch, -1, -1))


def test_bands_decode_to_the_field(tiny_model: WaveMeshModel) -> None:
    sdf = sphere()
    bands, details = tiny_model.analyse(sdf)
    assert bands.shape == (1, 8, 8, 8, 8)
    field = tiny_model.coarse_field(bands)
    assert ((field < 0).float().mean() - (sdf < 0).float().mean()).abs() < 0.01
    features, coords = gather_sites(details, torch.ones_like(field, dtype=torch.bool))
    restored = tiny_model.decode(bands, features / tiny_model.detail_scale, coords)
    torch.testing.assert_close(restored, sdf, atol=1e-5, rtol=0)


def test_active_sites_keep_the_shape(tiny_model: WaveMeshModel) -> None:
    sdf = sphere()
    bands, details = tiny_model.analyse(sdf)
    mask = tiny_model.active_mask(tiny_model.coarse_field(bands))
    assert 0 < mask.sum() < 0.6 * mask.numel()
    features, coords = gather_sites(details, mask)
    restored = tiny_model.decode(bands, features / tiny_model.detail_scale, coords)
    both, either = ((restored < 0) & (sdf < 0)).sum(), ((restored < 0) | (sdf < 0)).sum()
    assert both / either > 0.99


def test_dropped_condition_hides_the_pictures(tiny_model: WaveMeshModel) -> None:
    x_t, t = torch.randn(1, 8, 8, 8, 8), torch.tensor([500])
    conditions = [tiny_model.coarse.condition(encoded(tiny_model, views)) for views in (1, 3)]
    shown = [tiny_model.coarse(x_t, t, condition) for condition in conditions]
    hidden = [tiny_model.coarse(x_t, t, condition.dropped(torch.zeros(1))) for condition in conditions]
    assert (shown[0] - shown[1]).abs().max() > 1e-5
    # The number of tokens differs, so only the rounding of attention over zeros may differ.
    torch.testing.assert_close(hidden[0], hidden[1], atol=1e-4, rtol=1e-4)


def test_global_conditioning_ignores_the_place(tiny_model: WaveMeshModel) -> None:
    size = DenoiserConfig((8, 16), (1, 1), hidden=8, condition_channels=8, time_dim=16)
    coarse = CoarseDenoiser(size, 8, map_channels=8, context_dim=24, conditioning="global")
    condition = coarse.condition(encoded(tiny_model))
    assert not condition.sites.any()
    assert coarse(torch.randn(1, 8, 8, 8, 8), torch.tensor([3]), condition).shape == (1, 8, 8, 8, 8)


def test_details_at_sites_of_several_objects(tiny_model: WaveMeshModel) -> None:
    sdf = torch.cat([sphere(radius=0.5), sphere(radius=0.7)])
    bands, _ = tiny_model.analyse(sdf)
    field = tiny_model.coarse_field(bands)
    coords = tiny_model.active_mask(field).nonzero()
    features = encoded(tiny_model, batch=2)
    condition = tiny_model.detail.condition(features, field, coords)
    sites = SparseTensor(torch.randn(len(coords), 7), coords, (16, 16, 16), 2)
    both = tiny_model.detail(sites.features, torch.tensor([700, 700]), condition, sites)
    assert both.shape == (len(coords), 7)
    first = coords[:, 0] == 0
    alone_features = encoded(tiny_model, batch=1)
    alone = SparseTensor(sites.features[first], coords[first], (16, 16, 16), 1)
    condition = tiny_model.detail.condition(alone_features, field[:1], coords[first])
    single = tiny_model.detail(alone.features, torch.tensor([700]), condition, alone)
    torch.testing.assert_close(both[first], single, atol=1e-4, rtol=1e-3)


def test_gradients_reach_everything(tiny_model: WaveMeshModel) -> None:
    tiny_model.train()
    features = encoded(tiny_model)
    condition = tiny_model.coarse.condition(features)
    out = tiny_model.coarse(torch.randn(1, 8, 8, 8, 8), torch.tensor([10]), condition)
    bands, _ = tiny_model.analyse(sphere())
    field = tiny_model.coarse_field(bands)
    coords = tiny_model.active_mask(field).nonzero()
    sites = SparseTensor(torch.randn(len(coords), 7), coords, (16, 16, 16), 1)
    detail_condition = tiny_model.detail.condition(features, field, coords)
    (
        out.square().mean()
        + tiny_model.detail(sites.features, torch.tensor([10]), detail_condition, sites).square().mean()
    ).backward()
    missing = [name for name, parameter in tiny_model.named_parameters() if parameter.grad is None]
    assert missing == []


def test_save_and_load(tiny_model: WaveMeshModel, tmp_path: Path) -> None:
    tiny_model.save(tmp_path / "weights")
    loaded = WaveMeshModel.load(tmp_path / "weights")
    assert loaded.config == TINY
    for name, parameter in tiny_model.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], parameter, atol=1e-3, rtol=1e-3)


def test_weights_of_another_size_are_refused(tiny_model: WaveMeshModel, tmp_path: Path) -> None:
    wrong = WaveMeshModel(replace(TINY, coarse=replace(TINY.coarse, widths=(16, 16))))
    wrong.config = TINY
    wrong.save(tmp_path / "weights")
    with pytest.raises(InputError, match="coarse"):
        WaveMeshModel.load(tmp_path / "weights")


def test_impossible_configurations() -> None:
    with pytest.raises(InputError, match="100"):
        WaveMeshConfig(resolution=100)
    with pytest.raises(InputError, match="3 and 7"):
        WaveMeshConfig(coarse_scale=(1.0, 1.0, 1.0))


def test_silhouettes_are_imposed_on_the_bands(tiny_model: WaveMeshModel) -> None:
    features = encoded(tiny_model)
    silhouettes = tiny_model.silhouettes(features)
    bands = tiny_model.analyse(sphere())[0]
    expected = silhouettes.corrected_field(tiny_model.coarse_field(bands)[0])
    consistent = tiny_model.consistent_bands(bands, silhouettes)
    torch.testing.assert_close(tiny_model.coarse_field(consistent)[0], expected, atol=1e-5, rtol=0)
    assert (consistent - bands).abs().max() > 0.1
    both = tiny_model.consistent_bands(
        torch.cat([bands, bands]), silhouettes, tiny_model.silhouettes(features.of_object(0))
    )
    torch.testing.assert_close(both, consistent.expand_as(both))


def test_a_depth_network_says_nothing_until_it_is_sure_or_listened_to(
    tiny_model: WaveMeshModel, tmp_path: Path
) -> None:
    network = DepthNetwork(DepthConfig(image_size=32, widths=(8, 8, 16), attention_blocks=1, heads=2))
    with torch.no_grad():
        network.answer[-1].bias[2:] = 9.0  # anywhere
    model = tiny_model.with_depth(network).eval()
    poses, intrinsics = stack_cameras([Camera(), Camera(90.0, 20.0)])
    images = torch.rand(1, 2, 4, 32, 32, generator=torch.Generator().manual_seed(1))
    images[:, :, 3] = 1.0
    noise, t = torch.randn(1, 8, 8, 8, 8), torch.tensor([500])

    def answer(model: WaveMeshModel) -> torch.Tensor:
        with torch.inference_mode():
            features = model.encode(images, poses[None], intrinsics[None])
            return model.coarse(noise, t, model.coarse.condition(features))

    torch.testing.assert_close(answer(model), answer(tiny_model))
    with torch.no_grad():
        network.answer[-1].bias[2:] = -2.0  # sure: the hull is carved
        model.depth.load_state_dict(network.state_dict())
    assert not torch.allclose(answer(model), answer(tiny_model), atol=1e-3)
    with torch.no_grad():
        network.answer[-1].bias[2:] = 9.0
        model.depth.load_state_dict(network.state_dict())
        model.coarse.project.reduce.weight[:, -4:] = 1.0  # listened to
    assert not torch.allclose(answer(model), answer(tiny_model), atol=1e-3)

    model.save(tmp_path / "weights")
    kept = WaveMeshModel.load(tmp_path / "weights")
    assert kept.config == model.config
    torch.testing.assert_close(answer(kept), answer(model), atol=2e-2, rtol=2e-2)
