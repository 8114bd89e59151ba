"""Points of what an onlooker sees of a mesh: the surface on which shapes are compared.

Inner walls, which no picture shows, are left out by asking the cameras of `orbit_depth`, the same that carve `sdf`.
"""

from __future__ import annotations

import numpy as np
import trimesh

from wavemesh.errors import InputError
from wavemesh.geometry.orbit_depth import OrbitDepth, look_around
from wavemesh.geometry.raycast import RayCaster
from wavemesh.geometry.sdf import SurfacePoints


def visible_surface(
    mesh: trimesh.Trimesh, num_points: int = 40_000, seed: int = 0, orbit: OrbitDepth | None = None
) -> SurfacePoints:
    """Points spread evenly by area over what the carving cameras see of the mesh, with normals that face a camera.

    Raises InputError where the mesh has no visible surface.
    """
    if len(mesh.faces) == 0:
        raise InputError("The mesh has no faces.")
    caster = RayCaster(mesh)
    orbit = look_around(mesh, caster=caster) if orbit is None else orbit
    corners = _corner_depths(orbit)
    generator = np.random.default_rng(seed)
    triangles = np.asarray(mesh.vertices, dtype=np.float64)[mesh.faces]
    normals = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    area = np.linalg.norm(normals, axis=1)
    if not area.sum() > 0.0:
        raise InputError("The mesh has no surface: all its faces are degenerate.")
    normals /= np.maximum(area[:, None], 1e-20)
    found_points: list[np.ndarray] = []
    found_normals: list[np.ndarray] = []
    total = 0
    for _ in range(40):
        face = generator.choice(len(area), size=num_points, p=area / area.sum())
        u, v = np.sqrt(generator.random(num_points)), generator.random(num_points)
        weights = np.stack([1.0 - u, u * (1.0 - v), u * v], axis=1)
        points = np.einsum("nk,nkc->nc", weights, triangles[face])
        camera = _seeing_camera(orbit, corners, caster, points)
        seen = camera >= 0
        normal = normals[face[seen]]
        away = np.einsum("nc,nc->n", normal, orbit.axes[camera[seen], 2]) > 0
        normal[away] *= -1.0
        found_points.append(points[seen])
        found_normals.append(normal)
        total += int(seen.sum())
        if total >= num_points:
            break
    if total == 0:
        raise InputError("No camera sees any of the mesh's surface.")
    points, normals = np.concatenate(found_points)[:num_points], np.concatenate(found_normals)[:num_points]
    return SurfacePoints(points.astype(np.float32), normals.astype(np.float32))


def _corner_depths(orbit: OrbitDepth) -> tuple[np.ndarray, np.ndarray]:
    """The least and the largest depth of each pixel and its next ones to the right, above and both: (n, s-1, s-1)."""
    depth = orbit.depth
    columns = [limit(depth[:, :, :-1], depth[:, :, 1:]) for limit in (np.minimum, np.maximum)]
    nearest, furthest = (
        limit(each[:, :-1], each[:, 1:]) for limit, each in zip((np.minimum, np.maximum), columns, strict=True)
    )
    return nearest, furthest


def _seeing_camera(
    orbit: OrbitDepth, corners: tuple[np.ndarray, np.ndarray], caster: RayCaster, points: np.ndarray
) -> np.ndarray:
    """The index of a camera that sees each point, -1 where none does; depth maps first, rays where they are unsure."""
    seen = np.full(len(points), -1, dtype=np.int64)
    unsure: list[tuple[np.ndarray, int]] = []
    size = orbit.size
    nearest, furthest = corners
    for camera in range(len(orbit.depth)):
        rest = np.flatnonzero(seen < 0)
        local = orbit.pixel_coordinates(camera, points[rest])
        column, row = (np.clip(np.floor(local[:, axis]).astype(int), 0, size - 2) for axis in (0, 1))
        pixel = row * (size - 1) + column
        clearly = local[:, 2] <= nearest[camera].ravel()[pixel] + 1e-4
        seen[rest[clearly]] = camera
        maybe = ~clearly & (local[:, 2] <= furthest[camera].ravel()[pixel] + orbit.pitch[camera])
        unsure.append((rest[maybe], camera))
    for candidates, camera in unsure:
        rest = candidates[seen[candidates] < 0]
        if len(rest):
            towards = np.broadcast_to(-orbit.axes[camera, 2], (len(rest), 3))
            # Leave the surface by a hair, then nothing may stand between the point and the camera.
            free = ~caster.cast(points[rest] + towards * 2e-4, towards).hit
            seen[rest[free]] = camera
    return seen
