"""The signed field and the colours of procedural shapes at points, for many shapes in one evaluation.

The field is min(max(bodies, -cuts), parts) over exact distances. Its zero level is exact and it is 1-Lipschitz, so its
size never exceeds the true distance: sphere tracing is safe. Outside plain unions it is the true distance; inside where
primitives overlap, and beside edges that a cut made, it is only this lower bound (`grid` mends it there).

`PrimitiveLists` says which primitives matter for which region: first all of a shape, then, subdivided and pruned, the
few that can decide the field within a small block. All evaluation goes through its flat (region, primitive) pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from wavemesh.procedural.paint import painted
from wavemesh.procedural.solids import Role, Solids

_PAIRS_AT_ONCE = 1 << 18  # evaluated pairs x points: what stays in a CPU's cache is several times faster


@dataclass(frozen=True)
class RoleDistances:
    """Least distances of the bodies, cuts and parts; inf where there is none. Shapes (r, q) each."""

    body: Tensor
    cut: Tensor
    part: Tensor

    @property
    def field(self) -> Tensor:
        """The signed field."""
        return torch.minimum(torch.maximum(self.body, -self.cut), self.part)


@dataclass(frozen=True)
class PrimitiveLists:
    """For each of r regions the primitives that decide the field in it: rows start to start + count of `primitive`."""

    solids: Solids
    start: Int[Tensor, "r"]
    count: Int[Tensor, "r"]
    primitive: Int[Tensor, "p"]

    @classmethod
    def of_shapes(cls, solids: Solids) -> PrimitiveLists:
        """One region per shape: all its primitives."""
        count = torch.bincount(solids.shape, minlength=solids.count)
        rows = torch.arange(len(solids.shape), device=count.device)
        return cls(solids, count.cumsum(0) - count, count, rows)

    def pairs(self, regions: Int[Tensor, "k"]) -> tuple[Int[Tensor, "m"], Int[Tensor, "m"]]:
        """For a list of regions: the place in the list and the primitive of each pair, in the order of the list."""
        count = self.count[regions]
        places = torch.arange(len(regions), device=count.device)
        place = places.repeat_interleave(count)
        first = self.start[regions] - (count.cumsum(0) - count)
        return place, self.primitive[first[place] + torch.arange(len(place), device=count.device)]

    def reduce(
        self, length: int, place: Int[Tensor, "m"], primitive: Int[Tensor, "m"], distance: Float[Tensor, "m q"]
    ) -> RoleDistances:
        """The least distances per role for `length` places."""
        slot = place * len(Role) + self.solids.role[primitive]
        least = distance.new_full((length * len(Role), distance.shape[1]), torch.inf)
        least = least.scatter_reduce_(0, slot[:, None].expand_as(distance), distance, "amin")
        return RoleDistances(*least.view(length, len(Role), -1).unbind(1))

    def field(self, regions: Int[Tensor, "k"], points: Float[Tensor, "k q 3"]) -> Float[Tensor, "k q"]:
        """The field at q points of each of the listed regions; inf where no primitive is listed."""
        mean = max(1.0, len(self.primitive) / max(1, len(self.start)))
        step = max(1, int(_PAIRS_AT_ONCE / (points.shape[1] * mean))) if points.device.type == "cpu" else len(regions)
        parts = []
        for begin in range(0, len(regions), max(1, step)):
            some, where = regions[begin : begin + step], points[begin : begin + step]
            place, primitive = self.pairs(some)
            distance = self.solids.distances(primitive, where.index_select(0, place))
            parts.append(self.reduce(len(some), place, primitive, distance).field)
        return torch.cat(parts) if parts else points.new_zeros(points.shape[:2])

    def colours(self, regions: Int[Tensor, "k"], points: Float[Tensor, "k 3"]) -> Float[Tensor, "k 3"]:
        """Surface colours (sRGB in [0, 1]) at a point of each listed region: those of the primitive that decides there.

        The surface that a cut made has the cut's colour. Grey where no primitive is listed.
        """
        place, primitive = self.pairs(regions)
        distance = self.solids.distances(primitive, points.index_select(0, place)[:, None])
        roles = self.reduce(len(regions), place, primitive, distance)
        cut_away = torch.maximum(roles.body, -roles.cut)
        deciding = torch.where(-roles.cut > roles.body, int(Role.CUT), int(Role.BODY))
        deciding = torch.where(roles.part < cut_away, int(Role.PART), deciding).squeeze(1)
        least = torch.stack([roles.body, roles.cut, roles.part], dim=1)[:, :, 0]
        role = self.solids.role[primitive]
        wins = (role == deciding[place]) & (distance[:, 0] <= least[place, role])
        number = torch.where(wins, torch.arange(len(place), device=place.device), -1)
        winner = number.new_full((len(regions),), -1).scatter_reduce_(0, place, number, "amax")
        known = winner >= 0
        chosen = primitive[winner.clamp_min(0)] if len(primitive) else winner.clamp_min(0)
        out = points.new_full(points.shape, 0.67)
        out[known] = painted(self.solids, chosen[known], points[known])
        return out


def signed_field(solids: Solids, points: Float[Tensor, "b p 3"]) -> Float[Tensor, "b p"]:
    """The field of each shape at its own points: exact outside plain unions, elsewhere a bound (see the module)."""
    lists = PrimitiveLists.of_shapes(solids)
    return lists.field(torch.arange(solids.count, device=points.device), points)


def surface_colours(solids: Solids, points: Float[Tensor, "b p 3"]) -> Float[Tensor, "b p 3"]:
    """The colours (sRGB in [0, 1]) that each shape has at its own points, which lie on its surface."""
    batch, count = points.shape[:2]
    regions = torch.arange(batch, device=points.device).repeat_interleave(count)
    return PrimitiveLists.of_shapes(solids).colours(regions, points.flatten(0, 1)).unflatten(0, (batch, count))
