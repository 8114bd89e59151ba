"""Noise schedules against diffusers and their own limits."""

import pytest
import torch
from diffusers import DDPMScheduler
from hypothesis import given, settings
from hypothesis import strategies as st

from wavemesh.diffusion.schedule import NoiseSchedule
from wavemesh.errors import InputError

DIFFUSERS_NAME = {"linear": "linear", "cosine": "squaredcos_cap_v2"}


@pytest.mark.parametrize("zero_terminal_snr", [False, True])
@pytest.mark.parametrize("name", ["linear", "cosine"])
def test_equals_diffusers_at_1000_timesteps(name: str, zero_terminal_snr: bool) -> None:
    theirs = DDPMScheduler(1000, beta_schedule=DIFFUSERS_NAME[name], rescale_betas_zero_snr=zero_terminal_snr)
    ours = NoiseSchedule(1000, name, zero_terminal_snr)
    torch.testing.assert_close(ours.alphas_cumprod, theirs.alphas_cumprod, rtol=1e-3, atol=2e-6)
    torch.testing.assert_close(ours.betas[:-1], theirs.betas[:-1], rtol=1e-3, atol=2e-6)


@settings(deadline=None, max_examples=15)
@given(timesteps=st.integers(2, 2000), name=st.sampled_from(["linear", "cosine"]), zero=st.booleans())
def test_curve_falls_from_data_to_noise(timesteps: int, name: str, zero: bool) -> None:
    schedule = NoiseSchedule(timesteps, name, zero)
    curve = schedule.alphas_cumprod
    assert curve.shape == schedule.betas.shape == (timesteps,)
    assert bool((curve.diff() < 0).all())
    assert 0 < curve[0] < 1
    assert curve[-1] == 0 if zero else 0 < curve[-1] < 1e-2
    assert bool((schedule.betas > 0).all())
    assert bool((schedule.betas <= 1).all())
    torch.testing.assert_close(schedule.signal**2 + schedule.noise**2, torch.ones(timesteps))


@pytest.mark.parametrize("timesteps", [2, 10, 250, 2000])
def test_linear_curve_does_not_depend_on_the_number_of_timesteps(timesteps: int) -> None:
    reference = NoiseSchedule(1000, "linear")
    schedule = NoiseSchedule(timesteps, "linear")
    assert schedule.alpha_cumprod_at(timesteps - 1) == pytest.approx(reference.alpha_cumprod_at(999))
    assert schedule.alpha_cumprod_at(timesteps // 2 - 1) == pytest.approx(reference.alpha_cumprod_at(499))


@settings(deadline=None, max_examples=40)
@given(timesteps=st.integers(2, 2000), data=st.data())
def test_inference_timesteps_fall_from_the_last_one(timesteps: int, data: st.DataObject) -> None:
    steps = data.draw(st.integers(1, timesteps))
    visited = NoiseSchedule(timesteps).inference_timesteps(steps)
    assert len(visited) == steps
    assert visited[0] == timesteps - 1
    assert visited[-1] >= 0
    assert visited == sorted(set(visited), reverse=True)


@pytest.mark.parametrize("steps", [1, 5, 8, 10, 50, 1000])
def test_inference_timesteps_equal_diffusers_trailing(steps: int) -> None:
    scheduler = DDPMScheduler(1000, timestep_spacing="trailing")
    scheduler.set_timesteps(steps)
    assert NoiseSchedule(1000).inference_timesteps(steps) == scheduler.timesteps.tolist()


@pytest.mark.parametrize("timesteps", [1, 0, -5, 2001])
def test_refuses_a_number_of_timesteps_out_of_range(timesteps: int) -> None:
    with pytest.raises(InputError, match=str(timesteps)):
        NoiseSchedule(timesteps)


def test_refuses_an_unknown_schedule() -> None:
    with pytest.raises(InputError, match="'sigmoid'"):
        NoiseSchedule(10, "sigmoid")


@pytest.mark.parametrize("steps", [0, -1, 101])
def test_refuses_a_number_of_inference_steps_out_of_range(steps: int) -> None:
    with pytest.raises(InputError, match=str(steps)):
        NoiseSchedule(100).inference_timesteps(steps)
