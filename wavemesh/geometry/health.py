"""What is right and wrong with a mesh before it is printed or put into another program."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import trimesh
from jaxtyping import Float

from wavemesh.errors import InputError
from wavemesh.geometry.raycast import RayCaster

_SAMPLES = 20_000
_OPPOSITE_COSINE = 0.7  # a wall's other side faces away within 45 degrees
_THINNEST_SHARE = 0.01


@dataclass(frozen=True)
class MeshHealth:
    """Facts about a mesh, lengths in world units.

    watertight: every edge has exactly two faces. consistent: neighbouring faces agree on which side is out.
    open_edges, crowded_edges: edges with one face, and with more than two. components: connected pieces. euler: number
    V - E + F; 2 for each closed piece without holes through it, 2 less for each such hole. volume: enclosed, negative
    where the faces point inwards, None unless watertight and consistent. area. extent: longest side of the bounding
    box. thinnest: wall thickness that only 1% of the surface undercuts (see `wall_thickness`), None unless there is a
    volume, or where no wall has an opposite side.
    """

    vertices: int
    faces: int
    watertight: bool
    consistent: bool
    open_edges: int
    crowded_edges: int
    components: int
    euler: int
    volume: float | None
    area: float
    extent: float
    thinnest: float | None

    @property
    def printable(self) -> bool:
        """Whether the mesh bounds a solid: closed, consistently wound, with a positive volume."""
        return self.watertight and self.consistent and self.volume is not None and self.volume > 0.0


def mesh_health(mesh: trimesh.Trimesh) -> MeshHealth:
    """The health of a mesh, its equal vertices counted as one; raises InputError for a mesh without faces."""
    if len(mesh.faces) == 0:
        raise InputError("The mesh has no faces.")
    mesh = welded(mesh)
    faces_of_edge = np.bincount(mesh.edges_unique_inverse)
    crowded = int((faces_of_edge > 2).sum())
    watertight = bool(mesh.is_watertight)
    # Of three faces at an edge two run along it in the same direction; trimesh looks at pairs only.
    consistent = bool(mesh.is_winding_consistent) and crowded == 0
    volume = _volume(mesh) if watertight and consistent else None
    return MeshHealth(
        vertices=len(mesh.vertices),
        faces=len(mesh.faces),
        watertight=watertight,
        consistent=consistent,
        open_edges=int((faces_of_edge == 1).sum()),
        crowded_edges=crowded,
        components=int(mesh.body_count),
        euler=int(mesh.euler_number),
        volume=volume,
        area=float(mesh.area),
        extent=float(np.max(mesh.extents)),
        thinnest=thinnest_wall(mesh) if volume is not None and volume > 0.0 else None,
    )


def wall_thickness(
    mesh: trimesh.Trimesh, points: Float[np.ndarray, "n 3"], normals: Float[np.ndarray, "n 3"]
) -> Float[np.ndarray, "n"]:
    """How thick the solid is behind each point of its surface: world units, inf where there is no opposite wall.

    The length of the ray from the point straight inwards to the other side, counted only where that side faces away
    from the point to within 45 degrees: along a sharp ridge rays meet the neighbouring slope at once, which says
    nothing about a wall. normals: outward unit normals. The mesh should be closed and wound outwards.
    """
    step = 1e-4 * float(np.max(mesh.extents))
    inwards = -np.asarray(normals, dtype=np.float64)
    hits = RayCaster(mesh).cast(np.asarray(points) + inwards * step, inwards)
    exit_normals = np.asarray(mesh.face_normals)[hits.triangle]
    opposite = hits.hit & ((exit_normals * inwards).sum(axis=1) > _OPPOSITE_COSINE)
    return np.where(opposite, hits.distance + step, np.inf)


def thinnest_wall(mesh: trimesh.Trimesh) -> float | None:
    """The wall thickness that 1% of the surface undercuts, from 20,000 samples by area; None without opposite walls.

    Not the least sample: a single ray through a corner of a facet would decide it.
    """
    points, face = trimesh.sample.sample_surface(mesh, _SAMPLES, seed=0)
    thickness = wall_thickness(mesh, points, np.asarray(mesh.face_normals)[face])
    thickness = np.sort(thickness)
    value = float(thickness[int(_THINNEST_SHARE * len(thickness))])
    return value if np.isfinite(value) else None


def _volume(mesh: trimesh.Trimesh) -> float:
    """Enclosed by a closed mesh; trimesh's own would divide by it to find the centre of mass, so it cannot be zero."""
    corners = np.asarray(mesh.triangles) - np.asarray(mesh.vertices).mean(axis=0)
    return float((corners[:, 0] * np.cross(corners[:, 1], corners[:, 2])).sum() / 6.0)


def welded(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """The bare geometry: equal vertices merged, unused ones and faces without an area dropped."""
    result = trimesh.Trimesh(np.array(mesh.vertices), np.array(mesh.faces), process=False, validate=False)
    result.merge_vertices()
    faces = np.asarray(result.faces)
    whole = (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])
    result.update_faces(whole)
    result.remove_unreferenced_vertices()
    return result
