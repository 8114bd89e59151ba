"""Convolution layers on sparse tensors, one weight layout for every backend.

The backend is chosen once, when a layer is built, and kept as `.backend`:

- "dense": F.conv3d in channels_last_3d, full grids only;
- "reference": pure PyTorch, gathers per output site, runs anywhere and is reproducible;
- "spconv": the spconv library;
- "auto": full grids go the dense way, sparse ones to the reference.

Weights have spconv's layout (out, k, k, k, in), which is the channels_last_3d memory of a PyTorch convolution weight.
"""

from __future__ import annotations

import importlib.util
import math
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from wavemesh.errors import InputError
from wavemesh.sparse import reference
from wavemesh.sparse.tensor import Sites, SparseTensor

BACKENDS = ("auto", "dense", "reference", "spconv")


@runtime_checkable
class Backend(Protocol):
    """The sparse operations that a backend offers; weights (out, k, k, k, in), features (m, in) -> (m', out)."""

    def submanifold(self, x: Tensor, weight: Tensor, sites: Sites) -> Tensor:
        """Convolution of odd kernel size onto the same sites."""

    def down(self, x: Tensor, weight: Tensor, fine: Sites) -> Tensor:
        """Convolution of kernel 2 and stride 2 onto `reference.coarse_sites(fine)`."""

    def up(self, x: Tensor, weight: Tensor, fine: Sites) -> Tensor:
        """Its transpose, from `reference.coarse_sites(fine)` onto the fine sites."""


def resolve_backend(name: str) -> str:
    """The backend that sparse tensors will use: "auto" means "reference", any other name itself.

    On a CPU the reference is as fast as spconv in float32 and twice as fast in bfloat16, which spconv lacks; on CUDA
    spconv has not been measured, so it is used where it is asked for. Raises InputError for an unknown name and for
    "spconv" where it is not installed.
    """
    if name not in BACKENDS:
        raise InputError(f"Unknown sparse backend {name!r}: choose one of {', '.join(BACKENDS)}.")
    if name == "spconv" and importlib.util.find_spec("spconv") is None:
        raise InputError("The sparse backend 'spconv' is not installed: install it or choose 'reference'.")
    return "reference" if name == "auto" else name


def choose_backend(network: nn.Module, name: str) -> None:
    """Let all sparse convolutions of a network use another backend; its weights stay as they are.

    Raises InputError for a name that `resolve_backend` refuses.
    """
    backend = resolve_backend(name)
    for layer in network.modules():
        if isinstance(layer, _SparseConvolution):
            layer.backend, layer.dense_on_full = backend, name in ("auto", "dense")


class _SparseConvolution(nn.Module):
    """Weight, bias and backend that the three kinds of layer share."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, backend: str, bias: bool, fan_in: int) -> None:
        super().__init__()
        self.backend = resolve_backend(backend)
        self.dense_on_full = backend in ("auto", "dense")
        self.weight = nn.Parameter(torch.empty(out_channels, kernel, kernel, kernel, in_channels))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        # Keeps the variance of features through a layer with SiLU, as PyTorch's own convolutions do up to a constant.
        nn.init.normal_(self.weight, std=1 / math.sqrt(fan_in))

    def extra_repr(self) -> str:
        out_channels, kernel, *_, in_channels = self.weight.shape
        return f"{in_channels}, {out_channels}, kernel={kernel}, backend={self.backend!r}"

    def _operands(self, x: SparseTensor) -> tuple[Tensor, Tensor]:
        """Features and weight in the type that autocast asks for, as PyTorch's own convolutions take them."""
        if x.features.shape[1] != self.weight.shape[-1]:
            raise InputError(f"The layer takes {self.weight.shape[-1]} channels, got {x.features.shape[1]}.")
        kind = x.features.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.features.dtype
        return x.features.to(dtype), self.weight.to(dtype)

    def _is_dense(self, x: SparseTensor) -> bool:
        return self.backend == "dense" or (self.dense_on_full and x.is_full)

    def _operations(self) -> Backend:
        if self.backend == "spconv":
            from wavemesh.sparse import spconv  # the one optional dependency of the package

            return spconv
        return reference

    def _finish(self, features: Tensor) -> Tensor:
        return features if self.bias is None else features + self.bias.to(features.dtype)


class SubmanifoldConv3d(_SparseConvolution):
    """Convolution of odd kernel size whose output sites are its input sites (Graham et al. 2018, arXiv 1711.10275).

    On a full grid it equals a zero-padded F.conv3d. Raises InputError for an even kernel or an unknown backend.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int = 3, backend: str = "auto", bias: bool = True
    ) -> None:
        if kernel < 1 or kernel % 2 == 0:
            raise InputError(f"A submanifold convolution needs an odd kernel size, got {kernel}.")
        super().__init__(in_channels, out_channels, kernel, backend, bias, fan_in=in_channels * kernel**3)

    def forward(self, x: SparseTensor) -> SparseTensor:
        """Features (m, out) on the sites of x."""
        features, weight = self._operands(x)
        if not self._is_dense(x):
            return x.replace(self._finish(self._operations().submanifold(features, weight, x.sites)))
        volume = x.replace(features).to_grid()
        bias = None if self.bias is None else self.bias.to(features.dtype)
        out = F.conv3d(volume, weight.permute(0, 4, 1, 2, 3), bias, padding=weight.shape[1] // 2)
        return x.replace(out.permute(0, 2, 3, 4, 1).reshape(len(x.sites), -1))


class DownConv3d(_SparseConvolution):
    """Convolution of kernel 2 and stride 2: a coarse site is active where one of its eight cells is.

    Raises InputError for a grid with an odd side or an unknown backend.
    """

    def __init__(self, in_channels: int, out_channels: int, backend: str = "auto", bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, 2, backend, bias, fan_in=in_channels * 8)

    def forward(self, x: SparseTensor) -> SparseTensor:
        """Features (m', out) on the coarse sites of x, a grid of half the sides."""
        features, weight = self._operands(x)
        coarse = reference.coarse_sites(x.sites)
        if not self._is_dense(x):
            return SparseTensor.on_sites(self._finish(self._operations().down(features, weight, x.sites)), coarse)
        cells = _to_blocks(x.replace(features))
        return SparseTensor.on_sites(self._finish(F.linear(cells, weight.reshape(len(weight), -1))), coarse)


class UpConv3d(_SparseConvolution):
    """Transposed convolution of kernel 2 and stride 2, from the coarse sites of a finer tensor onto its sites.

    Raises InputError where the input does not live on those coarse sites, or for an unknown backend.
    """

    def __init__(self, in_channels: int, out_channels: int, backend: str = "auto", bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, 2, backend, bias, fan_in=in_channels)

    def forward(self, x: SparseTensor, finer: SparseTensor) -> SparseTensor:
        """Features (m, out) on the sites of `finer`, whose own features are not used."""
        features, weight = self._operands(x)
        fine = finer.sites
        coarse = reference.coarse_sites(fine)
        if len(coarse) != len(x.sites) or coarse.spatial_shape != x.spatial_shape:
            raise InputError(f"The {len(x.sites)} sites are not the {len(coarse)} coarse sites of the finer tensor.")
        if not self._is_dense(finer):
            return finer.replace(self._finish(self._operations().up(features, weight, fine)))
        # (8 * out, in): one product gives all eight cells of every coarse site.
        rows = F.linear(features, weight.permute(1, 2, 3, 0, 4).reshape(-1, weight.shape[-1]))
        return finer.replace(self._finish(_from_blocks(rows, fine)))


def _to_blocks(x: SparseTensor) -> Float[Tensor, "coarse cells"]:
    """The eight cells of every coarse site of a full grid side by side."""
    x.to_grid()  # raises for a sparse tensor
    a, b, c = (n // 2 for n in x.spatial_shape)
    blocks = x.features.view(x.batch_size, a, 2, b, 2, c, 2, -1).permute(0, 1, 3, 5, 2, 4, 6, 7)
    return blocks.reshape(x.batch_size * a * b * c, -1)


def _from_blocks(rows: Float[Tensor, "coarse cells"], fine: Sites) -> Float[Tensor, "m c"]:
    """The inverse of `_to_blocks`."""
    if not fine.is_full:
        raise InputError(f"A dense convolution needs a full grid, got {len(fine)} sites of {fine.spatial_shape}.")
    a, b, c = (n // 2 for n in fine.spatial_shape)
    blocks = rows.view(fine.batch_size, a, b, c, 2, 2, 2, -1).permute(0, 1, 4, 2, 5, 3, 6, 7)
    return blocks.reshape(len(fine), -1)
