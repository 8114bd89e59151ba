"""Polygons cut into triangles: a fan where a fan is right, ear clipping where it is not.

Model files hold polygons of any shape: concave, with holes joined to the rim by a bridge, not quite flat. A fan covers
the notches of a concave one, which turns a railing into a plate. Almost all polygons are convex, so fans are laid out
for all of them at once and only those with a triangle that faces the other way are clipped one by one.
"""

from __future__ import annotations

import manifold3d
import numpy as np
from jaxtyping import Float, Int

from wavemesh.errors import InputError

# Ear clipping takes time with the square of the corners: half a second for so many.
MAX_CORNERS = 4096
# Share of the polygon's area by which a triangle may face the other way: rounding of nearly straight edges.
_TOLERANCE = 1e-9


def triangulate(
    corners: Float[np.ndarray, "c 3"], sizes: Int[np.ndarray, " p"]
) -> tuple[Int[np.ndarray, "t 3"], Int[np.ndarray, " t"]]:
    """The triangles of all polygons as rows of `corners`, in the polygons' order and direction, and each one's polygon.

    sizes: how many of the corners, which lie one polygon after the other, belong to each. A polygon of n corners gives
    n - 2 triangles, none where n is under 3, and every corner is used. A polygon that is not flat is cut as it looks
    along its normal (Newell's). Raises InputError for one of more than 4,096 corners.
    """
    largest = int(sizes.max(initial=0))
    if largest > MAX_CORNERS:
        raise InputError(f"A face of the mesh has {largest:,} corners; up to {MAX_CORNERS:,} are read.")
    counts = np.maximum(sizes - 2, 0)
    polygon = np.repeat(np.arange(len(sizes)), counts)
    first_corner, first_triangle = np.cumsum(sizes) - sizes, np.cumsum(counts) - counts
    step = np.arange(len(polygon)) - first_triangle[polygon]
    triangles = first_corner[polygon, None] + np.stack([np.zeros_like(step), step + 1, step + 2], axis=1)
    with np.errstate(over="ignore", invalid="ignore"):
        a, b, c = corners[triangles].swapaxes(0, 1)
        areas = np.cross(b - a, c - a)
        normals = np.stack([np.bincount(polygon, axis, len(sizes)) for axis in areas.T], axis=1)
        squared = (normals**2).sum(axis=1)
        backwards = (areas * normals[polygon]).sum(axis=1) < -_TOLERANCE * squared[polygon]
    for index in np.unique(polygon[backwards]):
        first, start = first_corner[index], first_triangle[index]
        outline = corners[first : first + sizes[index]]
        triangles[start : start + counts[index]] = first + _clip_ears(outline, normals[index])
    return triangles, polygon


def _clip_ears(outline: Float[np.ndarray, "n 3"], normal: Float[np.ndarray, " 3"]) -> Int[np.ndarray, "n-2 3"]:
    """The triangles of one polygon, seen along its normal so that its corners run counter-clockwise."""
    normal = normal / np.linalg.norm(normal)
    right = np.cross(np.eye(3)[np.abs(normal).argmin()], normal)
    flat = (outline - outline[0]) @ np.stack([right / np.linalg.norm(right), np.cross(normal, right)], axis=1)
    return manifold3d.triangulate([flat])
