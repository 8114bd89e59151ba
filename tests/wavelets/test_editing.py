from dataclasses import replace

import numpy as np
import pytest
import pywt
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wavemesh.errors import InputError
from wavemesh.wavelets import editing
from wavemesh.wavelets.editing import BANDS, Band
from wavemesh.wavelets.filters import BANK_NAMES
from wavemesh.wavelets.sparse import SparseCoefficients

# At 16 cells and two levels, atoms wrap around the grid; PyWavelets says so.
pytestmark = pytest.mark.filterwarnings("ignore:Level value")
SIDE = 16


def noise(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(SIDE, SIDE, SIDE))


def complete(field: np.ndarray, bank: str = "bior2.2") -> SparseCoefficients:
    """Coefficients with every finest site, so that PyWavelets' dense pyramid is the whole truth."""
    return SparseCoefficients.from_sdf(torch.tensor(field), bank, "threshold")


def dense(field: np.ndarray, bank: str = "bior2.2") -> list:
    return pywt.wavedecn(field, bank, mode="periodization", level=2)


def dense_band(pyramid: list, band: Band) -> np.ndarray:
    """The array of a band inside PyWavelets' [approximation, coarse details, finest details]."""
    return pyramid[0] if band.key == "aaa" else pyramid[3 - band.level][band.key]


def decoded(pyramid: list, bank: str = "bior2.2") -> np.ndarray:
    return pywt.waverecn(pyramid, bank, mode="periodization")


def disc(radius: float = 0.6) -> SparseCoefficients:
    axis = (np.arange(32) + 0.5) / 16 - 1
    x, y, z = np.meshgrid(axis, axis, axis, indexing="ij")
    return SparseCoefficients.from_sdf((np.sqrt(x**2 + y**2 + z**2) - radius).clip(-0.09, 0.09).astype(np.float32))


@pytest.mark.parametrize("bank", BANK_NAMES)
def test_bands_energies_and_slices_are_pywavelets(bank: str) -> None:
    field = noise()
    coefficients, pyramid = complete(field, bank), dense(field, bank)
    energy = editing.energies(coefficients)
    assert list(energy) == list(BANDS)
    assert len(BANDS) == 15
    for band in BANDS:
        expected = dense_band(pyramid, band)
        np.testing.assert_allclose(editing.band_values(coefficients, band), expected, atol=1e-9)
        assert energy[band] == pytest.approx((expected**2).sum())
        side = len(expected)
        for axis in range(3):
            # A position in the middle of a cell, and both ends of the range.
            for position, index in ((2 * 1.5 / side - 1, 1), (-1.0, 0), (1.0, side - 1), (5.0, side - 1)):
                found = editing.band_slice(coefficients, band, axis, position)
                np.testing.assert_allclose(found, expected.take(index, axis), atol=1e-9)


@settings(max_examples=15, deadline=None)
@given(gains=st.dictionaries(st.sampled_from(BANDS), st.floats(-3, 3), max_size=6), seed=st.integers(0, 99))
def test_gains_are_pywavelets(gains: dict[Band, float], seed: int) -> None:
    field = noise(seed)
    coefficients, pyramid = complete(field), dense(field)
    for band, gain in gains.items():
        dense_band(pyramid, band)[...] *= gain
    before = coefficients.to_sdf().clone()
    found = editing.with_gains(coefficients, gains).to_sdf()
    np.testing.assert_allclose(found, decoded(pyramid), atol=1e-9)
    assert torch.equal(coefficients.to_sdf(), before)  # the run itself is left alone


@pytest.mark.parametrize("mode", ["soft", "hard"])
@settings(max_examples=15, deadline=None)
@given(threshold=st.floats(0.0, 4.0), seed=st.integers(0, 99))
def test_thresholds_are_pywavelets(mode: str, threshold: float, seed: int) -> None:
    field = noise(seed)
    coefficients, pyramid = complete(field), dense(field)
    result = editing.thresholded(coefficients, threshold, mode)
    pyramid[1:] = [
        {key: pywt.threshold(value, threshold, mode) if threshold else value for key, value in level.items()}
        for level in pyramid[1:]
    ]
    np.testing.assert_allclose(result.to_sdf(), decoded(pyramid), atol=1e-9)
    assert torch.equal(result.approximation, coefficients.approximation)
    if threshold > 0:
        kept = np.stack([pyramid[2][key] for key in sorted(pyramid[2])]).any(axis=0).sum()
        assert len(result.coords) == kept
        assert result.features.any(dim=1).all()


@pytest.mark.parametrize("level", [1, 2])
def test_muting_a_level_is_pywavelets(level: int) -> None:
    field = noise()
    pyramid = dense(field)
    pyramid[3 - level] = {key: np.zeros_like(value) for key, value in pyramid[3 - level].items()}
    result = editing.without_details(complete(field), level)
    np.testing.assert_allclose(result.to_sdf(), decoded(pyramid), atol=1e-9)
    assert sum(editing.energies(result)[band] for band in BANDS if band.level == level and band.key != "aaa") == 0.0


@pytest.mark.parametrize("levels", [(1,), (2,), (1, 2), ()])
def test_details_of_another_are_pywavelets(levels: tuple[int, ...]) -> None:
    first, second = noise(1), noise(2)
    a, b = dense(first), dense(second)
    for level in levels:
        a[3 - level], b[3 - level] = b[3 - level], a[3 - level]
    for (one, other), pyramid in (((first, second), a), ((second, first), b)):
        result = editing.with_details_of(complete(one), complete(other), levels)
        np.testing.assert_allclose(result.to_sdf(), decoded(pyramid), atol=1e-9)


def test_details_of_another_bring_the_sites_along_and_twice_is_nothing() -> None:
    small, large = disc(0.4), disc(0.8)
    first, second = editing.with_details_of(small, large, (2, 1)), editing.with_details_of(large, small, (2, 1))
    assert torch.equal(first.coords, large.coords)
    assert torch.equal(first.approximation, small.approximation)
    again = editing.with_details_of(first, second, (2, 1))
    assert torch.equal(again.to_sdf(), small.to_sdf())


def test_active_points_lie_at_the_surface_and_rank_by_strength() -> None:
    coefficients = disc(0.6)
    points, strength = editing.active_points(coefficients)
    assert len(points) == len(coefficients.coords)
    assert (points.norm(dim=1) - 0.6).abs().max() < 4 * 2 / 16
    np.testing.assert_allclose(strength, np.linalg.norm(coefficients.features.numpy(), axis=1), rtol=1e-5)
    few, top = editing.active_points(coefficients, 10)
    assert few.shape == (10, 3)
    np.testing.assert_allclose(top, np.sort(strength.numpy())[::-1][:10])
    # The site with the grid's lowest coordinates is the centre of its cell.
    corner = replace(coefficients, coords=torch.tensor([[0, 0, 15]]), features=torch.ones(1, 7))
    assert editing.active_points(corner)[0].tolist() == [[-1 + 1 / 16, -1 + 1 / 16, 1 - 1 / 16]]


@pytest.mark.parametrize(
    "act, said",
    [
        (lambda c: editing.band_values(c, Band(3, "ddd")), "3"),
        (lambda c: editing.band_values(c, Band(1, "aaa")), "aaa"),
        (lambda c: editing.band_slice(c, BANDS[0], 3, 0.0), "3"),
        (lambda c: editing.with_gains(c, {BANDS[1]: float("nan")}), "nan"),
        (lambda c: editing.with_gains(c, {Band(1, "abc"): 1.0}), "abc"),
        (lambda c: editing.thresholded(c, -0.5), "-0.5"),
        (lambda c: editing.thresholded(c, 0.5, "firm"), "firm"),
        (lambda c: editing.without_details(c, 3), "3"),
        (lambda c: editing.with_details_of(c, complete(noise(), "haar")), "haar"),
    ],
)
def test_what_cannot_be_done_is_said(act, said: str) -> None:
    with pytest.raises(InputError, match=said):
        act(complete(noise()))
