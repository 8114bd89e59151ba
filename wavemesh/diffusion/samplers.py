"""Samplers: the reverse process as plain loops, from noise to data.

`ddpm` is stochastic (ancestral), `ddim` deterministic unless eta is above 0, `dpmpp_2m` a second-order solver that
needs the fewest steps. All share the timestep spacing (the first step is at t = timesteps - 1), the callback
per step and the result: the x_0 predicted at the last step that ran, which after a full run is exactly the sample.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from wavemesh.diffusion.gaussian import (
    GaussianDiffusion,
    Model,
    Prediction,
    batch_index_of,
    batch_size_of,
    features_of,
    randn_like,
    with_features,
)
from wavemesh.diffusion.guidance import Guidance, GuidedModel
from wavemesh.errors import InputError

Clip = float | Callable[[Tensor], Tensor] | None


@dataclass(frozen=True)
class SamplerStep:
    """What a callback sees after each model evaluation.

    `step` counts from 0 to num_steps - 1, `t` is the timestep evaluated, `x_0` the data predicted there and `x_t` the
    noisy input of the evaluation. `guidance_norm` is the root mean square of what guidance added, None where it did
    not.
    """

    step: int
    num_steps: int
    t: int
    x_0: Any
    x_t: Any
    guidance_norm: float | None = None


Callback = Callable[[SamplerStep], bool | None]


class _Stepper:
    """The part that all samplers share: evaluates the model along the timesteps and asks the callback."""

    def __init__(
        self,
        model: Model,
        diffusion: GaussianDiffusion,
        x_T: Any,
        num_inference_steps: int,
        callback: Callback | None,
        clip_x0: Clip,
        batch_index: Int[Tensor, "n"] | None,
        start_from: int,
    ) -> None:
        timesteps = diffusion.schedule.inference_timesteps(num_inference_steps)
        if not 0 <= start_from < len(timesteps):
            raise InputError(f"The first step must be between 0 and {len(timesteps) - 1}, not {start_from}.")
        self.model = model
        self.diffusion = diffusion
        self.form = x_T
        self.callback = callback
        self.clip_x0 = clip_x0
        self.batch_index = batch_index_of(x_T, batch_index)
        self.batch_size = batch_size_of(x_T, self.batch_index)
        self.timesteps = timesteps[start_from:]
        self.x_0: Tensor | None = None

    def alphas(self) -> Iterator[tuple[int, float, float]]:
        """Each timestep with alphas_cumprod there and at the next timestep, 1 after the last."""
        at = self.diffusion.schedule.alpha_cumprod_at
        for t, t_next in zip(self.timesteps, [*self.timesteps[1:], -1], strict=True):
            yield t, at(t), at(t_next)

    @torch.no_grad()
    def predict(self, step: int, t: int, x_t: Tensor) -> tuple[Tensor, Tensor, bool]:
        """Predicted x_0 and epsilon at x_t, and whether the callback asked to stop."""
        arguments = {}
        if self.diffusion.self_conditioning:
            arguments["x_self_cond"] = None if self.x_0 is None else with_features(self.form, self.x_0)
        t_batch = torch.full((self.batch_size,), t, dtype=torch.long, device=x_t.device)
        wrapped = with_features(self.form, x_t)
        output = features_of(self.model(wrapped, t_batch, **arguments))
        prediction = self._clipped(self.diffusion.convert(output, x_t, t_batch, self.batch_index), t, x_t)
        self.x_0 = prediction.x_0
        stop = False
        if self.callback is not None:
            norm = getattr(self.model, "guidance_norm", None)
            x_0 = with_features(self.form, prediction.x_0)
            stop = bool(self.callback(SamplerStep(step, len(self.timesteps), t, x_0, wrapped, norm)))
        return prediction.x_0, prediction.epsilon, stop

    def _clipped(self, prediction: Prediction, t: int, x_t: Tensor) -> Prediction:
        if self.clip_x0 is None:
            return prediction
        if callable(self.clip_x0):
            x_0 = self.clip_x0(prediction.x_0)
        else:
            x_0 = prediction.x_0.clamp(-self.clip_x0, self.clip_x0)
        alpha = self.diffusion.schedule.alpha_cumprod_at(t)
        # The noise must agree with the clipped data, or the next x_t would leave the path between the two.
        return Prediction(x_0, (x_t - math.sqrt(alpha) * x_0) / math.sqrt(1 - alpha), prediction.v)

    def result(self) -> Any:
        """The last predicted x_0 in the form of the input."""
        assert self.x_0 is not None
        return with_features(self.form, self.x_0)


def ddpm(
    model: Model,
    diffusion: GaussianDiffusion,
    x_T: Any,
    num_inference_steps: int,
    generator: torch.Generator | None = None,
    callback: Callback | None = None,
    clip_x0: Clip = None,
    batch_index: Int[Tensor, "n"] | None = None,
    start_from: int = 0,
) -> Any:
    """Sample by the posterior of the forward process with its smaller variance (arXiv:2006.11239, eq. 6-7)."""
    stepper = _Stepper(model, diffusion, x_T, num_inference_steps, callback, clip_x0, batch_index, start_from)
    x = features_of(x_T)
    for step, (t, alpha, alpha_next) in enumerate(stepper.alphas()):
        x_0, _, stop = stepper.predict(step, t, x)
        if stop or alpha_next == 1:
            break
        alpha_step = alpha / alpha_next
        mean_x_0 = math.sqrt(alpha_next) * (1 - alpha_step) / (1 - alpha)
        mean_x_t = math.sqrt(alpha_step) * (1 - alpha_next) / (1 - alpha)
        deviation = math.sqrt((1 - alpha_next) / (1 - alpha) * (1 - alpha_step))
        x = mean_x_0 * x_0 + mean_x_t * x + deviation * randn_like(x, generator)
    return stepper.result()


def ddim(
    model: Model,
    diffusion: GaussianDiffusion,
    x_T: Any,
    num_inference_steps: int,
    generator: torch.Generator | None = None,
    callback: Callback | None = None,
    clip_x0: Clip = None,
    batch_index: Int[Tensor, "n"] | None = None,
    start_from: int = 0,
    eta: float = 0.0,
) -> Any:
    """Sample by DDIM (arXiv:2010.02502, eq. 12); eta = 0 draws no noise, eta = 1 as much as `ddpm`."""
    if not 0 <= eta <= 1:
        raise InputError(f"eta must be between 0 and 1, not {eta}.")
    stepper = _Stepper(model, diffusion, x_T, num_inference_steps, callback, clip_x0, batch_index, start_from)
    x = features_of(x_T)
    for step, (t, alpha, alpha_next) in enumerate(stepper.alphas()):
        x_0, epsilon, stop = stepper.predict(step, t, x)
        if stop or alpha_next == 1:
            break
        variance = eta**2 * (1 - alpha_next) / (1 - alpha) * (1 - alpha / alpha_next)
        x = math.sqrt(alpha_next) * x_0 + math.sqrt(1 - alpha_next - variance) * epsilon
        if eta > 0:
            x = x + math.sqrt(variance) * randn_like(x, generator)
    return stepper.result()


def dpmpp_2m(
    model: Model,
    diffusion: GaussianDiffusion,
    x_T: Any,
    num_inference_steps: int,
    generator: torch.Generator | None = None,
    callback: Callback | None = None,
    clip_x0: Clip = None,
    batch_index: Int[Tensor, "n"] | None = None,
    start_from: int = 0,
) -> Any:
    """Sample by DPM-Solver++(2M) (arXiv:2211.01095, algorithm 2), deterministic: the generator is not used.

    The first step and the last are of first order, as is the second after zero terminal SNR, where the step in
    log-SNR is infinite.
    """
    del generator
    stepper = _Stepper(model, diffusion, x_T, num_inference_steps, callback, clip_x0, batch_index, start_from)
    x = features_of(x_T)
    previous_x_0: Tensor | None = None
    previous_lambda = -math.inf
    for step, (t, alpha, alpha_next) in enumerate(stepper.alphas()):
        x_0, _, stop = stepper.predict(step, t, x)
        if stop or alpha_next == 1:
            break
        current_lambda, next_lambda = _log_snr_half(alpha), _log_snr_half(alpha_next)
        direction = x_0
        if previous_x_0 is not None and math.isfinite(previous_lambda):
            # eq. in algorithm 2: D = (1 + 1 / 2r) x_0 - (1 / 2r) x_0 of the step before, r the ratio of the steps
            ratio = (current_lambda - previous_lambda) / (next_lambda - current_lambda)
            direction = x_0 + (x_0 - previous_x_0) / (2 * ratio)
        shrink = math.exp(current_lambda - next_lambda)  # e^-h, 0 from zero terminal SNR
        x = math.sqrt((1 - alpha_next) / (1 - alpha)) * x + math.sqrt(alpha_next) * (1 - shrink) * direction
        previous_x_0, previous_lambda = x_0, current_lambda
    return stepper.result()


SAMPLERS: dict[str, Callable[..., Any]] = {"ddpm": ddpm, "ddim": ddim, "dpmpp_2m": dpmpp_2m}


def sample(
    model: Model,
    diffusion: GaussianDiffusion,
    x_T: Any,
    num_inference_steps: int,
    sampler: str = "ddpm",
    generator: torch.Generator | None = None,
    callback: Callback | None = None,
    guidance: Guidance | None = None,
    clip_x0: Clip = None,
    batch_index: Int[Tensor, "n"] | None = None,
    start_from: int = 0,
    device: torch.device | str = "cpu",
    **options: Any,
) -> Any:
    """Data sampled from the model, in the form of x_T: the x_0 predicted at the last step.

    Args:
        model: called as `model(x_t, t (b,))`, plus `x_self_cond=` with self-conditioning; returns what
            `diffusion.prediction_type` says. Its condition is bound beforehand (a closure or functools.partial).
        x_T: noise (b, ...), features (m, c) with `batch_index` (m,), or a SparseTensor of noise; or a shape, for which
            noise is drawn from `generator` on `device`.
        diffusion: says what the model predicts and which timesteps there are.
        num_inference_steps: 1 to the number of training timesteps.
        sampler: "ddpm", "ddim" (option `eta`) or "dpmpp_2m".
        generator: source of the noise; None is torch's global one.
        callback: called after each step; True stops and keeps the x_0 of that step, an exception passes through.
        guidance: None for the plain model.
        clip_x0: largest magnitude of the predicted x_0, or a function applied to it.
        start_from: number of steps to skip; x_T is then data noised to the timestep of that step.
        batch_index: sample number of each row where x_T holds features of sparse sites.
        device: where noise is drawn for a shape.
        **options: further options of the sampler.

    Raises InputError for an unknown sampler or numbers of steps out of range.
    """
    if sampler not in SAMPLERS:
        raise InputError(f"The sampler must be one of {', '.join(SAMPLERS)}, not {sampler!r}.")
    if isinstance(x_T, tuple | list | torch.Size):
        x_T = randn_like(torch.empty(tuple(x_T), device=device), generator)
    if guidance is not None:
        model = GuidedModel(model, guidance.unconditional, guidance.scale, guidance.interval)
    return SAMPLERS[sampler](
        model, diffusion, x_T, num_inference_steps, generator, callback, clip_x0, batch_index, start_from, **options
    )


def _log_snr_half(alpha_cumprod: float) -> float:
    """log(sqrt(a) / sqrt(1 - a)), the lambda of DPM-Solver; minus infinity where no data is left."""
    return 0.5 * math.log(alpha_cumprod / (1 - alpha_cumprod)) if alpha_cumprod > 0 else -math.inf
