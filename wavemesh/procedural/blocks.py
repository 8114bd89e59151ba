"""Where the surface of procedural shapes is: blocks of the unit cube, each with the few primitives that matter in it.

Space is halved again and again. At the middle of each block every primitive still listed is evaluated; since distances
are 1-Lipschitz that decides which of them can matter anywhere in the block, and whether the block comes within the
truncation of a surface at all. What remains is a thin layer of small blocks with two or three primitives each.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from wavemesh.procedural.field import PrimitiveLists, RoleDistances
from wavemesh.procedural.solids import Role, Solids

_FIRST_LEVEL = 4


@dataclass(frozen=True)
class SurfaceBlocks:
    """Blocks of b shapes, n along an axis of [-1, 1]^3.

    place: (r, 4) shape and block of each block near a surface; lists: their primitives, in the same order.
    row: (b, n, n, n) the number of a block among those, -1 for others. reach: (b, n, n, n) for those others a lower
    bound of the distance from anywhere in them, negative inside.
    """

    lists: PrimitiveLists
    place: Int[Tensor, "r 4"]
    row: Int[Tensor, "b n n n"]
    reach: Float[Tensor, "b n n n"]

    @property
    def per_axis(self) -> int:
        """Blocks along an axis."""
        return self.row.shape[1]

    def flat_index(self, shape: Int[Tensor, "k"], points: Float[Tensor, "k 3"]) -> Int[Tensor, "k"]:
        """Where `row` and `reach`, flattened, hold what belongs to points of [-1, 1]^3."""
        count = self.per_axis
        i, j, k = ((points + 1.0) * (0.5 * count)).long().clamp(0, count - 1).unbind(1)
        return ((shape * count + i) * count + j) * count + k


def surface_blocks(solids: Solids, per_axis: int, margin: float) -> SurfaceBlocks:
    """The blocks whose distance from a surface may be at most `margin`. per_axis: 4 times a power of two."""
    if per_axis < _FIRST_LEVEL or per_axis & (per_axis - 1):
        raise ValueError(f"blocks along an axis: 4 or a larger power of two, not {per_axis}")
    device = solids.shape.device
    count = _FIRST_LEVEL
    axis = torch.arange(count, device=device)
    place = torch.cartesian_prod(torch.arange(solids.count, device=device), axis, axis, axis)
    lists, regions = PrimitiveLists.of_shapes(solids), place[:, 0]
    reach = torch.zeros((solids.count,) + (count,) * 3, device=device)
    while True:
        near, place, lists, bound = _prune(lists, regions, place, 1.0 / count, margin)
        reach[tuple(place.unbind(1))] = bound
        place = place[near]
        if count == per_axis:
            break
        regions = torch.arange(len(place), device=device).repeat_interleave(8)
        corners = torch.cartesian_prod(*(torch.arange(2, device=device),) * 3)
        place = torch.cat([place[regions, :1], place[regions, 1:] * 2 + corners.repeat(len(place), 1)], dim=1)
        for dim in (1, 2, 3):
            reach = reach.repeat_interleave(2, dim=dim)
        count *= 2
    row = torch.full(reach.shape, -1, dtype=torch.long, device=device)
    row[tuple(place.unbind(1))] = torch.arange(len(place), device=device)
    return SurfaceBlocks(lists, place, row, reach)


def _prune(
    lists: PrimitiveLists, regions: Tensor, place: Tensor, half: float, margin: float
) -> tuple[Tensor, Tensor, PrimitiveLists, Tensor]:
    """Which blocks are near a surface, all their places, lists of the near ones alone, and signed bounds of all."""
    solids, radius = lists.solids, half * 3**0.5
    centres = (place[:, 1:] + 0.5) * (2.0 * half) - 1.0
    owner, primitive = lists.pairs(regions)
    distance = solids.distances(primitive, centres.index_select(0, owner)[:, None])
    roles = lists.reduce(len(regions), owner, primitive, distance)
    field = roles.field[:, 0]
    near = field.abs() <= margin + radius
    keep = near[owner] & _matters(solids.role[primitive], distance[:, 0], roles, owner, radius, margin)
    number = near.long().cumsum(0) - 1
    owner, primitive = number[owner[keep]], primitive[keep]
    count = torch.bincount(owner, minlength=int(near.sum()))
    pruned = PrimitiveLists(solids, count.cumsum(0) - count, count, primitive)
    return near, place, pruned, field.sign() * (field.abs() - radius)


def _matters(
    role: Tensor, distance: Tensor, roles: RoleDistances, owner: Tensor, radius: float, margin: float
) -> Tensor:
    """Whether each listed primitive can decide the truncated field somewhere within the radius of the middle.

    Between the middle and any point of the block a distance changes by at most the radius, so one that is larger than
    the least one by twice the radius is never the least.
    """
    body, cut, field = roles.body[owner, 0], roles.cut[owner, 0], roles.field[owner, 0]
    limit = torch.where(role == Role.BODY, body, field)
    # A cut shows only where it reaches into what the bodies fill.
    limit = torch.where(role == Role.CUT, torch.minimum(cut, -body), limit)
    return (distance <= limit + 2.0 * radius) & (distance <= margin + radius)
