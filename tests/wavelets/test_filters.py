import numpy as np
import pytest
import pywt

from wavemesh.errors import InputError
from wavemesh.wavelets.filters import BANK_NAMES, get_bank


def atom(name: str, level: int, key: str, cell: int, size: int = 256) -> np.ndarray:
    """The finest samples that one 1D coefficient stands for, by PyWavelets."""
    coefficients = pywt.wavedec(np.zeros(size), name, mode="periodization", level=level)
    coefficients[0 if key == "a" else 1][cell] = 1.0
    return pywt.waverec(coefficients, name, mode="periodization")


def centre(weights: np.ndarray) -> float:
    """The centre of mass, where sample i lies at i + 0.5."""
    return float((weights * (np.arange(len(weights)) + 0.5)).sum() / weights.sum())


@pytest.mark.parametrize("name", BANK_NAMES)
@pytest.mark.parametrize("level", (1, 2, 3))
def test_the_atoms_lie_where_the_bank_says(name: str, level: int) -> None:
    bank = get_bank(name)
    cell = 128 // 2**level
    cell_centre = (cell + 0.5) * 2**level
    assert centre(atom(name, level, "a", cell)) == pytest.approx(cell_centre + bank.atom_shift(level), abs=1e-6)
    # A detail atom has no mass: take the centre of its energy.
    assert centre(atom(name, level, "d", cell) ** 2) == pytest.approx(cell_centre + bank.detail_shift(level), abs=1e-6)


def test_the_shifts_of_the_design() -> None:
    assert [get_bank("haar").atom_shift(level) for level in (1, 2)] == [0.0, 0.0]
    for name in ("bior2.2", "bior4.4", "bior6.8"):
        assert [get_bank(name).atom_shift(level) for level in (1, 2)] == [-0.5, -1.5]
    assert get_bank("bior2.2").band_shift("dad", 2) == (0.5, -1.5, 0.5)


@pytest.mark.parametrize("name", BANK_NAMES)
def test_a_coefficient_is_the_value_of_a_ramp_at_its_atom(name: str) -> None:
    size, cell = 256, 30
    ramp = np.arange(size) + 0.5
    approximation = pywt.wavedec(ramp, name, mode="periodization", level=2)[0] / 2.0
    assert approximation[cell] == pytest.approx((cell + 0.5) * 4 + get_bank(name).atom_shift(2), abs=1e-6)


@pytest.mark.parametrize("name", BANK_NAMES)
def test_the_taps_are_those_of_pywavelets(name: str) -> None:
    wavelet, bank = pywt.Wavelet(name), get_bank(name)
    pairs = (bank.analysis, wavelet.dec_lo, wavelet.dec_hi), (bank.synthesis, wavelet.rec_lo, wavelet.rec_hi)
    for pair, low, high in pairs:
        for taps, filter_taps in ((pair.low, low), (pair.high, high)):
            ours = sorted(pair.scale * weight for _, weight in taps)
            np.testing.assert_allclose(ours, sorted(tap for tap in filter_taps if tap != 0), atol=1e-12)


def test_a_bank_is_its_own_name() -> None:
    assert get_bank(get_bank("haar")) is get_bank("haar")


@pytest.mark.parametrize("name", ("dmey", "mexh", "", "Haar"))
def test_an_unknown_name_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"'{name}'"):
        get_bank(name)


def test_level_zero_is_refused() -> None:
    with pytest.raises(InputError, match="not 0"):
        get_bank("haar").atom_shift(0)
