"""Classifier-free guidance: the scale's meaning, what is evaluated, and the dropped conditions."""

from typing import Any

import pytest
import torch
from torch import Tensor

from wavemesh.diffusion import BatchedGuidedModel, GaussianDiffusion, drop_condition, drop_mask, guided, sample
from wavemesh.errors import InputError

X, T = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([7, 7])


class Counted:
    """A model that returns factor * x + context and counts its calls."""

    def __init__(self, factor: float) -> None:
        self.factor = factor
        self.calls = 0

    def __call__(self, x: Tensor, t: Tensor, context: Tensor | None = None) -> Tensor:
        self.calls += 1
        return self.factor * x if context is None else self.factor * x + context


@pytest.mark.parametrize(("scale", "calls"), [(0.0, (0, 1)), (0.5, (1, 1)), (1.0, (1, 0)), (7.5, (1, 1))])
def test_scale_has_the_usual_meaning(scale: float, calls: tuple[int, int]) -> None:
    conditional, unconditional = Counted(3.0), Counted(2.0)
    model = guided(conditional, unconditional, scale)
    torch.testing.assert_close(model(X, T), 2 * X + scale * (3 * X - 2 * X))
    assert (conditional.calls, unconditional.calls) == calls
    change = abs(scale - 1) * X.square().mean().sqrt().item()
    assert model.guidance_norm == (None if scale in (0.0, 1.0) else pytest.approx(change))


def test_interval_limits_guidance_to_its_timesteps() -> None:
    for interval, factor in (((5, 9), 4.0), ((7, 7), 4.0), ((8, 9), 3.0), ((0, 6), 3.0)):
        torch.testing.assert_close(guided(Counted(3.0), Counted(2.0), 2.0, interval)(X, T), factor * X)


@pytest.mark.parametrize("scale", [0.0, 0.5, 1.0, 7.5])
def test_one_pass_equals_two_passes(scale: float) -> None:
    model, context = Counted(3.0), torch.tensor([[5.0], [6.0]])
    two = guided(lambda x, t: model(x, t, context), lambda x, t: model(x, t, torch.zeros(2, 1)), scale)(X, T)
    model.calls = 0
    batched = BatchedGuidedModel(model, context, scale)
    torch.testing.assert_close(batched(X, T), two)
    assert model.calls == 1


def test_guides_sparse_tensors(sites: Any) -> None:
    result = guided(lambda x, t: x.replace(3 * x.features), lambda x, t: x.replace(2 * x.features), 2.0)(sites, T)
    torch.testing.assert_close(result.features, 4 * sites.features)


def test_dropping_zeroes_whole_samples_together() -> None:
    context = {"tokens": torch.ones(1000, 2, 3), "maps": [torch.ones(1000, 1), None]}
    dropped = drop_condition(context, 0.3, torch.Generator().manual_seed(0))
    kept = dropped["maps"][0][:, 0]
    assert torch.equal(dropped["tokens"], kept[:, None, None].expand(1000, 2, 3))
    assert dropped["maps"][1] is None
    assert kept.mean().item() == pytest.approx(0.7, abs=0.05)
    assert context["tokens"].min() == 1


def test_dropping_can_put_in_a_learned_condition() -> None:
    null = torch.nn.Parameter(torch.tensor([4.0, 5.0]))
    dropped = drop_condition(torch.ones(3, 2), 1.0, null=null)
    assert torch.equal(dropped, null.expand(3, 2))
    dropped.sum().backward()
    assert null.grad is not None


@pytest.mark.parametrize(("probability", "expected"), [(0.0, 0), (1.0, 50)])
def test_probability_limits(probability: float, expected: int) -> None:
    assert int(drop_mask(50, probability).sum()) == expected


def test_training_and_sampling_with_guidance_as_in_the_roadmap() -> None:
    torch.manual_seed(0)
    net = torch.nn.Linear(5, 4)
    seen: list[Tensor] = []

    def unet(x_t: Tensor, t: Tensor, context: Tensor | None = None) -> Tensor:
        context = torch.zeros(len(x_t), 1) if context is None else context
        seen.append(context)
        return net(torch.cat([x_t, context], dim=1))

    diffusion = GaussianDiffusion(timesteps=1000, beta_schedule="linear")
    conditioning = torch.ones(64, 1)
    loss = diffusion.training_loss(unet, torch.randn(64, 4), context=conditioning, drop_prob=0.5)
    loss.backward()
    assert 5 < int(seen[0].sum()) < 59
    assert all(parameter.grad is not None for parameter in net.parameters())

    def cond(x: Tensor, t: Tensor) -> Tensor:
        return unet(x, t, conditioning)

    result = sample(guided(cond, lambda x, t: unet(x, t, None), 7.5), diffusion, (64, 4), 3, "ddim")
    assert result.shape == (64, 4)


@pytest.mark.parametrize("scale", [-0.1, float("inf"), float("nan")])
def test_refuses_bad_scales(scale: float) -> None:
    arguments: list[Any] = [Counted(1.0), Counted(1.0), scale]
    with pytest.raises(InputError, match=str(scale)):
        guided(*arguments)


def test_refuses_a_swapped_interval_and_a_bad_probability() -> None:
    with pytest.raises(InputError, match=r"\(9, 5\)"):
        guided(Counted(1.0), Counted(1.0), 2.0, (9, 5))
    with pytest.raises(InputError, match=r"1\.5"):
        drop_mask(3, 1.5)
