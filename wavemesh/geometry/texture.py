"""Colours for a mesh: from the pictures it was made of, where each vertex takes what the cameras that see it show, or
from any function of space, such as the triplane's field.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import trimesh
from jaxtyping import Float, UInt8
from scipy.spatial import cKDTree

from wavemesh.geometry.camera import Camera
from wavemesh.geometry.raycast import RayCaster

# Colours in [0, 1] (n, 3) of points (n, 3) on a surface.
ColourAt = Callable[[np.ndarray], np.ndarray]

NEUTRAL_GREY = 170
# From this weight on a vertex is seen well: under it (seen at more than 72 degrees) another source fades in.
_SEEN_WELL = 0.1
_MIRRORED = 0.05  # what a mirror image counts beside a picture
_NEIGHBOURS = 3
_VISIBILITY_SLACK = 0.03  # world units; a vertex lies on the surface that would hide it


def vertex_colours_from_views(
    mesh: trimesh.Trimesh,
    pictures: Sequence[UInt8[np.ndarray, "s s 4"]],
    cameras: Sequence[Camera],
    elsewhere: ColourAt | None = None,
    mirrored: int = 0,
) -> UInt8[np.ndarray, "v 4"]:
    """One opaque RGBA colour per vertex.

    A vertex takes the mean of the pictures that see it, weighted by how squarely and how opaquely they do. The last
    `mirrored` pictures are mirror images, which hardly count where a picture itself shows something. A vertex that none
    sees takes the colour that `elsewhere` has for it, which fades in where the pictures see it from the side. With
    None it takes that of the nearest seen vertex, where its mirror image (x to -x) counts as the same place, because
    most objects are symmetric, and grey where no picture shows anything.
    """
    vertices, normals = np.asarray(mesh.vertices), np.asarray(mesh.vertex_normals)
    caster = RayCaster(mesh)
    total, weights = np.zeros((len(vertices), 3)), np.zeros(len(vertices))
    well = np.zeros(len(vertices))
    trusted = len(pictures) - mirrored
    for number, (picture, camera) in enumerate(zip(pictures, cameras, strict=True)):
        colour, alpha = _look_up(picture, camera.project(vertices)[0])
        weight = alpha * _squareness(caster, vertices, normals, camera)
        well += weight
        weight = weight if number < trusted else _MIRRORED * weight
        total += weight[:, None] * colour
        weights += weight
    seen = well > 1e-3
    colours = np.full((len(vertices), 3), float(NEUTRAL_GREY))
    if seen.any():
        colours[seen] = total[seen] / weights[seen, None]
        colours[~seen] = colours[seen][_nearest(vertices[seen], vertices[~seen])]
    if elsewhere is not None:
        badly = np.flatnonzero(well < _SEEN_WELL)
        share = np.where(seen[badly], well[badly] / _SEEN_WELL, 0.0)[:, None]
        colours[badly] = share * colours[badly] + (1.0 - share) * 255.0 * elsewhere(vertices[badly])
    return _opaque(colours)


def vertex_colours(mesh: trimesh.Trimesh, colour_at: ColourAt) -> UInt8[np.ndarray, "v 4"]:
    """One opaque RGBA colour per vertex, that of the function at its place."""
    return _opaque(colour_at(np.asarray(mesh.vertices)) * 255.0)


def interpolated_colours(mesh: trimesh.Trimesh) -> ColourAt:
    """The colours of a mesh coloured by vertex, at any point near it: those of the three nearest vertices.

    The nearer one counts more, by the square of the distance, so that a vertex keeps its colour.
    """
    tree = cKDTree(np.asarray(mesh.vertices))
    colours = np.asarray(mesh.visual.vertex_colors, dtype=np.float64)[:, :3] / 255.0

    def colour_at(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
        distance, index = tree.query(points, k=min(_NEIGHBOURS, len(colours)), workers=1)
        distance, index = distance.reshape(len(points), -1), index.reshape(len(points), -1)
        weights = 1.0 / np.maximum(distance, 1e-6) ** 2
        weights /= weights.sum(axis=1, keepdims=True)
        return (weights[:, :, None] * colours[index]).sum(axis=1)

    return colour_at


def _opaque(colours: Float[np.ndarray, "v 3"]) -> UInt8[np.ndarray, "v 4"]:
    opaque = np.full((len(colours), 1), 255.0)
    return np.concatenate([colours, opaque], axis=1).round().clip(0, 255).astype(np.uint8)


def _look_up(
    picture: UInt8[np.ndarray, "s s 4"], ndc: Float[np.ndarray, "v 2"]
) -> tuple[Float[np.ndarray, "v 3"], Float[np.ndarray, "v"]]:
    """Colour and alpha of the picture at NDC positions, bilinear; the colour is weighted by alpha."""
    size = picture.shape[0]
    column, row = (ndc[:, 0] + 1.0) / 2.0 * size - 0.5, (1.0 - ndc[:, 1]) / 2.0 * size - 0.5
    pixels = np.pad(picture.astype(np.float64), ((1, 1), (1, 1), (0, 0)))
    pixels[..., :3] *= pixels[..., 3:] / 255.0
    column, row = column.clip(-1.0, size - 1e-6) + 1.0, row.clip(-1.0, size - 1e-6) + 1.0
    left, top = column.astype(int), row.astype(int)
    right_share, bottom_share = (column - left)[:, None], (row - top)[:, None]
    upper = pixels[top, left] * (1.0 - right_share) + pixels[top, left + 1] * right_share
    lower = pixels[top + 1, left] * (1.0 - right_share) + pixels[top + 1, left + 1] * right_share
    sampled = upper * (1.0 - bottom_share) + lower * bottom_share
    alpha = sampled[:, 3] / 255.0
    return sampled[:, :3] / np.maximum(alpha, 1e-3)[:, None], alpha


def _squareness(
    caster: RayCaster, vertices: Float[np.ndarray, "v 3"], normals: Float[np.ndarray, "v 3"], camera: Camera
) -> Float[np.ndarray, "v"]:
    """The cosine at which a camera sees each vertex, squared; zero where the mesh hides it."""
    origin = camera.position()
    towards = vertices - origin
    distance = np.linalg.norm(towards, axis=1)
    directions = towards / distance[:, None]
    cosine = -(normals * directions).sum(axis=1)
    facing = np.flatnonzero(cosine > 0.05)
    hits = caster.cast(np.broadcast_to(origin, (len(facing), 3)), directions[facing])
    visible = hits.distance > distance[facing] - _VISIBILITY_SLACK
    weight = np.zeros(len(vertices))
    weight[facing[visible]] = cosine[facing[visible]] ** 2
    return weight


def _nearest(seen: Float[np.ndarray, "n 3"], others: Float[np.ndarray, "m 3"]) -> np.ndarray:
    """For each other vertex the index of the nearest seen one, its mirror image included."""
    mirrored = seen * np.array([-1.0, 1.0, 1.0])
    _, index = cKDTree(np.concatenate([seen, mirrored])).query(others, workers=1)
    return index % len(seen)
