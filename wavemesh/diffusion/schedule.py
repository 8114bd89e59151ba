"""Noise schedules: how much of the data is left at each diffusion timestep.

A schedule is a decreasing curve `alphas_cumprod` over t = 0 .. timesteps - 1. The number of timesteps only says how
finely the curve is cut, so that models with 2 and with 2,000 timesteps see the same range of noise levels.
`GaussianDiffusion` owns one schedule; the samplers read it through `NoiseSchedule.inference_timesteps`.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from wavemesh.errors import InputError

BETA_SCHEDULES = ("linear", "cosine")
MIN_TIMESTEPS, MAX_TIMESTEPS = 2, 2000
_REFERENCE_TIMESTEPS = 1000  # the linear schedule is defined by its betas at 1,000 timesteps
_BETA_START, _BETA_END = 1e-4, 0.02
_MAX_BETA = 0.999
_COSINE_OFFSET = 0.008


class NoiseSchedule:
    """Tables of one noise schedule, each of length `timesteps`, float32 on the CPU.

    `betas` is the noise added by a single step, `alphas_cumprod` the share of the data's variance left after step t,
    `signal` and `noise` its square root and that of the rest: x_t = signal[t] * x_0 + noise[t] * epsilon.

    `linear` is the schedule of DDPM (arXiv:2006.11239), `cosine` that of Nichol and Dhariwal (arXiv:2102.09672,
    eq. 17). `zero_terminal_snr` rescales the curve so that nothing of the data is left at the last timestep
    (arXiv:2305.08891, algorithm 1).

    Raises InputError for an unknown schedule or a number of timesteps outside 2 to 2,000.
    """

    def __init__(self, timesteps: int = 1000, beta_schedule: str = "linear", zero_terminal_snr: bool = False) -> None:
        if not MIN_TIMESTEPS <= timesteps <= MAX_TIMESTEPS:
            raise InputError(
                f"The number of timesteps must be between {MIN_TIMESTEPS} and {MAX_TIMESTEPS}, not {timesteps}."
            )
        if beta_schedule == "linear":
            alphas_cumprod = _linear_alphas_cumprod(timesteps)
        elif beta_schedule == "cosine":
            alphas_cumprod = _cosine_alphas_cumprod(timesteps)
        else:
            raise InputError(f"The noise schedule must be {' or '.join(BETA_SCHEDULES)}, not {beta_schedule!r}.")
        if zero_terminal_snr:
            alphas_cumprod = _rescale_to_zero_terminal_snr(alphas_cumprod)

        self.timesteps = timesteps
        self.beta_schedule = beta_schedule
        self.zero_terminal_snr = zero_terminal_snr
        # Square roots and differences are taken in double precision: 1 - alphas_cumprod cancels badly near t = 0.
        previous = torch.cat([torch.ones(1, dtype=torch.float64), alphas_cumprod[:-1]])
        self.betas: Float[Tensor, "timesteps"] = (1 - alphas_cumprod / previous).float()
        self.alphas_cumprod: Float[Tensor, "timesteps"] = alphas_cumprod.float()
        self.signal: Float[Tensor, "timesteps"] = alphas_cumprod.sqrt().float()
        self.noise: Float[Tensor, "timesteps"] = (1 - alphas_cumprod).sqrt().float()
        self.snr: Float[Tensor, "timesteps"] = (alphas_cumprod / (1 - alphas_cumprod)).float()
        self._exact_alphas_cumprod: list[float] = alphas_cumprod.tolist()

    def alpha_cumprod_at(self, t: int) -> float:
        """Share of the data's variance left at timestep t in double precision; 1 for t = -1, the clean data."""
        return 1.0 if t < 0 else self._exact_alphas_cumprod[t]

    def inference_timesteps(self, num_inference_steps: int) -> list[int]:
        """Timesteps a sampler visits, decreasing, the first being timesteps - 1 ("trailing" of arXiv:2305.08891).

        Raises InputError when the number of steps is not between 1 and the number of training timesteps.
        """
        if not 1 <= num_inference_steps <= self.timesteps:
            raise InputError(
                f"The number of inference steps must be between 1 and {self.timesteps}, not {num_inference_steps}."
            )
        spacing = self.timesteps / num_inference_steps
        return [round(self.timesteps - i * spacing) - 1 for i in range(num_inference_steps)]


def _linear_alphas_cumprod(timesteps: int) -> Float[Tensor, "timesteps"]:
    """Cumulative product of the 1,000-step linear schedule, cut into `timesteps` pieces.

    Keeping the betas and changing only their number would leave 98% of the data at the last of two timesteps.
    """
    betas = torch.linspace(_BETA_START, _BETA_END, _REFERENCE_TIMESTEPS, dtype=torch.float64)
    log_curve = torch.cat([torch.zeros(1, dtype=torch.float64), torch.log1p(-betas).cumsum(0)])
    position = torch.arange(1, timesteps + 1, dtype=torch.float64) * (_REFERENCE_TIMESTEPS / timesteps)
    left = position.floor().long().clamp(max=_REFERENCE_TIMESTEPS - 1)
    return torch.lerp(log_curve[left], log_curve[left + 1], position - left).exp()


def _cosine_alphas_cumprod(timesteps: int) -> Float[Tensor, "timesteps"]:
    u = torch.arange(timesteps + 1, dtype=torch.float64) / timesteps
    curve = torch.cos((u + _COSINE_OFFSET) / (1 + _COSINE_OFFSET) * (math.pi / 2)) ** 2
    betas = (1 - curve[1:] / curve[:-1]).clamp(max=_MAX_BETA)
    return (1 - betas).cumprod(0)


def _rescale_to_zero_terminal_snr(alphas_cumprod: Float[Tensor, "timesteps"]) -> Float[Tensor, "timesteps"]:
    """Curve shifted and scaled (its square root) to end at exactly 0 and begin where it began."""
    signal = alphas_cumprod.sqrt()
    first, last = signal[0], signal[-1]
    return ((signal - last) * (first / (first - last))) ** 2


def gather(table: Float[Tensor, "timesteps"], t: Int[Tensor, "b"], x: Float[Tensor, "n ..."]) -> Float[Tensor, "n ..."]:
    """Entries `table[t]` on x's device, shaped (len(t), 1, 1, ...) so that they broadcast against x."""
    return table.to(x.device)[t.to(x.device)].reshape(-1, *[1] * (x.dim() - 1))
