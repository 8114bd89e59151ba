"""Exponential moving average of a model: the weights that are sampled from and exported."""

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


def averaged_copy(model: nn.Module, decay: float, step: int = 0) -> AveragedModel:
    """An average that is the model itself at first, in evaluation mode and without gradients, as its `module`.

    `update_parameters(model)` after each optimizer step moves it towards the model. step: steps that were made before.
    The decay warms up as min(decay, (1 + step) / (10 + step)), so that a short run is not held back by its random
    start. Floating buffers are averaged like parameters, others are copied.
    """

    @torch.no_grad()
    def move(averaged: list[Tensor], current: list[Tensor], count: Tensor) -> None:
        if averaged[0].is_floating_point():
            warm = int(count) / (9 + int(count))
            torch._foreach_lerp_(averaged, current, 1 - min(decay, warm))
        else:
            torch._foreach_copy_(averaged, current)

    average = AveragedModel(model, multi_avg_fn=move, use_buffers=True).eval().requires_grad_(False)
    average.n_averaged.fill_(1 + step)  # the copy counts as one: at 0 the first update would replace it
    return average
