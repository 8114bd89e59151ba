"""Muon: orthogonalised momentum for the kernels of convolutions and linear layers, AdamW for everything else.

In the first thousands of steps, where a run on two CPU cores spends its whole life, it learned faster than
AdamW (docs/LOG.md). PyTorch's own Muon takes matrices only; kernels are matrices of (out, everything else) here.

Sources: K. Jordan et al. 2024, "Muon: an optimizer for hidden layers"; J. Liu et al. 2025 (arXiv:2502.16982) for the
scale that makes its steps as large as AdamW's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from wavemesh.models.precision import fast_dtypes

# Coefficients of a quintic whose iteration drives all singular values towards 1 without a decomposition.
_QUINTIC = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5
_MATCH_ADAMW = 0.2


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


class Muon(torch.optim.Optimizer):
    """Muon for parameter groups with "orthogonal": True, AdamW for the others.

    params: groups as for AdamW. lr, weight_decay: defaults of groups without their own. momentum: of the orthogonal
    groups (Nesterov's). betas, eps: of AdamW.
    """

    def __init__(
        self,
        params: Iterable[dict[str, Any]],
        lr: float = 1e-3,
        weight_decay: float = 0.01,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        defaults = {
            "lr": lr,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "betas": betas,
            "eps": eps,
            "orthogonal": False,
        }
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One update; returns the closure's loss, if there is a closure."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            update = self._orthogonal if group["orthogonal"] else self._adam
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    parameter.add_(update(parameter, group), alpha=-group["lr"])
        return loss

    def _orthogonal(self, parameter: Tensor, group: dict[str, Any]) -> Tensor:
        gradient, state = parameter.grad, self.state[parameter]
        assert gradient is not None
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        momentum = state["momentum"].lerp_(gradient, 1 - group["momentum"])
        ahead = gradient.lerp(momentum, group["momentum"]).flatten(1)
        # A step of AdamW has a root mean square of about 0.2; an orthogonal matrix one of 1 / sqrt(longer side).
        scale = _MATCH_ADAMW * max(ahead.shape) ** 0.5
        return orthogonalised(ahead).view_as(parameter) * scale

    def _adam(self, parameter: Tensor, group: dict[str, Any]) -> Tensor:
        gradient, state = parameter.grad, self.state[parameter]
        assert gradient is not None
        if not state:
            state["step"] = torch.zeros(())
            state["mean"], state["square"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
        state["step"] += 1
        first, second = group["betas"]
        mean, square = state["mean"].lerp_(gradient, 1 - first), state["square"]
        square.mul_(second).addcmul_(gradient, gradient, value=1 - second)
        step = float(state["step"])
        deviation = (square / (1 - second**step)).sqrt_().add_(group["eps"])
        return mean / (1 - first**step) / deviation
