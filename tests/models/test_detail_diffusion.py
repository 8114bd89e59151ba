"""The U-Net of the detail bands: shapes, conditions, gradients and refusals."""

import pytest
import torch

from wavemesh.diffusion.schedule import NoiseSchedule
from wavemesh.errors import InputError
from wavemesh.models.detail_diffusion import DetailDiffusion


@pytest.fixture
def tiny() -> DetailDiffusion:
    torch.manual_seed(0)
    return DetailDiffusion(4, 16, feature_channels=5, width=8)


def inputs(batch: int = 2, size: int = 16) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    details = torch.randn(batch, 12, size, size, generator=generator)
    ll = torch.randn(batch, 4, size, size, generator=generator)
    features = torch.randn(batch, 5, size, size, generator=generator)
    return details, torch.arange(batch) * 300, ll, features


@pytest.mark.parametrize("size", [8, 20])
def test_shape_and_type(tiny: DetailDiffusion, size: int) -> None:
    details, t, ll, features = inputs(size=size)
    assert tiny(details, t, ll, features).shape == details.shape
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert tiny(details, t, ll, features).dtype == torch.float32


def test_planes_of_a_batch_do_not_see_each_other(tiny: DetailDiffusion) -> None:
    details, t, ll, features = inputs()
    both = tiny(details, t, ll, features)
    for index in range(2):
        one = slice(index, index + 1)
        alone = tiny(details[one], t[one], ll[one], features[one])
        torch.testing.assert_close(both[one], alone, atol=1e-5, rtol=1e-4)


def test_every_input_matters(tiny: DetailDiffusion) -> None:
    details, t, ll, features = inputs()
    out = tiny(details, t, ll, features)
    changes = [
        tiny(details.flip(0), t, ll, features),
        tiny(details, t + 100, ll, features),
        tiny(details, t, ll.flip(0), features),
        tiny(details, t, ll, features.flip(0)),
    ]
    assert all((out - changed).abs().max() > 1e-4 for changed in changes)


def test_no_features_are_features_of_zero(tiny: DetailDiffusion) -> None:
    details, t, ll, features = inputs()
    torch.testing.assert_close(tiny(details, t, ll), tiny(details, t, ll, torch.zeros_like(features)))


def test_noise_is_weighed_by_the_signal_in_it() -> None:
    signal = NoiseSchedule(1000, "cosine", zero_terminal_snr=True).signal
    model = DetailDiffusion(4, 16, width=8, signal=signal)
    details, _, ll, _ = inputs()
    last, middle = torch.full((2,), 999), torch.full((2,), 500)
    torch.testing.assert_close(model(details, last, ll), model(torch.zeros_like(details), last, ll))
    assert (model(details, middle, ll) - model(torch.zeros_like(details), middle, ll)).abs().max() > 1e-4


def test_gradients_reach_everything_with_and_without_checkpointing(tiny: DetailDiffusion) -> None:
    gradients = []
    for tiny.checkpointing in (False, True):
        tiny.zero_grad()
        tiny(*inputs()).square().mean().backward()
        gradients.append({name: parameter.grad for name, parameter in tiny.named_parameters()})
    for name, gradient in gradients[0].items():
        assert gradient is not None, name
        assert gradient.abs().sum() > 0, name
        torch.testing.assert_close(gradients[1][name], gradient, atol=1e-6, rtol=1e-3)


def test_it_learns_details_that_follow_from_the_condition() -> None:
    torch.manual_seed(0)
    model = DetailDiffusion(1, 8, width=8)
    ll = torch.randn(4, 1, 8, 8)
    target = torch.cat([ll, -ll, ll.roll(1, dims=3)], dim=1)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    losses = []
    for _ in range(60):
        loss = (model(torch.zeros_like(target), torch.full((4,), 999), ll) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]


@pytest.mark.parametrize(
    "position, value, shown",
    [
        (0, torch.zeros(2, 11, 16, 16), r"2, 11, 16, 16"),
        (0, torch.zeros(2, 12, 8, 8), r"2, 12, 8, 8"),
        (1, torch.zeros(3, dtype=torch.long), "3"),
        (2, torch.zeros(2, 3, 16, 16), r"2, 3, 16, 16"),
        (2, torch.zeros(2, 4, 18, 18), r"2, 4, 18, 18"),
        (3, torch.zeros(2, 6, 16, 16), r"2, 6, 16, 16"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(
    tiny: DetailDiffusion, position: int, value: torch.Tensor, shown: str
) -> None:
    arguments = list(inputs())
    arguments[position] = value
    with pytest.raises(InputError, match=shown):
        tiny(*arguments)


def test_features_without_a_place_for_them_are_refused() -> None:
    details, t, ll, features = inputs()
    with pytest.raises(InputError, match=r"2, 5, 16, 16"):
        DetailDiffusion(4, 16, width=8)(details, t, ll, features)
    with pytest.raises(InputError, match="not 0"):
        DetailDiffusion(0)
