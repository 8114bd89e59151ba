"""Discrete wavelet transforms of pictures (2D) and volumes (3D), one level or several, and their inverses.

Both systems stand on them: the SDF of WaveMesh-Diff is denoised as 3D bands, the triplane of the other system as 2D bands.
The coefficients equal PyWavelets' in its "periodization" mode, which halves every axis exactly.

One axis is a handful of scaled additions of shifted polyphase components. That beats a matrix product or a strided
convolution on CPUs for short filters, needs no weights on the device and is immune to TF32 and reduced matmul precision.
The gradient of a linear map is its transpose, which is the opposite transform with the same taps: the autograd function below
says so, rather than letting autograd pad every slice with zeros.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from wavemesh.errors import InputError
from wavemesh.wavelets.filters import Bank, FilterPair, Taps, get_bank

# The detail bands in the order in which they are stacked: a letter per axis, as PyWavelets writes them.
# In 2D this is PyWavelets' (cH, cV, cD), which the triplane system calls (LH, HL, HH).
DETAIL_KEYS_3D = ("aad", "ada", "add", "daa", "dad", "dda", "ddd")
DETAIL_KEYS_2D = ("da", "ad", "dd")


@dataclass
class Pyramid:
    """A multi-level transform: the coarsest approximation and the details from the coarsest level to the finest.

    approximation: (b, c, *coarsest). details[i]: (b, 7 c, *size of its level), band-major; 3 c bands in 2D.
    """

    approximation: Tensor
    details: list[Tensor] = field(default_factory=list)

    @property
    def levels(self) -> int:
        """How many levels the transform has."""
        return len(self.details)


def dwt3d(
    x: Float[Tensor, "b c x y z"], bank: Bank | str, mode: str = "periodization"
) -> tuple[Float[Tensor, "b c x2 y2 z2"], Float[Tensor, "b c7 x2 y2 z2"]]:
    """Approximation (b, c, x/2, y/2, z/2) and details (b, 7 c, ...) of one level; bands as in DETAIL_KEYS_3D, band-major.

    Half precision is computed and returned in float32. Raises InputError for an odd size or another mode than
    "periodization".
    """
    return _analyse(x, get_bank(bank), 3, mode)


def idwt3d(
    approximation: Float[Tensor, "b c x y z"], details: Float[Tensor, "b c7 x y z"], bank: Bank | str
) -> Float[Tensor, "b c x2 y2 z2"]:
    """The volume (b, c, 2x, 2y, 2z) of one level's bands; the inverse of `dwt3d`. InputError for shapes that disagree."""
    return _synthesise(approximation, details, get_bank(bank), 3)


def dwt2d(
    x: Float[Tensor, "b c h w"], bank: Bank | str, mode: str = "periodization"
) -> tuple[Float[Tensor, "b c h2 w2"], Float[Tensor, "b c3 h2 w2"]]:
    """Approximation (b, c, h/2, w/2) and details (b, 3 c, h/2, w/2) of one level; bands LH, HL, HH, band-major.

    Half precision is computed and returned in float32. Raises InputError for an odd size or another mode than
    "periodization".
    """
    return _analyse(x, get_bank(bank), 2, mode)


def idwt2d(
    approximation: Float[Tensor, "b c h w"], details: Float[Tensor, "b c3 h w"], bank: Bank | str
) -> Float[Tensor, "b c h2 w2"]:
    """The picture (b, c, 2h, 2w) of one level's bands; the inverse of `dwt2d`. InputError for shapes that disagree."""
    return _synthesise(approximation, details, get_bank(bank), 2)


def wavedec3d(x: Float[Tensor, "b c x y z"], bank: Bank | str, levels: int) -> Pyramid:
    """The pyramid of so many levels; every size must be a multiple of 2^levels, else InputError."""
    return _decompose(x, get_bank(bank), levels, 3)


def waverec3d(pyramid: Pyramid, bank: Bank | str) -> Float[Tensor, "b c x y z"]:
    """The volume of a pyramid; the inverse of `wavedec3d`."""
    return _reconstruct(pyramid, get_bank(bank), 3)


def wavedec2d(x: Float[Tensor, "b c h w"], bank: Bank | str, levels: int) -> Pyramid:
    """The pyramid of so many levels; every size must be a multiple of 2^levels, else InputError."""
    return _decompose(x, get_bank(bank), levels, 2)


def waverec2d(pyramid: Pyramid, bank: Bank | str) -> Float[Tensor, "b c h w"]:
    """The picture of a pyramid; the inverse of `wavedec2d`."""
    return _reconstruct(pyramid, get_bank(bank), 2)


def field_scale(levels: int, dimensions: int = 3) -> float:
    """The factor 2^(dimensions * levels / 2) that an approximation carries: divide by it to get values of the field."""
    return 2.0 ** (dimensions * levels / 2.0)


class WaveletTransform(nn.Module):
    """The 2D transform of the triplane system (Haar unless told otherwise), with its four bands by name."""

    def __init__(self, bank: Bank | str = "haar") -> None:
        super().__init__()
        self.bank = get_bank(bank)

    def dwt2d(self, x: Float[Tensor, "b c h w"]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """LL, LH, HL, HH, each (b, c, h/2, w/2); LH is PyWavelets' cH, HL its cV, HH its cD."""
        approximation, details = dwt2d(x, self.bank)
        lh, hl, hh = details.chunk(3, dim=1)
        return approximation, lh, hl, hh

    def idwt2d(
        self,
        LL: Float[Tensor, "b c h w"],  # noqa: N803 - the reference's names
        LH: Float[Tensor, "b c h w"],  # noqa: N803
        HL: Float[Tensor, "b c h w"],  # noqa: N803
        HH: Float[Tensor, "b c h w"],  # noqa: N803
    ) -> Float[Tensor, "b c h2 w2"]:
        """The picture (b, c, 2h, 2w) of the four bands; InputError if their shapes differ."""
        if not LL.shape == LH.shape == HL.shape == HH.shape:
            shapes = ", ".join(str(tuple(band.shape)) for band in (LL, LH, HL, HH))
            raise InputError(f"The bands LL, LH, HL, HH must have one shape, not {shapes}.")
        return idwt2d(LL, torch.cat([LH, HL, HH], dim=1), self.bank)

    def forward(self, x: Float[Tensor, "b c h w"]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The same as `dwt2d`."""
        return self.dwt2d(x)


def _decompose(x: Tensor, bank: Bank, levels: int, dimensions: int) -> Pyramid:
    _check_rank(x, dimensions)
    if levels < 1:
        raise InputError(f"A wavelet pyramid needs at least one level, not {levels}.")
    if any(size % 2**levels for size in x.shape[2:]):
        raise InputError(f"{levels} wavelet levels need sizes divisible by {2**levels}, not {tuple(x.shape[2:])}.")
    details = []
    for _ in range(levels):
        x, detail = _analyse(x, bank, dimensions)
        details.append(detail)
    return Pyramid(x, details[::-1])


def _reconstruct(pyramid: Pyramid, bank: Bank, dimensions: int) -> Tensor:
    x = pyramid.approximation
    for detail in pyramid.details:
        x = _synthesise(x, detail, bank, dimensions)
    return x


def _analyse(x: Tensor, bank: Bank, dimensions: int, mode: str = "periodization") -> tuple[Tensor, Tensor]:
    if mode != "periodization":
        raise InputError(f"The only mode here is 'periodization', not {mode!r}.")
    _check_rank(x, dimensions)
    if any(size % 2 or size == 0 for size in x.shape[2:]):
        raise InputError(f"A wavelet transform needs even sizes, not {tuple(x.shape[2:])}.")
    channels = x.shape[1]
    bands = _Analysis.apply(_at_least_float32(x), bank.analysis, dimensions)
    return bands[:, :channels], bands[:, channels:]


def _synthesise(approximation: Tensor, details: Tensor, bank: Bank, dimensions: int) -> Tensor:
    _check_rank(approximation, dimensions)
    batch, channels, *spatial = approximation.shape
    expected = (batch, (2**dimensions - 1) * channels, *spatial)
    if tuple(details.shape) != expected:
        raise InputError(
            f"Details for an approximation of shape {tuple(approximation.shape)} must have shape {expected}, "
            f"not {tuple(details.shape)}."
        )
    bands = torch.cat([_at_least_float32(approximation), _at_least_float32(details)], dim=1)
    return _Synthesis.apply(bands, bank.synthesis, dimensions)


def _check_rank(x: Tensor, dimensions: int) -> None:
    if x.ndim != dimensions + 2:
        raise InputError(f"A {dimensions}D transform needs {dimensions + 2} axes (batch, channels, space), not {tuple(x.shape)}.")
    if not x.is_floating_point():
        raise InputError(f"A wavelet transform needs floating-point values, not {x.dtype}.")


def _at_least_float32(x: Tensor) -> Tensor:
    return x if x.dtype in (torch.float32, torch.float64) else x.float()


class _Analysis(torch.autograd.Function):
    """Bands (b, 2^d c, *half) of x (b, c, *full); its transpose is `_Synthesis` with the same taps."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, pair: FilterPair, dimensions: int) -> Tensor:  # noqa: ANN401
        ctx.pair, ctx.dimensions = pair, dimensions
        batch, channels, *_ = x.shape
        y = x.unsqueeze(1)
        for axis in _axis_order(dimensions):
            y = _analyse_axis(y, axis, pair)
        return y.reshape(batch, -1, *y.shape[3:])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401
        return _Synthesis.apply(grad, ctx.pair, ctx.dimensions), None, None


class _Synthesis(torch.autograd.Function):
    """The field (b, c, *full) of bands (b, 2^d c, *half); its transpose is `_Analysis` with the same taps."""

    @staticmethod
    def forward(ctx: Any, bands: Tensor, pair: FilterPair, dimensions: int) -> Tensor:  # noqa: ANN401
        ctx.pair, ctx.dimensions = pair, dimensions
        batch, stacked, *spatial = bands.shape
        groups = 2**dimensions
        y = bands.reshape(batch, groups, stacked // groups, *spatial)
        for axis in reversed(_axis_order(dimensions)):
            y = _synthesise_axis(y, axis, pair)
        return y.squeeze(1)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401
        return _Analysis.apply(grad, ctx.pair, ctx.dimensions), None, None


def _axis_order(dimensions: int) -> Sequence[int]:
    """The axes in the order in which they are split, which fixes the band order (the first split is the slowest index)."""
    return (3, 4, 5) if dimensions == 3 else (4, 3)


def _analyse_axis(x: Tensor, axis: int, pair: FilterPair) -> Tensor:
    """Splits x (b, g, c, *space) along an axis into (b, 2 g, c, *space): low bands at even places, high ones at odd."""
    half = x.shape[axis] // 2
    phases = [x.unflatten(axis, (half, 2)).select(axis + 1, phase) for phase in (0, 1)]
    offsets = [offset for offset, _ in pair.low + pair.high]
    phases = [_Wrapped(phase, axis, min(offsets) // 2, max(offsets) // 2) for phase in phases]
    batch, groups, *rest = phases[0].base_shape
    out = x.new_empty(batch, groups, 2, *rest)
    for band, taps in enumerate((pair.low, pair.high)):
        _accumulate(out[:, :, band], [(phases[offset % 2].shifted(offset // 2), weight) for offset, weight in taps])
    return out.flatten(1, 2)


def _synthesise_axis(x: Tensor, axis: int, pair: FilterPair) -> Tensor:
    """Merges the pairs of bands of x (b, 2 g, c, *space) along an axis into (b, g, c, *space), twice as long there."""
    x = x.unflatten(1, (-1, 2))
    terms: list[list[tuple[Tensor, float]]] = [[], []]
    for band, taps in enumerate((pair.low, pair.high)):
        # x[2 m + p] gathers weight * band[m - (offset - p) / 2] over the taps whose offset has the parity p.
        shifts = [-(offset // 2) for offset, _ in taps]
        wrapped = _Wrapped(x[:, :, band], axis, min(shifts), max(shifts))
        for (offset, weight), shift in zip(taps, shifts, strict=True):
            terms[offset % 2].append((wrapped.shifted(shift), weight))
    shape = list(wrapped.base_shape)
    out = x.new_empty(*shape[: axis + 1], 2, *shape[axis + 1 :])
    for phase in (0, 1):
        _accumulate(out.select(axis + 1, phase), terms[phase])
    return out.flatten(axis, axis + 1)


class _Wrapped:
    """A tensor continued periodically along one axis, so that its shifts are plain views."""

    def __init__(self, x: Tensor, axis: int, first: int, last: int) -> None:
        self.base_shape, self.axis, self.first = x.shape, axis, min(first, 0)
        self.size = x.shape[axis]
        before, after = -self.first, max(last, 0)
        if before > self.size or after > self.size:
            index = torch.arange(-before, self.size + after, device=x.device) % self.size
            self.padded = x.index_select(axis, index)
        elif before or after:
            parts = [x.narrow(axis, self.size - before, before), x, x.narrow(axis, 0, after)]
            self.padded = torch.cat(parts, dim=axis)
        else:
            self.padded = x.contiguous()

    def shifted(self, shift: int) -> Tensor:
        """The view whose element k is x[(k + shift) mod size]."""
        return self.padded.narrow(self.axis, shift - self.first, self.size)


def _accumulate(out: Tensor, terms: list[tuple[Tensor, float]]) -> None:
    """Writes the weighted sum of the terms into out."""
    (first, weight), *others = terms
    torch.mul(first, weight, out=out)
    for term, weight in others:
        out.add_(term, alpha=weight)
