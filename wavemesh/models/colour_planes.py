"""Colours as channels of a triplane: each plane shows what is met along its normal, from its lower and upper side.

Six channels of a triplane are these colours, 2 * rgb - 1, red, green and blue of the lower side and then of the upper
one; the other channels are learned. So the bands of the colours are exact targets, their details are the textures, and
what pictures show can be written on the planes as it is. The decoder weighs the six colours that the planes have at a
point (`models/triplane_renderer.py`).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from wavemesh.models.first_surface import SIDES, first_surface, normal_columns
from wavemesh.models.plane_bands import BANDS, PlaneBands
from wavemesh.models.planes import PLANES, fold_planes, unfold_planes
from wavemesh.wavelets.transform import dwt2d

COLOURS = 3 * SIDES  # channels of each plane that are colours
LEAST_CHANNELS = 8  # of a triplane that has colours, so that two are left to tell where the surface is
LOOKUP_LEVELS = 4  # cells of 1, 2, 4 and 8 times the volume's are searched for a colour


def colour_channels(triplane_channels: int) -> int:
    """How many channels of a triplane, its first ones, are colours."""
    return COLOURS if triplane_channels >= LEAST_CHANNELS else 0


def colour_bands(maps: Float[Tensor, "b 3 6 m m"], triplane_channels: int) -> PlaneBands:
    """The bands of colours (as `colour_planes` gives them) as those of a triplane, zero in its other channels."""
    kept = colour_channels(triplane_channels)
    ll, details = dwt2d(fold_planes(maps), "haar")
    details = details.unflatten(1, (BANDS, COLOURS))
    others = (0, 0, 0, 0, 0, triplane_channels - kept)
    padded = F.pad(details[:, :, :kept], others).flatten(1, 2)
    return PlaneBands(unfold_planes(F.pad(ll[:, :kept], others)), unfold_planes(padded))


@torch.no_grad()
def colour_planes(sdf: Float[Tensor, "b m m m"], volume: Float[Tensor, "b 4 m m m"]) -> Float[Tensor, "b 3 6 m m"]:
    """The colours of a shape's first surfaces, in [-1, 1], filled outwards where nothing is met.

    sdf: distances at the cell centres of [-1, 1]^3, axes x, y, z. volume: mean colours of the surface in the same cells
    and their mask (`data.colours.colour_volume`). Where a cell has no colour that of a coarser cell counts.
    """
    surface = first_surface(normal_columns(sdf))
    places = surface.places()
    colour, known = _look_up(volume, places.item, places.points)
    values = torch.cat([(2.0 * colour - 1.0) * known, known], dim=1)
    maps = places.maps(values, len(sdf), sdf.shape[-1])
    return fill_outwards(maps[:, :, :, :3], maps[:, :, :, 3:]).flatten(2, 3)


def fill_outwards(
    colours: Float[Tensor, "b 3 2 c m m"], weight: Float[Tensor, "b 3 2 1 m m"]
) -> Float[Tensor, "b 3 2 c m m"]:
    """Pictures of which places are known in part, filled from the places around them by a pyramid ("pull-push", Gortler
    et al. 1996).

    colours: times their weight in [0, 1]. What no place of a picture knows is the object's mean; zero where there is
    none.
    """
    shape = colours.shape
    maps, known = colours.flatten(0, 2), weight.flatten(0, 2)
    levels = [(maps, known)]
    while max(maps.shape[-2:]) > 1:
        pooled, total = (F.avg_pool2d(each, 2, ceil_mode=True, divisor_override=1) for each in (maps, known))
        known = total.clamp_max(1.0)
        maps = pooled * (known / total.clamp_min(1e-6))
        levels.append((maps, known))
    pictures = PLANES * SIDES
    sums, counts = (each.unflatten(0, (-1, pictures)).sum(dim=1) for each in (maps, known))
    filled = (sums / counts.clamp_min(1e-6)).repeat_interleave(pictures, dim=0)
    for maps, known in reversed(levels):
        if filled.shape != maps.shape:
            filled = F.interpolate(filled, size=maps.shape[-2:], mode="bilinear", align_corners=False)
        filled = maps + (1.0 - known) * filled
    return filled.view(shape)


def _look_up(
    volume: Float[Tensor, "b 4 m m m"], item: Tensor, points: Float[Tensor, "k 3"]
) -> tuple[Float[Tensor, "k 3"], Float[Tensor, "k 1"]]:
    """The colours at points of the objects `item`, from the finest cells that have one, and whether any has."""
    colour, known = volume.new_zeros(len(points), 3), volume.new_zeros(len(points), 1)
    for level in range(LOOKUP_LEVELS):
        if level and min(volume.shape[2:]) > 1:
            volume = F.avg_pool3d(volume, 2, ceil_mode=True)
        m = volume.shape[-1]
        x, y, z = ((points + 1.0) * (m / 2.0)).long().clamp(0, m - 1).unbind(dim=1)
        found = volume[item, :, x, y, z]
        share = found[:, 3:]
        new = (share > 0) & (known == 0)
        colour = torch.where(new, found[:, :3] / share.clamp_min(1e-6), colour)
        known = torch.where(new, torch.ones_like(known), known)
    return colour, known
