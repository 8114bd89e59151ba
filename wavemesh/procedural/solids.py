"""Many procedural shapes as one set of tensors: every primitive of every shape is a row.

A shape is ((bodies minus cuts) united with parts), each a set of primitives with a rigid transform and colours. The
rows of a batch are flat, with the number of the shape beside each, so that shapes of any size share one evaluation
without padding. Evaluation at points of many shapes at once is in `field`, the shapes themselves come from `catalogue`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from enum import IntEnum

import torch
from jaxtyping import Float, Int
from torch import Tensor

from wavemesh.procedural import distances

MAX_VERTICES = 28


class Kind(IntEnum):
    """What a primitive is, and its sizes in order.

    BOX: three half sides, rounding. CONE: half height, radius below and above, rounding (along y). ELLIPSOID: three
    half axes. ARC: radius, tube's radius, half angle (in xy, about +y). CAPSULE: half length of the axis, radius
    (along y). LATHE: growth, 1 for a shell; its profile (radius, y) turns about y. EXTRUSION: half depth along z,
    growth; its profile is (x, y).
    """

    BOX = 0
    CONE = 1
    ELLIPSOID = 2
    ARC = 3
    CAPSULE = 4
    LATHE = 5
    EXTRUSION = 6


class Role(IntEnum):
    """What a primitive does: bodies are united, cuts are taken out of them, parts are added afterwards."""

    BODY = 0
    CUT = 1
    PART = 2


@dataclass(frozen=True)
class Solids:
    """The primitives of `count` shapes, sorted by shape, on one device.

    shape, kind, role: (n,) int64. rotation: (n, 3, 3) from the primitive's frame to the world; position: (n, 3).
    size: (n, 4) as `Kind` says. profile: (n, v, 2). colours: (n, 2, 3) sRGB in [0, 1]; pattern: (n, 4), see `paint`.
    bounds: (count, 2, 3) least and greatest coordinates of each shape. outline: (count, d, 3) the farthest points of
    its bodies and parts in many directions, whatever cuts do. kinds: those that occur.
    """

    count: int
    kinds: tuple[Kind, ...]
    shape: Int[Tensor, "n"]
    kind: Int[Tensor, "n"]
    role: Int[Tensor, "n"]
    rotation: Float[Tensor, "n 3 3"]
    position: Float[Tensor, "n 3"]
    size: Float[Tensor, "n 4"]
    profile: Float[Tensor, "n v 2"]
    colours: Float[Tensor, "n 2 3"]
    pattern: Float[Tensor, "n 4"]
    bounds: Float[Tensor, "b 2 3"]
    outline: Float[Tensor, "b d 3"]

    def to(self, device: torch.device | str) -> Solids:
        """The same shapes on a device."""
        moved = {
            each.name: getattr(self, each.name).to(device)
            for each in fields(self)
            if isinstance(getattr(self, each.name), Tensor)
        }
        return replace(self, **moved)

    def local(self, rows: Int[Tensor, "m"], points: Float[Tensor, "m q 3"]) -> Float[Tensor, "m q 3"]:
        """World points in the frames of the given primitives."""
        return torch.bmm(points - self.position.index_select(0, rows).unsqueeze(1), self.rotation.index_select(0, rows))

    def distances(self, rows: Int[Tensor, "m"], points: Float[Tensor, "m q 3"]) -> Float[Tensor, "m q"]:
        """Exact signed distances of the given primitives at q points of each (world coordinates)."""
        local = self.local(rows, points)
        if len(self.kinds) == 1:
            return self._of_kind(self.kinds[0], rows, local)
        kind = self.kind[rows]
        out = local.new_empty(local.shape[:2])
        for each in self.kinds:
            chosen = (kind == each).nonzero().squeeze(1)
            if len(chosen):
                out.index_copy_(0, chosen, self._of_kind(each, rows[chosen], local.index_select(0, chosen)))
        return out

    def _of_kind(self, kind: Kind, rows: Tensor, local: Tensor) -> Tensor:
        points = local.movedim(-1, 0).contiguous().unbind(0)
        x, y, z = points
        a, b, c, d = self.size.index_select(0, rows).unsqueeze(-1).unbind(1)
        if kind == Kind.BOX:
            return distances.box_distance(points, (a, b, c), d)
        if kind == Kind.CONE:
            return distances.cone_distance(points, a, b, c, d)
        if kind == Kind.ELLIPSOID:
            return distances.ellipsoid_distance(points, (a, b, c))
        if kind == Kind.ARC:
            return distances.arc_distance(points, a, b, c)
        if kind == Kind.CAPSULE:
            return distances.capsule_distance(points, a, b)
        profile = self.profile.index_select(0, rows)
        if kind == Kind.LATHE:
            radius = (x.square() + z.square()).sqrt()
            return distances.polyline_distance(radius, y, profile, b) - a
        planar = distances.polyline_distance(x, y, profile, torch.zeros_like(b))
        return distances.extruded(planar, z, a) - b
