"""The averaged weights against the average written out, bit by bit."""

import copy

import pytest
import torch
from torch import nn

from wavemesh.training.ema import averaged_copy


@pytest.mark.parametrize("start", (0, 30))
@pytest.mark.parametrize("decay", (0.999, 0.5))
def test_the_average_is_the_written_out_one(start: int, decay: float) -> None:
    generator = torch.Generator().manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 7), nn.BatchNorm1d(7), nn.Conv1d(7, 3, 1).half())
    average = averaged_copy(model, decay, start)
    expected = copy.deepcopy(model.state_dict())
    for step in range(start, start + 50):
        for tensor in model.state_dict().values():
            noise = torch.randn(tensor.shape, generator=generator)
            tensor.copy_(tensor + (noise if tensor.is_floating_point() else 1))
        average.update_parameters(model)
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point():
                expected[name].lerp_(tensor, 1 - min(decay, (1 + step) / (10 + step)))
            else:
                expected[name] = tensor.clone()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in average.module.state_dict().items())
    assert not average.module.training
    assert not any(parameter.requires_grad for parameter in average.parameters())
