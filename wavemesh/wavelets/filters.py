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

BANK_NAMES = ("haar", "bior2.2", "bior4.4", "bior6.8")

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
    symmetric_about_sample: True for the odd-length banks, whose atoms are centred on a sample; Haar's lie between two.
    """

    name: str
    analysis: FilterPair
    synthesis: FilterPair
    symmetric_about_sample: bool

    def atom_shift(self, level: int) -> float:
        """How far the approximation atoms of a level lie from the centres of its cells, in finest cells.

        Cell k of level l covers the finest cells 2^l k ... 2^l (k + 1) - 1; a bank whose atoms are centred on samples
        puts atom k on finest cell 2^l k, so the shift is -(2^l - 1) / 2: -0.5 at level 1, -1.5 at level 2. Zero for
        Haar.
        """
        _check_level(level)
        return -(2**level - 1) / 2.0 if self.symmetric_about_sample else 0.0

    def detail_shift(self, level: int) -> float:
        """The same for detail atoms, along an axis on which the band is a detail: +0.5 at every level, 0 for Haar."""
        _check_level(level)
        return 0.5 if self.symmetric_about_sample else 0.0

    def band_shift(self, key: str, level: int) -> tuple[float, ...]:
        """The shift of one band along every axis, in finest cells; key as PyWavelets writes it, "dad" for instance."""
        return tuple(self.detail_shift(level) if letter == "d" else self.atom_shift(level) for letter in key)


@cache
def get_bank(name: str | Bank) -> Bank:
    """The bank of that name ("haar", "bior2.2", "bior4.4", "bior6.8"); a bank comes back as it is.

    Raises InputError for any other name.
    """
    if isinstance(name, Bank):
        return name
    if name not in BANK_NAMES:
        raise InputError(f"There is no wavelet {name!r} here; choose one of {', '.join(BANK_NAMES)}.")
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
        symmetric_about_sample=name != "haar",
    )


def _taps(pairs: Iterable[tuple[int, float]]) -> Taps:
    """The non-zero taps, sorted by offset."""
    return tuple(sorted((offset, float(weight)) for offset, weight in pairs if weight != 0.0))


def _snapped(weight: float) -> float:
    """The weight, or 1 if it is 1 but for rounding."""
    return 1.0 if abs(weight - 1.0) < 1e-12 else weight


def _check_level(level: int) -> None:
    if level < 1:
        raise InputError(f"Wavelet levels count from 1 at the finest, not {level}.")
