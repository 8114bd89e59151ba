"""What the detail stage of the triplane system sees: the LL band's own surface, painted with the pictures.

The coarse stage knows pictures at a quarter of their side, and its planes have half the resolution of the triplane:
what details are made of is lost there. Here the field that LL decodes to is looked at along the normal of each plane,
from both sides, at the resolution of the whole triplane; every place where such a look meets the surface takes the
colours of the pictures' own pixels that see it, and learns where the silhouettes contradict it. Nothing is trained.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from wavemesh.geometry.camera import project_points
from wavemesh.models.coarse_triplane import PosedPictures
from wavemesh.models.planes import PLANES
from wavemesh.models.projection import grid_points, sample_maps, soft_hull

SIDES = 2
# Of each side: colour times how well it is seen, how well it is seen, whether the silhouettes allow it; then whether
# there is a surface, and where along the normal.
PAINTED, LOOKED = 5, 2
# The hull: how surely there is something along the normal, and from where to where.
HULL = 1 + SIDES
# At twice the resolution of the bands, so that four places share a cell.
PAINTED_CHANNELS = 4 * (SIDES * (PAINTED + LOOKED) + HULL)

DEPTH_SIDE = 64  # of the depth buffer that tells what a view sees, in pixels
DEPTH_SLACK = 0.1  # world units: a pixel of the buffer is a thirtieth of a unit wide, and surfaces slant
LEAST_COSINE = 0.03
SEEN_WELL = 0.3  # the cosine from which on a place counts as seen


@torch.no_grad()
def painted_planes(field: Float[Tensor, "b n n n"], pictures: PosedPictures) -> Float[Tensor, "b 3 f n n"]:
    """Features of the planes XY, XZ, YZ in the cells of the bands, F = `PAINTED_CHANNELS`.

    field: signed distances at the cell centres of [-1, 1]^3, axes x, y, z. pictures: of each object, with cameras.
    """
    n = field.shape[-1]
    hull = soft_hull(pictures, grid_points(n, device=field.device)).view(-1, n, n, n)
    looks, hit = surface_depths(field)
    extent, _ = surface_depths(0.5 - hull)
    solid = along_normals(hull).amax(dim=2, keepdim=True)
    painted = torch.stack(
        [
            _painted(
                looks[index], hit[index], pictures.images[index], pictures.poses[index], pictures.intrinsics[index]
            )
            for index in range(len(field))
        ]
    )
    maps = torch.cat([painted.flatten(2, 3), hit.to(looks.dtype), looks, solid, extent], dim=2)
    return F.pixel_unshuffle(maps.flatten(0, 1), 2).unflatten(0, (-1, PLANES))


def along_normals(volume: Float[Tensor, "b n n n"]) -> Float[Tensor, "b 3 n m m"]:
    """The volume for each plane as a picture of m = 2 n pixels a side, its normal axis in the channels."""
    n = volume.shape[-1]
    # Rows are y, z, z and columns x, x, y.
    columns = torch.stack([volume.permute(0, 3, 2, 1), volume.permute(0, 2, 3, 1), volume.permute(0, 1, 3, 2)], dim=1)
    resized = F.interpolate(columns.flatten(0, 1), size=(2 * n, 2 * n), mode="bilinear", align_corners=False)
    return resized.unflatten(0, (-1, PLANES))


def surface_depths(field: Float[Tensor, "b n n n"]) -> tuple[Float[Tensor, "b 3 2 m m"], Bool[Tensor, "b 3 2 m m"]]:
    """Where along each plane's normal a look from the lower and from the upper side meets a negative value.

    World coordinates, linear between the cells' centres; 0 where it meets none, and whether it meets one.
    """
    columns = along_normals(field)
    inside = columns < 0
    lower = _first(columns, inside)
    upper = _first(columns.flip(2), inside.flip(2))
    hit = inside.any(dim=2)
    depths = torch.stack([lower, -upper], dim=2) * hit.unsqueeze(2)
    return depths, hit.unsqueeze(2).expand(-1, -1, SIDES, -1, -1)


def _first(columns: Float[Tensor, "b p n h w"], inside: Bool[Tensor, "b p n h w"]) -> Float[Tensor, "b p h w"]:
    """The world coordinate of the first crossing along the third axis, seen from its beginning."""
    n = columns.shape[2]
    index = inside.to(torch.uint8).argmax(dim=2, keepdim=True)
    here = columns.gather(2, index)
    before = columns.gather(2, (index - 1).clamp_min(0))
    share = torch.where(index > 0, here / (here - before).clamp_max(-1e-8), torch.zeros_like(here))
    return ((index - share + 0.5) / n * 2.0 - 1.0)[:, :, 0]


def _painted(
    depths: Float[Tensor, "3 2 m m"],
    hit: Bool[Tensor, "3 2 m m"],
    images: Float[Tensor, "v 4 h w"],
    poses: Float[Tensor, "v 3 4"],
    intrinsics: Float[Tensor, "v 3"],
) -> Float[Tensor, "3 5 2 m m"]:
    """Colour times visibility, visibility, and whether the silhouettes allow it, at each place that a look meets."""
    plane, side, row, column = hit.nonzero(as_tuple=True)
    maps = depths.new_zeros(PAINTED, PLANES, SIDES, *depths.shape[2:])
    if len(plane) == 0:
        return maps.transpose(0, 1)
    m = depths.shape[-1]
    width, height = (column + 0.5) / m * 2.0 - 1.0, (row + 0.5) / m * 2.0 - 1.0
    normal = depths[plane, side, row, column]
    points = torch.stack(
        [
            torch.where(plane == 2, normal, width),
            torch.where(plane == 0, height, torch.where(plane == 1, normal, width)),
            torch.where(plane == 0, normal, height),
        ],
        dim=1,
    )
    ndc, depth = project_points(points, poses.float(), intrinsics.float())
    rgba = sample_maps(images.float(), ndc)
    # The surface faces the side that it is looked at from, about.
    towards = F.normalize(poses[:, :, 3].float()[:, None] - points, dim=-1)
    facing = towards.gather(2, (2 - plane).expand(len(poses), -1).unsqueeze(2))[..., 0] * (side * 2.0 - 1.0)
    seen = visible(ndc, depth) * (facing.clamp_min(0.0) + LEAST_COSINE)
    weight = seen * rgba[:, 3]
    total = weight.sum(dim=0)
    colour = (seen.unsqueeze(1) * rgba[:, :3]).sum(dim=0) / total.clamp_min(1e-6)
    best = (weight.amax(dim=0) / SEEN_WELL).clamp_max(1.0)
    view = PosedPictures(images[None], poses[None], intrinsics[None])
    values = torch.cat([colour.clamp(0.0, 1.0) * best, best[None], soft_hull(view, points)])
    maps[:, plane, side, row, column] = values
    return maps.transpose(0, 1)


def visible(ndc: Float[Tensor, "v p 2"], depth: Float[Tensor, "v p"]) -> Float[Tensor, "v p"]:
    """1 for the points that a view sees past all the other points, 0 for hidden ones and those outside of its frame."""
    place = ((ndc + 1.0) * (DEPTH_SIDE / 2.0)).long()
    framed = (ndc.abs() < 1.0).all(dim=2) & (depth > 0.0)
    pixel = torch.where(framed, place[..., 1] * DEPTH_SIDE + place[..., 0], DEPTH_SIDE**2)
    nearest = depth.new_full((len(depth), DEPTH_SIDE**2 + 1), torch.inf).scatter_reduce(1, pixel, depth, "amin")
    return (framed & (depth <= nearest.gather(1, pixel) + DEPTH_SLACK)).to(depth.dtype)
