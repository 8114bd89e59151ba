from collections.abc import Callable

import numpy as np
import pytest
import pywt
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from wavemesh.errors import InputError
from wavemesh.wavelets import polyphase
from wavemesh.wavelets.bands import DETAIL_KEYS_2D, DETAIL_KEYS_3D
from wavemesh.wavelets.filters import BANK_NAMES
from wavemesh.wavelets.transform import (
    Pyramid,
    WaveletTransform,
    dwt2d,
    dwt3d,
    field_scale,
    idwt2d,
    idwt3d,
    wavedec2d,
    wavedec3d,
    waverec2d,
    waverec3d,
)

even = st.integers(1, 9).map(lambda half: 2 * half)
banks = st.sampled_from(BANK_NAMES)


def noise(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def assert_equals_pywt(approximation: Tensor, details: Tensor, x: Tensor, name: str, keys: tuple[str, ...]) -> None:
    channels, axes = x.shape[1], tuple(range(2, x.ndim))
    expected = pywt.dwtn(x.numpy(), name, mode="periodization", axes=axes)
    np.testing.assert_allclose(approximation, expected["a" * len(axes)], atol=1e-5)
    for band, key in enumerate(keys):
        ours = details[:, band * channels : (band + 1) * channels]
        np.testing.assert_allclose(ours, expected[key], atol=1e-5, err_msg=key)


@settings(max_examples=30, deadline=None)
@given(banks, even, even, even, st.integers(1, 2), st.integers(1, 2))
def test_one_level_in_3d_equals_pywavelets_and_inverts(
    name: str, width: int, height: int, depth: int, batch: int, channels: int
) -> None:
    x = noise(batch, channels, width, height, depth)
    approximation, details = dwt3d(x, name)
    assert_equals_pywt(approximation, details, x, name, DETAIL_KEYS_3D)
    torch.testing.assert_close(idwt3d(approximation, details, name), x, atol=1e-5, rtol=0)


@settings(max_examples=30, deadline=None)
@given(banks, even, even, st.integers(1, 3), st.integers(1, 3))
def test_one_level_in_2d_equals_pywavelets_and_inverts(
    name: str, width: int, height: int, batch: int, channels: int
) -> None:
    x = noise(batch, channels, width, height)
    approximation, details = dwt2d(x, name)
    assert_equals_pywt(approximation, details, x, name, DETAIL_KEYS_2D)
    torch.testing.assert_close(idwt2d(approximation, details, name), x, atol=1e-5, rtol=0)


def assert_pyramid_equals_pywt(pyramid: Pyramid, x: Tensor, name: str, keys: tuple[str, ...]) -> None:
    # Level by level, for PyWavelets' own multi-level functions warn of sizes that periodization does not mind.
    axes, approximation = tuple(range(2, x.ndim)), x.numpy()
    for ours in reversed(pyramid.details):
        bands = pywt.dwtn(approximation, name, mode="periodization", axes=axes)
        approximation = bands["a" * len(axes)]
        np.testing.assert_allclose(ours, np.concatenate([bands[key] for key in keys], axis=1), atol=1e-5)
    np.testing.assert_allclose(pyramid.approximation, approximation, atol=1e-5)


@pytest.mark.parametrize("name", BANK_NAMES)
@pytest.mark.parametrize("levels", (1, 2, 3))
def test_several_levels_equal_pywavelets_and_invert(name: str, levels: int) -> None:
    x = noise(1, 2, 40, 48, 32 + 8 * levels)
    pyramid = wavedec3d(x, name, levels)
    assert pyramid.levels == levels
    assert_pyramid_equals_pywt(pyramid, x, name, DETAIL_KEYS_3D)
    torch.testing.assert_close(waverec3d(pyramid, name), x, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", BANK_NAMES)
def test_several_levels_in_2d_equal_pywavelets_and_invert(name: str) -> None:
    x = noise(3, 2, 40, 48)
    pyramid = wavedec2d(x, name, 2)
    assert_pyramid_equals_pywt(pyramid, x, name, DETAIL_KEYS_2D)
    torch.testing.assert_close(waverec2d(pyramid, name), x, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ("haar", "bior2.2"))
def test_the_multi_level_order_is_that_of_wavedecn(name: str) -> None:
    x = noise(1, 1, 32, 32, 32)
    expected = pywt.wavedecn(x[0, 0].numpy(), name, mode="periodization", level=2)
    pyramid = wavedec3d(x, name, 2)
    for ours, bands in zip(pyramid.details, expected[1:], strict=True):
        np.testing.assert_allclose(ours[0], np.stack([bands[key] for key in DETAIL_KEYS_3D]), atol=1e-5)


@pytest.mark.parametrize("name", BANK_NAMES)
def test_gradients_are_right(name: str) -> None:
    # Fast mode compares random projections, which is as good for a linear map and hundreds of times cheaper.
    x = noise(1, 2, 2, 4, 6, dtype=torch.float64).requires_grad_()
    picture = noise(1, 2, 4, 6, dtype=torch.float64).requires_grad_()
    details = noise(1, 7, 2, 1, 2, dtype=torch.float64).requires_grad_()
    approximation = noise(1, 1, 2, 1, 2, seed=1, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: dwt3d(x, name), (x,), fast_mode=True)
    assert torch.autograd.gradcheck(lambda a, d: idwt3d(a, d, name), (approximation, details), fast_mode=True)
    assert torch.autograd.gradcheck(lambda x: dwt2d(x, name), (picture,), fast_mode=True)
    assert torch.autograd.gradgradcheck(lambda x: dwt2d(x, name)[1].square(), (picture,), fast_mode=True)


@pytest.mark.parametrize("transform", (lambda x: dwt3d(x, "bior2.2"), lambda x: dwt2d(x[..., 0], "bior4.4")))
@pytest.mark.parametrize("piece", (1, 200, 1000))
def test_working_in_pieces_changes_nothing(
    transform: Callable[[Tensor], tuple[Tensor, Tensor]], piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = noise(3, 5, 4, 6, 8)
    whole = transform(x)
    monkeypatch.setattr(polyphase, "PIECE", piece)
    for ours, expected in zip(transform(x), whole, strict=True):
        torch.testing.assert_close(ours, expected)
    torch.testing.assert_close(idwt3d(*dwt3d(x, "bior6.8"), "bior6.8"), x, atol=1e-5, rtol=0)


def test_strided_inputs_give_the_same() -> None:
    x = noise(2, 3, 8, 6, 4)
    strided = x.to(memory_format=torch.channels_last_3d)
    for ours, expected in zip(dwt3d(strided, "bior2.2"), dwt3d(x, "bior2.2"), strict=True):
        torch.testing.assert_close(ours, expected)


@pytest.mark.parametrize("dtype", (torch.float16, torch.bfloat16))
def test_half_precision_is_computed_in_float32(dtype: torch.dtype) -> None:
    x = noise(1, 1, 8, 8, 8).to(dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        approximation, details = dwt3d(x, "bior4.4")
        restored = idwt3d(approximation, details, "bior4.4")
    assert approximation.dtype == details.dtype == restored.dtype == torch.float32
    torch.testing.assert_close(restored, x.float(), atol=1e-5, rtol=0)


def test_an_empty_batch_stays_empty() -> None:
    approximation, details = dwt3d(torch.zeros(0, 2, 4, 4, 4), "bior2.2")
    assert details.shape == (0, 14, 2, 2, 2)
    assert idwt3d(approximation, details, "bior2.2").shape == (0, 2, 4, 4, 4)


@pytest.mark.parametrize("name", BANK_NAMES)
def test_a_constant_has_no_details_and_the_known_scale(name: str) -> None:
    pyramid = wavedec3d(torch.full((1, 1, 8, 8, 8), 0.7), name, 2)
    torch.testing.assert_close(pyramid.approximation / field_scale(2), torch.full((1, 1, 2, 2, 2), 0.7))
    assert max(float(detail.abs().max()) for detail in pyramid.details) < 1e-5


@pytest.mark.parametrize("size", (7, 0))
def test_odd_sizes_are_refused_with_the_shape(size: int) -> None:
    with pytest.raises(InputError, match=rf"\(8, {size}, 4\)"):
        dwt3d(torch.zeros(1, 1, 8, size, 4), "haar")


def test_indivisible_sizes_are_refused_with_the_shape() -> None:
    with pytest.raises(InputError, match=r"divisible by 4, not \(8, 6, 4\)"):
        wavedec3d(torch.zeros(1, 1, 8, 6, 4), "haar", 2)


def test_other_misuse_is_refused() -> None:
    x = torch.zeros(1, 1, 4, 4, 4)
    with pytest.raises(InputError, match="'symmetric'"):
        dwt3d(x, "haar", mode="symmetric")
    with pytest.raises(InputError, match=r"\(1, 4, 4, 4\)"):
        dwt3d(x[0], "haar")
    with pytest.raises(InputError, match="int64"):
        dwt3d(x.long(), "haar")
    with pytest.raises(InputError, match="not 0"):
        wavedec3d(x, "haar", 0)
    with pytest.raises(InputError, match=r"\(1, 7, 4, 4, 4\), not \(1, 7, 2, 2, 2\)"):
        idwt3d(x, torch.zeros(1, 7, 2, 2, 2), "haar")
    with pytest.raises(InputError, match=r"\(1, 7, 4, 4, 4\)"):
        waverec3d(Pyramid(x, [torch.zeros(1, 3, 4, 4, 4)]), "haar")


class TestWaveletTransform:
    def test_the_bands_are_those_of_pywavelets_dwt2(self) -> None:
        x = noise(2, 3, 16, 12)
        bands = WaveletTransform().dwt2d(x)
        approximation, (horizontal, vertical, diagonal) = pywt.dwt2(x.numpy(), "haar", mode="periodization")
        for ours, expected in zip(bands, (approximation, horizontal, vertical, diagonal), strict=True):
            np.testing.assert_allclose(ours, expected, atol=1e-5)

    def test_horizontal_stripes_are_in_lh(self) -> None:
        x = torch.ones(1, 1, 8, 8)
        x[:, :, ::2] = -1.0
        _, lh, hl, hh = WaveletTransform()(x)
        assert lh.abs().min() > 1.0
        assert hl.abs().max() == hh.abs().max() == 0.0

    def test_it_inverts_and_passes_gradients(self) -> None:
        x = noise(2, 3, 8, 8).requires_grad_()
        transform = WaveletTransform()
        restored = transform.idwt2d(*transform.dwt2d(x))
        torch.testing.assert_close(restored, x, atol=1e-5, rtol=0)
        restored.square().sum().backward()
        torch.testing.assert_close(x.grad, 2 * x.detach(), atol=1e-5, rtol=0)

    def test_bands_of_different_shapes_are_refused(self) -> None:
        bands = [torch.zeros(1, 1, 4, 4) for _ in range(3)]
        with pytest.raises(InputError, match=r"\(1, 1, 4, 2\)"):
            WaveletTransform().idwt2d(*bands, torch.zeros(1, 1, 4, 2))


@pytest.mark.gpu
@pytest.mark.parametrize("name", BANK_NAMES)
def test_cuda_equals_the_cpu(name: str) -> None:
    x = noise(2, 1, 32, 32, 32)
    for ours, expected in zip(dwt3d(x.cuda(), name), dwt3d(x, name), strict=True):
        torch.testing.assert_close(ours.cpu(), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(idwt3d(*dwt3d(x.cuda(), name), name).cpu(), x, atol=1e-5, rtol=0)
