"""The triplane autoencoder: shapes, bounds, gradients, and bands that decode as PyWavelets says."""

from __future__ import annotations

import numpy as np
import pytest
import pywt
import torch

from wavemesh.errors import InputError
from wavemesh.models.colour_planes import COLOURS, colour_channels, colour_planes
from wavemesh.models.plane_bands import PlaneBands
from wavemesh.models.triplane_autoencoder import TriplaneAutoencoder

N, C = 8, 2


@pytest.fixture
def network() -> TriplaneAutoencoder:
    return TriplaneAutoencoder(C, resolution=N, width=8, blocks=1)


def _volume(batch: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    sdf = (torch.rand(batch, 2 * N, 2 * N, 2 * N) * 2 - 1) * 0.09
    return sdf, torch.rand(batch, 4, 2 * N, 2 * N, 2 * N)


def test_bands_have_the_shapes_and_bounds_they_promise(network: TriplaneAutoencoder) -> None:
    for parameter in network.conv_out.parameters():
        torch.nn.init.normal_(parameter, std=5.0)  # drives the tanh to its ends
    with torch.no_grad():
        bands = network(*_volume())
    assert bands.ll.shape == (2, 3, C, N, N)
    assert bands.details.shape == (2, 3, 3 * C, N, N)
    assert 1.9 < float(bands.ll.abs().max()) <= 2.0
    assert 0.9 < float(bands.details.abs().max()) <= 1.0
    assert float(bands.triplane(torch.zeros(2)).abs().max()) <= 1.0


def test_every_parameter_gets_a_gradient_with_and_without_checkpointing(network: TriplaneAutoencoder) -> None:
    sdf, colours = _volume()
    weight = torch.randn(2, 3, C, 2 * N, 2 * N)
    gradients = []
    for network.checkpointing in (False, True):
        network.zero_grad()
        (network(sdf, colours).triplane() * weight).sum().backward()
        assert [name for name, each in network.named_parameters() if each.grad is None] == []
        gradients.append(torch.cat([each.grad.flatten() for each in network.parameters() if each.grad is not None]))
    torch.testing.assert_close(gradients[0], gradients[1])
    assert float(gradients[0].abs().sum()) > 0


def test_the_triplane_is_the_inverse_transform_of_each_plane_with_a_share_of_the_details() -> None:
    bands = PlaneBands(torch.randn(2, 3, C, N, N), torch.randn(2, 3, 3 * C, N, N))
    triplane = bands.triplane(torch.tensor([1.0, 0.0]))
    assert triplane.shape == (2, 3, C, 2 * N, 2 * N)
    for index, share in ((0, 1.0), (1, 0.0)):
        for plane in range(3):
            for channel in range(C):
                lh, hl, hh = (share * bands.details[index, plane, band * C + channel].numpy() for band in range(3))
                expected = pywt.idwt2((bands.ll[index, plane, channel].numpy(), (lh, hl, hh)), "haar")
                np.testing.assert_allclose(triplane[index, plane, channel].numpy(), expected, atol=1e-5)
    torch.testing.assert_close(bands.triplane()[0], triplane[0])


def test_a_cell_of_the_volume_holds_its_eight_parts_of_every_channel(network: TriplaneAutoencoder) -> None:
    volume = torch.randn(1, 3, 2 * N, 2 * N, 2 * N)
    cells = network._cells(volume)
    assert cells.shape == (1, N, N, N, 24)
    for x, y, z in ((0, 0, 0), (3, 5, 2), (7, 1, 6)):
        block = volume[0, :, 2 * x : 2 * x + 2, 2 * y : 2 * y + 2, 2 * z : 2 * z + 2]
        torch.testing.assert_close(cells[0, x, y, z], block.flatten())


def test_it_sees_every_part_of_the_shape(network: TriplaneAutoencoder) -> None:
    sdf, colours = _volume(1)
    sdf.requires_grad_()
    bands = network(sdf, colours)
    (bands.ll.square().sum() + bands.details.square().sum()).backward()
    assert sdf.grad is not None
    assert float((sdf.grad != 0).float().mean()) > 0.99


@pytest.mark.parametrize("channels", [C, 9])
def test_it_sees_the_colours_and_nine_channels_hold_them_as_they_are(channels: int) -> None:
    network = TriplaneAutoencoder(channels, resolution=N, width=8, blocks=1)
    sdf, colours = _volume()
    with torch.no_grad():
        bands, others = network(sdf, colours), network(sdf, colours.flip(1) * 0.5)
    assert bands.ll.shape == (2, 3, channels, N, N)
    assert bands.details.shape == (2, 3, 3 * channels, N, N)
    learned = slice(colour_channels(channels), None)
    assert not torch.equal(bands.ll[:, :, learned], others.ll[:, :, learned])
    if channels == 9:
        # Random masks make large colours, which the bands add and subtract.
        torch.testing.assert_close(bands.triplane()[:, :, :COLOURS], colour_planes(sdf, colours), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize(
    ("sdf", "colours", "shown"),
    [
        ((1, 16, 16, 14), (1, 4, 16, 16, 16), r"\(1, 16, 16, 14\)"),
        ((1, 16, 16, 16), (1, 3, 16, 16, 16), r"\(1, 3, 16, 16, 16\)"),
        ((2, 16, 16, 16), (1, 4, 16, 16, 16), r"\(2, 4, 16, 16, 16\)"),
    ],
)
def test_shapes_that_do_not_fit_are_shown(
    network: TriplaneAutoencoder, sdf: tuple[int, ...], colours: tuple[int, ...], shown: str
) -> None:
    with pytest.raises(InputError, match=shown):
        network(torch.zeros(sdf), torch.zeros(colours))


@pytest.mark.parametrize(("channels", "resolution", "shown"), [(0, 8, "0"), (2, 7, "7")])
def test_impossible_sizes_are_refused(channels: int, resolution: int, shown: str) -> None:
    with pytest.raises(InputError, match=shown):
        TriplaneAutoencoder(channels, resolution)
