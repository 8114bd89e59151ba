"""Samplers against diffusers' schedulers, against a Gaussian whose samples are known, and their shared behaviour."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler
from torch import Tensor

from wavemesh.diffusion import GaussianDiffusion, Guidance, SamplerStep, sample
from wavemesh.errors import InputError

DIFFUSERS_TYPE = {"epsilon": "epsilon", "x0": "sample", "v": "v_prediction"}
CASES = [("epsilon", False), ("x0", False), ("v", False), ("x0", True), ("v", True)]
SAMPLERS = ["ddpm", "ddim", "dpmpp_2m"]


def toy_model(x_t: Tensor, t: Tensor, x_self_cond: Tensor | None = None) -> Tensor:
    """A fixed nonlinear network that depends on x and t."""
    time = (t.float() / 1000).reshape(-1, *[1] * (x_t.dim() - 1))
    return torch.sin(1.7 * x_t + 3 * time) + 0.3 * x_t.roll(1, -1) - 0.2 * time


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def make_scheduler(sampler: str, prediction_type: str, zero: bool, steps: int) -> object:
    shared = {
        "prediction_type": DIFFUSERS_TYPE[prediction_type],
        "timestep_spacing": "trailing",
        "rescale_betas_zero_snr": zero,
    }
    if sampler == "dpmpp_2m":
        scheduler = DPMSolverMultistepScheduler(1000, **shared)
    else:
        scheduler = {"ddpm": DDPMScheduler, "ddim": DDIMScheduler}[sampler](1000, clip_sample=False, **shared)
    scheduler.set_timesteps(steps)
    return scheduler


# diffusers converts a tensor by an old protocol of numpy.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize(("prediction_type", "zero"), CASES)
@pytest.mark.parametrize(("sampler", "eta"), [("ddpm", 0.0), ("ddim", 0.0), ("ddim", 0.7), ("dpmpp_2m", 0.0)])
@pytest.mark.parametrize("steps", [1, 2, 10, 20])
def test_equals_diffusers_step_by_step(sampler: str, eta: float, prediction_type: str, zero: bool, steps: int) -> None:
    scheduler = make_scheduler(sampler, prediction_type, zero, steps)
    generator = torch.Generator().manual_seed(5)
    extra = {"ddim": {"eta": eta, "generator": generator}, "ddpm": {"generator": generator}}.get(sampler, {})
    x = noise(2, 3, 4)
    expected: list[Tensor] = []
    for t in scheduler.timesteps:
        expected.append(x)
        x = scheduler.step(toy_model(x, t[None]), t, x, **extra).prev_sample

    seen: list[SamplerStep] = []
    diffusion = GaussianDiffusion(prediction_type=prediction_type, zero_terminal_snr=zero)
    result = sample(
        toy_model,
        diffusion,
        noise(2, 3, 4),
        steps,
        sampler,
        generator=torch.Generator().manual_seed(5),
        callback=seen.append,
        **({"eta": eta} if eta else {}),
    )
    assert [step.t for step in seen] == scheduler.timesteps.tolist()
    # diffusers' multistep solver replaces the zero SNR by 2^-24, so that 2.4e-4 of the data is left there. An epsilon
    # at t = 999 is divided by sqrt(4e-5), which magnifies float32 rounding.
    tolerance = 4e-3 if sampler == "dpmpp_2m" and zero else 2e-3 if prediction_type == "epsilon" else 2e-4
    for step, x_t in zip(seen, expected, strict=True):
        torch.testing.assert_close(step.x_t, x_t, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(result, x, rtol=tolerance, atol=tolerance)


def gaussian_model(diffusion: GaussianDiffusion, mean: float, deviation: float) -> Callable[[Tensor, Tensor], Tensor]:
    """The exact model of data distributed as N(mean, deviation^2), by Bayes' rule."""

    def model(x_t: Tensor, t: Tensor) -> Tensor:
        a = diffusion.schedule.alphas_cumprod.double()[t].reshape(-1, 1)
        gain = a.sqrt() * deviation**2 / (a * deviation**2 + 1 - a)
        x_0 = mean + gain * (x_t.double() - a.sqrt() * mean)
        epsilon = (x_t - a.sqrt() * x_0) / (1 - a).sqrt()
        answers = {"epsilon": epsilon, "x0": x_0, "v": a.sqrt() * epsilon - (1 - a).sqrt() * x_0}
        return answers[diffusion.prediction_type].float()

    return model


@pytest.mark.parametrize(("prediction_type", "zero"), [("epsilon", False), ("x0", True), ("v", True)])
@pytest.mark.parametrize(("sampler", "steps"), [("ddpm", 125), ("ddim", 125), ("dpmpp_2m", 50)])
@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_recovers_a_known_gaussian(sampler: str, steps: int, prediction_type: str, zero: bool, schedule: str) -> None:
    diffusion = GaussianDiffusion(500, schedule, prediction_type, zero)
    result = sample(
        gaussian_model(diffusion, 1.5, 0.4), diffusion, noise(4000, 1), steps, sampler, torch.Generator().manual_seed(1)
    )
    assert result.mean().item() == pytest.approx(1.5, abs=0.03)
    assert result.std().item() == pytest.approx(0.4, abs=0.03)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("timesteps", [2, 3, 2000])
def test_runs_at_the_limits_of_timesteps(timesteps: int, sampler: str) -> None:
    for prediction_type, zero in CASES:
        diffusion = GaussianDiffusion(timesteps, "cosine", prediction_type, zero)
        for steps in (1, 2):
            assert bool(sample(toy_model, diffusion, noise(2, 3), steps, sampler).isfinite().all())


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_reproducible_by_generator(sampler: str) -> None:
    diffusion = GaussianDiffusion(prediction_type="v", zero_terminal_snr=True)

    def run(seed: int) -> Tensor:
        return sample(toy_model, diffusion, (2, 3), 5, sampler, generator=torch.Generator().manual_seed(seed))

    assert torch.equal(run(3), run(3))
    assert not torch.equal(run(3), run(4))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_early_stop_keeps_the_partial_result(sampler: str) -> None:
    diffusion = GaussianDiffusion(prediction_type="v", zero_terminal_snr=True)
    seen: list[SamplerStep] = []

    def stop_at_third(step: SamplerStep) -> bool:
        seen.append(step)
        return step.step == 2

    result = sample(toy_model, diffusion, noise(2, 3), 8, sampler, callback=stop_at_third)
    assert [(step.step, step.num_steps) for step in seen] == [(0, 8), (1, 8), (2, 8)]
    assert torch.equal(result, seen[-1].x_0)
    full: list[SamplerStep] = []
    last = sample(toy_model, diffusion, noise(2, 3), 8, sampler, callback=full.append)
    assert len(full) == 8
    assert torch.equal(last, full[-1].x_0)


def test_exceptions_of_the_callback_pass_through() -> None:
    def fail(step: SamplerStep) -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        sample(toy_model, GaussianDiffusion(), noise(2, 3), 3, callback=fail)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_sparse_sites_are_sampled_as_dense_rows(sampler: str, sites: Any) -> None:
    diffusion = GaussianDiffusion(prediction_type="x0", zero_terminal_snr=True)

    def rows(x: Tensor, t: Tensor) -> Tensor:
        return torch.tanh(x)

    arguments = (diffusion, sites.features, 6, sampler)
    dense = sample(rows, *arguments, generator=torch.Generator().manual_seed(0))
    indexed = sample(rows, *arguments, generator=torch.Generator().manual_seed(0), batch_index=sites.coords[:, 0])
    wrapped = sample(
        lambda x, t: x.replace(torch.tanh(x.features)) if len(t) == 3 else None,
        diffusion,
        sites,
        6,
        sampler,
        generator=torch.Generator().manual_seed(0),
    )
    assert torch.equal(dense, indexed)
    assert torch.equal(dense, wrapped.features)
    assert wrapped.sites is sites.sites


def test_self_conditioning_passes_the_previous_estimate() -> None:
    diffusion = GaussianDiffusion(prediction_type="x0", zero_terminal_snr=True, self_conditioning=True)
    given: list[Tensor | None] = []
    steps: list[SamplerStep] = []

    def model(x: Tensor, t: Tensor, x_self_cond: Tensor | None = None) -> Tensor:
        given.append(x_self_cond)
        return torch.tanh(x)

    sample(model, diffusion, noise(2, 3), 4, "ddim", callback=steps.append)
    assert given[0] is None
    assert all(torch.equal(x, step.x_0) for x, step in zip(given[1:], steps[:-1], strict=True))


def test_clipping_bounds_every_estimate() -> None:
    diffusion = GaussianDiffusion()
    for sampler in SAMPLERS:
        for clip in (0.5, lambda x: x.clamp(-0.5, 0.5)):
            steps: list[SamplerStep] = []
            sample(toy_model, diffusion, noise(2, 3), 5, sampler, clip_x0=clip, callback=steps.append)
            assert max(step.x_0.abs().max().item() for step in steps) <= 0.5


def test_start_from_continues_a_run_in_the_middle() -> None:
    diffusion = GaussianDiffusion(prediction_type="v", zero_terminal_snr=True)
    steps: list[SamplerStep] = []
    full = sample(toy_model, diffusion, noise(2, 3), 10, "ddim", callback=steps.append)
    rest = sample(toy_model, diffusion, steps[6].x_t, 10, "ddim", start_from=6)
    torch.testing.assert_close(rest, full)
    with pytest.raises(InputError, match="10"):
        sample(toy_model, diffusion, noise(2, 3), 10, start_from=10)


def test_guidance_moves_the_sample_along_the_condition() -> None:
    diffusion = GaussianDiffusion(200, prediction_type="v", zero_terminal_snr=True)
    conditional, unconditional = gaussian_model(diffusion, 1.0, 0.3), gaussian_model(diffusion, 0.0, 0.3)
    means, norms = {}, {}
    for scale in (0.0, 1.0, 2.0):
        steps: list[SamplerStep] = []
        guidance = Guidance(unconditional, scale)
        result = sample(conditional, diffusion, noise(500, 1), 20, "ddim", guidance=guidance, callback=steps.append)
        means[scale], norms[scale] = result.mean().item(), steps[0].guidance_norm
    assert [round(means[scale]) for scale in (0.0, 1.0, 2.0)] == [0, 1, 2]
    assert norms[0.0] is None
    assert norms[1.0] is None
    assert norms[2.0] is not None
    assert math.isclose(norms[2.0], 1.0, abs_tol=1e-3)


def test_sampling_builds_no_graph() -> None:
    scale = torch.nn.Parameter(torch.ones(()))
    assert not sample(lambda x, t: x * scale, GaussianDiffusion(), noise(2, 3), 3).requires_grad


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ({"sampler": "euler"}, "'euler'"),
        ({"num_inference_steps": 0}, "0"),
        ({"num_inference_steps": 1001}, "1001"),
        ({"sampler": "ddim", "eta": 2.0}, "2.0"),
    ],
)
def test_refuses_bad_settings(arguments: dict[str, object], shown: str) -> None:
    with pytest.raises(InputError, match=shown):
        sample(toy_model, GaussianDiffusion(), noise(2, 3), **{"num_inference_steps": 2, **arguments})
