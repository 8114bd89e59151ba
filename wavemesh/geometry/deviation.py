"""How far one surface lies from another, point by point and with a sign: what an edit or another view changed."""

from __future__ import annotations

import igl
import numpy as np
import trimesh
from jaxtyping import Float, Int

from wavemesh.errors import InputError


class Surface:
    """A mesh to measure distances to; raises InputError for a mesh without faces."""

    def __init__(self, mesh: trimesh.Trimesh) -> None:
        if len(mesh.faces) == 0:
            raise InputError("The mesh has no faces.")
        self._vertices = np.array(mesh.vertices, dtype=np.float64)
        self._faces = np.array(mesh.faces, dtype=np.int64)
        self._normals = np.asarray(mesh.vertex_normals)

    def closest(self, points: Float[np.ndarray, "n 3"]) -> tuple[Float[np.ndarray, "n 3"], Int[np.ndarray, "n"]]:
        """The nearest points (n, 3) of the surface and the indices (n,) of their triangles."""
        if len(points) == 0:
            return np.zeros((0, 3)), np.zeros(0, dtype=np.int64)
        _, triangle, nearest = igl.point_mesh_squared_distance(
            np.array(points, np.float64), self._vertices, self._faces
        )
        return nearest, triangle.astype(np.int64)  # igl says long long, which numpy takes for another type

    def signed_distance(self, points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n"]:
        """Distance of each point, positive outside, negative inside; world units.

        The side is that of the interpolated vertex normal at the nearest point (Baerentzen and Aanaes 2005), so the
        mesh should be closed and wound outwards.
        """
        nearest, triangle = self.closest(points)
        corners = self._faces[triangle]
        weights = trimesh.triangles.points_to_barycentric(self._vertices[corners], nearest)
        normal = (self._normals[corners] * weights[..., None]).sum(axis=1)
        offset = np.asarray(points, dtype=np.float64) - nearest
        return np.linalg.norm(offset, axis=1) * np.where((offset * normal).sum(axis=1) < 0.0, -1.0, 1.0)


def signed_deviation(mesh: trimesh.Trimesh, reference: trimesh.Trimesh) -> Float[np.ndarray, "v"]:
    """For every vertex of a mesh its signed distance to the reference: positive where the mesh lies outside of it."""
    return Surface(reference).signed_distance(np.asarray(mesh.vertices))
