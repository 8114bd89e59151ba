"""Classifier-free guidance (arXiv:2207.12598): dropping the condition in training, amplifying it in sampling.

The scale s has the usual meaning, output = uncond + s * (cond - uncond): 0 is unconditional, 1 is plain conditional and
costs one evaluation, larger values follow the condition harder. Guiding epsilon, x_0 or v is the same thing, since each
is linear in the others at a given x_t.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from wavemesh.errors import InputError

Model = Callable[..., Any]


@dataclass(frozen=True)
class Guidance:
    """How to guide a sampler: a scale, the model without its condition, and where to apply it.

    `interval` holds the first and last timestep (inclusive) that are guided, None for all: guidance at the highest
    noise levels costs variety and at the lowest changes little (arXiv:2404.07724).
    """

    unconditional: Model
    scale: float
    interval: tuple[int, int] | None = None


class GuidedModel:
    """A model that behaves like `conditional`, guided away from `unconditional`.

    `guidance_norm` is the root mean square of what guidance added to the last output, None where it added nothing.
    """

    def __init__(
        self, conditional: Model, unconditional: Model, scale: float, interval: tuple[int, int] | None = None
    ) -> None:
        _check(scale, interval)
        self.conditional = conditional
        self.unconditional = unconditional
        self.scale = scale
        self.interval = interval
        self.guidance_norm: float | None = None

    def __call__(self, x_t: Any, t: Int[Tensor, "b"], **arguments: Any) -> Any:
        """Guided model output in the form the conditional model returns."""
        self.guidance_norm = None
        if self.scale == 1 or not _within(self.interval, t):
            return self.conditional(x_t, t, **arguments)
        if self.scale == 0:
            return self.unconditional(x_t, t, **arguments)
        conditional = self.conditional(x_t, t, **arguments)
        unconditional = self.unconditional(x_t, t, **arguments)
        output, self.guidance_norm = _combine(_features(conditional), _features(unconditional), self.scale)
        return output if isinstance(conditional, Tensor) else conditional.replace(output)


class BatchedGuidedModel:
    """A guided model that evaluates both branches in one pass over a doubled dense batch.

    `model` is called as `model(x, t, context=...)`; `null_context` defaults to zeros, which is what `drop_condition`
    puts in the place of a dropped context.
    """

    def __init__(
        self,
        model: Model,
        context: Any,
        scale: float,
        null_context: Any = None,
        interval: tuple[int, int] | None = None,
    ) -> None:
        _check(scale, interval)
        self.model = model
        self.context = context
        self.null_context = _map(torch.zeros_like, context) if null_context is None else null_context
        self.scale = scale
        self.interval = interval
        self.guidance_norm: float | None = None

    def __call__(self, x_t: Tensor, t: Int[Tensor, "b"], **arguments: Any) -> Tensor:
        """Guided model output, shaped like x_t."""
        self.guidance_norm = None
        if self.scale == 1 or not _within(self.interval, t):
            return self.model(x_t, t, context=self.context, **arguments)
        doubled = {name: value if value is None else torch.cat([value, value]) for name, value in arguments.items()}
        both = _map(lambda a, b: torch.cat([a, b]), self.context, self.null_context)
        output = self.model(torch.cat([x_t, x_t]), torch.cat([t, t]), context=both, **doubled)
        conditional, unconditional = output.chunk(2)
        guided_output, self.guidance_norm = _combine(conditional, unconditional, self.scale)
        return guided_output


def guided(
    model_cond: Model, model_uncond: Model, scale: float, interval: tuple[int, int] | None = None
) -> GuidedModel:
    """A model guided with `scale`; both models are called as `model(x_t, t, ...)` and return the same kind of output.

    Raises InputError for a negative or infinite scale and for an interval whose ends are swapped.
    """
    return GuidedModel(model_cond, model_uncond, scale, interval)


def drop_mask(
    batch_size: int,
    drop_prob: float,
    generator: torch.Generator | None = None,
    device: torch.device | str = "cpu",
) -> Bool[Tensor, "b"]:
    """True for the samples whose condition is to be dropped, each with probability `drop_prob`.

    Raises InputError for a probability outside 0 to 1.
    """
    if not 0 <= drop_prob <= 1:
        raise InputError(f"The probability of dropping the condition must be between 0 and 1, not {drop_prob}.")
    at = generator.device if generator is not None else torch.device(device)
    return (torch.rand(batch_size, generator=generator, device=at) < drop_prob).to(device)


def drop_condition(context: Any, drop_prob: float, generator: torch.Generator | None = None, null: Any = None) -> Any:
    """The context with a random part of the samples replaced by zeros, or by `null`, which broadcasts against it.

    `context` is a tensor (b, ...) or nested dicts, lists and tuples of such; a sample loses all of them together.
    """
    first = _first_tensor(context)
    mask = drop_mask(len(first), drop_prob, generator, first.device)

    def drop(tensor: Tensor, replacement: Tensor | None = None) -> Tensor:
        rows = mask.reshape(-1, *[1] * (tensor.dim() - 1))
        # `where` and not a product: 0 * inf in an unused condition would be NaN.
        return torch.where(rows, torch.zeros_like(tensor) if replacement is None else replacement.to(tensor), tensor)

    return _map(drop, context) if null is None else _map(drop, context, null)


def _check(scale: float, interval: tuple[int, int] | None) -> None:
    if not 0 <= scale < float("inf"):
        raise InputError(f"The guidance scale must be 0 or more and finite, not {scale}.")
    if interval is not None and interval[0] > interval[1]:
        raise InputError(f"The guidance interval must begin before it ends, not {interval}.")


def _within(interval: tuple[int, int] | None, t: Int[Tensor, "b"]) -> bool:
    # A sampler gives all samples the same t, so the first one stands for all.
    return interval is None or interval[0] <= int(t[0]) <= interval[1]


def _combine(conditional: Tensor, unconditional: Tensor, scale: float) -> tuple[Tensor, float]:
    change = (scale - 1) * (conditional - unconditional)
    return conditional + change, float(change.float().square().mean().sqrt())


def _features(x: Any) -> Tensor:
    return x if isinstance(x, Tensor) else x.features


def _map(function: Callable[..., Tensor], tree: Any, *others: Any) -> Any:
    """`function` applied to each tensor of nested dicts, lists and tuples; None stays None."""
    if tree is None:
        return None
    if isinstance(tree, Tensor):
        return function(tree, *others)
    if isinstance(tree, dict):
        return {key: _map(function, value, *[other[key] for other in others]) for key, value in tree.items()}
    mapped = [_map(function, value, *[other[i] for other in others]) for i, value in enumerate(tree)]
    return mapped if isinstance(tree, list) else tuple(mapped)


def _first_tensor(tree: Any) -> Tensor:
    while not isinstance(tree, Tensor):
        values = tree.values() if isinstance(tree, dict) else tree
        tree = next(value for value in values if value is not None)
    return tree
