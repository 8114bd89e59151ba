"""First hits of rays with a triangle mesh, on Embree.

Everything that looks at a mesh stands on this: depth carving (`sdf`), training views and the pictures for machines
without OpenGL (`rendering`), vertex colours (`texture`). The embreex scene is used directly, since trimesh's wrapper
drops the barycentric coordinates that texturing needs and steps through multiple hits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import trimesh
from embreex import rtcore_scene
from embreex.mesh_construction import TriangleMesh
from jaxtyping import Float, Int

from wavemesh.errors import InputError


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


class RayCaster:
    """Casts rays at one mesh; the acceleration structure is built once. Raises InputError for a mesh without faces."""

    def __init__(self, mesh: trimesh.Trimesh) -> None:
        if len(mesh.faces) == 0:
            raise InputError("The mesh has no faces.")
        # embreex keeps only a reference to the geometry, so both objects live as long as the caster.
        self._triangles = np.ascontiguousarray(np.asarray(mesh.vertices)[mesh.faces], dtype=np.float32)
        self._scene = rtcore_scene.EmbreeScene()
        self._geometry = TriangleMesh(self._scene, self._triangles)

    def cast(self, origins: Float[np.ndarray, "n 3"], directions: Float[np.ndarray, "n 3"]) -> RayHits:
        """The nearest hits of the rays; directions need not be unit vectors, distances are in world units."""
        origins = np.ascontiguousarray(origins, dtype=np.float32).reshape(-1, 3)
        directions = np.asarray(directions, dtype=np.float32).reshape(-1, 3)
        if origins.shape != directions.shape:
            raise ValueError(f"origins {origins.shape} and directions {directions.shape} differ in shape")
        directions = directions / np.linalg.norm(directions, axis=1, keepdims=True)
        result = self._scene.run(origins, np.ascontiguousarray(directions), query="INTERSECT", output=True)
        triangle = result["primID"].astype(np.int64)
        missed = triangle < 0
        distance = np.where(missed, np.float32(np.inf), result["tfar"]).astype(np.float32)
        u, v = result["u"], result["v"]
        barycentric = np.stack([1.0 - u - v, u, v], axis=1).astype(np.float32)
        barycentric[missed] = 0.0
        return RayHits(distance=distance, triangle=triangle, barycentric=barycentric)
