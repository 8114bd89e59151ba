"""Features on the active sites of a 3D grid, and the site sets they share.

The coarse stage works on every cell of a grid, the detail stage only on the cells near the surface. Both are a
SparseTensor, so that one network serves both: a full grid keeps its features token-major, which is exactly the memory
of a channels_last_3d volume, and reaches the dense convolutions without a copy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from wavemesh.errors import InputError


class Sites:
    """Where the features of a SparseTensor live: unique cells in lexicographic order of [batch, x, y, z].

    Tensors on the same cells share one Sites object, and with it `cache`: kernel maps and coarser site sets that the
    convolution layers build once per set, keyed by their kind. Raises InputError for sites that are out of range,
    repeated or out of order.
    """

    def __init__(
        self,
        coords: Int[Tensor, "m 4"] | None,
        spatial_shape: Sequence[int],
        batch_size: int,
        device: torch.device | str = "cpu",
    ) -> None:
        if len(spatial_shape) != 3 or min(spatial_shape) < 1 or batch_size < 1:
            raise InputError(
                f"A grid needs three sides and a batch of at least 1, got {tuple(spatial_shape)} and {batch_size}."
            )
        self.spatial_shape = (int(spatial_shape[0]), int(spatial_shape[1]), int(spatial_shape[2]))
        self.batch_size = int(batch_size)
        self.is_full = coords is None
        self.cache: dict[Any, Any] = {}
        if coords is None:
            self.device = torch.device(device)
        else:
            self.device = coords.device
            self.coords = coords.to(torch.int64).contiguous()  # `nonzero` returns a transposed view
            self._check()

    def _check(self) -> None:
        if self.coords.ndim != 2 or self.coords.shape[1] != 4:
            raise InputError(f"Site coordinates must have shape (m, 4), got {tuple(self.coords.shape)}.")
        limits = torch.tensor((self.batch_size, *self.spatial_shape), device=self.device)
        if bool(((self.coords < 0) | (self.coords >= limits)).any()):
            raise InputError(f"Site coordinates must lie in the grid {tuple(limits.tolist())} of [batch, x, y, z].")
        if bool((self.keys.diff() <= 0).any()):
            raise InputError(f"The {len(self.coords)} sites must be unique and in lexicographic order.")

    @cached_property
    def coords(self) -> Int[Tensor, "m 4"]:
        """The cells [batch, x, y, z]; a full grid makes them at first use only."""
        sides = [torch.arange(n, device=self.device) for n in (self.batch_size, *self.spatial_shape)]
        return torch.cartesian_prod(*sides)

    @cached_property
    def keys(self) -> Int[Tensor, " m"]:
        """One ascending integer per site: its row in the full grid."""
        return grid_keys(self.coords, self.spatial_shape)

    @cached_property
    def counts(self) -> list[int]:
        """Number of sites of each sample."""
        if self.is_full:
            return [math.prod(self.spatial_shape)] * self.batch_size
        return torch.bincount(self.coords[:, 0], minlength=self.batch_size).tolist()

    @cached_property
    def centres(self) -> Float[Tensor, "m 3"]:
        """Cell centres in (-1, 1) along each side."""
        shape = torch.tensor(self.spatial_shape, device=self.device)
        return (self.coords[:, 1:] + 0.5) / shape * 2 - 1

    def __len__(self) -> int:
        return math.prod(self.spatial_shape) * self.batch_size if self.is_full else len(self.coords)

    def spread(self, values: Float[Tensor, "b c"]) -> Float[Tensor, "m c"]:
        """Each site's copy of its sample's row.

        A product with a one-hot matrix, whose backward is deterministic on CUDA, as that of indexing is not.
        """
        one_hot = self.cache.get(("one_hot", values.dtype))
        if one_hot is None:
            samples = torch.arange(self.batch_size, device=self.device)
            counts = torch.tensor(self.counts, device=self.device)
            index = samples.repeat_interleave(counts, output_size=len(self))
            one_hot = self.cache["one_hot", values.dtype] = (index[:, None] == samples).to(values.dtype)
        return one_hot @ values


def grid_keys(coords: Int[Tensor, "m 4"], spatial_shape: Sequence[int]) -> Int[Tensor, " m"]:
    """Row of each cell in the full grid, an integer that orders cells lexicographically."""
    batch, x, y, z = coords.unbind(1)
    return ((batch * spatial_shape[0] + x) * spatial_shape[1] + y) * spatial_shape[2] + z


class SparseTensor:
    """Features (m, c) at m active sites of a batch of 3D grids.

    coords: (m, 4) integers [batch, x, y, z], unique and in lexicographic order. spatial_shape: cells along x, y, z.
    Raises InputError where they do not fit each other. `SparseTensor.full` makes the tensor of a whole grid.
    """

    def __init__(
        self,
        features: Float[Tensor, "m c"],
        coords: Int[Tensor, "m 4"] | None,
        spatial_shape: Sequence[int],
        batch_size: int,
        *,
        sites: Sites | None = None,
    ) -> None:
        self.sites = Sites(coords, spatial_shape, batch_size, features.device) if sites is None else sites
        if features.ndim != 2 or len(features) != len(self.sites):
            raise InputError(f"Features of shape {tuple(features.shape)} do not fit {len(self.sites)} sites.")
        self.features = features

    @classmethod
    def on_sites(cls, features: Float[Tensor, "m c"], sites: Sites) -> SparseTensor:
        """Features on an existing set of sites, whose kernel maps they share."""
        return cls(features, None, sites.spatial_shape, sites.batch_size, sites=sites)

    @classmethod
    def full(cls, batch_size: int, spatial_shape: Sequence[int], features: Float[Tensor, "m c"]) -> SparseTensor:
        """Every cell of the grid, features (batch * x * y * z, c) in lexicographic order (token-major)."""
        return cls(features, None, spatial_shape, batch_size)

    @classmethod
    def from_dense(cls, x: Float[Tensor, "b c x y z"], mask: Bool[Tensor, "_ _ _ _"] | None = None) -> SparseTensor:
        """The cells of a volume where `mask` (b, x, y, z) is True, or its full grid without a mask."""
        tokens = x.permute(0, 2, 3, 4, 1)
        if mask is None:
            return cls.full(x.shape[0], x.shape[2:], tokens.reshape(-1, x.shape[1]))
        if mask.shape != tokens.shape[:4]:
            raise InputError(f"A mask of shape {tuple(mask.shape)} does not fit a volume of {tuple(x.shape)}.")
        return cls(tokens[mask], mask.nonzero(), x.shape[2:], x.shape[0])

    @property
    def coords(self) -> Int[Tensor, "m 4"]:
        """The cells [batch, x, y, z] of the features."""
        return self.sites.coords

    @property
    def spatial_shape(self) -> tuple[int, int, int]:
        """Cells along x, y, z."""
        return self.sites.spatial_shape

    @property
    def batch_size(self) -> int:
        """Samples in the batch."""
        return self.sites.batch_size

    @property
    def is_full(self) -> bool:
        """True for a whole grid, which the dense convolutions take."""
        return self.sites.is_full

    @property
    def batch_index(self) -> Int[Tensor, " m"]:
        """Sample of each site."""
        return self.sites.coords[:, 0]

    @property
    def cache(self) -> dict[Any, Any]:
        """What the layers keep about the sites, shared by all tensors on them."""
        return self.sites.cache

    def replace(self, features: Float[Tensor, "m d"]) -> SparseTensor:
        """The same sites with other features."""
        return SparseTensor.on_sites(features, self.sites)

    def to_grid(self) -> Float[Tensor, "b c x y z"]:
        """A full grid's features as a channels_last_3d volume without a copy; raises InputError for a sparse one."""
        if not self.is_full:
            raise InputError(
                f"A dense convolution needs a full grid, got {len(self.sites)} sites of {self.spatial_shape}."
            )
        return self.features.view(self.batch_size, *self.spatial_shape, -1).permute(0, 4, 1, 2, 3)

    def to_dense(self) -> Float[Tensor, "b c x y z"]:
        """The volume (batch, c, x, y, z), zero where no site is active."""
        if self.is_full:
            return self.to_grid()
        cells = self.batch_size * math.prod(self.spatial_shape)
        rows = self.features.new_zeros(cells, self.features.shape[1]).index_copy(0, self.sites.keys, self.features)
        return rows.view(self.batch_size, *self.spatial_shape, -1).permute(0, 4, 1, 2, 3)
