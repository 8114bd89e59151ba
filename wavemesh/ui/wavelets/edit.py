"""What is to be done to the coefficients of a run, as the page's controls or a program say it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wavemesh.errors import InputError
from wavemesh.ui.pictures import Number
from wavemesh.wavelets.bands import BANDS

if TYPE_CHECKING:
    from wavemesh.wavelets.sparse import SparseCoefficients


@dataclass(frozen=True)
class Edit:
    """What is to be done to the coefficients, in this order: other details, muting, threshold, gains.

    gains: one for each of `BANDS`. threshold: for all details, 0 for none; threshold_mode: "hard" or "soft". muted:
    levels. taken: the levels whose details come from another run.
    """

    gains: tuple[float, ...] = (1.0,) * len(BANDS)
    threshold: float = 0.0
    threshold_mode: str = "hard"
    muted: tuple[int, ...] = ()
    taken: tuple[int, ...] = ()

    def applied(self, coefficients: SparseCoefficients, other: SparseCoefficients | None = None) -> SparseCoefficients:
        """The edited coefficients; InputError where details of another run are wanted but there is none."""
        from wavemesh.wavelets import editing

        if len(self.gains) != len(BANDS):
            raise InputError(f"There are {len(BANDS)} bands, so as many gains are needed, not {len(self.gains)}.")
        if self.taken:
            if other is None:
                raise InputError("Choose the run whose details should be taken.")
            coefficients = editing.with_details_of(coefficients, other, self.taken)
        for level in self.muted:
            coefficients = editing.without_details(coefficients, level)
        coefficients = editing.thresholded(coefficients, self.threshold, self.threshold_mode)
        return editing.with_gains(coefficients, dict(zip(BANDS, self.gains, strict=True)))


def band_gains(levels: Sequence[Number], bands: Sequence[Number]) -> tuple[float, ...]:
    """The gain of each of `BANDS`: that of its group (approximation, level 2, level 1) times its own.

    levels: three gains. bands: one for each detail band, in the order of BANDS[1:].
    """
    own = (1.0, *(float(gain) for gain in bands))
    groups = [0] + [1 if band.level == 2 else 2 for band in BANDS[1:]]
    return tuple(float(levels[group]) * gain for group, gain in zip(groups, own, strict=True))


def edit_by_names(gains: Any, threshold: Number, mode: str, muted: Any, taken: Any) -> Edit:
    """The edit that a program describes; InputError for unknown bands and levels.

    gains: an object with a number for each band to change, such as {"1 ddd": 0.5}. muted, taken: lists of 1 and 2.
    """
    return Edit(_gains_by_label(gains), float(threshold), mode, _levels(muted), _levels(taken))


def _gains_by_label(gains: Any) -> tuple[float, ...]:
    if not isinstance(gains, dict):
        raise InputError(f"Gains are an object with a number for each band to change, not {gains!r:.60}.")
    known = dict.fromkeys((band.label for band in BANDS), 1.0)
    for label, gain in gains.items():
        if label not in known:
            raise InputError(f"There is no band {label!r:.20}; choose among {', '.join(known)}.")
        if isinstance(gain, bool) or not isinstance(gain, int | float):
            raise InputError(f"The gain of band {label} must be a number, not {gain!r:.20}.")
    return tuple(float(gain) for gain in {**known, **gains}.values())


def _levels(levels: Any) -> tuple[int, ...]:
    if not isinstance(levels, list) or not all(level in (1, 2) for level in levels):
        raise InputError(f"Levels are a list of 1 (fine) and 2 (coarse), not {levels!r:.60}.")
    return tuple(sorted({int(level) for level in levels}))
