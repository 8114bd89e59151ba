"""Edits and measures of the wavelet pyramid of one shape: what the studio's wavelet bench does to a finished run.

Every edit gives new coefficients and leaves the old ones alone, so that before and after can be decoded side by side.
Edits act on the coefficients only: the sites of the finest details stay those of the run, except where an edit says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from wavemesh.errors import InputError
from wavemesh.wavelets.bands import APPROXIMATION, BANDS, DETAIL_KEYS_3D, LEVELS, Band
from wavemesh.wavelets.sparse import SparseCoefficients, scatter_sites


def band_values(coefficients: SparseCoefficients, band: Band) -> Float[Tensor, "n n n"]:
    """The band as a dense grid of its level, finest details zero off their sites; InputError if there is no such band.

    A quarter of the resolution on a side at level 2, half of it at level 1.
    """
    _check(band)
    if band.key == APPROXIMATION:
        return coefficients.approximation[0]
    index = DETAIL_KEYS_3D.index(band.key)
    if band.level == LEVELS:
        return coefficients.details_coarse[index]
    side = coefficients.resolution // 2
    sites = torch.nn.functional.pad(coefficients.coords, (1, 0))
    return scatter_sites(coefficients.features[:, index : index + 1], sites, 1, (side, side, side))[0, 0]


def band_slice(coefficients: SparseCoefficients, band: Band, axis: int, position: float) -> Float[Tensor, "n n"]:
    """The slice of a band across an axis (0, 1, 2 for x, y, z) at a world position in [-1, 1].

    Rows and columns are the two other axes in their order. The slice is the one whose cell holds the position; the
    border's outside the range.
    """
    if axis not in (0, 1, 2):
        raise InputError(f"An axis is 0, 1 or 2 for x, y, z, not {axis!r}.")
    values = band_values(coefficients, band)
    side = values.shape[axis]
    index = int((float(position) + 1.0) / 2.0 * side)
    return values.select(axis, min(max(index, 0), side - 1))


def energies(coefficients: SparseCoefficients) -> dict[Band, float]:
    """The sum of squared coefficients of every band."""
    parts = {Band(LEVELS, APPROXIMATION): coefficients.approximation}
    for index, key in enumerate(DETAIL_KEYS_3D):
        parts[Band(LEVELS, key)] = coefficients.details_coarse[index]
        parts[Band(1, key)] = coefficients.features[:, index]
    return {band: float(parts[band].double().square().sum()) for band in BANDS}


def with_gains(coefficients: SparseCoefficients, gains: Mapping[Band, float]) -> SparseCoefficients:
    """The coefficients with every named band multiplied by its gain; InputError for a gain that is not finite."""
    for band, gain in gains.items():
        _check(band)
        if not torch.isfinite(torch.tensor(float(gain))):
            raise InputError(f"The gain of band {band.label} must be a finite number, not {gain}.")
    coarse = [float(gains.get(Band(LEVELS, key), 1.0)) for key in DETAIL_KEYS_3D]
    finest = [float(gains.get(Band(1, key), 1.0)) for key in DETAIL_KEYS_3D]
    return replace(
        coefficients,
        approximation=coefficients.approximation * float(gains.get(Band(LEVELS, APPROXIMATION), 1.0)),
        details_coarse=coefficients.details_coarse
        * coefficients.details_coarse.new_tensor(coarse)[:, None, None, None],
        features=coefficients.features * coefficients.features.new_tensor(finest),
    )


def without_details(coefficients: SparseCoefficients, level: int) -> SparseCoefficients:
    """The coefficients with all details of a level muted; at level 1 its sites are gone with them."""
    _check_level(level)
    if level == LEVELS:
        return replace(coefficients, details_coarse=torch.zeros_like(coefficients.details_coarse))
    return replace(coefficients, coords=coefficients.coords[:0], features=coefficients.features[:0])


def thresholded(coefficients: SparseCoefficients, threshold: float, mode: str = "hard") -> SparseCoefficients:
    """The coefficients with small details removed, the approximation untouched.

    "hard" sets details with |c| < threshold to zero and keeps the others; "soft" also moves the others towards zero
    by the threshold (Donoho and Johnstone 1994). Sites where nothing is left are dropped. Raises InputError for a
    negative threshold or another mode.
    """
    if mode not in ("soft", "hard"):
        raise InputError(f"A threshold is soft or hard, not {mode!r}.")
    if not 0.0 <= threshold < float("inf"):
        raise InputError(f"A threshold cannot be negative or infinite: {threshold}.")
    if threshold == 0.0:
        return coefficients

    def shrunk(values: Tensor) -> Tensor:
        if mode == "soft":
            return torch.nn.functional.softshrink(values, threshold)
        return torch.where(values.abs() < threshold, 0.0, values)

    features = shrunk(coefficients.features)
    left = features.any(dim=1)
    return replace(
        coefficients,
        details_coarse=shrunk(coefficients.details_coarse),
        coords=coefficients.coords[left],
        features=features[left],
    )


def with_details_of(
    coefficients: SparseCoefficients, other: SparseCoefficients, levels: Iterable[int] = (2, 1)
) -> SparseCoefficients:
    """The coefficients with the details of another shape at these levels; finest details bring their sites along.

    Raises InputError if the two were made with different banks or resolutions.
    """
    if (coefficients.bank, coefficients.resolution) != (other.bank, other.resolution):
        raise InputError(
            f"Details can only be exchanged within one bank and resolution, not between {coefficients.bank} at "
            f"{coefficients.resolution} and {other.bank} at {other.resolution}."
        )
    result = coefficients
    for level in set(levels):
        _check_level(level)
        if level == LEVELS:
            result = replace(result, details_coarse=other.details_coarse)
        else:
            result = replace(result, coords=other.coords, features=other.features)
    return result


def active_points(
    coefficients: SparseCoefficients, limit: int | None = None
) -> tuple[Float[Tensor, "m 3"], Float[Tensor, "m"]]:
    """World positions of the finest detail sites and the root of the summed squares of their seven coefficients.

    Positions are the centres of the sites' cells; the atoms of the seven bands lie around them, at most half a finest
    cell away along each axis (`Bank.band_shift`). limit: only so many of the strongest, strongest first.
    """
    strength = coefficients.features.float().square().sum(dim=1).sqrt()
    points = (coefficients.coords.float() + 0.5) / (coefficients.resolution // 2) * 2.0 - 1.0
    if limit is not None and len(strength) > limit:
        strength, order = strength.topk(limit)
        points = points[order]
    return points, strength


def _check(band: Band) -> None:
    if band not in BANDS:
        raise InputError(f"There is no band {band!r}; choose one of {', '.join(known.label for known in BANDS)}.")


def _check_level(level: int) -> None:
    if level not in range(1, LEVELS + 1):
        raise InputError(f"There is no level {level!r}; levels go from 1 (finest) to {LEVELS}.")
