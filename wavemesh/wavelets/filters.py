"""Filter banks: the taps of the supported wavelets and where the centres of their atoms lie.

The taps come from PyWavelets, so a coefficient here means exactly what it means there. Every other file of this package
asks `get_bank`; nothing else knows a tap or a phase.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import pywt

from wavemesh.errors import InputError

BANK_NAMES = ("haar", "bior2.2", "bior4.4", "bior6.8")  # those that the weights may have; get_bank knows others too
APPROXIMATE = "dmey"  # a discrete wavelet of PyWavelets that does not invert

Taps = tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class FilterPair:
    """The low and high taps of one direction of a transform, as (offset, weight) pairs, and their common factor.

    Coefficient k of an analysis is the sum of scale * weight * x[(2 k + offset) mod n]; a synthesis with the same
    taps is its transpose: x[(2 k + offset) mod n] += scale * weight * coefficient[k]. The scale is taken out where
    that leaves weights of 1, which cost nothing.
    """

    low: Taps
    high: Taps
    scale: float = 1.0

    @classmethod
    def from_taps(cls, low: Taps, high: Taps) -> FilterPair:
        """The pair with its factor taken out: a size of tap that both filters have, if there is one."""
        common = {round(abs(weight), 12) for _, weight in low} & {round(abs(weight), 12) for _, weight in high}
        if not common:
            return cls(low, high)
        scale = next(abs(weight) for _, weight in low if round(abs(weight), 12) in common)
        low, high = (tuple((offset, _snapped(weight / scale)) for offset, weight in taps) for taps in (low, high))
        return cls(low, high, scale)


@dataclass(frozen=True)
class Bank:
    """A biorthogonal filter bank: analysis and synthesis taps, and the phase of its atoms.

    name: as PyWavelets spells it. analysis, synthesis: the two filter pairs.
    low_centre: where approximation atoms of level 1 lie, in finest cells from the centres of their own cells: 0 for
    Haar, whose atoms lie between two samples, -0.5 for the odd-length banks, whose atoms are centred on one.
    high_centre: the same for detail atoms, by their energy: they have no mass.
    """

    name: str
    analysis: FilterPair
    synthesis: FilterPair
    low_centre: float
    high_centre: float

    def atom_shift(self, level: int) -> float:
        """How far the approximation atoms of a level lie from the centres of its cells, in finest cells.

        Cell k of level l covers the finest cells 2^l k ... 2^l (k + 1) - 1; a bank whose atoms are centred on samples
        puts atom k on finest cell 2^l k, so the shift is -(2^l - 1) / 2: -0.5 at level 1, -1.5 at level 2. Zero for
        Haar.
        """
        _check_level(level)
        return (2**level - 1) * self.low_centre

    def detail_shift(self, level: int) -> float:
        """The same for detail atoms, along an axis on which the band is a detail: +0.5 at every level, 0 for Haar.

        Exact for symmetric atoms; others have no one centre above level 1.
        """
        _check_level(level)
        return 2 ** (level - 1) * self.high_centre + (2 ** (level - 1) - 1) * self.low_centre

    def band_shift(self, key: str, level: int) -> tuple[float, ...]:
        """The shift of one band along every axis, in finest cells; key as PyWavelets writes it, "dad" for instance."""
        return tuple(self.detail_shift(level) if letter == "d" else self.atom_shift(level) for letter in key)


@cache
def get_bank(name: str | Bank) -> Bank:
    """The bank of that name: any orthogonal or biorthogonal one of PyWavelets; a bank comes back as it is.

    Raises InputError for any other name.
    """
    if isinstance(name, Bank):
        return name
    if name not in _known():
        raise InputError(
            f"There is no wavelet {name!r:.80} here; choose one of {', '.join(BANK_NAMES)}, or another one of "
            "PyWavelets that inverts, such as db2, sym4 or coif1."
        )
    wavelet = pywt.Wavelet(name)
    half = wavelet.dec_len // 2
    return Bank(
        name=name,
        # PyWavelets' periodization convolves: low[k] = sum_j dec_lo[j] x[2k + half - j].
        analysis=FilterPair.from_taps(
            _taps((half - j, tap) for j, tap in enumerate(wavelet.dec_lo)),
            _taps((half - j, tap) for j, tap in enumerate(wavelet.dec_hi)),
        ),
        synthesis=FilterPair.from_taps(
            _taps((j - half + 1, tap) for j, tap in enumerate(wavelet.rec_lo)),
            _taps((j - half + 1, tap) for j, tap in enumerate(wavelet.rec_hi)),
        ),
        low_centre=_centre((j - half + 1, tap) for j, tap in enumerate(wavelet.rec_lo)),
        high_centre=_centre((j - half + 1, tap**2) for j, tap in enumerate(wavelet.rec_hi)),
    )


@cache
def _known() -> frozenset[str]:
    return frozenset(pywt.wavelist(kind="discrete")) - {APPROXIMATE}


def _centre(weights: Iterable[tuple[int, float]]) -> float:
    """The centre of mass of weights by their offset from sample 2 k, counted from the middle of cell k."""
    pairs = list(weights)
    mass = sum(weight for _, weight in pairs)
    return round(sum((offset - 0.5) * weight for offset, weight in pairs) / mass, 6)


def _taps(pairs: Iterable[tuple[int, float]]) -> Taps:
    """The non-zero taps, sorted by offset."""
    return tuple(sorted((offset, float(weight)) for offset, weight in pairs if weight != 0.0))


def _snapped(weight: float) -> float:
    """The weight, or 1 if it is 1 but for rounding."""
    return 1.0 if abs(weight - 1.0) < 1e-12 else weight


def _check_level(level: int) -> None:
    if level < 1:
        raise InputError(f"Wavelet levels count from 1 at the finest, not {level}.")
