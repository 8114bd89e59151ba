"""Coloured surface points of prepared shapes: what the triplane autoencoder learns colours from.

`prepare` keeps a distance grid and posed pictures, no textured model. Points drawn on the surface of the grid take the
colours of the pictures that see them, averaged over the pictures' different lights. They are computed once per split
and kept beside its unpacked cache (`derived`).
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import trimesh
from jaxtyping import Float
from scipy.spatial import cKDTree
from torch import Tensor

from wavemesh.data.dataset import Shapes
from wavemesh.data.derived import Arrays, Recipe, derived_rows
from wavemesh.geometry.camera_tensors import project_points
from wavemesh.geometry.isosurface import sdf_to_mesh
from wavemesh.geometry.raycast import RayCaster
from wavemesh.models.projection import sample_maps

NUM_POINTS = 32_768  # a shape's surface passes through about twice as many cells of a 128^3 grid
GREY = 0.67
_SLACK = 0.03  # world units: a point lies on the surface that would hide it
_LEAST_COSINE = 0.05
_POINT_SCALE = 32_767


@dataclass(frozen=True)
class SurfaceColours:
    """Points on a surface with what they look like. points: (n, 3) float32. colours: (n, 3) float32 sRGB in [0, 1]."""

    points: Float[np.ndarray, "n 3"]
    colours: Float[np.ndarray, "n 3"]


class ColouredPoints:
    """The points of a split by the shapes' numbers. num_points: of every shape. `len()`: how many shapes there are."""

    def __init__(self, rows: Callable[[int], Arrays], count: int, num_points: int) -> None:
        self._rows, self._count, self.num_points = rows, count, num_points

    def __len__(self) -> int:
        return self._count

    def points(self, indices: Sequence[int]) -> Float[Tensor, "b n 3"]:
        """World coordinates of the shapes' points, in no order."""
        return torch.from_numpy(np.stack([self._rows(index)["points"] for index in indices])).float() / _POINT_SCALE

    def colours(self, indices: Sequence[int]) -> Float[Tensor, "b n 3"]:
        """Their colours, sRGB in [0, 1]."""
        return torch.from_numpy(np.stack([self._rows(index)["colours"] for index in indices])).float() / 255.0


def surface_colours(
    mesh: trimesh.Trimesh,
    images: Float[Tensor, "v 4 h w"],
    poses: Float[Tensor, "v 3 4"],
    intrinsics: Float[Tensor, "v 3"],
    num_points: int = NUM_POINTS,
    seed: int = 0,
) -> SurfaceColours:
    """Points spread evenly over a mesh, each with the mean colour of the views that see it.

    images: premultiplied by alpha, as the networks take them. A view counts by the cosine at which it sees the point
    and by its alpha there. A point that no view sees takes the colour of the nearest one that is seen, all are grey
    where no view sees anything.
    """
    sampled, faces = trimesh.sample.sample_surface(mesh, num_points, seed=seed)
    points, normals = np.asarray(sampled, dtype=np.float32), np.asarray(mesh.face_normals[faces], dtype=np.float32)
    ndc, _ = project_points(torch.from_numpy(points), poses, intrinsics)
    shown = sample_maps(images, ndc).numpy()
    caster, origins = RayCaster(mesh), poses[:, :, 3].numpy()
    weights = np.stack([_cosines(caster, points, normals, origin) for origin in origins])
    colour, alpha = (weights[:, None] * shown).sum(axis=0).T, (weights * shown[:, 3]).sum(axis=0)
    seen = alpha > 0.05
    colours = np.full((num_points, 3), GREY, dtype=np.float32)
    if seen.any():
        colours[seen] = (colour[seen, :3] / alpha[seen, None]).clip(0.0, 1.0)
        _, nearest = cKDTree(points[seen]).query(points[~seen], workers=1)
        colours[~seen] = colours[seen][nearest]
    return SurfaceColours(points, colours)


def _cosines(
    caster: RayCaster,
    points: Float[np.ndarray, "n 3"],
    normals: Float[np.ndarray, "n 3"],
    origin: Float[np.ndarray, "3"],
) -> Float[np.ndarray, "n"]:
    """The cosine at which a camera sees each point, zero where it does not."""
    towards = points - origin
    distance = np.linalg.norm(towards, axis=1)
    directions = towards / distance[:, None]
    cosine = -(normals * directions).sum(axis=1)
    facing = np.flatnonzero(cosine > _LEAST_COSINE)
    hits = caster.cast(np.broadcast_to(origin, (len(facing), 3)), directions[facing])
    visible = facing[hits.distance > distance[facing] - _SLACK]
    weights = np.zeros(len(points), dtype=np.float32)
    weights[visible] = cosine[visible]
    return weights


def open_colours(shapes: Shapes, num_points: int | None = None) -> ColouredPoints:
    """The coloured points of a split; see `derived_rows` for when they are computed.

    num_points: of each shape, NUM_POINTS if None. Computing takes about half a second a shape.
    Raises InputError where they cannot be written or a shape has no surface.
    """
    shape = (NUM_POINTS if num_points is None else num_points, 3)
    recipe = Recipe(
        "colours",
        {"points": (shape, np.int16), "colours": (shape, np.uint8)},
        functools.partial(_colours_of, num_points=shape[0]),
    )
    return ColouredPoints(derived_rows(shapes, recipe), len(shapes), shape[0])


def _colours_of(shapes: Shapes, index: int, num_points: int) -> Arrays:
    mesh = sdf_to_mesh(shapes.sdf([index])[0].numpy())
    views = [list(range(shapes.num_views))]
    images, (poses, intrinsics) = shapes.images([index], views)[0], shapes.view_cameras([index], views)
    seed = zlib.crc32(shapes.keys[index].encode())
    coloured = surface_colours(mesh, images, poses[0], intrinsics[0], num_points, seed)
    return {
        "points": np.rint(coloured.points.clip(-1.0, 1.0) * _POINT_SCALE).astype(np.int16),
        "colours": np.rint(coloured.colours * 255.0).astype(np.uint8),
    }


def colour_volume(
    points: Float[Tensor, "b n 3"], colours: Float[Tensor, "b n 3"], resolution: int = 64
) -> Float[Tensor, "b 4 r r r"]:
    """The mean colour of the points in each cell, zero where there is none, and a channel that is one where there is.

    Axes x, y, z as in a distance grid.
    """
    batch, cells = len(points), resolution**3
    place = ((points + 1.0) * (resolution / 2.0)).long().clamp(0, resolution - 1)
    cell = (place[..., 0] * resolution + place[..., 1]) * resolution + place[..., 2]
    cell = cell + torch.arange(batch, device=cell.device)[:, None] * cells
    rows = torch.cat([colours, torch.ones_like(colours[..., :1])], dim=-1).flatten(0, 1)
    sums = rows.new_zeros(batch * cells, 4).index_add_(0, cell.flatten(), rows)
    count = sums[:, 3:]
    mean = torch.cat([sums[:, :3] / count.clamp_min(1.0), count.clamp_max(1.0)], dim=1)
    return mean.view(batch, resolution, resolution, resolution, 4).permute(0, 4, 1, 2, 3)
