"""Orthographic depth maps of a mesh from all around: what an onlooker can see of it.

Real meshes are rarely watertight or consistently oriented, so inside and outside are defined by sight: `sdf` carves
away what some camera sees past, and measures distances to the surface samples collected here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import trimesh
from jaxtyping import Float, Int

from wavemesh.geometry.raycast import RayCaster

NUM_CAMERAS = 60
MIN_ELEVATION_DEG, MAX_ELEVATION_DEG = -20.0, 85.0
# Depth of a pixel without a hit: further than anything in the grid, finite so that arithmetic stays defined.
BACKGROUND_DEPTH = 100.0


@dataclass(frozen=True)
class OrbitDepth:
    """Depth maps of orthographic cameras on the sphere.

    axes: (n, 3, 3) rows right, up, forward (the viewing direction) of each camera.
    centre: (n, 2) coordinates along right and up of the picture's middle; half: (n,) half its side, world units.
    depth: (n, s, s) coordinate of the hit along forward, BACKGROUND_DEPTH where nothing is hit; row 0 has the lowest
    "up".
    triangle: (n, s, s) index of the face hit, -1 where nothing is hit.
    """

    axes: Float[np.ndarray, "n 3 3"]
    centre: Float[np.ndarray, "n 2"]
    half: Float[np.ndarray, "n"]
    depth: Float[np.ndarray, "n s s"]
    triangle: Int[np.ndarray, "n s s"]

    @property
    def size(self) -> int:
        """Pixels along one side."""
        return self.depth.shape[1]

    @property
    def pitch(self) -> Float[np.ndarray, "n"]:
        """World units from one pixel to the next, per camera."""
        return 2.0 * self.half / self.size

    def pixel_coordinates(self, camera: int, points: Float[np.ndarray, "p 3"]) -> Float[np.ndarray, "p 3"]:
        """Column, row (pixel centres at whole numbers) and depth of world points."""
        local = points @ self.axes[camera].T
        local[:, :2] = (local[:, :2] - self.centre[camera]) / self.pitch[camera] + (self.size / 2.0 - 0.5)
        return local


def orbit_directions(count: int = NUM_CAMERAS) -> Float[np.ndarray, "count 3"]:
    """Unit vectors towards the cameras: a Fibonacci spiral over the allowed elevations, equal areas."""
    low, high = (math.sin(math.radians(angle)) for angle in (MIN_ELEVATION_DEG, MAX_ELEVATION_DEG))
    height = low + (high - low) * (np.arange(count) + 0.5) / count
    turn = np.arange(count) * math.pi * (3.0 - math.sqrt(5.0))
    radius = np.sqrt(1.0 - height**2)
    return np.stack([radius * np.sin(turn), height, radius * np.cos(turn)], axis=1)


def look_around(
    mesh: trimesh.Trimesh, count: int = NUM_CAMERAS, size: int = 160, caster: RayCaster | None = None
) -> OrbitDepth:
    """Depth maps of the mesh from `count` orthographic cameras of size x size pixels, each fitted to the mesh.

    caster: the mesh's, made here if None.
    """
    caster = RayCaster(mesh) if caster is None else caster
    vertices = np.asarray(mesh.vertices, dtype=np.float64)[np.unique(mesh.faces)]
    axes, centres, halves, depths, triangles = [], [], [], [], []
    steps = (np.arange(size) + 0.5) / size * 2.0 - 1.0
    for towards in orbit_directions(count):
        right = np.array([towards[2], 0.0, -towards[0]])
        right /= np.linalg.norm(right)
        frame = np.stack([right, np.cross(towards, right), -towards])
        local = vertices @ frame.T
        low, high = local.min(axis=0), local.max(axis=0)
        centre = (low[:2] + high[:2]) / 2.0
        # Two pixels of margin keep the silhouette's neighbourhood inside the picture.
        half = float((high - low)[:2].max()) / 2.0 * size / (size - 4)
        start = low[2] - 0.1
        coordinates = np.empty((size, size, 3))
        coordinates[..., 0] = centre[0] + half * steps
        coordinates[..., 1] = (centre[1] + half * steps)[:, None]
        coordinates[..., 2] = start
        # Only the rows and columns that the mesh can cover are cast.
        used = (np.abs(coordinates[..., :2] - centre) <= (high - low)[:2] / 2.0 + 2.0 * half / size).all(axis=-1)
        origins = (coordinates[used] @ frame).astype(np.float32)
        hits = caster.cast(origins, np.broadcast_to(frame[2], origins.shape))
        depth = np.full((size, size), BACKGROUND_DEPTH, dtype=np.float32)
        triangle = np.full((size, size), -1, dtype=np.int32)
        depth[used] = np.where(hits.hit, hits.distance + np.float32(start), np.float32(BACKGROUND_DEPTH))
        triangle[used] = hits.triangle
        axes.append(frame)
        centres.append(centre)
        halves.append(half)
        depths.append(depth)
        triangles.append(triangle)
    return OrbitDepth(np.stack(axes), np.stack(centres), np.array(halves), np.stack(depths), np.stack(triangles))
