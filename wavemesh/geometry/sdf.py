"""Signed distance grids of real meshes by depth carving.

A cell is solid unless one of some sixty cameras sees past it, which needs neither closed meshes nor oriented faces; the
distance is that to a dense sample of the visible surface, so the result is smooth below the size of a cell. Sheets that
are thinner than the grid can hold get a minimum thickness. The grids are what the networks learn (`data.prepare`) and
what the metrics compare (`evaluation`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import trimesh
from jaxtyping import Bool, Float
from scipy import ndimage
from scipy.spatial import cKDTree

from wavemesh.errors import InputError
from wavemesh.geometry.frame import TRUNCATION
from wavemesh.geometry.orbit_depth import BACKGROUND_DEPTH, OrbitDepth, look_around

# Half of the least thickness of a sheet, in cells: a slab of 1.5 cells always holds the centre of one.
SHEET_HALF_THICKNESS = 0.75
_BLOCK = 4


@dataclass(frozen=True)
class SurfacePoints:
    """Points (n, 3) float32 on a surface and their unit normals (n, 3) float32, which face a camera that sees them."""

    points: Float[np.ndarray, "n 3"]
    normals: Float[np.ndarray, "n 3"]


@dataclass(frozen=True)
class _Window:
    """The part of the grid around the mesh: first cell, number of blocks of cells per axis, side of a cell."""

    first: np.ndarray
    blocks: np.ndarray
    cell: float

    @property
    def shape(self) -> tuple[int, int, int]:
        x, y, z = (int(count) * _BLOCK for count in self.blocks)
        return x, y, z

    def centres(self, indices: np.ndarray) -> np.ndarray:
        """World positions (float32) of cells given by their indices in the window."""
        return ((indices + self.first + 0.5) * self.cell - 1.0).astype(np.float32)

    def cells_of(self, points: np.ndarray) -> np.ndarray:
        """(n, 3) indices in the window of the cells that hold the points."""
        index = np.floor((points + 1.0) / self.cell).astype(int) - self.first
        return np.clip(index, 0, np.array(self.shape) - 1)


def occupancy(sdf: Float[np.ndarray, "x y z"]) -> Bool[np.ndarray, "x y z"]:
    """True in the cells whose centre is inside."""
    return sdf < 0.0


def mesh_to_sdf(
    mesh: trimesh.Trimesh, resolution: int = 128, *, truncation: float = TRUNCATION, orbit: OrbitDepth | None = None
) -> Float[np.ndarray, "n n n"]:
    """The signed distance grid of a mesh inside [-1, 1]^3: float32, negative inside, clipped at +-truncation.

    orbit: depth maps from `orbit_depth.look_around`, made here if None.
    Raises InputError for a mesh without faces or one that reaches beyond the grid.
    """
    if len(mesh.faces) == 0:
        raise InputError("The mesh has no faces.")
    used = np.asarray(mesh.vertices)[np.unique(mesh.faces)]
    bounds = np.stack([used.min(axis=0), used.max(axis=0)])
    if not np.isfinite(bounds).all() or np.abs(bounds).max() > 1.0:
        raise InputError(f"The mesh reaches to {np.abs(bounds).max():.3g}; it must lie inside [-1, 1]^3.")
    if orbit is None:
        orbit = look_around(mesh)
    window = _window(bounds, resolution, truncation)
    surface = _orbit_hits(orbit, mesh, window.cell)
    solid = _without_cavities(_carve(orbit, window))
    surface = _outer_samples(surface, solid, window)
    field = _signed_distance(solid, surface, window, truncation)
    field = _without_specks(_thicken_sheets(field, surface, window))
    return _into_grid(field, window, resolution, truncation)


def _window(bounds: np.ndarray, resolution: int, truncation: float) -> _Window:
    cell = 2.0 / resolution
    margin = truncation + cell
    first = np.floor((bounds[0] - margin + 1.0) / cell).astype(int)
    last = np.ceil((bounds[1] + margin + 1.0) / cell).astype(int)
    return _Window(first, -(-(last - first) // _BLOCK), cell)


def _into_grid(field: np.ndarray, window: _Window, resolution: int, truncation: float) -> np.ndarray:
    grid = np.full((resolution,) * 3, truncation, dtype=np.float32)
    low = np.maximum(window.first, 0)
    high = np.minimum(window.first + np.array(field.shape), resolution)
    source = tuple(slice(a - f, b - f) for a, b, f in zip(low, high, window.first, strict=True))
    grid[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = np.clip(field[source], -truncation, truncation)
    return grid


def _orbit_hits(orbit: OrbitDepth, mesh: trimesh.Trimesh, cell: float) -> SurfacePoints:
    """What the cameras hit, one sample per quarter-cell box, with the face normal turned to the camera."""
    triangles = np.asarray(mesh.vertices, dtype=np.float32)[mesh.faces]
    face_normals = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    face_normals /= np.maximum(np.linalg.norm(face_normals, axis=1, keepdims=True), 1e-20)
    camera, row, column = np.nonzero(orbit.triangle >= 0)
    if len(camera) == 0:
        return SurfacePoints(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32))
    pitch = orbit.pitch.astype(np.float32)[camera]
    middle = orbit.size / 2.0 - 0.5
    local = np.empty((len(camera), 3), dtype=np.float32)
    local[:, 0] = orbit.centre[camera, 0] + (column - middle) * pitch
    local[:, 1] = orbit.centre[camera, 1] + (row - middle) * pitch
    local[:, 2] = orbit.depth[camera, row, column]
    axes = orbit.axes.astype(np.float32)
    points = np.einsum("nk,nkc->nc", local, axes[camera])
    normals = face_normals[orbit.triangle[camera, row, column]]
    facing = np.einsum("nc,nc->n", normals, axes[camera, 2])
    normals[facing > 0] *= -1.0
    # The two sides of a sheet stay apart: the box key holds the sign of the normal's largest component.
    box = np.floor((points + 2.0) * (4.0 / cell)).astype(np.int64)
    dominant = np.abs(normals).argmax(axis=1)
    side = dominant * 2 + (normals[np.arange(len(normals)), dominant] > 0)
    key = ((box[:, 0] * 4096 + box[:, 1]) * 4096 + box[:, 2]) * 8 + side
    _, chosen = np.unique(key, return_index=True)
    return SurfacePoints(points[chosen], normals[chosen])


def _without_cavities(solid: np.ndarray) -> np.ndarray:
    """The solid with everything filled that is cut off from the outside: sight lines leak into chinks."""
    labels, _ = ndimage.label(~solid)
    border = np.concatenate([labels.take(index, axis).ravel() for axis in range(3) for index in (0, -1)])
    return ~np.isin(labels, np.unique(border[border > 0]))


def _outer_samples(surface: SurfacePoints, solid: np.ndarray, window: _Window) -> SurfacePoints:
    """The samples with air in front of them; what a sight line met inside the solid, through a chink, is no surface."""
    keep = np.zeros(len(surface.points), dtype=bool)
    for step in (0.75, 1.5):
        ahead = window.cells_of(surface.points + surface.normals * np.float32(step * window.cell))
        keep |= ~solid[tuple(ahead.T)]
    return SurfacePoints(surface.points[keep], surface.normals[keep])


def _without_specks(field: np.ndarray, least_cells: int = 8) -> np.ndarray:
    """The field without closed cavities and without solid bits of fewer cells than a learner could use."""
    solid = field < 0.0
    field = np.where(_without_cavities(solid), -np.abs(field), field)
    labels, _ = ndimage.label(field < 0.0)
    counts = np.bincount(labels.ravel())
    small = counts < min(least_cells, counts[1:].max(initial=0))
    small[0] = False
    return np.where(small[labels], np.abs(field), field)


def _carve(orbit: OrbitDepth, window: _Window) -> np.ndarray:
    """(x, y, z) bool of the window: True where no camera sees past the cell."""
    shape = tuple(int(count) for count in window.blocks)
    block_index = np.stack(np.meshgrid(*(np.arange(count) for count in shape), indexing="ij"), axis=-1).reshape(-1, 3)
    inner = np.stack(np.meshgrid(*(np.arange(_BLOCK),) * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    middles = window.centres(block_index * _BLOCK + (_BLOCK - 1) / 2.0).astype(np.float64)
    offsets = (inner - (_BLOCK - 1) / 2.0) * window.cell
    radius = float(np.linalg.norm(offsets, axis=1).max())
    states = [_block_state(orbit, camera, middles, radius) for camera in range(len(orbit.depth))]
    empty = np.logical_or.reduce([state[0] for state in states])
    alive = np.repeat(~empty[:, None], len(inner), axis=1)
    for camera, (_, undecided) in enumerate(states):
        blocks = np.flatnonzero(undecided & ~empty)
        if len(blocks):
            alive[blocks] &= ~_seen_past(orbit, camera, middles[blocks], offsets)
            empty[blocks[~alive[blocks].any(axis=1)]] = True
    solid = alive.reshape(*shape, _BLOCK, _BLOCK, _BLOCK).transpose(0, 3, 1, 4, 2, 5)
    return np.ascontiguousarray(solid).reshape(window.shape)


def _block_state(orbit: OrbitDepth, camera: int, middles: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Which blocks of cells this camera sees past entirely, and which it must look at cell by cell."""
    depth, size = orbit.depth[camera], orbit.size
    reach = 2 * (math.ceil(radius / orbit.pitch[camera]) + 1) + 1
    nearest = ndimage.minimum_filter(depth, reach, mode="constant", cval=BACKGROUND_DEPTH)
    furthest = ndimage.maximum_filter(depth, reach, mode="constant", cval=BACKGROUND_DEPTH)
    local = orbit.pixel_coordinates(camera, middles)
    column, row = (np.clip(np.rint(local[:, axis]).astype(int), 0, size - 1) for axis in (0, 1))
    past = local[:, 2] + radius < nearest[row, column]
    hidden = local[:, 2] - radius > furthest[row, column]
    return past, ~past & ~hidden


def _seen_past(orbit: OrbitDepth, camera: int, middles: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """(blocks, cells) bool: True where the camera sees past the cell's centre.

    The depth is interpolated between four pixels; across an edge the nearest of the four counts, so that a silhouette
    never eats into the solid.
    """
    size, pitch = orbit.size, float(orbit.pitch[camera])
    local = orbit.pixel_coordinates(camera, middles).astype(np.float32)
    shift = (offsets @ orbit.axes[camera].T).astype(np.float32)
    column = local[:, 0, None] + shift[None, :, 0] / np.float32(pitch)
    row = local[:, 1, None] + shift[None, :, 1] / np.float32(pitch)
    distance = local[:, 2, None] + shift[None, :, 2]
    np.clip(column, 0, size - 1.001, out=column)
    np.clip(row, 0, size - 1.001, out=row)
    column_0, row_0 = column.astype(np.int32), row.astype(np.int32)
    column -= column_0
    row -= row_0
    flat = orbit.depth[camera].ravel()
    index = row_0 * size + column_0
    d_00, d_01, d_10, d_11 = (flat[index + step] for step in (0, 1, size, size + 1))
    low = np.minimum(np.minimum(d_00, d_01), np.minimum(d_10, d_11))
    high = np.maximum(np.maximum(d_00, d_01), np.maximum(d_10, d_11))
    below = d_00 + (d_01 - d_00) * column
    above = d_10 + (d_11 - d_10) * column
    depth = np.where(high - low < 4.0 * pitch, below + (above - below) * row, low)
    return distance < depth


def _signed_distance(solid: np.ndarray, surface: SurfacePoints, window: _Window, truncation: float) -> np.ndarray:
    """Signed distances of the window's cells, exact near the visible surface, by distance transform elsewhere."""
    cell = np.float32(window.cell)
    outside = ndimage.distance_transform_edt(~solid).astype(np.float32)
    inside = ndimage.distance_transform_edt(solid).astype(np.float32)
    field = np.where(solid, 0.5 - inside, outside - 0.5) * cell
    if len(surface.points) == 0:
        return field
    # Hidden hollows end where the last line of sight does: steps of whole cells, smoothed.
    smooth = ndimage.gaussian_filter(field, 0.8)
    reach = _distance_to_cells(surface.points, window)
    near = np.flatnonzero(reach <= truncation + 0.5 * window.cell)
    close = reach.ravel()[near] <= 2.0 * window.cell
    distance, height, along = (np.empty(len(near), dtype=np.float32) for _ in range(3))
    # Away from the surface one sample per cell does, and is found much faster.
    cell_of_sample = np.ravel_multi_index(tuple(window.cells_of(surface.points).T), solid.shape)
    sparse = np.unique(cell_of_sample, return_index=True)[1]
    for chosen, samples, spacing in ((close, slice(None), 0.5), (~close, sparse, 1.0)):
        centres = window.centres(np.stack(np.unravel_index(near[chosen], solid.shape), axis=1))
        distance[chosen], height[chosen], along[chosen] = _plane_distance(
            centres, surface.points[samples], surface.normals[samples], spacing * window.cell
        )
    # The nearest sample says "in front of me" while a silhouette's margin said solid: trust the sample.
    corrected = solid.copy()
    corrected.ravel()[near[(height > 0) & (distance < cell) & (along < cell)]] = False
    inner = _without_cavities(corrected).ravel()[near]
    flat = smooth.ravel()
    # A cell may be nearer to the end of sight than to any sample: then that end is its surface.
    magnitude = np.abs(flat[near])
    unseen = np.clip((distance - magnitude) / cell - 0.75, 0.0, 1.0)
    magnitude = distance + unseen * (magnitude - distance)
    flat[near] = np.where(inner, -magnitude, magnitude)
    return flat.reshape(solid.shape)


def _plane_distance(
    centres: np.ndarray, points: np.ndarray, normals: np.ndarray, spacing: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distances of cell centres to a sampled surface, and the offsets from the nearest sample, in front and along.

    Between two samples the surface goes on: the first `spacing` along it costs nothing.
    """
    tree = cKDTree(points, leafsize=32, balanced_tree=False, compact_nodes=False)
    distance, nearest = tree.query(centres)
    offset = centres - points[nearest]
    height = np.einsum("nc,nc->n", offset, normals[nearest])
    along = np.sqrt(np.maximum(distance.astype(np.float32) ** 2 - height**2, 0.0))
    return np.hypot(height, np.maximum(along - np.float32(spacing), 0.0)), height, along


def _distance_to_cells(points: np.ndarray, window: _Window) -> np.ndarray:
    """Distance of every cell of the window to the nearest cell that holds a point, world units."""
    far = np.ones(window.shape, dtype=bool)
    far[tuple(window.cells_of(points).T)] = False
    return ndimage.distance_transform_edt(far) * window.cell


def _thicken_sheets(field: np.ndarray, surface: SurfacePoints, window: _Window) -> np.ndarray:
    """The field with at least 1.5 cells of solid behind every visible surface sample."""
    cell = np.float32(window.cell)
    if len(surface.points) == 0:
        return field
    behind = surface.points - surface.normals * (SHEET_HALF_THICKNESS * cell)
    position = ((behind + 1.0) / cell - 0.5 - window.first).T
    reached = ndimage.map_coordinates(field, position, order=1, mode="nearest")
    thin = reached > -0.6 * cell
    if not thin.any():
        return field
    points, normals, reached = surface.points[thin], surface.normals[thin], reached[thin]
    thickness = _thickness(points, normals, float(cell))
    # No far side is in sight, yet there is air behind: a sheet all the same. (Beside an edge there is none.)
    thickness[np.isinf(thickness) & (reached > 0.55 * cell)] = 0.0
    radius = (SHEET_HALF_THICKNESS * cell - thickness / 2.0).astype(np.float32)
    sheet = radius > 0.0
    if not sheet.any():
        return field
    points, radius = points[sheet], radius[sheet]
    near = np.flatnonzero(_distance_to_cells(points, window) <= 3.0 * cell)
    centres = window.centres(np.stack(np.unravel_index(near, field.shape), axis=1))
    tree = cKDTree(points, leafsize=32, balanced_tree=False, compact_nodes=False)
    distance, nearest = tree.query(centres)
    flat = field.ravel().copy()
    flat[near] = np.minimum(flat[near], distance.astype(np.float32) - radius[nearest])
    return flat.reshape(field.shape)


def _thickness(points: np.ndarray, normals: np.ndarray, cell: float) -> np.ndarray:
    """Thickness of the solid under each sample, from the samples that face the other way; inf where none is close.

    Nearness is measured in position and normal together: turning by 60 degrees weighs as much as three cells.
    """
    weight = 3.0 * cell
    tree = cKDTree(np.hstack([points, normals * weight]), leafsize=32, balanced_tree=False, compact_nodes=False)
    query = np.hstack([points - normals * (0.6 * cell), -normals * weight])
    distance, nearest = tree.query(query, distance_upper_bound=1.6 * cell)
    found = np.isfinite(distance)
    thickness = np.full(len(points), np.inf)
    across = np.einsum("nc,nc->n", points[found] - points[nearest[found]], normals[found])
    thickness[found] = np.maximum(across, 0.0)
    return thickness
