"""Muon against PyTorch's own on matrices, its AdamW half against PyTorch's AdamW."""

from __future__ import annotations

import pytest
import torch

from wavemesh.training.muon import Muon, kernel_groups, orthogonalised, slowed


def _trajectory(make_optimizer, start, gradients):
    parameter = torch.nn.Parameter(start.clone())
    optimizer = make_optimizer(parameter)
    for gradient in gradients:
        parameter.grad = gradient.clone().view_as(parameter)
        optimizer.step()
    return parameter.detach()


def test_orthogonalised_has_singular_values_near_one_and_keeps_the_directions():
    matrix = torch.randn(24, 80, generator=torch.Generator().manual_seed(0))
    result = orthogonalised(matrix)
    values = torch.linalg.svdvals(result)
    assert values.min() > 0.6
    assert values.max() < 1.3
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    cosine = (result * (left @ right)).sum() / result.norm() / (left @ right).norm()
    assert cosine > 0.97
    assert torch.allclose(orthogonalised(matrix.T).T, result, atol=2e-2)


def test_a_kernel_is_updated_as_pytorch_updates_the_matrix_of_its_rows():
    generator = torch.Generator().manual_seed(1)
    start = torch.randn(16, 3, 3, 3, 8, generator=generator)
    gradients = [torch.randn(16, 216, generator=generator) for _ in range(4)]
    ours = _trajectory(
        lambda p: Muon([{"params": [p], "orthogonal": True}], lr=0.02, weight_decay=0.1), start, gradients
    )
    theirs = _trajectory(
        lambda p: torch.optim.Muon([p], lr=0.02, weight_decay=0.1, momentum=0.95, adjust_lr_fn="match_rms_adamw"),
        start.flatten(1),
        gradients,
    )
    assert not torch.allclose(ours, start, atol=1e-2)
    assert torch.allclose(ours.flatten(1), theirs, atol=2e-3)


def test_other_groups_follow_adamw():
    generator = torch.Generator().manual_seed(2)
    start = torch.randn(7, generator=generator)
    gradients = [torch.randn(7, generator=generator) for _ in range(5)]
    ours = _trajectory(lambda p: Muon([{"params": [p]}], lr=0.01, weight_decay=0.1), start, gradients)
    theirs = _trajectory(lambda p: torch.optim.AdamW([p], lr=0.01, weight_decay=0.1), start, gradients)
    assert torch.allclose(ours, theirs, atol=1e-6)


def test_each_group_of_a_mixed_optimizer_is_trained_as_if_it_were_alone():
    generator = torch.Generator().manual_seed(4)
    kernel, bias = torch.randn(6, 9, generator=generator), torch.randn(6, generator=generator)
    kernel_gradients, bias_gradients = (
        [torch.randn(shape, generator=generator) for _ in range(5)] for shape in (kernel.shape, bias.shape)
    )
    both = [torch.nn.Parameter(kernel.clone()), torch.nn.Parameter(bias.clone())]
    optimizer = Muon([{"params": both[:1], "orthogonal": True, "lr": 0.02}, {"params": both[1:], "lr": 0.01}])
    for gradients in zip(kernel_gradients, bias_gradients, strict=True):
        both[0].grad, both[1].grad = (gradient.clone() for gradient in gradients)
        optimizer.step()
    alone = _trajectory(lambda p: Muon([{"params": [p], "orthogonal": True, "lr": 0.02}]), kernel, kernel_gradients)
    assert torch.equal(both[0], alone)
    adamw = _trajectory(lambda p: torch.optim.AdamW([p], lr=0.01), bias, bias_gradients)
    assert torch.allclose(both[1], adamw, atol=1e-6)


def test_a_gradient_that_overflowed_skips_the_whole_step():
    parameters = [torch.nn.Parameter(torch.ones(2, 2)), torch.nn.Parameter(torch.ones(2))]
    optimizer = Muon([{"params": parameters[:1], "orthogonal": True}, {"params": parameters[1:]}])
    scaler = torch.amp.GradScaler("cpu")
    scaler.scale(parameters[0].sum() + parameters[1].sum()).backward()
    parameters[1].grad[0] = float("inf")
    scaler.step(optimizer)
    assert all(torch.equal(parameter.detach(), torch.ones_like(parameter)) for parameter in parameters)


def test_its_state_survives_saving():
    generator = torch.Generator().manual_seed(3)
    start, gradients = (
        torch.randn(8, 8, generator=generator),
        [torch.randn(8, 8, generator=generator) for _ in range(4)],
    )
    whole = _trajectory(lambda p: Muon([{"params": [p], "orthogonal": True}]), start, gradients)
    half = torch.nn.Parameter(start.clone())
    first = Muon([{"params": [half], "orthogonal": True}])
    for gradient in gradients[:2]:
        half.grad = gradient.clone()
        first.step()
    second = Muon([{"params": [half], "orthogonal": True}])
    second.load_state_dict(first.state_dict())
    for gradient in gradients[2:]:
        half.grad = gradient.clone()
        second.step()
    assert torch.equal(half.detach(), whole)


def test_what_was_trained_before_has_a_slower_group_of_its_own() -> None:
    model = torch.nn.Sequential(
        torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 4)), torch.nn.Linear(4, 2)
    )
    model[0][0].requires_grad_(False)
    groups = slowed(kernel_groups(model, 1e-3, ()), model[0], 0.1)
    kernels, rest, tuned = (group["params"] for group in groups)
    assert [group["lr"] for group in groups] == pytest.approx([8e-3, 1e-3, 1e-4])
    assert {id(each) for each in kernels} == {id(model[1].weight)}
    assert {id(each) for each in rest} == {id(model[1].bias)}
    assert {id(each) for each in tuned} == {id(model[0][1].weight), id(model[0][1].bias)}
    assert not groups[2]["orthogonal"]
