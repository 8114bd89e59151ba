"""The arithmetic of one level of a periodic wavelet transform, without gradients: `transform.py` adds those.

One axis is a handful of scaled additions of shifted polyphase components (even and odd samples). On CPUs that beats a
matrix product or a strided convolution for filters this short; it needs no weights on the device and is immune to
TF32 and to reduced matmul precision. Large inputs go through in pieces that stay in the cache.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from wavemesh.wavelets.filters import FilterPair

# Elements of one piece on a CPU, 4 MiB in float32. Pieces stay in the cache from one axis to the next, and their
# buffers are used again; larger ones go back to the system each time, and faulting their pages in costs more than the
# arithmetic.
PIECE = 2**20


def analyse(x: Tensor, pair: FilterPair, dimensions: int) -> Tensor:
    """Bands (b, 2^d c, *half) of x (b, c, *full), band-major with the approximation first."""
    batch, channels, *spatial = x.shape
    half = [size // 2 for size in spatial]
    bands = x.new_empty(batch, 2 ** (dimensions - 1), 2, channels, *half)
    first, *middle, last = _axis_order(dimensions)
    for rows, columns in _pieces(x):
        y = _analyse_axis(x[rows, columns].unsqueeze(1), first, pair).flatten(1, 2)
        if pair.scale != 1.0:
            y *= pair.scale**dimensions
        for axis in middle:
            y = _analyse_axis(y, axis, pair).flatten(1, 2)
        _analyse_axis(y, last, pair, out=bands[rows, :, :, columns])
    return bands.view(batch, 2**dimensions * channels, *half)


def synthesise(approximation: Tensor, details: Tensor, pair: FilterPair, dimensions: int) -> Tensor:
    """The field (b, c, *full) of an approximation (b, c, *half) and its details (b, (2^d - 1) c, *half)."""
    batch, channels, *half = approximation.shape
    x = approximation.new_empty(batch, channels, *(2 * size for size in half))
    details = details.reshape(batch, 2**dimensions - 1, channels, *half)
    *axes, last = reversed(_axis_order(dimensions))
    for rows, columns in _pieces(x):
        y = torch.cat([approximation[rows, None, columns], details[rows, :, columns]], dim=1)
        if pair.scale != 1.0:
            y *= pair.scale**dimensions
        for axis in axes:
            y = _synthesise_axis(y.unflatten(1, (-1, 2)), axis, pair)
        _synthesise_axis(y.unflatten(1, (-1, 2)), last, pair, out=x[rows, None, columns])
    return x


def _axis_order(dimensions: int) -> tuple[int, ...]:
    """The axes of (b, g, c, *space) in the order in which they are split; the first is the slowest index of the bands.

    In 3D that gives PyWavelets' alphabetical order, in 2D its order cH, cV, cD.
    """
    return (3, 4, 5) if dimensions == 3 else (4, 3)


def _pieces(x: Tensor) -> Iterator[tuple[slice, slice]]:
    """Slices of batch and channels that cut x (b, c, *space) into pieces of about PIECE elements, or one field."""
    batch, channels = x.shape[:2]
    if x.device.type != "cpu" or x.numel() <= PIECE:
        yield slice(None), slice(None)
        return
    size = x[0, 0].numel()
    columns = min(max(PIECE // size, 1), channels)
    rows = max(PIECE // (size * channels), 1)
    for row in range(0, batch, rows):
        for column in range(0, channels, columns):
            yield slice(row, row + rows), slice(column, column + columns)


def _analyse_axis(x: Tensor, axis: int, pair: FilterPair, out: Tensor | None = None) -> Tensor:
    """Splits x (b, g, c, *space) along an axis into (b, g, 2, c, *space): the low band first, then the high one."""
    halves = x.unflatten(axis, (x.shape[axis] // 2, 2))
    offsets = [offset for offset, _ in pair.low + pair.high]
    phases = [_Wrapped(halves.select(axis + 1, p), axis, min(offsets) // 2, max(offsets) // 2) for p in (0, 1)]
    if out is None:
        batch, groups, *rest = phases[0].shape
        out = x.new_empty(batch, groups, 2, *rest)
    for band, taps in enumerate((pair.low, pair.high)):
        _sum_into(out[:, :, band], [(phases[offset % 2].shifted(offset // 2), weight) for offset, weight in taps])
    return out


def _synthesise_axis(x: Tensor, axis: int, pair: FilterPair, out: Tensor | None = None) -> Tensor:
    """Merges the pairs of bands of x (b, g, 2, c, *space) along an axis of the result (b, g, c, *space)."""
    terms: list[list[tuple[Tensor, float]]] = [[], []]
    shape: list[int] = []
    for band, taps in enumerate((pair.low, pair.high)):
        # x[2 m + p] gathers weight * band[m - (offset - p) / 2] over the taps whose offset has the parity p.
        shifts = [-(offset // 2) for offset, _ in taps]
        wrapped = _Wrapped(x[:, :, band], axis, min(shifts), max(shifts))
        shape = list(wrapped.shape)
        for (offset, weight), shift in zip(taps, shifts, strict=True):
            terms[offset % 2].append((wrapped.shifted(shift), weight))
    if out is None:
        out = x.new_empty(*shape[:axis], 2 * shape[axis], *shape[axis + 1 :])
    interleaved = out.unflatten(axis, (-1, 2))
    if axis == out.ndim - 1 and len(terms[0]) > 2:
        # Adding up in every other element does not vectorise: add apart and interleave once, as complex numbers.
        phases = x.new_empty(2, *shape)
        for phase in (0, 1):
            _sum_into(phases[phase], terms[phase])
        torch.complex(phases[0], phases[1], out=torch.view_as_complex(interleaved))
    else:
        for phase in (0, 1):
            _sum_into(interleaved.select(axis + 1, phase), terms[phase])
    return out


class _Wrapped:
    """A tensor continued periodically along one axis, so that its shifts are plain views."""

    def __init__(self, x: Tensor, axis: int, first: int, last: int) -> None:
        self.shape, self.axis, self.first = x.shape, axis, min(first, 0)
        self.size = x.shape[axis]
        before, after = -self.first, max(last, 0)
        if before > self.size or after > self.size:
            index = torch.arange(-before, self.size + after, device=x.device) % self.size
            self.padded = x.index_select(axis, index)
        elif before or after:
            parts = [x.narrow(axis, self.size - before, before), x, x.narrow(axis, 0, after)]
            self.padded = torch.cat(parts, dim=axis)
        else:
            self.padded = x

    def shifted(self, shift: int) -> Tensor:
        """The view whose element k is x[(k + shift) mod size]."""
        return self.padded.narrow(self.axis, shift - self.first, self.size)


def _sum_into(out: Tensor, terms: list[tuple[Tensor, float]]) -> None:
    """Writes the weighted sum of the terms into out, in as few passes as there are terms; one less if a weight is 1."""
    terms = sorted(terms, key=lambda term: term[1] != 1.0)
    (first, weight), *others = terms
    if weight == 1.0 and others:
        second, weight = others.pop(0)
        torch.add(first, second, alpha=weight, out=out)
    else:
        torch.mul(first, weight, out=out)
    for term, weight in others:
        out.add_(term, alpha=weight)
