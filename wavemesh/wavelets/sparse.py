"""Sparse wavelet coefficients of a signed distance field: which sites exist, and the way to dense bands and back.

A truncated SDF is constant away from the surface, so its fine details matter only in a shell. WaveMesh-Diff keeps the
coarse bands (the approximation and the coarser details) dense and stores the finest details at *active sites* only:
the cells where the field decoded so far changes sign, dilated by one. Because that field is known before the details
are, training, sampling and decoding all find the same sites from it; nothing has to predict them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from wavemesh.errors import InputError
from wavemesh.sparse.tensor import SparseTensor
from wavemesh.wavelets.bands import LEVELS
from wavemesh.wavelets.filters import Bank, get_bank
from wavemesh.wavelets.transform import Pyramid, field_scale, idwt3d, wavedec3d, waverec3d

RULES = ("active", "threshold")


def active_sites(
    field: Tensor, bank: Bank | str = "bior2.2", dilation: int = 1, threshold: float | None = None
) -> Bool[Tensor, "b x y z"]:
    """The mask of the sites that may hold finest details, from the field decoded without them.

    field: (b, 1, x, y, z), the coarse field (64^3 for a 128^3 SDF); its scale only matters to the threshold. bank:
    checked only; the site of every bank is the cell of the same index. dilation: how often the mask grows by its six
    neighbours. threshold: cells with |field| below it count as well, in the units of the field given.
    """
    get_bank(bank)
    if field.ndim != 5 or field.shape[1] != 1:
        raise InputError(f"Active sites need a field of shape (batch, 1, x, y, z), not {tuple(field.shape)}.")
    if dilation < 0:
        raise InputError(f"The dilation of the active sites cannot be negative: {dilation}.")
    field = field[:, 0].detach()
    inside = field < 0
    mask = torch.zeros_like(inside)
    for axis in (1, 2, 3):
        size = inside.shape[axis]
        change = inside.narrow(axis, 1, size - 1) ^ inside.narrow(axis, 0, size - 1)
        mask.narrow(axis, 1, size - 1).logical_or_(change)
        mask.narrow(axis, 0, size - 1).logical_or_(change)
    if threshold is not None:
        mask |= field.abs() < threshold
    for _ in range(dilation):
        mask = _grown(mask)
    return mask


def gather_sites(
    details: Float[Tensor, "b c x y z"], mask: Bool[Tensor, "b x y z"]
) -> tuple[Float[Tensor, "m c"], Int[Tensor, "m 4"]]:
    """The values at the masked sites and their coordinates [batch, x, y, z] in lexicographic order. Differentiable."""
    coords = mask.nonzero()
    return details.movedim(1, -1)[tuple(coords.unbind(1))], coords


def scatter_sites(
    features: Float[Tensor, "m c"], coords: Int[Tensor, "m 4"], batch_size: int, shape: tuple[int, int, int]
) -> Float[Tensor, "b c x y z"]:
    """Dense bands with the features at their sites, zero elsewhere; the inverse of `gather_sites`. Differentiable."""
    dense = features.new_zeros(batch_size, *shape, features.shape[-1])
    dense = dense.index_put(tuple(coords.unbind(1)), features)
    return dense.movedim(-1, 1)


@dataclass
class SparseCoefficients:
    """The two-level pyramid of one SDF: coarse bands dense, the finest details at their sites only.

    approximation: (1, n/4, n/4, n/4). details_coarse: (7, n/4, n/4, n/4). coords: (m, 3) int64 sites on the (n/2)^3
    grid, unique and in lexicographic order. features: (m, 7), bands as in `bands.DETAIL_KEYS_3D`. bank: name.
    resolution: n.
    """

    approximation: Tensor
    details_coarse: Tensor
    coords: Tensor
    features: Tensor
    bank: str = "bior2.2"
    resolution: int = 128

    def __post_init__(self) -> None:
        get_bank(self.bank)
        coarse = (self.resolution // 2**LEVELS,) * 3
        expected = {
            "approximation": (1, *coarse),
            "details_coarse": (7, *coarse),
            "coords": (len(self.coords), 3),
            "features": (len(self.coords), 7),
        }
        for name, shape in expected.items():
            if tuple(getattr(self, name).shape) != shape:
                actual = tuple(getattr(self, name).shape)
                raise InputError(f"At resolution {self.resolution} the {name} must have shape {shape}, not {actual}.")

    @classmethod
    def from_sdf(
        cls,
        sdf: Tensor | np.ndarray,
        bank: Bank | str = "bior2.2",
        rule: str = "active",
        *,
        dilation: int = 1,
        threshold: float | None = None,
    ) -> SparseCoefficients:
        """The coefficients of a cubic SDF (n, n, n) whose side is a multiple of four.

        rule "active": the sites that `active_sites` finds in the field decoded from the coarse bands (threshold then
        in SDF units). rule "threshold": the sites where any of the seven finest bands exceeds the threshold (default
        0: all that are not zero). Raises InputError for another rule or shape.
        """
        sdf = torch.as_tensor(sdf)
        if sdf.ndim != 3 or len(set(sdf.shape)) != 1:
            raise InputError(f"Sparse coefficients need a cubic SDF (n, n, n), not {tuple(sdf.shape)}.")
        pyramid = wavedec3d(sdf[None, None], bank, LEVELS)
        approximation, (coarse, finest) = pyramid.approximation, pyramid.details
        if rule == "active":
            mask = active_sites(decode_coarse(approximation, coarse, bank), bank, dilation, threshold)
        elif rule == "threshold":
            mask = finest.abs().amax(dim=1) > (threshold or 0.0)
        else:
            raise InputError(f"There is no rule {rule!r} for sparse coefficients; choose one of {', '.join(RULES)}.")
        features, coords = gather_sites(finest, mask)
        return cls(approximation[0], coarse[0], coords[:, 1:], features, get_bank(bank).name, sdf.shape[0])

    def to_bands(self) -> Pyramid:
        """The dense pyramid with a batch axis of one; finest details are zero off the sites."""
        half = self.resolution // 2
        sites = functional.pad(self.coords, (1, 0))
        finest = scatter_sites(self.features, sites, 1, (half, half, half))
        return Pyramid(self.approximation[None], [self.details_coarse[None], finest])

    def to_sdf(self) -> Float[Tensor, "n n n"]:
        """The decoded field at full resolution."""
        return waverec3d(self.to_bands(), self.bank)[0, 0]

    def coarse_field(self) -> Float[Tensor, "h h h"]:
        """The field at half the resolution, decoded without the finest details, in SDF units."""
        return decode_coarse(self.approximation[None], self.details_coarse[None], self.bank)[0, 0]

    def to(self, device: torch.device | str) -> SparseCoefficients:
        """The same coefficients on a device."""
        tensors = ("approximation", "details_coarse", "coords", "features")
        return replace(self, **{name: getattr(self, name).to(device) for name in tensors})


def decode_coarse(
    approximation: Float[Tensor, "b 1 x y z"], details: Float[Tensor, "b 7 x y z"], bank: Bank | str
) -> Float[Tensor, "b 1 x2 y2 z2"]:
    """The field one level above the finest, decoded from the coarse bands and divided by its scale: in SDF units."""
    return idwt3d(approximation, details, bank) / field_scale(1)


def sdf_to_sparse_wavelet(
    sdf: Tensor | np.ndarray,
    bank: Bank | str = "bior2.2",
    rule: str = "active",
    *,
    dilation: int = 1,
    threshold: float | None = None,
) -> tuple[Float[Tensor, "m 1"], Int[Tensor, "m 4"]]:
    """Coefficients (m, 1) and coordinates (m, 4) int64 [0, x, y, z] of an SDF (n, n, n), in one grid.

    The packing is the usual one: low halves first along every axis, so the approximation fills the first octant of
    the first octant. Coarse bands are complete, the finest details follow the rule (see
    `SparseCoefficients.from_sdf`). The sparse tensor of the result has the SDF's own shape and one channel, as the
    roadmap's training loop expects.
    """
    sparse = SparseCoefficients.from_sdf(sdf, bank, rule, dilation=dilation, threshold=threshold)
    half, quarter = sparse.resolution // 2, sparse.resolution // 4
    coarse_bands = torch.cat([sparse.approximation, sparse.details_coarse]).reshape(2, 2, 2, quarter, quarter, quarter)
    corner = coarse_bands.permute(0, 3, 1, 4, 2, 5).reshape(half, half, half)
    corner_coords = torch.ones_like(corner, dtype=torch.bool).nonzero()
    offsets = half * torch.tensor([[band >> 2, band >> 1 & 1, band & 1] for band in range(1, 8)], device=corner.device)
    detail_coords = (sparse.coords[:, None] + offsets).reshape(-1, 3)
    coords = torch.cat([corner_coords, detail_coords])
    coeffs = torch.cat([corner.reshape(-1), sparse.features.reshape(-1)])
    order = torch.argsort((coords[:, 0] * sparse.resolution + coords[:, 1]) * sparse.resolution + coords[:, 2])
    return coeffs[order, None], functional.pad(coords[order], (1, 0))


def sparse_wavelet_to_sdf(
    coeffs: Float[Tensor, "m 1"], coords: Int[Tensor, "m 4"], resolution: int, bank: Bank | str = "bior2.2"
) -> Float[Tensor, "n n n"]:
    """The SDF of one shape's packed coefficients; the inverse of `sdf_to_sparse_wavelet`."""
    packed = scatter_sites(coeffs, coords, 1, (resolution,) * 3)
    corner, details = _unpack(packed)
    coarsest, coarse = _unpack(corner)
    return waverec3d(Pyramid(coarsest, [coarse, details]), bank)[0, 0]


def create_sparse_tensor_from_wavelet(
    coeffs: Tensor, coords: Tensor, spatial_shape: tuple[int, int, int]
) -> SparseTensor:
    """The sparse tensor of wavelet coefficients, in lexicographic order of its sites.

    coeffs: (m, c) with coords (m, 4) as [batch, x, y, z], or (B, m, c) with (B, m, 4), whose batch column is replaced
    by the place in the batch. Raises InputError for shapes that disagree, sites outside the grid and repeated sites.
    """
    if coeffs.ndim not in (2, 3) or coords.shape != (*coeffs.shape[:-1], 4):
        shapes = f"{tuple(coeffs.shape)} and {tuple(coords.shape)}"
        raise InputError(f"Coefficients (m, c) need coordinates (m, 4), both perhaps batched, not {shapes}.")
    coords = coords.long()
    if coeffs.ndim == 3:
        batch_size = coeffs.shape[0]
        index = torch.arange(batch_size, device=coords.device)[:, None, None].expand(-1, coords.shape[1], 1)
        coords = torch.cat([index, coords[..., 1:]], dim=-1).flatten(0, 1)
        coeffs = coeffs.flatten(0, 1)
    else:
        batch_size = int(coords[:, 0].max()) + 1 if len(coords) else 1
    _, rows, columns, depth = (batch_size, *spatial_shape)
    order = (((coords[:, 0] * rows + coords[:, 1]) * columns + coords[:, 2]) * depth + coords[:, 3]).argsort()
    return SparseTensor(coeffs[order], coords[order], spatial_shape, batch_size)


def _grown(mask: Bool[Tensor, "b x y z"]) -> Bool[Tensor, "b x y z"]:
    """The mask and the six neighbours of its cells."""
    grown = mask.clone()
    for axis in (1, 2, 3):
        size = mask.shape[axis]
        grown.narrow(axis, 1, size - 1).logical_or_(mask.narrow(axis, 0, size - 1))
        grown.narrow(axis, 0, size - 1).logical_or_(mask.narrow(axis, 1, size - 1))
    return grown


def _unpack(packed: Float[Tensor, "1 1 n n n"]) -> tuple[Tensor, Tensor]:
    """The first octant and the other seven, stacked as detail bands."""
    half = packed.shape[-1] // 2
    octants = packed.reshape(2, half, 2, half, 2, half).permute(0, 2, 4, 1, 3, 5).reshape(1, 8, half, half, half)
    return octants[:, :1], octants[:, 1:]
