"""Muon: orthogonalised momentum for the kernels of convolutions and linear layers, AdamW for everything else.

In the first thousands of steps, where a run on two CPU cores spends its whole life, it learned faster than
AdamW (docs/LOG.md). PyTorch's own Muon takes matrices only; kernels are matrices of (out, everything else) here.

Sources: K. Jordan et al. 2024, "Muon: an optimizer for hidden layers"; J. Liu et al. 2025 (arXiv:2502.16982) for the
scale that makes its steps as large as AdamW's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from wavemesh.models.precision import fast_dtypes

# Coefficients of a quintic whose iteration drives all singular values towards 1 without a decomposition.
_QUINTIC = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5
_MATCH_ADAMW = 0.2


RATE = 8.0  # of Muon's groups, in learning rates of the others


def kernel_groups(model: nn.Module, lr: float, others: Sequence[str], rate: float = RATE) -> list[dict[str, Any]]:
    """Two parameter groups of a model: kernels for Muon at lr times rate, everything else for AdamW without decay.

    others: parts of the names of parameters that are tables or outputs, not kernels.
    """
    kernels: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        kernel = parameter.ndim >= 2 and not any(part in name for part in others)
        (kernels if kernel else rest).append(parameter)
    return [
        {"params": kernels, "lr": rate * lr, "orthogonal": True},
        {"params": rest, "lr": lr, "orthogonal": False, "weight_decay": 0.0},
    ]


def slowed(groups: list[dict[str, Any]], slow: nn.Module, rate: float) -> list[dict[str, Any]]:
    """The groups, what they have of a module that was trained before in one of its own, for AdamW at lr times rate."""
    before = {id(parameter) for parameter in slow.parameters()}
    others = [{**group, "params": [each for each in group["params"] if id(each) not in before]} for group in groups]
    lr = min(group["lr"] for group in groups)
    tuned = [each for each in slow.parameters() if each.requires_grad]
    return [*others, {"params": tuned, "lr": rate * lr, "orthogonal": False, "weight_decay": 0.0}]


def orthogonalised(matrix: Float[Tensor, "r c"]) -> Float[Tensor, "r c"]:
    """The matrix with singular values near 1 (0.7 to 1.2) and its singular vectors kept, by Newton-Schulz steps."""
    a, b, c = _QUINTIC
    x = matrix.to(fast_dtypes(matrix.device)[-1])
    wide = x if x.shape[0] <= x.shape[1] else x.T
    wide = wide / (wide.norm() + 1e-7)
    for _ in range(_ITERATIONS):
        gram = wide @ wide.T
        wide = a * wide + (b * gram + c * gram @ gram) @ wide
    return (wide if x.shape[0] <= x.shape[1] else wide.T).to(matrix.dtype)


class Muon(torch.optim.AdamW):
    """Muon for parameter groups with "orthogonal": True, PyTorch's fused AdamW for the others.

    params: groups as for AdamW. lr, weight_decay: defaults of groups without their own. momentum: of the orthogonal
    groups (Nesterov's).
    """

    def __init__(
        self, params: Iterable[dict[str, Any]], lr: float = 1e-3, weight_decay: float = 0.01, momentum: float = 0.95
    ) -> None:
        super().__init__(params, lr=lr, weight_decay=weight_decay, fused=True)
        self.momentum = momentum
        # A gradient that overflowed in fp16 skips the whole step: the fused kernel would skip AdamW's half alone.
        self._step_supports_amp_scaling = False

    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One update; returns the closure's loss, if there is a closure. Uses up the orthogonal groups' gradients."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        with torch.no_grad():
            for group in self.param_groups:
                for parameter in group["params"] if group.get("orthogonal") else ():
                    if parameter.grad is not None:
                        parameter.mul_(1 - group["lr"] * group["weight_decay"])
                        parameter.add_(self._direction(parameter), alpha=-group["lr"])
                        parameter.grad = None  # AdamW passes over a parameter without one
        super().step()
        return loss

    def _direction(self, parameter: Tensor) -> Tensor:
        """What an orthogonal step takes away from the parameter, before the learning rate."""
        gradient, state = parameter.grad, self.state[parameter]
        assert gradient is not None
        if not state:
            state["exp_avg"] = torch.zeros_like(parameter)
            state["step"] = torch.zeros(())  # AdamW looks for it when it reads a state
        average = state["exp_avg"].lerp_(gradient, 1 - self.momentum)
        ahead = gradient.lerp(average, self.momentum).flatten(1)
        # A step of AdamW has a root mean square of about 0.2; an orthogonal matrix one of 1 / sqrt(longer side).
        scale = _MATCH_ADAMW * max(ahead.shape) ** 0.5
        return orthogonalised(ahead).view_as(parameter) * scale
