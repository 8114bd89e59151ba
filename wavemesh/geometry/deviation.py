"""How far one surface lies from another, point by point and with a sign: what an edit or another view changed."""

from __future__ import annotations

import numpy as np
import trimesh
from jaxtyping import Float, Int
from scipy.spatial import cKDTree

from wavemesh.errors import InputError

# Triangles are cut for the search until none is longer than this share of the mesh, so that the nearest centroids
# are near the nearest surface; the distances themselves are to the original triangles.
_PIECE_SHARE = 0.03
_CANDIDATES = 8


class Surface:
    """A mesh to measure distances to; the search tree is built once. Raises InputError for a mesh without faces."""

    def __init__(self, mesh: trimesh.Trimesh) -> None:
        if len(mesh.faces) == 0:
            raise InputError("The mesh has no faces.")
        self._triangles = np.asarray(mesh.triangles, dtype=np.float64)
        self._corner_normals = np.asarray(mesh.vertex_normals)[mesh.faces]
        self._owner, centroids = _pieces(self._triangles)
        self._tree = cKDTree(centroids)

    def closest(self, points: Float[np.ndarray, "n 3"]) -> tuple[Float[np.ndarray, "n 3"], Int[np.ndarray, "n"]]:
        """The nearest points (n, 3) of the surface and the indices (n,) of their triangles."""
        points = np.asarray(points, dtype=np.float64)
        count = min(_CANDIDATES, len(self._owner))
        candidates = self._owner[self._tree.query(points, k=count)[1].reshape(len(points), count)]
        repeated = np.repeat(points, count, axis=0)
        nearest = trimesh.triangles.closest_point(self._triangles[candidates.reshape(-1)], repeated)
        nearest = nearest.reshape(len(points), count, 3)
        rows = np.arange(len(points))
        best = np.square(nearest - points[:, None]).sum(axis=2).argmin(axis=1)
        return nearest[rows, best], candidates[rows, best]

    def signed_distance(self, points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n"]:
        """Distance of each point, positive outside, negative inside; world units.

        The side is that of the interpolated vertex normal at the nearest point (Baerentzen and Aanaes 2005), so the
        mesh should be closed and wound outwards.
        """
        points = np.asarray(points, dtype=np.float64)
        nearest, triangle = self.closest(points)
        weights = trimesh.triangles.points_to_barycentric(self._triangles[triangle], nearest)
        normal = (self._corner_normals[triangle] * weights[..., None]).sum(axis=1)
        offset = points - nearest
        return np.linalg.norm(offset, axis=1) * np.where((offset * normal).sum(axis=1) < 0.0, -1.0, 1.0)


def signed_deviation(mesh: trimesh.Trimesh, reference: trimesh.Trimesh) -> Float[np.ndarray, "v"]:
    """For every vertex of a mesh its signed distance to the reference: positive where the mesh lies outside of it."""
    return Surface(reference).signed_distance(np.asarray(mesh.vertices))


def _pieces(triangles: Float[np.ndarray, "f 3 3"]) -> tuple[Int[np.ndarray, "p"], Float[np.ndarray, "p 3"]]:
    """Pieces of the triangles, none long: the index of the triangle each one is of, and its centroid."""
    limit = _PIECE_SHARE * max(float(np.ptp(triangles.reshape(-1, 3), axis=0).max()), 1e-12)
    owner, centroids = [], []
    index = np.arange(len(triangles))
    while len(triangles):
        a, b, c = triangles[:, 0], triangles[:, 1], triangles[:, 2]
        longest = np.sqrt(np.square(np.stack([a - b, b - c, c - a])).sum(axis=2).max(axis=0))
        done = longest <= limit
        owner.append(index[done])
        centroids.append(triangles[done].mean(axis=1))
        a, b, c = a[~done], b[~done], c[~done]
        ab, bc, ca = (a + b) / 2, (b + c) / 2, (c + a) / 2
        triangles = np.concatenate([np.stack(p, axis=1) for p in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))])
        index = np.tile(index[~done], 4)
    return np.concatenate(owner), np.concatenate(centroids)
