"""One primitive of a shape before it becomes a row of tensors: moved, scaled and measured in NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from wavemesh.procedural.materials import Paint
from wavemesh.procedural.solids import Kind, Role

LEAST_HALF_THICKNESS = 0.0125  # world units: a sheet of 1.6 cells of a 128^3 grid
Number = float | int
Vector = Sequence[Number] | np.ndarray
AXES = np.concatenate([-np.eye(3), np.eye(3)])
AROUND = np.concatenate([AXES, np.random.default_rng(0).normal(size=(250, 3))])
_THICKNESS = {  # which sizes must not vanish
    Kind.BOX: (0, 1, 2),
    Kind.CONE: (0,),
    Kind.ELLIPSOID: (0, 1, 2),
    Kind.ARC: (1,),
    Kind.CAPSULE: (1,),
    Kind.EXTRUSION: (0,),
    Kind.LATHE: (),
}


@dataclass
class Primitive:
    """One row of `Solids`, still in the builder's unit of length."""

    kind: Kind
    role: Role
    rotation: np.ndarray
    position: np.ndarray
    size: np.ndarray
    paint: Paint
    profile: np.ndarray = field(default_factory=lambda: np.zeros((1, 2)))

    def scaled(self, scale: float, shift: np.ndarray) -> Primitive:
        """The primitive with every length times `scale`, then moved."""
        size = self.size.copy()
        size[list(_LENGTHS[self.kind])] *= scale
        if self.role != Role.CUT:
            thin = list(_THICKNESS[self.kind])
            size[thin] = np.maximum(size[thin], LEAST_HALF_THICKNESS)
            if self.kind == Kind.CONE:
                size[1:3] = np.maximum(size[1:3], 0.0 if size[1:3].max() > 3 * LEAST_HALF_THICKNESS else 0.0125)
            if self.kind == Kind.LATHE and size[1] > 0:
                size[0] = max(size[0], LEAST_HALF_THICKNESS)
        if self.kind == Kind.BOX:
            size[3] = min(size[3], float(size[:3].min()))
        if self.kind == Kind.CONE:
            size[3] = min(size[3], float(size[0]), max(float(size[1]), float(size[2])))
        return Primitive(
            self.kind,
            self.role,
            self.rotation,
            self.position * scale + shift,
            size,
            self.paint,
            self.profile * scale,
        )

    def support(self, directions: Float[np.ndarray, "d 3"]) -> Float[np.ndarray, "d 3"]:
        """The primitive's farthest point in each direction."""
        local = directions @ self.rotation
        flat = np.hypot(local[:, 0], local[:, 2])
        around = local[:, [0, 2]] / np.maximum(flat, 1e-12)[:, None]
        growth, size = 0.0, self.size
        if self.kind == Kind.BOX:
            growth = size[3]
            inner = np.where(local >= 0, 1.0, -1.0) * (size[:3] - growth)
        elif self.kind == Kind.ELLIPSOID:
            inner = size[:3] ** 2 * local / np.linalg.norm(size[:3] * local, axis=1, keepdims=True)
        elif self.kind == Kind.ARC:
            growth = size[1]
            angle = np.arctan2(local[:, 0], local[:, 1])
            angle = np.clip(angle, -size[2], size[2])
            inner = size[0] * np.stack([np.sin(angle), np.cos(angle), np.zeros_like(angle)], axis=1)
        elif self.kind == Kind.CAPSULE:
            growth = size[1]
            inner = np.where(local[:, 1] >= 0, 1.0, -1.0)[:, None] * np.array([0.0, size[0], 0.0])
        elif self.kind == Kind.EXTRUSION:
            growth = size[1]
            chosen = self.profile[(local[:, :2] @ self.profile.T).argmax(axis=1)]
            inner = np.column_stack([chosen, np.where(local[:, 2] >= 0, size[0], -size[0])])
        else:
            profile, growth = self._half_section()
            chosen = profile[(flat[:, None] * profile[:, 0] + local[:, 1:2] * profile[:, 1]).argmax(axis=1)]
            inner = np.column_stack([around[:, 0] * chosen[:, 0], chosen[:, 1], around[:, 1] * chosen[:, 0]])
        unit = local / np.linalg.norm(local, axis=1, keepdims=True)
        return (inner + growth * unit) @ self.rotation.T + self.position

    def _half_section(self) -> tuple[np.ndarray, float]:
        """Vertices (radius, y) of a solid of revolution, and by how much it is grown."""
        if self.kind == Kind.LATHE:
            return self.profile, float(self.size[0])
        half, below, above, growth = self.size
        low, high = max(below - growth, 0.0), max(above - growth, 0.0)
        return np.array([[low, growth - half], [high, half - growth]]), float(growth)


_LENGTHS = {
    Kind.BOX: (0, 1, 2, 3),
    Kind.CONE: (0, 1, 2, 3),
    Kind.ELLIPSOID: (0, 1, 2),
    Kind.ARC: (0, 1),
    Kind.CAPSULE: (0, 1),
    Kind.LATHE: (0,),
    Kind.EXTRUSION: (0, 1),
}


def rotation_of(tilt_deg: Vector) -> Float[np.ndarray, "3 3"]:
    """Rotation about x, then y, then z, in degrees."""
    (sx, sy, sz), (cx, cy, cz) = np.sin(np.radians(tilt_deg)), np.cos(np.radians(tilt_deg))
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def rotation_towards(direction: np.ndarray) -> np.ndarray:
    """A rotation that turns +y into a direction, without needless twist."""
    y = direction / np.linalg.norm(direction)
    aside = np.array([1.0, 0.0, 0.0]) if abs(y[0]) < 0.9 else np.array([0.0, 0.0, 1.0])
    z = np.cross(aside, y)
    z /= np.linalg.norm(z)
    return np.stack([np.cross(y, z), y, z], axis=1)
