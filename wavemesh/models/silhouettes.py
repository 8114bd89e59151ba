"""What the silhouettes of an object prove about its shape, imposed on every field that the diffusion predicts.

Outside of any silhouette nothing is solid; behind each of its pixels something is. A network trained to expect the mean
knows neither for sure: thin legs, whose place it cannot tell, vanish from its answer. Here a ray that meets no solid
gets one where the field is lowest along it, which is where the network thinks a surface most likely, and the next step
of the diffusion goes on from there. The field is lowered smoothly around that place, so that the solid has the shape
that the field has there: balls of solid instead made sponges of rims and thin limbs.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from wavemesh.models.projection import MaskedViews, grid_points, soft_hull
from wavemesh.rendering.rays import camera_rays

# Silhouettes that cut away more than half of a solid are more likely wrong than the solid is.
LEAST_CARVED = 0.5
OPAQUE = 0.9
# In cells of the field: how far apart a ray is looked at, how far outside the soft hull it may meet the object, how
# deep inside the solid that place will be, and how far around it the field is lowered.
STEP, HULL_MARGIN, DEPTH, REACH = 0.75, 1.0, 1.0, 3
FLAT = 1e-3  # of the truncation
PLACES_AT_ONCE = 4096  # about 60 MB of work


class Silhouettes:
    """The silhouettes of one object, for fields of n^3 cells.

    views: of a single object. resolution: n. truncation: of the fields, world units. shift_cells: how far along
    all axes the field's values stand from the centres of its cells.
    """

    def __init__(self, views: MaskedViews, resolution: int, truncation: float, shift_cells: float = 0.0) -> None:
        self.truncation, self.cell = truncation, 2.0 / resolution
        self.shift = shift_cells * self.cell
        inside = soft_hull(views, grid_points(resolution, shift_cells, views.poses.device))
        self.hull = hull_distance(inside.view(1, *(resolution,) * 3), truncation)[0]
        parts = [self._candidates(views, view) for view in range(views.poses.shape[1])]
        self.points: list[tuple[Tensor, Tensor]] = [part for part in parts if len(part[0])]

    def _candidates(self, views: MaskedViews, view: int) -> tuple[Float[Tensor, "r s 3"], Tensor]:
        """Points along the rays through a view's opaque pixels, and which of them all views allow to be solid.

        The points are given in the frame of the field's cells.
        """
        alpha, pose = views.alpha[0, view, 0], views.poses[0, view].float()
        pixels = (alpha.flatten() > OPAQUE).nonzero().flatten()
        rays = camera_rays(pose, views.intrinsics[0, view].float(), alpha.shape[-1], pixels)
        distance, half = float(pose[:, 3].norm()), 3**0.5
        steps = torch.arange(distance - half, distance + half, STEP * self.cell, device=pose.device)
        points = rays.at(steps.expand(len(rays), -1)) - self.shift
        allowed = (points.abs() < 1.0 - self.cell).all(dim=-1)
        allowed &= sample_field(self.hull, points) < HULL_MARGIN * self.cell
        # A ray that the other silhouettes leave no place for contradicts them and proves nothing.
        usable = allowed.any(dim=1)
        return points[usable], allowed[usable]

    def corrected_field(self, field: Float[Tensor, "n n n"]) -> Float[Tensor, "n n n"]:
        """The field, carved by the hull and given a solid behind every pixel of the silhouettes."""
        carved = torch.maximum(field, self.hull)
        if (carved < 0).sum() < LEAST_CARVED * (field < 0).sum():
            return self._covered(field)
        return torch.maximum(self._covered(carved), self.hull)

    def bare_rays(
        self, field: Float[Tensor, "n n n"], rest: Float[Tensor, "n n n"]
    ) -> list[tuple[Float[Tensor, "r s 3"], Bool[Tensor, "r s"], float]]:
        """Of each view the rays that meet a solid of the field and none of the rest: points, which are allowed to be
        solid, and the share of all rays.
        """
        found = []
        for points, allowed in self.points:
            met, left = (sample_field(each, points).masked_fill(~allowed, torch.inf).amin(1) for each in (field, rest))
            bare = (met < 0) & (left >= 0)
            found.append((points[bare], allowed[bare], float(bare.float().mean())))
        return found

    def _covered(self, field: Tensor) -> Tensor:
        places, depths = [], []
        for points, allowed in self.points:
            values = sample_field(field, points)
            least, place = values.masked_fill(~allowed, torch.inf).min(dim=1)
            missed = (least > 0).nonzero().flatten()
            # Where a field is the same all along a ray, it says nothing about where the object is.
            told = missed[values[missed].amax(dim=1) - least[missed] > FLAT * self.truncation]
            places.append(points[told, place[told]])
            depths.append(least[told] + DEPTH * self.cell)
        return lowered_field(field, torch.cat(places), torch.cat(depths), REACH) if places else field


def sample_field(field: Float[Tensor, "n n n"], points: Float[Tensor, "*p 3"]) -> Float[Tensor, "*p"]:
    """The field at points of [-1, 1]^3, trilinear; beyond its cells' centres the nearest ones count."""
    place = points.reshape(1, 1, 1, -1, 3).flip(-1)
    return F.grid_sample(field[None, None], place, padding_mode="border", align_corners=False).view(points.shape[:-1])


def lowered_field(
    field: Float[Tensor, "n n n"], places: Float[Tensor, "m 3"], depths: Float[Tensor, " m"], reach: int
) -> Float[Tensor, "n n n"]:
    """The field minus a depth at each place, which falls to nothing within `reach` cells; of several the largest."""
    n, depth = len(field), torch.zeros_like(field).flatten()
    steps = torch.arange(-reach, reach + 1, device=field.device)
    around = torch.stack(torch.meshgrid(steps, steps, steps, indexing="ij"), dim=-1).view(-1, 3)
    for some, depths_there in zip(places.split(PLACES_AT_ONCE), depths.split(PLACES_AT_ONCE), strict=True):
        home = ((some + 1.0) / 2.0 * n).long()
        cells = (home[:, None] + around).clamp(0, n - 1)
        offset = (cells + 0.5) - (some[:, None] + 1.0) / 2.0 * n
        share = (1.0 - offset.square().sum(dim=-1) / reach**2).clamp_min(0.0).square()
        x, y, z = cells.unbind(dim=-1)
        flat = ((x * n + y) * n + z).flatten()
        depth.scatter_reduce_(0, flat, (share * depths_there[:, None]).flatten(), "amax")
    return field - depth.view_as(field)


def hull_distance(hull: Float[Tensor, "b n n n"], truncation: float) -> Float[Tensor, "b n n n"]:
    """The truncated distance to the border of a soft hull in [0, 1], negative inside, world units.

    It is counted in dilations and erosions of the hull, as many as the truncation is cells wide: exact along the axes,
    and it keeps the hull's soft border.
    """
    cell = 2.0 / hull.shape[-1]
    steps = max(1, round(truncation / cell))
    grown = shrunk = depth = hull.unsqueeze(1)
    for _ in range(steps):
        grown, shrunk = _dilated(grown), -_dilated(-shrunk)
        depth = depth + grown + shrunk
    return ((steps + 0.5 - depth) * cell).clamp(-truncation, truncation)[:, 0]


def _dilated(x: Float[Tensor, "b 1 x y z"]) -> Float[Tensor, "b 1 x y z"]:
    """The maximum over each cell's 3^3 neighbourhood, one axis after the other: on a CPU faster than max_pool3d."""
    for axis in (2, 3, 4):
        size = x.shape[axis]
        spread = x.clone()
        torch.maximum(x.narrow(axis, 1, size - 1), x.narrow(axis, 0, size - 1), out=spread.narrow(axis, 0, size - 1))
        later = spread.narrow(axis, 1, size - 1)
        torch.maximum(later, x.narrow(axis, 0, size - 1), out=later)
        x = spread
    return x
