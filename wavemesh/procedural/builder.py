"""Putting a shape together: a builder collects primitives in any unit of length, then moves them into the world frame.

Directions are the world's: y up, +z front. `finish` centres the bounding box, which is computed exactly from the
primitives' support points, scales its longest side to 1.8 and gives what is thinner than a grid can hold a least
thickness. `pack` makes one `Solids` of many finished shapes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float

from wavemesh.geometry.frame import BOX_SIDE
from wavemesh.procedural.materials import Paint
from wavemesh.procedural.primitive import (
    AROUND,
    AXES,
    Number,
    Primitive,
    Vector,
    rotation_of,
    rotation_towards,
)
from wavemesh.procedural.solids import MAX_VERTICES, Kind, Role, Solids


class Builder:
    """Collects the primitives of one shape. Every method adds one; `at` is its middle, `tilt` degrees about x, y, z."""

    def __init__(self) -> None:
        self.primitives: list[Primitive] = []

    def _add(
        self,
        kind: Kind,
        size: Sequence[Number],
        at: Vector,
        paint: Paint,
        tilt: Vector,
        role: Role,
        profile: np.ndarray | None = None,
    ) -> None:
        rotation = np.asarray(tilt, dtype=np.float64)
        if rotation.ndim == 1:
            rotation = rotation_of(rotation)
        sizes = np.zeros(4)
        sizes[: len(size)] = size
        points = np.zeros((1, 2)) if profile is None else np.asarray(profile, dtype=np.float64)
        if len(points) > MAX_VERTICES:
            raise ValueError(f"a profile has at most {MAX_VERTICES} vertices, not {len(points)}")
        self.primitives.append(Primitive(kind, role, rotation, np.asarray(at, dtype=np.float64), sizes, paint, points))

    def box(
        self,
        at: Vector,
        sides: Vector,
        paint: Paint,
        *,
        rounding: Number = 0.0,
        tilt: Vector = (0, 0, 0),
        role: Role = Role.BODY,
    ) -> None:
        """A box with these full sides; its edges rounded."""
        half = [0.5 * side for side in sides]
        self._add(Kind.BOX, [*half, min(rounding, *half)], at, paint, tilt, role)

    def cylinder(
        self,
        at: Vector,
        height: Number,
        radius: Number,
        paint: Paint,
        *,
        top: Number | None = None,
        rounding: Number = 0.0,
        tilt: Vector = (0, 0, 0),
        role: Role = Role.BODY,
    ) -> None:
        """An upright cylinder, or a cone cut off where its radius is `top`."""
        above = radius if top is None else top
        self._add(Kind.CONE, [0.5 * height, radius, above, rounding], at, paint, tilt, role)

    def ellipsoid(
        self, at: Vector, sides: Vector, paint: Paint, *, tilt: Vector = (0, 0, 0), role: Role = Role.BODY
    ) -> None:
        """An ellipsoid in a box with these full sides."""
        self._add(Kind.ELLIPSOID, [0.5 * side for side in sides], at, paint, tilt, role)

    def arc(
        self,
        at: Vector,
        radius: Number,
        tube: Number,
        paint: Paint,
        *,
        angle_deg: Number = 360.0,
        tilt: Vector = (0, 0, 0),
        role: Role = Role.BODY,
    ) -> None:
        """A tube bent to an arc of that angle about its middle, which lies above `at` before it is tilted."""
        self._add(Kind.ARC, [radius, tube, math.radians(angle_deg) / 2.0], at, paint, tilt, role)

    def rod(
        self,
        start: Vector,
        end: Vector,
        radius: Number,
        paint: Paint,
        *,
        top: Number | None = None,
        square: bool = False,
    ) -> None:
        """A rod between two points: round with round ends, tapering to `top` at the end, or square."""
        first, last = np.asarray(start, dtype=np.float64), np.asarray(end, dtype=np.float64)
        length, middle, turn = float(np.linalg.norm(last - first)), (first + last) / 2.0, rotation_towards(last - first)
        if square:
            self._add(Kind.BOX, [radius, length / 2.0, radius, 0.2 * radius], middle, paint, turn, Role.BODY)
        elif top is not None:
            self._add(Kind.CONE, [length / 2.0, radius, top, 0.0], middle, paint, turn, Role.BODY)
        else:
            self._add(Kind.CAPSULE, [length / 2.0, radius], middle, paint, turn, Role.BODY)

    def tube(self, points: Sequence[Vector], radius: Number, paint: Paint) -> None:
        """A bent round tube through points."""
        for start, end in pairwise(points):
            self.rod(start, end, radius, paint)

    def lathe(
        self,
        at: Vector,
        profile: Sequence[Vector] | np.ndarray,
        paint: Paint,
        *,
        wall: Number = 0.0,
        rounding: Number = 0.0,
        tilt: Vector = (0, 0, 0),
        role: Role = Role.BODY,
    ) -> None:
        """A profile (radius, height) turned about y: a solid grown by `rounding`, or a shell of thickness `wall`."""
        size = [wall / 2.0, 1.0] if wall > 0 else [rounding, 0.0]
        self._add(Kind.LATHE, size, at, paint, tilt, role, np.asarray(profile, dtype=np.float64))

    def extrusion(
        self,
        at: Vector,
        outline: Sequence[Vector] | np.ndarray,
        depth: Number,
        paint: Paint,
        *,
        rounding: Number = 0.0,
        tilt: Vector = (0, 0, 0),
        role: Role = Role.BODY,
    ) -> None:
        """A closed outline (x, y), given without its first point again, `depth` thick along z, grown by `rounding`."""
        points = np.asarray(outline, dtype=np.float64)
        size = [depth / 2.0 - rounding, rounding]
        self._add(Kind.EXTRUSION, size, at, paint, tilt, role, np.concatenate([points, points[:1]]))

    def bounds(self) -> Float[np.ndarray, "2 3"]:
        """Least and greatest coordinates; cuts do not count."""
        solid = [each for each in self.primitives if each.role != Role.CUT]
        points = np.stack([each.support(AXES) for each in solid])
        low = points[:, [0, 1, 2], [0, 1, 2]].min(axis=0)
        return np.stack([low, points[:, [3, 4, 5], [0, 1, 2]].max(axis=0)])

    def outline(self) -> Float[np.ndarray, "d 3"]:
        """The farthest points in many directions; cuts do not count."""
        points = np.stack([each.support(AROUND) for each in self.primitives if each.role != Role.CUT])
        farthest = np.einsum("pdc,dc->pd", points, AROUND).argmax(axis=0)
        return points[farthest, np.arange(len(AROUND))]

    def finish(self) -> Builder:
        """The shape in the world frame: bounding box centred, its longest side 1.8."""
        for _ in range(3):  # what was too thin has grown, so the first scale is not quite right
            low, high = self.bounds()
            scale = BOX_SIDE / float((high - low).max())
            self.primitives = [each.scaled(scale, -scale * (low + high) / 2.0) for each in self.primitives]
            if abs(scale - 1.0) < 1e-9:
                break
        return self


def pack(shapes: Sequence[Builder], *, bounded: bool = True) -> Solids:
    """Finished shapes as one batch, on the CPU. bounded: False for what has cuts alone and so no bounds."""
    rows = [(number, each) for number, shape in enumerate(shapes) for each in shape.primitives]
    vertices = max(len(each.profile) for _, each in rows)
    profile = np.stack(
        [np.concatenate([each.profile, each.profile[-1:].repeat(vertices - len(each.profile), 0)]) for _, each in rows]
    )

    def floats(values: list[np.ndarray] | np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))

    return Solids(
        count=len(shapes),
        kinds=tuple(sorted({each.kind for _, each in rows})),
        shape=torch.tensor([number for number, _ in rows]),
        kind=torch.tensor([int(each.kind) for _, each in rows]),
        role=torch.tensor([int(each.role) for _, each in rows]),
        rotation=floats([each.rotation for _, each in rows]),
        position=floats([each.position for _, each in rows]),
        size=floats([each.size for _, each in rows]),
        profile=floats(profile),
        colours=floats([each.paint.colours for _, each in rows]),
        pattern=floats([each.paint.pattern for _, each in rows]),
        bounds=floats([shape.bounds() if bounded else np.zeros((2, 3)) for shape in shapes]),
        outline=floats([shape.outline() if bounded else np.zeros((1, 3)) for shape in shapes]),
    )
