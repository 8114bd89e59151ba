"""Gaussian diffusion: the forward process, the training loss, and the one place that converts predictions.

Module C of the roadmap. It knows nothing of the network's architecture: a model is called as
`model(x_t, t)`, plus `context=` when there is conditioning and `x_self_cond=` with self-conditioning, and returns
epsilon, x_0 or v. Data comes in three forms: dense tensors with the batch first; features (m, c) of sparse sites with
`batch_index` (m,) saying which sample a site belongs to; or a `SparseTensor`, which is replaced feature by feature.
The reverse process is in `samplers.py`, guidance in `guidance.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from wavemesh.diffusion.guidance import drop_condition
from wavemesh.diffusion.schedule import NoiseSchedule, gather
from wavemesh.errors import InputError

PREDICTION_TYPES = ("epsilon", "x0", "v")
Model = Callable[..., Any]

# Min-SNR gives a v or x_0 prediction the weight 0 where no signal is left (t = T - 1 with zero terminal SNR), yet the
# first step of sampling is exactly that prediction.
MIN_LOSS_WEIGHT = 0.1
SELF_CONDITIONING_PROBABILITY = 0.5


@dataclass(frozen=True)
class Prediction:
    """What one model output says about the clean data, the noise and the velocity; all shaped like x_t, float32."""

    x_0: Tensor
    epsilon: Tensor
    v: Tensor


@dataclass(frozen=True)
class TrainingStep:
    """One noised batch and what the model made of it, for losses on top of the diffusion loss.

    `loss` is the scalar diffusion loss, `prediction` keeps its gradient, `t` is (b,), `x_t` as given to the model.
    """

    loss: Float[Tensor, ""]
    prediction: Prediction
    x_t: Any
    t: Int[Tensor, "b"]
    noise: Tensor


class GaussianDiffusion:
    """The diffusion process of one model.

    Args:
        timesteps: number of training timesteps, 2 to 2,000; t runs from 0 to timesteps - 1.
        beta_schedule: "linear" or "cosine".
        prediction_type: what the model returns: "epsilon" (the noise), "x0" (the clean data) or "v"
            (sqrt(a) epsilon - sqrt(1 - a) x_0, arXiv:2202.00512).
        data_deviation: with "v", the deviation d of what the condition leaves open about the data, in (0, 1]. The model
            returns (a d^2 epsilon - s x_0) / sqrt(a^2 d^2 + s^2), where a and s are the shares of signal and noise: v
            for d = 1, -x_0 for d near 0 (arXiv:2206.00364, table 1, preserving variance). The smaller d, the less of
            the noise must the model repeat.
        zero_terminal_snr: nothing of the data left at the last timestep. Refused with "epsilon", which says nothing
            about the data there.
        min_snr_gamma: weight the loss by min-SNR-gamma (arXiv:2303.09556; 5 is usual), floored at MIN_LOSS_WEIGHT for
            "x0" and "v"; None weighs all timesteps alike.
        self_conditioning: give the model its own estimate of x_0 (arXiv:2208.04202), in half of the training steps
            and in all but the first sampling step.
        model: used by `diffusion(x, context=...)` where no model is named.

    Raises InputError for values outside these.
    """

    def __init__(
        self,
        timesteps: int = 1000,
        beta_schedule: str = "linear",
        prediction_type: str = "epsilon",
        zero_terminal_snr: bool = False,
        min_snr_gamma: float | None = None,
        self_conditioning: bool = False,
        model: Model | None = None,
        data_deviation: float = 1.0,
    ) -> None:
        if prediction_type not in PREDICTION_TYPES:
            known = ", ".join(PREDICTION_TYPES)
            raise InputError(f"The prediction type must be one of {known}, not {prediction_type!r}.")
        if zero_terminal_snr and prediction_type == "epsilon":
            raise InputError("Zero terminal SNR needs the prediction type v or x0, not 'epsilon'.")
        if not 0 < data_deviation <= 1 or (data_deviation < 1 and prediction_type != "v"):
            raise InputError(f"data_deviation must be in (0, 1], and 1 unless v is predicted, not {data_deviation}.")
        if min_snr_gamma is not None and not min_snr_gamma > 0:
            raise InputError(f"min_snr_gamma must be above 0, not {min_snr_gamma}.")
        self.schedule = NoiseSchedule(timesteps, beta_schedule, zero_terminal_snr)
        self.prediction_type = prediction_type
        self.min_snr_gamma = min_snr_gamma
        self.self_conditioning = self_conditioning
        self.model = model
        self.data_deviation = data_deviation
        self.loss_weights = _loss_weights(self.schedule, prediction_type, min_snr_gamma, data_deviation)

    @property
    def timesteps(self) -> int:
        """Number of training timesteps."""
        return self.schedule.timesteps

    def q_sample(
        self,
        x_0: Float[Tensor, "n ..."],
        t: Int[Tensor, "b"],
        noise: Float[Tensor, "n ..."] | None = None,
        batch_index: Int[Tensor, "n"] | None = None,
    ) -> Float[Tensor, "n ..."]:
        """x_0 noised to timestep t: sqrt(a_t) x_0 + sqrt(1 - a_t) noise (arXiv:2006.11239, eq. 4)."""
        noise = torch.randn_like(x_0) if noise is None else noise
        signal_scale, noise_scale = self._scales(x_0, t, batch_index)
        return signal_scale * x_0 + noise_scale * noise

    def training_target(
        self,
        x_0: Float[Tensor, "n ..."],
        noise: Float[Tensor, "n ..."],
        t: Int[Tensor, "b"],
        batch_index: Int[Tensor, "n"] | None = None,
    ) -> Float[Tensor, "n ..."]:
        """What the model should return: the noise, x_0 or v, by the prediction type."""
        if self.prediction_type == "epsilon":
            return noise
        if self.prediction_type == "x0":
            return x_0
        a, s = self._scales(x_0, t, batch_index)
        d = self.data_deviation
        if d < 1:
            return (a * d**2 * noise - s * x_0) / (a**2 * d**2 + s**2).sqrt()
        return a * noise - s * x_0

    def convert(
        self,
        model_output: Float[Tensor, "n ..."],
        x_t: Float[Tensor, "n ..."],
        t: Int[Tensor, "b"],
        batch_index: Int[Tensor, "n"] | None = None,
    ) -> Prediction:
        """Clean data, noise and velocity implied by a model output at x_t, each shaped like x_t."""
        output = model_output.to(x_t.dtype)
        a, s = self._scales(x_t, t, batch_index)
        if self.prediction_type == "epsilon":
            epsilon, x_0 = output, (x_t - s * output) / a
        elif self.prediction_type == "x0":
            epsilon, x_0 = (x_t - a * output) / s, output
        elif self.data_deviation < 1:
            d = self.data_deviation
            variance = a**2 * d**2 + s**2
            x_0 = (a * d**2 * x_t) / variance - s * output / variance.sqrt()
            epsilon = s * x_t / variance + a * output / variance.sqrt()
        else:
            return Prediction(x_0=a * x_t - s * output, epsilon=s * x_t + a * output, v=output)
        return Prediction(x_0=x_0, epsilon=epsilon, v=a * epsilon - s * x_0)

    def sample_timesteps(
        self,
        batch_size: int,
        device: torch.device | str = "cpu",
        generator: torch.Generator | None = None,
        terminal_prob: float = 0.0,
    ) -> Int[Tensor, "b"]:
        """Timesteps drawn uniformly, each replaced by the last one with probability `terminal_prob`.

        The last timestep decides the first sampling step; at 1 in 1,000 it would hardly be trained.
        """
        at = generator.device if generator is not None else torch.device(device)
        t = torch.randint(0, self.timesteps, (batch_size,), device=at, generator=generator)
        if terminal_prob > 0:
            terminal = torch.rand(batch_size, device=at, generator=generator) < terminal_prob
            t = t.masked_fill(terminal, self.timesteps - 1)
        return t.to(device)

    def training_step(
        self,
        model: Model,
        x_0: Any,
        t: Int[Tensor, "b"] | None = None,
        noise: Tensor | None = None,
        context: Any = None,
        drop_prob: float = 0.0,
        weight: Tensor | None = None,
        batch_index: Int[Tensor, "n"] | None = None,
        generator: torch.Generator | None = None,
        terminal_prob: float = 0.0,
    ) -> TrainingStep:
        """Loss and predictions of the model on x_0 noised to random timesteps.

        `context` is a tensor (b, ...) or nested dicts, lists and tuples of such; a sample's is dropped with
        probability `drop_prob` for classifier-free guidance. `weight` multiplies the squared error and broadcasts
        against x_0. The loss is the mean over all elements.
        """
        features = features_of(x_0)
        batch_index = batch_index_of(x_0, batch_index)
        if t is None:
            batch_size = batch_size_of(x_0, batch_index)
            t = self.sample_timesteps(batch_size, features.device, generator, terminal_prob)
        if noise is None:
            noise = randn_like(features, generator)
        x_t = with_features(x_0, self.q_sample(features, t, noise, batch_index))
        arguments: dict[str, Any] = {}
        if context is not None:
            arguments["context"] = drop_condition(context, drop_prob, generator) if drop_prob > 0 else context
        if self.self_conditioning:
            arguments["x_self_cond"] = self._self_condition(model, x_t, t, batch_index, arguments, generator)
        output = features_of(model(x_t, t, **arguments)).to(features.dtype)
        error = (output - self.training_target(features, noise, t, batch_index)) ** 2
        if self.min_snr_gamma is not None:
            error = error * gather(self.loss_weights, _per_row(t, batch_index), error)
        if weight is not None:
            error = error * weight
        prediction = self.convert(output, features_of(x_t), t, batch_index)
        return TrainingStep(loss=error.mean(), prediction=prediction, x_t=x_t, t=t, noise=noise)

    def training_loss(
        self,
        model: Model,
        x_0: Any,
        t: Int[Tensor, "b"] | None = None,
        noise: Tensor | None = None,
        context: Any = None,
        drop_prob: float = 0.0,
        weight: Tensor | None = None,
        **arguments: Any,
    ) -> Float[Tensor, ""]:
        """Scalar diffusion loss; takes the arguments of `training_step`."""
        return self.training_step(model, x_0, t, noise, context, drop_prob, weight, **arguments).loss

    def __call__(
        self, x_0: Any, context: Any = None, model: Model | None = None, **arguments: Any
    ) -> Float[Tensor, ""]:
        """Training loss of `model`, or of the model given at construction."""
        model = model if model is not None else self.model
        if model is None:
            raise TypeError("no model: build GaussianDiffusion(..., model=unet) or call diffusion(x, model=unet)")
        return self.training_loss(model, x_0, context=context, **arguments)

    def _self_condition(
        self,
        model: Model,
        x_t: Any,
        t: Int[Tensor, "b"],
        batch_index: Int[Tensor, "n"] | None,
        arguments: dict[str, Any],
        generator: torch.Generator | None,
    ) -> Any:
        """The model's own estimate of x_0 without gradient in half of the calls, None in the others."""
        at = generator.device if generator is not None else "cpu"
        if torch.rand((), generator=generator, device=at).item() >= SELF_CONDITIONING_PROBABILITY:
            return None
        with torch.no_grad():
            output = features_of(model(x_t, t, x_self_cond=None, **arguments))
            return with_features(x_t, self.convert(output, features_of(x_t), t, batch_index).x_0.detach())

    def _scales(self, x: Tensor, t: Int[Tensor, "b"], batch_index: Int[Tensor, "n"] | None) -> tuple[Tensor, Tensor]:
        """Square roots of a_t and 1 - a_t, shaped to broadcast against x."""
        t = _per_row(t, batch_index)
        if len(t) not in (1, len(x)):
            raise InputError(
                f"{len(t)} timesteps do not fit {len(x)} rows: for sites of several samples in one row say which "
                "sample each is of, q_sample(x_0, t, noise, batch_index=coords[:, 0])."
            )
        return gather(self.schedule.signal, t, x).to(x.dtype), gather(self.schedule.noise, t, x).to(x.dtype)


def _loss_weights(schedule: NoiseSchedule, prediction_type: str, gamma: float | None, deviation: float) -> Tensor:
    if gamma is None:
        return torch.ones(schedule.timesteps)
    clipped = schedule.snr.clamp(max=gamma)
    if prediction_type == "epsilon":
        return clipped / schedule.snr
    weights = clipped if prediction_type == "x0" else clipped / (schedule.snr * deviation**2 + 1)
    return weights.clamp(min=MIN_LOSS_WEIGHT)


def _per_row(t: Int[Tensor, "b"], batch_index: Int[Tensor, "n"] | None) -> Int[Tensor, "n"]:
    return t if batch_index is None else t[batch_index]


def features_of(x: Any) -> Tensor:
    """The tensor itself, or the features (m, c) of a SparseTensor."""
    return x if isinstance(x, Tensor) else x.features


def with_features(x: Any, features: Tensor) -> Any:
    """`features` in the form x has: a tensor, or x's SparseTensor with its features replaced."""
    return features if isinstance(x, Tensor) else x.replace(features)


def batch_index_of(x: Any, batch_index: Int[Tensor, "n"] | None) -> Int[Tensor, "n"] | None:
    """Sample number of each row; None for dense data, where row i is sample i."""
    return batch_index if isinstance(x, Tensor) else x.coords[:, 0]


def batch_size_of(x: Any, batch_index: Int[Tensor, "n"] | None) -> int:
    """Number of samples in x."""
    if not isinstance(x, Tensor):
        return int(x.batch_size)
    return len(x) if batch_index is None else int(batch_index.max()) + 1


def randn_like(x: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Standard normal noise shaped like x, drawn where the generator lives: a CPU seed means the same on any device."""
    at = generator.device if generator is not None else x.device
    return torch.randn(x.shape, generator=generator, device=at, dtype=x.dtype).to(x.device)
