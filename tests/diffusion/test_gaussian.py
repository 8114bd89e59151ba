"""The forward process, conversions between predictions, loss weights and the training loss."""

from typing import Any

import pytest
import torch
from diffusers import DDPMScheduler
from torch import Tensor

from wavemesh.diffusion import GaussianDiffusion
from wavemesh.diffusion.gaussian import MIN_LOSS_WEIGHT
from wavemesh.errors import InputError

ALL_TYPES = ["epsilon", "x0", "v"]


def seeded(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_q_sample_and_velocity_equal_diffusers() -> None:
    scheduler = DDPMScheduler(1000)
    diffusion = GaussianDiffusion(prediction_type="v")
    x_0, noise = seeded(4, 2, 3), seeded(4, 2, 3, seed=1)
    t = torch.tensor([0, 10, 500, 999])
    torch.testing.assert_close(
        diffusion.q_sample(x_0, t, noise), scheduler.add_noise(x_0, noise, t), rtol=1e-4, atol=1e-5
    )
    torch.testing.assert_close(
        diffusion.training_target(x_0, noise, t), scheduler.get_velocity(x_0, noise, t), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("timesteps", [2, 17, 1000, 2000])
@pytest.mark.parametrize("prediction_type", ALL_TYPES)
def test_convert_recovers_data_noise_and_velocity_from_the_target(prediction_type: str, timesteps: int) -> None:
    diffusion = GaussianDiffusion(timesteps, prediction_type=prediction_type)
    x_0, noise = seeded(3, 2, 4), seeded(3, 2, 4, seed=1)
    t = torch.tensor([0, timesteps // 2, timesteps - 1])
    x_t = diffusion.q_sample(x_0, t, noise)
    prediction = diffusion.convert(diffusion.training_target(x_0, noise, t), x_t, t)
    velocity = GaussianDiffusion(timesteps, prediction_type="v").training_target(x_0, noise, t)
    torch.testing.assert_close(prediction.x_0, x_0, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(prediction.epsilon, noise, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(prediction.v, velocity, rtol=1e-3, atol=1e-3)


def test_a_deviation_of_the_data_is_for_v_alone() -> None:
    for prediction_type, deviation in (("x0", 0.5), ("v", 0.0), ("v", 1.5), ("v", float("nan"))):
        with pytest.raises(InputError, match="data_deviation must be in"):
            GaussianDiffusion(prediction_type=prediction_type, data_deviation=deviation)


def test_zero_terminal_snr_leaves_pure_noise_and_v_is_minus_the_data() -> None:
    diffusion = GaussianDiffusion(prediction_type="v", zero_terminal_snr=True)
    x_0, noise, t = seeded(2, 5), seeded(2, 5, seed=1), torch.tensor([999, 999])
    assert torch.equal(diffusion.q_sample(x_0, t, noise), noise)
    assert torch.equal(diffusion.training_target(x_0, noise, t), -x_0)
    output = seeded(2, 5, seed=2)
    assert torch.equal(diffusion.convert(output, noise, t).x_0, -output)


@pytest.mark.parametrize("deviation", [0.05, 0.3, 0.9])
def test_v_for_narrow_data_is_the_preconditioning_of_edm(deviation: float) -> None:
    diffusion = GaussianDiffusion(prediction_type="v", zero_terminal_snr=True, data_deviation=deviation)
    x_0, noise = seeded(4, 2, 3), seeded(4, 2, 3, seed=1)
    t = torch.tensor([0, 300, 700, 998])
    x_t = diffusion.q_sample(x_0, t, noise)
    target = diffusion.training_target(x_0, noise, t)
    prediction = diffusion.convert(target, x_t, t)
    torch.testing.assert_close(prediction.x_0, x_0, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(prediction.epsilon, noise, rtol=1e-3, atol=1e-3)
    # arXiv:2206.00364, table 1: D(x) = c_skip x + c_out F with x = x_0 + sigma noise.
    signal = diffusion.schedule.signal[t].view(4, 1, 1)
    sigma = diffusion.schedule.noise[t].view(4, 1, 1) / signal
    c_skip = deviation**2 / (sigma**2 + deviation**2)
    c_out = sigma * deviation / (sigma**2 + deviation**2).sqrt()
    torch.testing.assert_close(target, -deviation * (x_0 - c_skip * x_t / signal) / c_out, rtol=1e-3, atol=1e-4)
    last = torch.full((4,), 999)
    assert torch.equal(diffusion.convert(noise, x_t, last).x_0, -noise)


def test_min_snr_weights_follow_the_paper() -> None:
    t = torch.arange(1000)
    snr = DDPMScheduler(1000).alphas_cumprod.double()
    snr = snr / (1 - snr)
    clipped = snr.clamp(max=5.0)
    expected = {"epsilon": clipped / snr, "x0": clipped.clamp(min=0.1), "v": (clipped / (snr + 1)).clamp(min=0.1)}
    for prediction_type, weights in expected.items():
        ours = GaussianDiffusion(prediction_type=prediction_type, min_snr_gamma=5.0).loss_weights[t]
        torch.testing.assert_close(ours, weights.float(), rtol=2e-3, atol=1e-5)
    assert torch.equal(GaussianDiffusion().loss_weights[t], torch.ones(1000))


def test_min_snr_weight_is_not_zero_where_no_signal_is_left() -> None:
    diffusion = GaussianDiffusion(prediction_type="v", zero_terminal_snr=True, min_snr_gamma=5.0)
    assert diffusion.loss_weights[999].item() == pytest.approx(MIN_LOSS_WEIGHT)


@pytest.mark.parametrize("prediction_type", ALL_TYPES)
def test_training_loss_is_zero_for_a_model_that_knows_the_answer(prediction_type: str) -> None:
    diffusion = GaussianDiffusion(50, prediction_type=prediction_type, min_snr_gamma=5.0)
    x_0, noise = seeded(4, 3), seeded(4, 3, seed=1)

    def perfect(x_t: Tensor, t: Tensor) -> Tensor:
        return diffusion.training_target(x_0, noise, t)

    step = diffusion.training_step(perfect, x_0, noise=noise)
    assert step.loss.item() == 0
    torch.testing.assert_close(step.prediction.x_0, x_0, rtol=1e-2, atol=1e-2)


def test_training_loss_is_the_weighted_mean_square() -> None:
    diffusion = GaussianDiffusion(min_snr_gamma=1.0)
    x_0, noise, t = seeded(2, 3, 4), seeded(2, 3, 4, seed=1), torch.tensor([3, 800])
    band_weight = torch.tensor([1.0, 2.0, 0.0])[:, None]
    loss = diffusion.training_loss(lambda x, t: torch.zeros_like(x), x_0, t, noise, weight=band_weight)
    by_hand = (noise**2 * band_weight * diffusion.loss_weights[t][:, None, None]).mean()
    torch.testing.assert_close(loss, by_hand)


def test_sparse_features_take_the_timestep_of_their_own_sample(sites: Any) -> None:
    diffusion = GaussianDiffusion(prediction_type="v", min_snr_gamma=5.0)
    noise, t = seeded(6, 2, seed=3), torch.tensor([5, 400, 900])
    batch = sites.coords[:, 0]
    x_t = diffusion.q_sample(sites.features, t, noise, batch_index=batch)
    row_by_row = [diffusion.q_sample(sites.features[i : i + 1], t[batch[i]][None], noise[i : i + 1]) for i in range(6)]
    torch.testing.assert_close(x_t, torch.cat(row_by_row))
    plain = diffusion.training_loss(lambda x, t: 0.5 * x, sites.features, t, noise, batch_index=batch, context=None)
    wrapped = diffusion.training_loss(lambda x, t: x.replace(0.5 * x.features), sites, t, noise)
    torch.testing.assert_close(plain, wrapped)


def test_timesteps_are_drawn_per_sample_and_the_last_one_often_when_asked() -> None:
    diffusion = GaussianDiffusion(100)
    t = diffusion.sample_timesteps(4000, generator=torch.Generator().manual_seed(0), terminal_prob=0.3)
    assert t.min() == 0
    assert t.max() == 99
    assert (t == 99).float().mean().item() == pytest.approx(0.307, abs=0.03)


def test_training_is_reproducible_by_generator() -> None:
    diffusion = GaussianDiffusion(prediction_type="v", self_conditioning=True)

    def model(x: Tensor, t: Tensor, context: Tensor, x_self_cond: Tensor | None) -> Tensor:
        return context * x if x_self_cond is None else context * x + x_self_cond

    def losses(seed: int) -> list[float]:
        generator = torch.Generator().manual_seed(seed)
        arguments = {"context": torch.ones(4, 1), "drop_prob": 0.5, "generator": generator}
        return [diffusion.training_loss(model, seeded(4, 3), **arguments).item() for _ in range(5)]

    assert losses(0) == losses(0)
    assert losses(0) != losses(1)


def test_self_conditioning_gives_its_own_estimate_to_half_of_the_steps() -> None:
    diffusion = GaussianDiffusion(prediction_type="x0", self_conditioning=True)
    seen: list[Tensor | None] = []

    def model(x: Tensor, t: Tensor, x_self_cond: Tensor | None) -> Tensor:
        if torch.is_grad_enabled():
            seen.append(x_self_cond)
        return torch.full_like(x, 7.0).requires_grad_()

    generator = torch.Generator().manual_seed(0)
    for _ in range(200):
        diffusion.training_loss(model, torch.zeros(2, 3), generator=generator)
    given = [x for x in seen if x is not None]
    assert 70 < len(given) < 130
    assert all(torch.equal(x, torch.full((2, 3), 7.0)) and not x.requires_grad for x in given)


def test_call_uses_the_model_of_the_constructor_or_of_the_call() -> None:
    def model(x: Tensor, t: Tensor, context: Tensor) -> Tensor:
        return x * context

    x_0, context = seeded(4, 3), torch.ones(4, 1)
    bound = GaussianDiffusion(timesteps=1000, beta_schedule="linear", model=model)
    torch.manual_seed(0)
    first = bound(x_0, context=context)
    torch.manual_seed(0)
    second = GaussianDiffusion()(x_0, context=context, model=model)
    assert first.item() == second.item() > 0
    with pytest.raises(TypeError, match="no model"):
        GaussianDiffusion()(x_0)


def test_loss_of_a_half_precision_model_is_float32() -> None:
    loss = GaussianDiffusion().training_loss(lambda x, t: x.bfloat16(), seeded(2, 3))
    assert loss.dtype == torch.float32


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ({"prediction_type": "flow"}, "'flow'"),
        ({"zero_terminal_snr": True}, "epsilon"),
        ({"min_snr_gamma": 0.0}, "0.0"),
        ({"min_snr_gamma": float("nan")}, "nan"),
        ({"timesteps": 1}, "1"),
        ({"beta_schedule": "quadratic"}, "'quadratic'"),
    ],
)
def test_refuses_bad_settings(arguments: dict[str, object], shown: str) -> None:
    with pytest.raises(InputError, match=shown):
        GaussianDiffusion(**arguments)
