"""Discrete wavelet transforms of pictures (2D) and volumes (3D), one level or several, and their inverses.

Both systems stand on them: the SDF of WaveMesh-Diff is denoised as 3D bands, the triplane of the other system as 2D
bands. The coefficients equal PyWavelets' in its "periodization" mode, which halves every axis exactly.

Shapes and values that cannot be transformed raise an InputError here, so the arguments are annotated as plain tensors.
The arithmetic is in `polyphase.py`. The gradient of a linear map is its transpose, which is the opposite transform
with the same taps: the autograd functions below say so, rather than letting autograd pad every slice with zeros.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from wavemesh.errors import InputError
from wavemesh.wavelets import polyphase
from wavemesh.wavelets.filters import Bank, FilterPair, get_bank


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
    x: Tensor, bank: Bank | str, mode: str = "periodization"
) -> tuple[Float[Tensor, "b c x2 y2 z2"], Float[Tensor, "b c7 x2 y2 z2"]]:
    """Approximation (b, c, x/2, y/2, z/2) and details (b, 7 c, ...) of one level, band-major as in DETAIL_KEYS_3D.

    x: (b, c, x, y, z). Half precision is computed and returned in float32. Raises InputError for an odd size or
    another mode than "periodization".
    """
    return _analyse(x, get_bank(bank), 3, mode)


def idwt3d(approximation: Tensor, details: Tensor, bank: Bank | str) -> Float[Tensor, "b c x2 y2 z2"]:
    """The volume (b, c, 2x, 2y, 2z) of one level's bands; the inverse of `dwt3d`. InputError if the shapes disagree."""
    return _synthesise(approximation, details, get_bank(bank), 3)


def dwt2d(
    x: Tensor, bank: Bank | str, mode: str = "periodization"
) -> tuple[Float[Tensor, "b c h2 w2"], Float[Tensor, "b c3 h2 w2"]]:
    """Approximation (b, c, h/2, w/2) and details (b, 3 c, h/2, w/2) of one level; bands LH, HL, HH, band-major.

    x: (b, c, h, w). Half precision is computed and returned in float32. Raises InputError for an odd size or another
    mode than "periodization".
    """
    return _analyse(x, get_bank(bank), 2, mode)


def idwt2d(approximation: Tensor, details: Tensor, bank: Bank | str) -> Float[Tensor, "b c h2 w2"]:
    """The picture (b, c, 2h, 2w) of one level's bands; the inverse of `dwt2d`. InputError for shapes that disagree."""
    return _synthesise(approximation, details, get_bank(bank), 2)


def wavedec3d(x: Tensor, bank: Bank | str, levels: int) -> Pyramid:
    """The pyramid of so many levels of x (b, c, *space); every size must be a multiple of 2^levels, else InputError."""
    return _decompose(x, get_bank(bank), levels, 3)


def waverec3d(pyramid: Pyramid, bank: Bank | str) -> Float[Tensor, "b c x y z"]:
    """The volume of a pyramid; the inverse of `wavedec3d`."""
    return _reconstruct(pyramid, get_bank(bank), 3)


def wavedec2d(x: Tensor, bank: Bank | str, levels: int) -> Pyramid:
    """The pyramid of so many levels of x (b, c, *space); every size must be a multiple of 2^levels, else InputError."""
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

    def dwt2d(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """LL, LH, HL, HH, each (b, c, h/2, w/2), of x (b, c, h, w); LH is PyWavelets' cH, HL its cV, HH its cD."""
        approximation, details = dwt2d(x, self.bank)
        lh, hl, hh = details.chunk(3, dim=1)
        return approximation, lh, hl, hh

    def idwt2d(
        self,
        LL: Tensor,
        LH: Tensor,
        HL: Tensor,
        HH: Tensor,
    ) -> Float[Tensor, "b c h2 w2"]:
        """The picture (b, c, 2h, 2w) of the four bands (b, c, h, w); InputError if their shapes differ."""
        if not LL.shape == LH.shape == HL.shape == HH.shape:
            shapes = ", ".join(str(tuple(band.shape)) for band in (LL, LH, HL, HH))
            raise InputError(f"The bands LL, LH, HL, HH must have one shape, not {shapes}.")
        return idwt2d(LL, torch.cat([LH, HL, HH], dim=1), self.bank)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
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
    approximation, details = _at_least_float32(approximation), _at_least_float32(details)
    return _Synthesis.apply(approximation, details, bank.synthesis, dimensions)


def _check_rank(x: Tensor, dimensions: int) -> None:
    if x.ndim != dimensions + 2:
        axes = f"{dimensions + 2} axes (batch, channels, space)"
        raise InputError(f"A {dimensions}D transform needs {axes}, not the shape {tuple(x.shape)}.")
    if not x.is_floating_point():
        raise InputError(f"A wavelet transform needs floating-point values, not {x.dtype}.")


def _at_least_float32(x: Tensor) -> Tensor:
    return x if x.dtype in (torch.float32, torch.float64) else x.float()


class _Analysis(torch.autograd.Function):
    """Bands (b, 2^d c, *half) of x (b, c, *full); its transpose is `_Synthesis` with the same taps."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, pair: FilterPair, dimensions: int) -> Tensor:
        ctx.pair, ctx.dimensions = pair, dimensions
        return polyphase.analyse(x, pair, dimensions)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        channels = grad.shape[1] // 2**ctx.dimensions
        return _Synthesis.apply(grad[:, :channels], grad[:, channels:], ctx.pair, ctx.dimensions), None, None


class _Synthesis(torch.autograd.Function):
    """The field of an approximation and its details; its transpose is `_Analysis` with the same taps."""

    @staticmethod
    def forward(ctx: Any, approximation: Tensor, details: Tensor, pair: FilterPair, dimensions: int) -> Tensor:
        ctx.pair, ctx.dimensions = pair, dimensions
        return polyphase.synthesise(approximation, details, pair, dimensions)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None]:
        channels = grad.shape[1]
        bands = _Analysis.apply(grad, ctx.pair, ctx.dimensions)
        return bands[:, :channels], bands[:, channels:], None, None
