"""First hits of rays with a triangle mesh, on Embree, or on libigl where Embree has no wheel (ARM Linux).

Everything that looks at a mesh stands on this: depth carving (`sdf`), training views and the pictures for machines
without OpenGL (`rendering`), vertex colours (`texture`). The embreex scene is used directly, since trimesh's wrapper
drops the barycentric coordinates that texturing needs and steps through multiple hits. libigl gives the same hits in a
few times as long.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import trimesh
from jaxtyping import Float, Int

from wavemesh.budget import keep_within_budget
from wavemesh.errors import InputError

try:
    from embreex import rtcore_scene
    from embreex.mesh_construction import TriangleMesh
except ModuleNotFoundError:
    rtcore_scene = None


CHUNK = 2**13  # rays between two looks at the budget


@dataclass(frozen=True)
class RayHits:
    """The nearest hit of every ray.

    distance: (n,) float32 along the unit direction, inf where the ray missed.
    triangle: (n,) int64 index into mesh.faces, -1 where it missed.
    barycentric: (n, 3) float32 weights of the triangle's three corners, zeros where it missed.
    """

    distance: Float[np.ndarray, "n"]
    triangle: Int[np.ndarray, "n"]
    barycentric: Float[np.ndarray, "n 3"]

    @property
    def hit(self) -> np.ndarray:
        """(n,) bool, True where a ray met the mesh."""
        return self.triangle >= 0


class _Engine(Protocol):
    def first(self, origins: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Triangles (n,), -1 for none, distances (n,) along the unit directions, and weights (n, 2) of two corners."""


class Embree:
    """The hits by embreex, in single precision."""

    def __init__(self, mesh: trimesh.Trimesh) -> None:
        # embreex keeps only a reference to the geometry, so both objects live as long as this.
        self._triangles = np.ascontiguousarray(np.asarray(mesh.vertices)[mesh.faces], dtype=np.float32)
        self._scene = rtcore_scene.EmbreeScene()
        self._geometry = TriangleMesh(self._scene, self._triangles)

    def first(self, origins: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """See `_Engine`."""
        result = self._scene.run(origins, np.ascontiguousarray(directions), query="INTERSECT", output=True)
        return result["primID"], result["tfar"], np.stack([result["u"], result["v"]], axis=1)


class BoundingBoxes:
    """The hits by libigl's tree of bounding boxes."""

    def __init__(self, mesh: trimesh.Trimesh) -> None:
        import igl

        self._vertices = np.array(mesh.vertices, dtype=np.float64, order="C", subok=False)
        self._faces = np.array(mesh.faces, dtype=np.int64, order="C", subok=False)
        self._tree = igl.AABB()
        self._tree.init(self._vertices, self._faces)

    def first(self, origins: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """See `_Engine`."""
        rays = origins.astype(np.float64), directions.astype(np.float64)
        return self._tree.intersect_ray_first(self._vertices, self._faces, *rays)


class RayCaster:
    """Casts rays at one mesh; the acceleration structure is built once. Raises InputError for a mesh without faces."""

    def __init__(self, mesh: trimesh.Trimesh) -> None:
        if len(mesh.faces) == 0:
            raise InputError("The mesh has no faces.")
        self._engine: _Engine = BoundingBoxes(mesh) if rtcore_scene is None else Embree(mesh)

    def cast(self, origins: Float[np.ndarray, "n 3"], directions: Float[np.ndarray, "n 3"]) -> RayHits:
        """The nearest hits of the rays; directions need not be unit vectors, distances are in world units.

        Raises InputError where a budget is used up meanwhile (see `wavemesh.budget`).
        """
        origins = np.ascontiguousarray(origins, dtype=np.float32).reshape(-1, 3)
        directions = np.asarray(directions, dtype=np.float32).reshape(-1, 3)
        if origins.shape != directions.shape:
            raise ValueError(f"origins {origins.shape} and directions {directions.shape} differ in shape")
        directions = directions / np.linalg.norm(directions, axis=1, keepdims=True)
        parts = []
        for begin in range(0, max(len(origins), 1), CHUNK):
            keep_within_budget()
            parts.append(self._engine.first(origins[begin : begin + CHUNK], directions[begin : begin + CHUNK]))
        triangle, reached, corners = (np.concatenate(part) for part in zip(*parts, strict=True))
        triangle = triangle.astype(np.int64)
        missed = triangle < 0
        distance = np.where(missed, np.float32(np.inf), reached).astype(np.float32)
        u, v = np.where(missed, 0.0, corners.T)  # an engine may leave anything where a ray missed
        barycentric = np.stack([1.0 - u - v, u, v], axis=1).astype(np.float32)
        barycentric[missed] = 0.0
        return RayHits(distance=distance, triangle=triangle, barycentric=barycentric)
