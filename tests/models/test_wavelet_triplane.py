"""The whole triplane model: one pass, sampling, bands, sizes, saving and refusals."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from wavemesh.diffusion.samplers import SamplerStep
from wavemesh.errors import InputError
from wavemesh.geometry.camera import Camera
from wavemesh.geometry.camera_tensors import stack_cameras
from wavemesh.models.coarse_triplane import CoarseTriplaneGen
from wavemesh.models.detail_diffusion import DetailDiffusion
from wavemesh.models.triplane_renderer import TriplaneRenderer
from wavemesh.models.wavelet_triplane import DetailCondition, TriplaneConfig, WaveletTriplaneDiffusion
from wavemesh.models.wavemesh import DiffusionConfig

TINY = TriplaneConfig(4, 16, 32, width=8, time_embed_dim=16, condition_dim=8, detail_scale=(0.3, 0.2, 0.1))
KEYS = ["input_images", "rendered_image", "triplane_LL", "triplane_details", "triplane_highres"]


@pytest.fixture
def tiny() -> WaveletTriplaneDiffusion:
    torch.manual_seed(0)
    return WaveletTriplaneDiffusion(config=TINY).eval()


def views(count: int = 2, batch: int = 1) -> dict[str, torch.Tensor]:
    poses, intrinsics = stack_cameras([Camera(70.0 * index, 15.0) for index in range(count)])
    images = torch.rand(batch, count, 4, 32, 32, generator=torch.Generator().manual_seed(1))
    return {
        "images": images,
        "poses": poses.expand(batch, -1, -1, -1),
        "intrinsics": intrinsics.expand(batch, -1, -1),
    }


def test_one_pass_has_five_outputs(tiny: WaveletTriplaneDiffusion) -> None:
    images = torch.rand(2, 3, 32, 32)
    outputs = tiny(images, return_intermediate=True, render_size=8, num_samples=8)
    assert sorted(outputs) == KEYS
    assert outputs["input_images"] is images
    assert outputs["triplane_LL"].shape == (2, 3, 4, 16, 16)
    assert outputs["triplane_details"].shape == (2, 3, 12, 16, 16)
    assert outputs["triplane_highres"].shape == (2, 3, 4, 32, 32)
    assert outputs["rendered_image"].shape == (2, 3, 8, 8)
    short = tiny(images, render_size=8, num_samples=8)
    assert list(short) == ["rendered_image"]
    torch.testing.assert_close(short["rendered_image"], outputs["rendered_image"])


def test_the_outputs_belong_together(tiny: WaveletTriplaneDiffusion) -> None:
    given = views()
    outputs = tiny(**given, return_intermediate=True, render_size=6, num_samples=8)
    ll, details = tiny.analyse(outputs["triplane_highres"])
    torch.testing.assert_close(ll, outputs["triplane_LL"], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(details, outputs["triplane_details"], atol=1e-5, rtol=1e-4)
    # Seen by the first picture's camera.
    expected = tiny.renderer.render_volume(outputs["triplane_highres"], 8, 6, Camera(0.0, 15.0))
    torch.testing.assert_close(outputs["rendered_image"], expected, atol=1e-5, rtol=1e-4)
    # The details are stored in units of the bands, not of their deviations.
    coarse = tiny.planes(**given)
    raw = tiny.denoise(torch.zeros(1, 3, 12, 16, 16), torch.tensor([999]), coarse)
    scale = torch.tensor([0.3] * 4 + [0.2] * 4 + [0.1] * 4).view(1, 1, 12, 1, 1)
    torch.testing.assert_close(outputs["triplane_details"], -raw * scale)


def test_planes_and_bands_are_in_the_order_of_the_reference(tiny: WaveletTriplaneDiffusion) -> None:
    triplane = torch.randn(1, 3, 4, 32, 32)
    ll, details = tiny.analyse(triplane)
    for plane in range(3):
        corners = [triplane[:, plane, :, i::2, j::2] for i in (0, 1) for j in (0, 1)]
        a, b, c, d = corners
        torch.testing.assert_close(ll[:, plane], (a + b + c + d) / 2)
        # LH changes from row to row (pywt's cH), HL from column to column, HH both.
        torch.testing.assert_close(details[:, plane, 0:4], (a + b - c - d) / 2)
        torch.testing.assert_close(details[:, plane, 4:8], (a - b + c - d) / 2)
        torch.testing.assert_close(details[:, plane, 8:12], (a - b - c + d) / 2)


def test_one_step_of_sampling_is_the_one_pass(tiny: WaveletTriplaneDiffusion) -> None:
    # Zero terminal SNR: what the first step predicts is the mean and does not depend on the noise.
    given = views()
    outputs = tiny(**given, return_intermediate=True, render_size=4, num_samples=4)
    for seed in (0, 1):
        drawn = tiny.sample(**given, steps=1, generator=torch.Generator().manual_seed(seed))
        torch.testing.assert_close(drawn.details, outputs["triplane_details"])
        torch.testing.assert_close(drawn.triplane, outputs["triplane_highres"])


def test_sampling_repeats_with_its_seed(tiny: WaveletTriplaneDiffusion) -> None:
    given = views()
    first, again, other = (
        tiny.sample(**given, steps=3, generator=torch.Generator().manual_seed(seed)).triplane for seed in (3, 3, 4)
    )
    torch.testing.assert_close(first, again, atol=0, rtol=0)
    assert (first - other).abs().max() > 1e-4


def test_callbacks_see_every_step_and_may_stop(tiny: WaveletTriplaneDiffusion) -> None:
    seen: list[SamplerStep] = []
    planes: list[DetailCondition] = []

    def stop_at_second(step: SamplerStep) -> bool:
        seen.append(step)
        return step.step == 1

    drawn = tiny.sample(**views(), steps=5, callback=stop_at_second, on_coarse=planes.append)
    assert [step.step for step in seen] == [0, 1]
    torch.testing.assert_close(drawn.details, tiny.details(seen[-1].x_0, planes[0]))
    torch.testing.assert_close(drawn.ll, planes[0].ll)


def test_guidance_goes_away_from_what_ll_alone_suggests(tiny: WaveletTriplaneDiffusion) -> None:
    given = views()
    coarse = tiny.planes(**given)
    blind = replace(coarse, features=torch.zeros_like(coarse.features))
    seeing, without = tiny.mean_details(coarse), tiny.mean_details(blind)
    guided = tiny.sample(**given, steps=1, guidance_scale=2.5).details
    torch.testing.assert_close(guided, without + 2.5 * (seeing - without), atol=1e-5, rtol=1e-3)


def test_gradients_reach_every_parameter() -> None:
    torch.manual_seed(0)
    model = WaveletTriplaneDiffusion(config=TINY, checkpointing=True)
    images = torch.rand(1, 3, 32, 32, requires_grad=True)
    model(images, render_size=8, num_samples=8)["rendered_image"].mean().backward()
    assert images.grad is not None
    assert images.grad.abs().sum() > 0
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("channels, millions", [(16, 5), (32, 15), (64, 60)])
def test_sizes(channels: int, millions: float) -> None:
    # Parameters without memory: only their number matters here.
    with torch.device("meta"):
        coarse = CoarseTriplaneGen(triplane_channels=channels)
        parts = [
            coarse,
            DetailDiffusion(channels, feature_channels=coarse.feature_channels),
            TriplaneRenderer(channels, 4 * channels),
        ]
    count = sum(parameter.numel() for part in parts for parameter in part.parameters())
    assert count / 1e6 == pytest.approx(millions, rel=0.12)


def test_save_and_load(tiny: WaveletTriplaneDiffusion, tmp_path: Path) -> None:
    tiny.save(tmp_path / "weights")
    loaded = WaveletTriplaneDiffusion.load(tmp_path / "weights")
    assert loaded.config == TINY
    assert not loaded.training
    for name, parameter in tiny.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], parameter, atol=2e-3, rtol=1e-3)
    torch.testing.assert_close(loaded.detail_scale, tiny.detail_scale)


def test_weights_of_another_size_are_refused(tiny: WaveletTriplaneDiffusion, tmp_path: Path) -> None:
    tiny.config = replace(TINY, hidden_dim=24)
    tiny.save(tmp_path / "weights")
    with pytest.raises(InputError, match="renderer"):
        WaveletTriplaneDiffusion.load(tmp_path / "weights")


def test_bands_that_do_not_fit_are_refused(tiny: WaveletTriplaneDiffusion) -> None:
    ll, details = torch.zeros(1, 3, 4, 16, 16), torch.zeros(1, 3, 12, 16, 16)
    with pytest.raises(InputError, match=r"1, 3, 12, 8, 8"):
        tiny.reconstruct(ll, details[..., :8, :8])
    with pytest.raises(InputError, match=r"1, 3, 5, 16, 16"):
        tiny.reconstruct(torch.zeros(1, 3, 5, 16, 16), details)
    with pytest.raises(InputError, match=r"1, 2, 32, 32"):
        tiny(torch.rand(1, 2, 32, 32))


@pytest.mark.parametrize(
    "options, shown",
    [
        ({"triplane_channels": 0}, "0"),
        ({"detail_scale": (0.1, 0.2)}, "2"),
        ({"detail_scale": (0.0,)}, "0.0"),
        ({"resolution": 10}, "10"),
        ({"image_size": 100}, "100"),
    ],
)
def test_impossible_configurations(options: dict[str, object], shown: str) -> None:
    with pytest.raises(InputError, match=shown):
        WaveletTriplaneDiffusion.from_config(replace(TINY, **options))


def test_diffusion_steps_and_channels_are_the_constructor_s() -> None:
    model = WaveletTriplaneDiffusion(triplane_channels=1, num_diffusion_steps=50)
    assert model.diffusion.timesteps == 50
    assert model.config == TriplaneConfig(1, diffusion=DiffusionConfig(50))
