"""What pictures show of a surface, written on the planes of a triplane.

The networks know pictures at a quarter of their side, and planes at half of the triplane's resolution: what textures
are made of is lost there. Here a field is looked at along the normal of each plane, from both sides, at the resolution
of the whole triplane; every place where such a look meets the surface takes the colours of the pictures' own pixels
that see it, and learns where the silhouettes contradict it. The coarse stage gets the visual hull painted in this way,
the detail stage the surface that LL decodes to. Nothing is trained.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from wavemesh.geometry.camera_tensors import project_points
from wavemesh.models.colour_planes import fill_outwards
from wavemesh.models.first_surface import (
    SIDES,
    SurfacePlaces,
    first_surface,
    normal_columns,
    twice_as_fine,
)
from wavemesh.models.planes import PLANES
from wavemesh.models.posed_pictures import PosedPictures
from wavemesh.models.projection import grid_points, sample_maps, soft_hull

# Of each side: colour, how well it is seen, whether the silhouettes allow it; then whether there is a surface, and
# where along the normal.
PAINTED, LOOKED = 5, 2
# The hull: how surely there is something along the normal, and from where to where.
HULL = 1 + SIDES
# At twice the resolution of the bands, so that four places share a cell.
PAINTED_CHANNELS = 4 * (SIDES * (PAINTED + LOOKED) + HULL)

DEPTH_SIDE = 64  # of the depth buffer that tells what a view sees, in pixels
DEPTH_SLACK = 0.1  # world units: a pixel of the buffer is a thirtieth of a unit wide, and surfaces slant
LEAST_COSINE = 0.03
SEEN_WELL = 0.3  # the cosine from which on a place counts as seen
# Of the other side's colours where a side is not seen: so little that they count as blurred ones, by `fill_outwards`.
OTHER_SIDE = 0.05


@dataclass
class PaintedPlanes:
    """features: (B, 3, F, n, n) in the cells of the bands, F = `PAINTED_CHANNELS`. colours: (B, 3, 6, 2 n, 2 n) as in
    `models.colour_planes`, guessed from the places around where no picture sees one.
    """

    features: Tensor
    colours: Tensor


@torch.no_grad()
def painted_planes(
    field: Float[Tensor, "b n n n"], pictures: PosedPictures, hull: Float[Tensor, "b n n n"] | None = None
) -> PaintedPlanes:
    """The planes XY, XZ, YZ of a field's surface, painted.

    field: signed distances at the cell centres of [-1, 1]^3, axes x, y, z. pictures: of each object, with cameras.
    hull: of the pictures at the same centres (`projection.soft_hull`), computed if None.
    """
    n, batch = field.shape[-1], len(field)
    if hull is None:
        hull = soft_hull(pictures, grid_points(n, device=field.device)).view(-1, n, n, n)
    hull_columns = twice_as_fine(normal_columns(hull))
    surface = first_surface(twice_as_fine(normal_columns(field)))
    extent = first_surface(0.5 - hull_columns).depths
    solid = hull_columns.amax(dim=2, keepdim=True)
    places = surface.places()
    seen = [_seen(places.of_object(item), pictures.of_object(item)) for item in range(batch)]
    maps = places.maps(torch.cat(seen), batch, 2 * n)
    colours, best, allowed = maps.split([3, 1, 1], dim=3)
    share = OTHER_SIDE * (1.0 - best)
    colours = fill_outwards(colours + share * colours.flip(2), best + share * best.flip(2))
    features = [colours.flatten(2, 3), best.flatten(2, 3), allowed.flatten(2, 3), surface.hit, surface.depths]
    features = torch.cat([each.to(hull.dtype) for each in (*features, solid, extent)], dim=2)
    unshuffled = F.pixel_unshuffle(features.flatten(0, 1), 2).unflatten(0, (-1, PLANES))
    return PaintedPlanes(unshuffled, colours.flatten(2, 3))


def _seen(places: SurfacePlaces, picture: PosedPictures) -> Float[Tensor, "k 5"]:
    """Colour times visibility, visibility, and whether the silhouettes allow it, at each place of one object."""
    images, poses, intrinsics = picture.images[0].float(), picture.poses[0].float(), picture.intrinsics[0].float()
    if len(places.points) == 0:
        return images.new_zeros(0, PAINTED)
    ndc, depth = project_points(places.points, poses, intrinsics)
    rgba = sample_maps(images, ndc)
    # The surface faces the side that it is looked at from, about.
    towards = F.normalize(poses[:, :, 3][:, None] - places.points, dim=-1)
    facing = towards.gather(2, (2 - places.plane).expand(len(poses), -1).unsqueeze(2))[..., 0]
    facing = facing * (places.side * 2.0 - 1.0)
    seen = visibility(ndc, depth) * (facing.clamp_min(0.0) + LEAST_COSINE)
    weight = seen * rgba[:, 3]
    colour = (seen.unsqueeze(1) * rgba[:, :3]).sum(dim=0) / weight.sum(dim=0).clamp_min(1e-6)
    best = (weight.amax(dim=0) / SEEN_WELL).clamp_max(1.0)
    values = [(2.0 * colour.clamp(0.0, 1.0) - 1.0) * best, best[None], soft_hull(picture, places.points)]
    return torch.cat(values).T


def visibility(ndc: Float[Tensor, "v p 2"], depth: Float[Tensor, "v p"]) -> Float[Tensor, "v p"]:
    """1 for the points that a view sees past all the other points, 0 for hidden ones and those outside of its frame."""
    # Clamped, because the sum rounds up to 2 just inside of the frame.
    place = ((ndc + 1.0) * (DEPTH_SIDE / 2.0)).long().clamp(0, DEPTH_SIDE - 1)
    framed = (ndc.abs() < 1.0).all(dim=2) & (depth > 0.0)
    pixel = torch.where(framed, place[..., 1] * DEPTH_SIDE + place[..., 0], DEPTH_SIDE**2)
    nearest = depth.new_full((len(depth), DEPTH_SIDE**2 + 1), torch.inf).scatter_reduce(1, pixel, depth, "amin")
    return (framed & (depth <= nearest.gather(1, pixel) + DEPTH_SLACK)).to(depth.dtype)
