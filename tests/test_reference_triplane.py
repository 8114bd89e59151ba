"""Every snippet of the quick reference of Wavelet Triplane Diffusion, under the names of this package.

Only the imports differ, and fixtures stand for what the snippets leave undefined. Where a snippet does not say how
large, tensors are small. The figures and the command line have tests of their own.
"""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from wavemesh import CoarseTriplaneGen, DetailDiffusion, TriplaneRenderer, WaveletTransform, WaveletTriplaneDiffusion
from wavemesh.models.wavelet_triplane import TriplaneConfig


@pytest.fixture(scope="module")
def full() -> SimpleNamespace:
    """The model of the snippets and its outputs, at full size."""
    torch.manual_seed(0)
    B = 1
    # Create model
    model = WaveletTriplaneDiffusion(triplane_channels=32)

    # Forward pass
    images = torch.randn(B, 3, 256, 256)
    with torch.no_grad():
        outputs = model(images, return_intermediate=True)
    return SimpleNamespace(model=model, outputs=outputs, images=images, B=B, C=32)


@pytest.fixture
def small() -> WaveletTriplaneDiffusion:
    """A model that a test can train for some steps."""
    torch.manual_seed(0)
    return WaveletTriplaneDiffusion(config=TriplaneConfig(4, 16, 32, width=8, time_embed_dim=16, condition_dim=8))


@pytest.fixture
def dataloader() -> list[tuple[Tensor, Tensor]]:
    """Pictures, and an LL band each to aim for."""
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(2, 3, 32, 32, generator=generator)
    return [(images, 0.1 * torch.randn(2, 3, 4, 16, 16, generator=generator))] * 6


def test_import_and_use(full: SimpleNamespace) -> None:
    outputs, B = full.outputs, full.B
    # Access outputs
    lowres_triplane = outputs["triplane_LL"]  # (B, 3, 32, 64, 64)
    details = outputs["triplane_details"]  # (B, 3, 96, 64, 64)
    highres_triplane = outputs["triplane_highres"]  # (B, 3, 32, 128, 128)
    rendered = outputs["rendered_image"]  # (B, 3, 64, 64)

    assert lowres_triplane.shape == (B, 3, 32, 64, 64)
    assert details.shape == (B, 3, 96, 64, 64)
    assert highres_triplane.shape == (B, 3, 32, 128, 128)
    assert rendered.shape == (B, 3, 64, 64)
    assert outputs["input_images"] is full.images
    assert set(outputs) == {
        "input_images",
        "triplane_LL",
        "triplane_details",
        "triplane_highres",
        "rendered_image",
    }
    assert all(torch.isfinite(value).all() for value in outputs.values())


def test_wavelet_transform() -> None:
    x = torch.randn(2, 4, 16, 16)
    wavelet = WaveletTransform()

    # Forward transform
    LL, LH, HL, HH = wavelet.dwt2d(x)  # x: (B, C, H, W)
    # Each output: (B, C, H/2, W/2)
    assert LL.shape == LH.shape == HL.shape == HH.shape == (2, 4, 8, 8)

    # Inverse transform
    x_recon = wavelet.idwt2d(LL, LH, HL, HH)  # (B, C, H, W)
    torch.testing.assert_close(x_recon, x)


def test_coarse_triplane_gen() -> None:
    images = torch.rand(1, 3, 256, 256)
    coarse_gen = CoarseTriplaneGen(input_channels=3, triplane_channels=32, resolution=64)
    with torch.no_grad():
        triplane_LL = coarse_gen(images)  # (B, 3, C, 64, 64)
    assert triplane_LL.shape == (1, 3, 32, 64, 64)


def test_detail_diffusion(full: SimpleNamespace) -> None:
    B, C, triplane_LL, plane_idx = full.B, full.C, full.outputs["triplane_LL"], 1
    diffusion = DetailDiffusion(triplane_channels=32, time_embed_dim=128)

    # For one plane
    noisy_details = torch.randn(B, C * 3, 64, 64)  # LH, HL, HH stacked
    timestep = torch.randint(0, 1000, (B,))
    condition_LL = triplane_LL[:, plane_idx]  # (B, C, 64, 64)

    with torch.no_grad():
        predicted_details = diffusion(noisy_details, timestep, condition_LL)
    # Output: (B, C*3, 64, 64)
    assert predicted_details.shape == (B, C * 3, 64, 64)


def test_triplane_renderer() -> None:
    B, N = 2, 100
    triplane = torch.randn(B, 3, 32, 128, 128)
    renderer = TriplaneRenderer(triplane_channels=32, hidden_dim=128)

    # Query at 3D points
    coords = torch.rand(B, N, 3) * 2 - 1  # [-1, 1]^3
    rgb, density = renderer(triplane, coords)
    # rgb: (B, N, 3), density: (B, N, 1)
    assert rgb.shape == (B, N, 3)
    assert density.shape == (B, N, 1)

    # Volume rendering
    with torch.no_grad():
        rendered_image = renderer.render_volume(triplane[:1], num_samples=64, image_size=128)
    # Output: (B, 3, 128, 128)
    assert rendered_image.shape == (1, 3, 128, 128)


def test_extract_a_single_plane(full: SimpleNamespace) -> None:
    triplane_LL = full.outputs["triplane_LL"]
    # Get XY plane (index 0) from low-res triplane
    xy_plane = triplane_LL[:, 0]  # (B, C, 64, 64)

    # Get all 3 planes separately
    xy = triplane_LL[:, 0]  # XY plane
    xz = triplane_LL[:, 1]  # XZ plane
    yz = triplane_LL[:, 2]  # YZ plane
    assert xy_plane.shape == xy.shape == xz.shape == yz.shape == (full.B, full.C, 64, 64)


def test_split_bands_and_manual_idwt(full: SimpleNamespace) -> None:
    triplane_details, triplane_LL = full.outputs["triplane_details"], full.outputs["triplane_LL"]
    # triplane_details shape: (B, 3, C*3, 64, 64)
    plane_idx = 0  # XY plane
    details = triplane_details[:, plane_idx]  # (B, C*3, 64, 64)

    C = details.shape[1] // 3
    LH = details[:, 0 * C : 1 * C]  # Horizontal details
    HL = details[:, 1 * C : 2 * C]  # Vertical details
    HH = details[:, 2 * C : 3 * C]  # Diagonal details
    LL = triplane_LL[:, plane_idx]

    # Ensure all bands are same size before IDWT
    assert LL.shape == LH.shape == HL.shape == HH.shape
    wavelet = WaveletTransform()
    highres_plane = wavelet.idwt2d(LL, LH, HL, HH)
    torch.testing.assert_close(highres_plane, full.outputs["triplane_highres"][:, plane_idx])


def test_query_at_custom_points(full: SimpleNamespace) -> None:
    model, triplane_highres = full.model, full.outputs["triplane_highres"]
    # Define custom 3D coordinates
    points = torch.tensor(
        [
            [0.5, 0.5, 0.5],  # Center of volume
            [0.0, 0.0, 0.0],  # Origin
            [-0.5, 0.3, 0.8],  # Random point
        ]
    ).unsqueeze(0)  # Add batch dimension: (1, 3, 3)

    rgb, density = model.renderer(triplane_highres, points)
    # rgb: (1, 3, 3), density: (1, 3, 1)
    assert rgb.shape == (1, 3, 3)
    assert density.shape == (1, 3, 1)


def test_rendering_quality(full: SimpleNamespace) -> None:
    model, triplane = full.model, full.outputs["triplane_highres"]
    with torch.no_grad():
        # Fast preview (1-2 sec)
        rendered = model.renderer.render_volume(
            triplane,
            num_samples=32,  # Samples per ray
            image_size=64,  # Output resolution
        )
        assert rendered.shape == (full.B, 3, 64, 64)
        assert 0 <= rendered.min() < rendered.max() <= 1


@pytest.mark.slow
@pytest.mark.parametrize("num_samples, image_size", [(64, 128), (128, 256)])
def test_rendering_quality_above_the_preview(full: SimpleNamespace, num_samples: int, image_size: int) -> None:
    model, triplane = full.model, full.outputs["triplane_highres"]
    with torch.no_grad():
        rendered = model.renderer.render_volume(triplane, num_samples=num_samples, image_size=image_size)
    assert rendered.shape == (full.B, 3, image_size, image_size)


def test_train_the_coarse_generator_first(
    small: WaveletTriplaneDiffusion, dataloader: list[tuple[Tensor, Tensor]]
) -> None:
    model, compute_loss, losses = small, F.mse_loss, []
    # Train coarse generator first
    optimizer = torch.optim.Adam(model.coarse_gen.parameters(), lr=1e-3)

    for images, targets in dataloader:
        triplane_LL = model.coarse_gen(images)
        loss = compute_loss(triplane_LL, targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


def test_add_diffusion(small: WaveletTriplaneDiffusion, dataloader: list[tuple[Tensor, Tensor]]) -> None:
    model, losses = small, []

    def diffusion_training_step(model: WaveletTriplaneDiffusion, triplane_LL: Tensor, targets: Tensor) -> Tensor:
        with torch.no_grad():
            coarse = replace(model.planes(images), ll=triplane_LL)
        x_0 = targets.repeat(1, 1, 3, 1, 1) * 5.0
        noise = torch.randn(x_0.shape, generator=torch.Generator().manual_seed(0))
        t = torch.full((2,), model.diffusion.timesteps - 1)
        return (
            model.diffusion.training_loss(lambda x_t, t: model.denoise(x_t, t, coarse), x_0, t=t, noise=noise)
            + 0.0 * triplane_LL.sum()
        )

    # Then train diffusion model
    optimizer = torch.optim.Adam(model.detail_diffusion.parameters(), lr=1e-3)

    for images, targets in dataloader:
        # Get LL from frozen coarse_gen
        with torch.no_grad():
            triplane_LL = model.coarse_gen(images)

        # Train diffusion on details
        loss = diffusion_training_step(model, triplane_LL, targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


def test_fine_tune_end_to_end(small: WaveletTriplaneDiffusion) -> None:
    model, losses = small, []
    images = torch.rand(1, 3, 32, 32)
    dataloader = [(images, F.interpolate(images, size=64))] * 4

    def diffusion_loss(outputs: dict[str, Tensor]) -> Tensor:
        return outputs["triplane_details"].square().mean()

    def reconstruction_loss(outputs: dict[str, Tensor], targets: Tensor) -> Tensor:
        return (outputs["triplane_highres"].mean() - targets.mean()).square()

    def rendering_loss(rendered: Tensor, targets: Tensor) -> Tensor:
        return F.mse_loss(rendered, targets)

    # Finally, joint training
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    for images, targets in dataloader:
        outputs = model(images, return_intermediate=True)

        loss = (
            diffusion_loss(outputs)
            + 0.1 * reconstruction_loss(outputs, targets)
            + rendering_loss(outputs["rendered_image"], targets)
        )

        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


def test_learning_rate_schedule(small: WaveletTriplaneDiffusion) -> None:
    from torch.optim.lr_scheduler import CosineAnnealingLR

    optimizer = torch.optim.Adam(small.parameters(), lr=1e-4)
    scheduler = CosineAnnealingLR(optimizer, T_max=100)

    for _ in range(100):
        optimizer.step()
        scheduler.step()
    assert scheduler.get_last_lr()[0] == pytest.approx(0.0, abs=1e-9)


def test_gradient_checkpointing_is_an_option(small: WaveletTriplaneDiffusion) -> None:
    # The reference wraps the parts in torch's checkpoint; here they do so themselves.
    from torch.utils.checkpoint import checkpoint

    images = torch.rand(1, 3, 32, 32)
    gradients = []
    for checkpointing in (False, True):
        model = WaveletTriplaneDiffusion(config=small.config, checkpointing=checkpointing)
        model.load_state_dict(small.state_dict())
        model.coarse_gen(images).sum().backward()
        gradients.append(model.coarse_gen.conv_out.weight.grad)
    small.zero_grad()
    x = checkpoint(small.coarse_gen, images, use_reentrant=False)
    x.sum().backward()
    for gradient in gradients:
        torch.testing.assert_close(gradient, small.coarse_gen.conv_out.weight.grad)


def test_mixed_precision(small: WaveletTriplaneDiffusion) -> None:
    model, criterion = small, F.mse_loss
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    images = torch.rand(1, 3, 32, 32)
    dataloader = [(images, F.interpolate(images, size=64))]
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model.to(device)
    # torch.cuda.amp of the reference warns of its new name; on a CPU the type is bfloat16 and nothing is scaled.
    scaler = torch.amp.GradScaler(device, enabled=device == "cuda")

    for images, targets in dataloader:
        with torch.autocast(device):
            outputs = model(images.to(device))
            loss = criterion(outputs["rendered_image"], targets.to(device))

        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        assert torch.isfinite(loss)


@pytest.mark.parametrize("intermediate", [False, True])
def test_a_loss_takes_the_outputs_themselves(small: WaveletTriplaneDiffusion, intermediate: bool) -> None:
    targets = torch.rand(1, 3, 64, 64)
    outputs = small(torch.rand(1, 3, 32, 32), return_intermediate=intermediate)
    assert isinstance(outputs, dict)
    picture = outputs["rendered_image"]
    for criterion in (torch.nn.MSELoss(), F.l1_loss, lambda a, b: (a - b).abs().mean()):
        torch.testing.assert_close(criterion(outputs, targets), criterion(picture, targets))
    with torch.autocast("cpu"):
        loss = F.mse_loss(outputs, targets)
    loss.backward()
    assert small.coarse_gen.conv_out.weight.grad is not None


def test_points_of_one_object_serve_a_batch() -> None:
    renderer, triplane = TriplaneRenderer(4, 8), torch.randn(2, 3, 4, 8, 8)
    points = torch.tensor([[0.5, 0.5, 0.5], [0.0, 0.0, 0.0], [-0.5, 0.3, 0.8]]).unsqueeze(0)
    rgb, density = renderer(triplane, points)
    assert rgb.shape == (2, 3, 3)
    assert density.shape == (2, 3, 1)
    torch.testing.assert_close(rgb[1:], renderer(triplane[1:], points)[0])


def test_reduce_batch_size(small: WaveletTriplaneDiffusion) -> None:
    with torch.no_grad():
        assert small(torch.randn(2, 3, 256, 256))["rendered_image"].shape == (2, 3, 64, 64)


def test_check_shapes(small: WaveletTriplaneDiffusion, capsys: pytest.CaptureFixture[str]) -> None:
    def check_shapes(model: WaveletTriplaneDiffusion, batch_size: int = 1) -> None:
        x = torch.randn(batch_size, 3, 256, 256)

        print("Input:", x.shape)  # noqa: T201

        with torch.no_grad():
            outputs = model(x, return_intermediate=True)

        for key, val in outputs.items():
            if isinstance(val, torch.Tensor):
                print(f"{key:25s}: {tuple(val.shape)}")  # noqa: T201

    check_shapes(small)
    printed = capsys.readouterr().out
    assert "Input: torch.Size([1, 3, 256, 256])" in printed
    assert "triplane_highres         : (1, 3, 4, 32, 32)" in printed
    assert len(printed.splitlines()) == 6


def test_verify_wavelet_reconstruction() -> None:
    wavelet = WaveletTransform()
    x = torch.randn(1, 32, 128, 128)

    LL, LH, HL, HH = wavelet.dwt2d(x)
    x_recon = wavelet.idwt2d(LL, LH, HL, HH)

    error = (x - x_recon).abs().mean()
    # Should be ~1e-6 or less
    assert error.item() < 1e-6


def test_check_gradients(small: WaveletTriplaneDiffusion) -> None:
    model = small
    model.train()
    x = torch.randn(1, 3, 256, 256, requires_grad=True)
    outputs = model(x, return_intermediate=True)
    loss = outputs["rendered_image"].mean()
    loss.backward()

    # Check if gradients exist
    missing = []
    for name, param in model.named_parameters():
        if param.grad is None:
            missing.append(name)
    assert missing == []
    assert x.grad is not None
