"""Sparse convolution in plain PyTorch: kernel maps, then a gather and one matrix product per chunk of output sites.

It runs on every device and is the oracle of the other backends. Forward and backward only gather (the backward through
the mirrored map), never scatter or add by index, so that a result repeats bit for bit on CUDA too.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from wavemesh.errors import InputError
from wavemesh.sparse.tensor import Sites, grid_keys

# Gathered values held at once. On the CPU a chunk that stays in the processor's cache is multiplied twice as fast as
# one that does not; a GPU wants few large products.
CHUNK_VALUES = {"cpu": 2**19, "cuda": 2**28}


def coarse_sites(fine: Sites) -> Sites:
    """The sites of the next coarser grid that have an active cell; built once per set of fine sites.

    Raises InputError for a grid with an odd side.
    """
    if any(n % 2 for n in fine.spatial_shape):
        raise InputError(f"A grid of {fine.spatial_shape} cells cannot be halved.")
    if "coarse" not in fine.cache:
        shape = tuple(n // 2 for n in fine.spatial_shape)
        coords = None if fine.is_full else torch.unique(_halved(fine), dim=0)
        fine.cache["coarse"] = Sites(coords, shape, fine.batch_size, fine.device)
    return fine.cache["coarse"]


def _halved(fine: Sites) -> Int[Tensor, "m 4"]:
    return fine.coords // torch.tensor((1, 2, 2, 2), device=fine.device)


def neighbour_map(sites: Sites, kernel: int) -> Int[Tensor, "m k"]:
    """Row of the neighbour of each site at each of the kernel's k = kernel**3 offsets, m where it has none.

    Offsets run lexicographically from (-r, -r, -r) to (r, r, r), so that offset i is the mirror of k - 1 - i.
    """
    if ("neighbours", kernel) not in sites.cache:
        radius = kernel // 2
        steps = range(-radius, radius + 1)
        limits = torch.tensor(sites.spatial_shape, device=sites.device)
        columns = []
        for offset in itertools.product(steps, steps, steps):
            moved = sites.coords + torch.tensor((0, *offset), device=sites.device)
            inside = ((moved[:, 1:] >= 0) & (moved[:, 1:] < limits)).all(dim=1)
            keys = grid_keys(moved, sites.spatial_shape)
            rows = torch.searchsorted(sites.keys, keys).clamp(max=max(len(sites) - 1, 0))
            columns.append(torch.where(inside & (sites.keys[rows] == keys), rows, len(sites)))
        sites.cache["neighbours", kernel] = torch.stack(columns, dim=1)
    return sites.cache["neighbours", kernel]


def down_maps(fine: Sites) -> tuple[Int[Tensor, "coarse 8"], Int[Tensor, " m"]]:
    """Rows of the eight cells of each coarse site (m where inactive), and where each fine site stands among them."""
    if "down" not in fine.cache:
        coarse = coarse_sites(fine)
        parents = torch.searchsorted(coarse.keys, grid_keys(_halved(fine), coarse.spatial_shape))
        x, y, z = (fine.coords[:, 1:] % 2).unbind(1)
        slots = parents * 8 + x * 4 + y * 2 + z
        cells = torch.full((len(coarse) * 8,), len(fine), device=fine.device)
        cells[slots] = torch.arange(len(fine), device=fine.device)
        fine.cache["down"] = (cells.view(-1, 8), slots)
    return fine.cache["down"]


def submanifold(x: Float[Tensor, "m i"], weight: Float[Tensor, "o k k k i"], sites: Sites) -> Float[Tensor, "m o"]:
    """Convolution of odd kernel size onto the same sites, without bias."""
    kernel = weight.shape[1]
    if kernel == 1:
        return x @ weight.view(len(weight), -1).T
    return _GatherConvolution.apply(x, weight.flatten(1), neighbour_map(sites, kernel))


def down(x: Float[Tensor, "m i"], weight: Float[Tensor, "o 2 2 2 i"], fine: Sites) -> Float[Tensor, "coarse o"]:
    """Convolution of kernel 2 and stride 2 onto the coarse sites, without bias."""
    cells, slots = down_maps(fine)
    gathered = _TakeRows.apply(x, cells.flatten(), slots)
    return gathered.view(len(cells), weight[0].numel()) @ weight.flatten(1).T


def up(x: Float[Tensor, "coarse i"], weight: Float[Tensor, "o 2 2 2 i"], fine: Sites) -> Float[Tensor, "m o"]:
    """Transposed convolution of kernel 2 and stride 2 from the coarse sites onto the fine ones, without bias."""
    cells, slots = down_maps(fine)
    rows = x @ weight.permute(1, 2, 3, 0, 4).reshape(-1, weight.shape[-1]).T
    return _TakeRows.apply(rows.view(len(x) * 8, len(weight)), slots, cells.flatten())


def _with_zero_row(x: Tensor) -> Tensor:
    """Features and a row of zeros, which the index one past the end then finds."""
    return torch.cat((x, x.new_zeros(1, x.shape[1])))


class _TakeRows(torch.autograd.Function):
    """Rows of x by `index` (one past the end: zeros), where no row is taken twice: the backward takes by `inverse`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, index: Tensor, inverse: Tensor) -> Tensor:
        ctx.save_for_backward(inverse)
        return _with_zero_row(x).index_select(0, index)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        (inverse,) = ctx.saved_tensors
        return _with_zero_row(grad).index_select(0, inverse), None, None


class _GatherConvolution(torch.autograd.Function):
    """out[i] = sum over offsets k of weight[:, k] @ x[neighbours[i, k]], chunk by chunk of output sites.

    The gradient of x is the same sum over the mirrored offsets with transposed weights; the gradient of the weight
    gathers again rather than keep what the forward gathered.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, neighbours: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight, neighbours)
        return _gather_multiply(x, weight.T, neighbours)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, neighbours = ctx.saved_tensors
        num_offsets = neighbours.shape[1]
        grad_x = grad_weight = None
        if ctx.needs_input_grad[0]:
            # (out, k * in) -> mirrored (k * out, in)
            mirrored = weight.view(len(weight), num_offsets, -1).flip(1).transpose(0, 1).flatten(0, 1)
            grad_x = _gather_multiply(grad, mirrored, neighbours)
        if ctx.needs_input_grad[1]:
            # Summed over chunks in float32: half precision would lose the small ones.
            total = torch.zeros(weight.shape, dtype=torch.float32, device=weight.device)
            for rows, gathered in _gathered_chunks(x, neighbours):
                total += grad[rows].T @ gathered
            grad_weight = total.to(weight.dtype)
        return grad_x, grad_weight, None


def _gather_multiply(x: Tensor, matrix: Tensor, neighbours: Tensor) -> Tensor:
    """The neighbours' features side by side, times the matrix (k * in, out)."""
    out = x.new_empty(len(neighbours), matrix.shape[1])
    for rows, gathered in _gathered_chunks(x, neighbours):
        torch.mm(gathered, matrix, out=out[rows])
    return out


def _gathered_chunks(x: Tensor, neighbours: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Slices of sites and their neighbours' features side by side (rows, k * in), in one buffer that is used again."""
    num_offsets, channels = neighbours.shape[1], x.shape[1]
    limit = CHUNK_VALUES.get(x.device.type, CHUNK_VALUES["cuda"])
    step = min(max(1, limit // (num_offsets * channels)), max(1, len(neighbours)))
    padded = _with_zero_row(x)
    buffer = x.new_empty(step * num_offsets, channels)
    for start in range(0, len(neighbours), step):
        rows = slice(start, start + step)
        index = neighbours[rows].flatten()
        gathered = torch.index_select(padded, 0, index, out=buffer[: len(index)])
        yield rows, gathered.view(-1, num_offsets * channels)
