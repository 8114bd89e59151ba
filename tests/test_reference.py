"""The snippets of the two reference documents run as they are written there, under the names of this package.

Modules A to D and the training step come from the roadmap, `WaveletTransform` from the quick reference of the wavelet
triplane. Only sizes are reduced where the original would take long.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import pywt
import torch
import torch.nn as nn
import trimesh
from torch.utils.data import DataLoader

from tests.data.conftest import analytic_shapes, prepared_root, sample_files  # noqa: F401, fixtures
from wavemesh import GaussianDiffusion, MultiViewEncoder, WaveletTransform, WaveMeshPipeline, WaveMeshUNet
from wavemesh.data.dataset import MeshDataset
from wavemesh.diffusion import guidance, samplers
from wavemesh.errors import InputError
from wavemesh.evaluation import metrics
from wavemesh.evaluation.metrics import evaluate_model
from wavemesh.geometry.sdf import mesh_to_sdf
from wavemesh.models.blocks import AdaptiveLayerNorm, MultiScaleEncoder
from wavemesh.rendering import render_multiview
from wavemesh.sparse.layers import SubmanifoldConv3d, choose_backend
from wavemesh.sparse.tensor import SparseTensor
from wavemesh.wavelets import create_sparse_tensor_from_wavelet, sdf_to_sparse_wavelet, sparse_wavelet_to_sdf
from wavemesh.wavelets.filters import get_bank
from wavemesh.wavelets.transform import wavedec3d, waverec3d


@pytest.fixture(scope="module")
def box() -> trimesh.Trimesh:
    return trimesh.creation.box((1.8, 1.0, 0.6))


def test_module_a_quick_reference_wavelet_reconstruction() -> None:
    wavelet = WaveletTransform()
    x = torch.randn(1, 32, 128, 128, requires_grad=True)
    LL, LH, HL, HH = wavelet.dwt2d(x)
    assert LL.shape == LH.shape == HL.shape == HH.shape == (1, 32, 64, 64)
    x_recon = wavelet.idwt2d(LL, LH, HL, HH)
    assert (x - x_recon).abs().mean().item() < 1e-6
    x_recon.square().sum().backward()
    torch.testing.assert_close(x.grad, 2 * x.detach(), atol=1e-5, rtol=1e-5)


def test_module_a_roadmap_sdf_to_sparse_wavelet_and_back(box: trimesh.Trimesh) -> None:
    sdf = mesh_to_sdf(box, resolution=32)
    coeffs, coords = sdf_to_sparse_wavelet(sdf)
    assert coeffs.shape == (len(coords), 1)
    assert coords.shape == (len(coeffs), 4)
    assert len(coeffs) < sdf.size
    restored = sparse_wavelet_to_sdf(coeffs, coords, 32)
    assert ((restored < 0).numpy() == (sdf < 0)).mean() > 0.995


def test_module_b_roadmap_widths() -> None:
    unet = WaveMeshUNet(
        in_channels=1,
        encoder_channels=[32, 64, 128, 256],
        decoder_channels=[256, 128, 64, 32],
        time_emb_dim=256,
        use_attention=True,
        context_dim=768,
    )
    coords = torch.rand(2, 16, 16, 16).lt(0.05).nonzero()
    x = SparseTensor(torch.randn(len(coords), 1), coords, (16, 16, 16), 2)
    out = unet(x, torch.randint(0, 1000, (2,)), context=torch.randn(2, 768))
    assert out.features.shape == x.features.shape
    assert torch.equal(out.coords, x.coords)


def test_module_c_roadmap_q_sample_and_loss() -> None:
    diffusion = GaussianDiffusion(timesteps=1000, beta_schedule="linear")
    x_0, noise = torch.randn(4, 8, 8), torch.randn(4, 8, 8)
    t = torch.randint(0, diffusion.timesteps, (4,))
    # Ho et al. 2020, equation 4, with their betas from 1e-4 to 0.02.
    alphas_cumprod = (
        torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64), 0)[t].float().view(4, 1, 1)
    )
    expected = alphas_cumprod.sqrt() * x_0 + (1 - alphas_cumprod).sqrt() * noise
    torch.testing.assert_close(diffusion.q_sample(x_0, t, noise), expected, atol=1e-5, rtol=1e-4)

    perfect = diffusion.training_loss(lambda x_t, t: noise, x_0, t=t, noise=noise)
    assert perfect.item() == pytest.approx(0.0, abs=1e-7)


def test_module_d_roadmap_encoder_returns_one_vector_per_view() -> None:
    encoder = MultiViewEncoder(image_size=224, feature_dim=768, freeze_vision=True)
    images, poses = torch.rand(2, 3, 3, 224, 224), torch.eye(3, 4).expand(2, 3, 3, 4)
    with torch.no_grad():
        assert encoder(images, poses).shape == (2, 3, 768)
    assert isinstance(encoder.vision_encoder.freeze, bool)


def test_roadmap_multi_scale_features() -> None:
    encoder = MultiViewEncoder(image_size=112, feature_dim=64, widths=(16, 24, 32), scales=(112, 56, 28))
    with torch.no_grad():
        assert encoder(torch.rand(1, 2, 3, 112, 112), torch.eye(3, 4).expand(1, 2, 3, 4)).shape == (1, 2, 64)


def test_roadmap_multi_scale_encoder_without_arguments() -> None:
    encoder = MultiScaleEncoder()
    assert list(encoder.scales) == [224, 112, 56]
    images = torch.rand(2, 3, 96, 96)
    with torch.no_grad():
        features = encoder(images)
        by_hand = [
            encoder.encoder(nn.functional.interpolate(images, scale, mode="bilinear", antialias=True))
            for scale in encoder.scales
        ]
    torch.testing.assert_close(features, torch.cat(by_hand, dim=-1))
    assert features.shape == (2, 3 * 256)
    encoder(images).sum().backward()
    assert all(parameter.grad is not None for parameter in encoder.parameters())


@pytest.mark.parametrize("name", ["db1", "db2", "db7", "sym4", "coif2", "bior3.5", "rbio2.4", "bior1.3"])
def test_module_a_any_bank_of_pywavelets(name: str) -> None:
    x = torch.randn(1, 1, 32, 32, 32, dtype=torch.float64)
    level = min(2, pywt.dwt_max_level(32, name))  # PyWavelets warns of more
    pyramid = wavedec3d(x, name, level)
    expected = pywt.wavedecn(x[0, 0].numpy(), name, mode="periodization", level=level)
    np.testing.assert_allclose(pyramid.approximation[0, 0].numpy(), expected[0], atol=1e-10)
    for details, theirs in zip(pyramid.details, expected[1:], strict=True):
        np.testing.assert_allclose(details[0].numpy(), [theirs[key] for key in sorted(theirs)], atol=1e-10)
    torch.testing.assert_close(waverec3d(pyramid, name), x, atol=1e-9, rtol=0)


def test_module_a_every_discrete_bank_of_pywavelets_or_a_sentence() -> None:
    for name in pywt.wavelist(kind="discrete"):
        if name == "dmey":  # an approximation that does not invert
            with pytest.raises(InputError, match="'dmey'"):
                get_bank(name)
            continue
        bank, half = get_bank(name), pywt.Wavelet(name).dec_len // 2
        shifted = pywt.Wavelet(name).rec_lo
        mass = sum((place - half + 0.5) * tap for place, tap in enumerate(shifted)) / sum(shifted)
        assert bank.atom_shift(1) == pytest.approx(mass, abs=1e-5)


def test_roadmap_adaptive_layer_norm_is_layer_norm_scaled_and_shifted() -> None:
    layer = AdaptiveLayerNorm(dim=16, time_dim=8)
    x, time_emb = torch.randn(5, 16), torch.randn(5, 8)
    neutral = nn.functional.layer_norm(x, (16,))
    out = layer(x, time_emb)
    assert out.shape == x.shape
    # Each row is its normalised input through one affine map per channel that depends on the time embedding alone.
    again = layer(x.roll(1, dims=0), time_emb)
    scale = (out - again) / (neutral - neutral.roll(1, dims=0))
    shift = out - neutral * scale
    torch.testing.assert_close(layer(2 * x + 3, time_emb), neutral * scale + shift, atol=1e-3, rtol=1e-3)


def test_roadmap_render_multiview(box: trimesh.Trimesh) -> None:
    images, poses = render_multiview(box, num_views=3, size=32, backend="embree")
    assert images.shape == (3, 4, 32, 32)
    assert poses.shape == (3, 3, 4)
    assert 0 <= images.min() < images.max() <= 1


def test_roadmap_training_step_lowers_its_loss(box: trimesh.Trimesh) -> None:
    size = 16
    images, poses = render_multiview(box, num_views=2, size=32, backend="embree")
    coeffs, coords = sdf_to_sparse_wavelet(mesh_to_sdf(box, resolution=size))
    images, poses, coeffs, coords = (value[None] for value in (images[:, :3], poses, coeffs, coords))

    encoder = MultiViewEncoder(image_size=32, feature_dim=32, widths=(8, 16, 24), map_channels=8)
    unet = WaveMeshUNet(1, [8, 16], [16, 8], time_emb_dim=32, context_dim=32)
    diffusion = GaussianDiffusion(timesteps=1000, beta_schedule="linear")
    optimizer = torch.optim.AdamW(
        [{"params": encoder.parameters(), "lr": 1e-3}, {"params": unet.parameters(), "lr": 1e-2}]
    )
    t, noise = torch.tensor([500]), torch.randn_like(coeffs)
    losses = []
    for _ in range(12):
        conditioning = encoder(images, poses).mean(dim=1)
        x_noisy = diffusion.q_sample(coeffs, t, noise)
        x_noisy_sparse = create_sparse_tensor_from_wavelet(x_noisy, coords, (size, size, size))
        pred_noise = unet(x_noisy_sparse, t, context=conditioning)
        loss = nn.functional.mse_loss(pred_noise.features, noise[0])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(unet.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


def test_roadmap_data_loader_of_eight_and_the_loop(prepared_root: Path) -> None:  # noqa: F811
    """`train.py` of the roadmap, line by line; only the last line but one says which shape the noise has."""
    device, lr, size = "cpu", 1e-3, 32
    # 1. Setup dataset
    train_dataset = MeshDataset(root_dir=str(prepared_root), split="train", resolution=size, num_views=4, channels=3)
    train_loader = DataLoader(train_dataset, batch_size=8, shuffle=True)
    # 2. Initialize models
    multiview_encoder = MultiViewEncoder(48, 32, freeze_vision=True, widths=(8, 16, 24), map_channels=8).to(device)
    unet = WaveMeshUNet(1, [8, 16], [16, 8], time_emb_dim=32, use_attention=True, context_dim=32).to(device)
    diffusion = GaussianDiffusion(timesteps=1000, beta_schedule="linear")
    # 3. Optimizer
    optimizer = torch.optim.AdamW(
        [{"params": multiview_encoder.parameters(), "lr": lr * 0.1}, {"params": unet.parameters(), "lr": lr}]
    )
    # 4. Training loop
    for batch in train_loader:
        images = batch["images"].to(device)  # (B, N_views, 3, 224, 224)
        poses = batch["poses"].to(device)  # (B, N_views, 3, 4)
        coeffs = batch["coeffs"].to(device)  # (B, N_coeffs, 1)
        coords = batch["coords"].to(device)  # (B, N_coeffs, 4)
        assert images.shape[:3] == (3, 4, 3)
        assert coeffs.shape == (3, coords.shape[1], 1)

        with torch.no_grad() if multiview_encoder.vision_encoder.freeze else torch.enable_grad():
            conditioning = multiview_encoder(images, poses)  # (B, N_views, 768)
            conditioning = conditioning.mean(dim=1)  # (B, 768)

        x_sparse = create_sparse_tensor_from_wavelet(coeffs, coords, (32, 32, 32))
        assert torch.equal(x_sparse.features, coeffs.flatten(0, 1))
        t = torch.randint(0, diffusion.timesteps, (len(images),), device=device)
        noise = torch.randn_like(coeffs)
        x_noisy = diffusion.q_sample(coeffs, t, noise)
        x_noisy_sparse = create_sparse_tensor_from_wavelet(x_noisy, coords, (32, 32, 32))
        pred_noise = unet(x_noisy_sparse, t, context=conditioning)
        loss = nn.functional.mse_loss(pred_noise.features, noise.flatten(0, 1))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(unet.parameters(), 1.0)
        optimizer.step()
        assert torch.isfinite(loss)


def test_roadmap_batches_hold_the_shapes_that_they_are_made_of(prepared_root: Path) -> None:  # noqa: F811
    dataset = MeshDataset(prepared_root, "train", resolution=32, num_views=1)
    (stacked,) = DataLoader(dataset, batch_size=8)
    (in_one_row,) = DataLoader(dataset, batch_size=8, collate_fn=MeshDataset.collate)
    alone = [dataset[number] for number in range(3)]
    assert len({len(item["coeffs"]) for item in alone}) > 1
    assert torch.equal(in_one_row["coeffs"], torch.cat([item["coeffs"] for item in alone]))
    for number, item in enumerate(alone):
        rows, added = (stacked[name][number] for name in ("coords", "padded"))
        assert torch.equal(rows[~added], item["coords"])
        assert torch.equal(stacked["coeffs"][number][~added], item["coeffs"])
        assert not stacked["coeffs"][number][added].any()
        assert len(torch.unique(rows, dim=0)) == len(rows)
        restored = sparse_wavelet_to_sdf(stacked["coeffs"][number], rows, 32)
        torch.testing.assert_close(restored, sparse_wavelet_to_sdf(item["coeffs"], item["coords"], 32))


def test_roadmap_sites_of_several_samples_in_one_row_need_to_say_so() -> None:
    diffusion = GaussianDiffusion()
    with pytest.raises(InputError, match="batch_index"):
        diffusion.q_sample(torch.randn(9, 1), torch.tensor([1, 2]))
    index = torch.tensor([0] * 4 + [1] * 5)
    assert diffusion.q_sample(torch.randn(9, 1), torch.tensor([1, 2]), batch_index=index).shape == (9, 1)


def test_roadmap_evaluate_model_over_a_loader(
    prepared_root: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`evaluate_model(model, test_loader, device)` with a model that knows the answers."""
    # The data set of the tests is coarser than the grid that IoU is measured on.
    monkeypatch.setattr(metrics, "compute_iou", lambda a, b, _=32: metrics.occupancy_iou(a < 0, b < 0))
    dataset = MeshDataset(prepared_root, "train", resolution=32, num_views=1)
    truths = iter([dataset[number]["sdf"].numpy() for number in range(3)])

    def model(views: list[Any]) -> Any:
        return SimpleNamespace(sdf=next(truths), mesh=None)

    scores = evaluate_model(model, DataLoader(dataset, batch_size=2), "cpu", num_points=500)
    assert scores["iou"] == 1.0
    assert set(scores) == {"chamfer_distance", "f_score", "iou"}
    item = {**dataset[0], "images": (dataset[0]["images"] * 255).byte()}
    with pytest.raises(InputError, match="uint8"):
        evaluate_model(model, [item], "cpu")


def test_the_sparse_backend_can_be_chosen() -> None:
    pytest.importorskip("spconv")
    unet = WaveMeshUNet(1, [8, 16], [16, 8], time_emb_dim=16, context_dim=None)
    nn.init.normal_(unet.conv_out.weight)
    coords = torch.rand(1, 8, 8, 8).lt(0.2).nonzero()
    x, t = SparseTensor(torch.randn(len(coords), 1), coords, (8, 8, 8), 1), torch.tensor([3])
    with torch.no_grad():
        expected = unet(x, t).features
        choose_backend(unet, "spconv")
        assert {layer.backend for layer in unet.modules() if isinstance(layer, SubmanifoldConv3d)} == {"spconv"}
        torch.testing.assert_close(unet(x, t).features, expected, atol=1e-4, rtol=1e-4)
    with pytest.raises(InputError, match="'cuda'"):
        WaveMeshPipeline.from_pretrained(backend="cuda")


@pytest.mark.parametrize("guidance_scale", [0.0, 1.0, 7.5])
def test_roadmap_guided_prediction(guidance_scale: float) -> None:
    cond, uncond = torch.randn(2, 4), torch.randn(2, 4)
    model = guidance.guided(lambda x, t: cond, lambda x, t: uncond, guidance_scale)
    expected = uncond + guidance_scale * (cond - uncond)
    torch.testing.assert_close(model(torch.zeros(2, 4), torch.zeros(2, dtype=torch.long)), expected)


def test_roadmap_condition_dropout_drops_whole_samples() -> None:
    context = torch.ones(4000, 3)
    dropped = guidance.drop_condition(context, 0.1, torch.Generator().manual_seed(0))
    rows = dropped.sum(dim=1)
    assert set(rows.tolist()) == {0.0, 3.0}
    assert (rows == 0).float().mean().item() == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize("sampler", ["ddpm", "ddim", "dpmpp_2m"])
def test_roadmap_sampling_finds_the_data_when_the_model_knows_it(sampler: str) -> None:
    diffusion = GaussianDiffusion(timesteps=1000, beta_schedule="linear", prediction_type="x0")
    x_0 = torch.randn(2, 5)
    generator = torch.Generator().manual_seed(0)
    result = samplers.sample(lambda x, t, **_: x_0, diffusion, (2, 5), 10, sampler=sampler, generator=generator)
    torch.testing.assert_close(result, x_0, atol=1e-2, rtol=1e-2)
