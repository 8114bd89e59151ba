"""Truncated signed distance grids of procedural shapes, as training takes them, batched on any device.

Cells of blocks near a surface are evaluated, all others are at the truncation. The field is exact but for two places
where it is too small: inside overlapping primitives and beside edges that a cut made. There the distance is measured
anew: the surface is sampled once per cell it passes through (Newton's method on the exact zero level), each cell learns
its nearest sample from its neighbours (a vector distance transform), and the larger of the two values is kept, since
the field never exceeds the true distance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from wavemesh.errors import InputError
from wavemesh.geometry.frame import TRUNCATION
from wavemesh.procedural.blocks import SurfaceBlocks, surface_blocks
from wavemesh.procedural.solids import Role, Solids

BLOCK = 4
_PROBE = 1e-3  # world units, for gradients
_TETRAHEDRON = ((1.0, -1.0, -1.0), (-1.0, -1.0, 1.0), (-1.0, 1.0, -1.0), (1.0, 1.0, 1.0))


@dataclass(frozen=True)
class SurfaceSamples:
    """About one point per cell that a surface passes through. shape: (s,) which; points, normals: (s, 3)."""

    shape: Int[Tensor, "s"]
    points: Float[Tensor, "s 3"]
    normals: Float[Tensor, "s 3"]


@dataclass(frozen=True)
class SolidGrids:
    """sdf: (b, n, n, n) float32, negative inside, truncated, true distances; with what they were made from."""

    solids: Solids
    blocks: SurfaceBlocks
    sdf: Float[Tensor, "b n n n"]
    samples: SurfaceSamples


def solids_to_sdf(solids: Solids, resolution: int = 128, truncation: float = TRUNCATION) -> SolidGrids:
    """The distance grids of all shapes, on their device.

    Raises InputError for a resolution that is not 16 times a power of two.
    """
    count = resolution // BLOCK
    if resolution < 16 or resolution % BLOCK or count & (count - 1):
        raise InputError(f"Procedural grids have 16, 32, 64, 128 or 256 cells along an axis, not {resolution}.")
    blocks = surface_blocks(solids, count, truncation)
    sdf = _evaluated(blocks, resolution, truncation)
    samples, cells = surface_samples(blocks, sdf)
    return SolidGrids(solids, blocks, _redistanced(blocks, sdf, samples, cells, truncation), samples)


def field_gradient(blocks: SurfaceBlocks, rows: Int[Tensor, "k"], points: Float[Tensor, "k 3"]) -> Float[Tensor, "k 3"]:
    """Unit gradients of the field at points of the given blocks, by four evaluations around each."""
    corners = points.new_tensor(_TETRAHEDRON)
    values = blocks.lists.field(rows, points[:, None] + _PROBE * corners)
    return torch.nn.functional.normalize(values @ corners, dim=1)


def _evaluated(blocks: SurfaceBlocks, resolution: int, truncation: float) -> Tensor:
    """The field in all cells, clipped."""
    count, device = blocks.per_axis, blocks.row.device
    coarse = blocks.reach.sign() * truncation
    sdf = coarse[:, :, None, :, None, :, None].expand(-1, -1, BLOCK, -1, BLOCK, -1, BLOCK).contiguous()
    inner = torch.cartesian_prod(*(torch.arange(BLOCK, device=device),) * 3)
    cells = blocks.place[:, None, 1:] * BLOCK + inner
    points = (cells + 0.5) * (2.0 / resolution) - 1.0
    values = blocks.lists.field(torch.arange(len(points), device=device), points)
    shape, i, j, k = blocks.place.unbind(1)
    sdf[shape, i, :, j, :, k, :] = values.clamp(-truncation, truncation).view(-1, BLOCK, BLOCK, BLOCK)
    return sdf.view(-1, *(count * BLOCK,) * 3)


def surface_samples(blocks: SurfaceBlocks, sdf: Float[Tensor, "b n n n"]) -> tuple[SurfaceSamples, Int[Tensor, "s"]]:
    """Points on the surfaces, one for each cell with a neighbour of the other sign, and those cells' flat indices.

    Cells from which one step of Newton's method does not reach the surface have none.
    """
    resolution = sdf.shape[1]
    cell = 2.0 / resolution
    flat = _at_sign_changes(sdf).flatten().nonzero().squeeze(1)
    shape, index = flat // resolution**3, flat % resolution**3
    points = _centres(index, resolution)
    rows = blocks.row.flatten()[blocks.flat_index(shape, points)]
    normals = field_gradient(blocks, rows, points)
    # A distance falls evenly along its gradient, so one step reaches the surface, but at seams, where there is none.
    points = points - sdf.flatten()[flat, None] * normals
    value = blocks.lists.field(rows, points[:, None])[:, 0]
    points = points - value[:, None] * normals
    found = (value.abs() < 0.05 * cell).nonzero().squeeze(1)
    return SurfaceSamples(shape[found], points.index_select(0, found), normals.index_select(0, found)), flat[found]


def _at_sign_changes(sdf: Tensor) -> Tensor:
    """True in cells with a face neighbour of the other sign."""
    solid = sdf < 0.0
    out = torch.zeros_like(solid)
    for dim in (1, 2, 3):
        change = solid.narrow(dim, 1, solid.shape[dim] - 1) ^ solid.narrow(dim, 0, solid.shape[dim] - 1)
        out.narrow(dim, 0, solid.shape[dim] - 1).logical_or_(change)
        out.narrow(dim, 1, solid.shape[dim] - 1).logical_or_(change)
    return out


def _centres(index: Tensor, resolution: int) -> Tensor:
    """World positions of cells by their flat index within one grid."""
    cells = torch.stack([index // resolution**2, index // resolution % resolution, index % resolution], dim=1)
    return (cells + 0.5) * (2.0 / resolution) - 1.0


def _redistanced(
    blocks: SurfaceBlocks, sdf: Tensor, samples: SurfaceSamples, cells: Tensor, truncation: float
) -> Tensor:
    """The grid with the distances enlarged where the field was only a bound."""
    resolution = sdf.shape[1]
    cell = 2.0 / resolution
    flat = sdf.flatten()
    doubtful = _doubtful_cells(blocks, sdf, truncation)
    centres = _centres(doubtful % resolution**3, resolution)
    passes = math.ceil(truncation / cell)
    nearest, squared = _nearest_samples(doubtful, centres, samples.points, cells, resolution, len(flat), passes)
    known = (nearest < len(samples.points)).nonzero().squeeze(1)
    chosen = nearest.index_select(0, known)
    offset = centres.index_select(0, known) - samples.points.index_select(0, chosen)
    height = (offset * samples.normals.index_select(0, chosen)).sum(dim=1)
    along = (squared[known] - height.square()).clamp_min(0).sqrt()
    # Between two samples the surface goes on: the first half cell along it costs nothing.
    measured = torch.hypot(height, (along - 0.5 * cell).clamp_min(0))
    distance = torch.full_like(squared, truncation)
    distance[known] = measured.clamp_max(truncation)
    value = flat[doubtful]
    flat[doubtful] = value.sign() * torch.maximum(value.abs(), distance)
    return flat.view_as(sdf)


def _doubtful_cells(blocks: SurfaceBlocks, sdf: Tensor, truncation: float) -> Tensor:
    """Flat indices of the cells that may be farther from the surface than the field says; none at the border."""
    lists, count = blocks.lists, blocks.per_axis
    is_cut = lists.solids.role[lists.primitive] == Role.CUT
    owner = torch.arange(len(lists.count), device=sdf.device).repeat_interleave(lists.count)
    near_cut = torch.bincount(owner[is_cut], minlength=len(lists.count)) > 0
    cut_blocks = torch.zeros_like(blocks.row, dtype=torch.bool)
    cut_blocks[tuple(blocks.place[near_cut].unbind(1))] = True
    by_block = sdf.view(-1, count, BLOCK, count, BLOCK, count, BLOCK)
    outside = cut_blocks[:, :, None, :, None, :, None] & (by_block >= 0.0) & (by_block < truncation)
    doubtful = ((sdf < 0.0) & (sdf > -truncation)) | outside.view_as(sdf)
    for dim in (1, 2, 3):
        doubtful.narrow(dim, 0, 1).fill_(False)
        doubtful.narrow(dim, doubtful.shape[dim] - 1, 1).fill_(False)
    return doubtful.flatten().nonzero().squeeze(1)


def _nearest_samples(
    cells: Tensor, centres: Tensor, points: Tensor, sampled: Tensor, resolution: int, total: int, passes: int
) -> tuple[Tensor, Tensor]:
    """For each cell the number of its nearest sample and the squared distance to it.

    Where none lies within about `passes` cells the number is that of the samples. sampled: the cells that the samples
    came from; total: cells of all grids. Candidates spread from neighbour to neighbour, one step along
    each axis in a pass (Danielsson 1980).
    """
    none = len(points)
    nearest_of = torch.full((total,), none, dtype=torch.int32, device=cells.device)
    nearest_of[sampled] = torch.arange(none, dtype=torch.int32, device=cells.device)
    nearest = nearest_of.index_select(0, cells)
    # One row more, infinitely far away, stands for "none".
    padded = torch.cat([points, points.new_full((1, 3), 1e3)])
    squared = _squared_distance(padded, nearest, centres)
    for stride in (resolution**2, resolution, 1) * passes:
        for step in (stride, -stride):
            candidate = nearest_of.index_select(0, cells + step)
            distance = _squared_distance(padded, candidate, centres)
            closer = distance < squared
            nearest = torch.where(closer, candidate, nearest)
            squared = torch.minimum(squared, distance)
        nearest_of[cells] = nearest  # after each axis, so that a pass reaches diagonal neighbours as well
    return nearest, squared


def _squared_distance(points: Tensor, rows: Tensor, centres: Tensor) -> Tensor:
    x, y, z = (points.index_select(0, rows) - centres).unbind(1)
    return x.square() + y.square() + z.square()
