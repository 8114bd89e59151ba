"""What a look along the normal of a plane meets first, from the lower and from the upper side.

Planes are pictures of a volume: plane XY shows what is met along z, and so on. Where colours are written on planes they
are those of these first surfaces.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from wavemesh.models.planes import PLANES

SIDES = 2


@dataclass
class FirstSurface:
    """Where looks along the normals of the planes XY, XZ, YZ, from both sides, first meet a negative value.

    depths: (B, 3, 2, m, m) world coordinates along the normal, 0 where nothing is met. hit: whether something is.
    """

    depths: Float[Tensor, "b 3 2 m m"]
    hit: Bool[Tensor, "b 3 2 m m"]

    def places(self) -> SurfacePlaces:
        """The places that are met, each once."""
        item, plane, side, row, column = self.hit.nonzero(as_tuple=True)
        m = self.hit.shape[-1]
        width, height = (column + 0.5) / m * 2.0 - 1.0, (row + 0.5) / m * 2.0 - 1.0
        normal = self.depths[item, plane, side, row, column]
        x = torch.where(plane == 2, normal, width)
        y = torch.where(plane == 0, height, torch.where(plane == 1, normal, width))
        z = torch.where(plane == 0, normal, height)
        return SurfacePlaces(torch.stack([x, y, z], dim=1), item, plane, side, row, column)


@dataclass
class SurfacePlaces:
    """Points (k, 3) on first surfaces, and where each is shown: object, plane, side, row and column (k,)."""

    points: Float[Tensor, "k 3"]
    item: Int[Tensor, " k"]
    plane: Int[Tensor, " k"]
    side: Int[Tensor, " k"]
    row: Int[Tensor, " k"]
    column: Int[Tensor, " k"]

    def of_object(self, item: int) -> SurfacePlaces:
        """The places of one object."""
        chosen = self.item == item
        return SurfacePlaces(*(tensor[chosen] for tensor in vars(self).values()))

    def maps(self, values: Float[Tensor, "k c"], batch: int, m: int) -> Float[Tensor, "b 3 2 c m m"]:
        """The values as pictures of every plane and side, 0 where nothing is met."""
        maps = values.new_zeros(batch, PLANES, SIDES, m, m, values.shape[1])
        maps[self.item, self.plane, self.side, self.row, self.column] = values
        return maps.permute(0, 1, 2, 5, 3, 4)


def normal_columns(volume: Float[Tensor, "b n n n"]) -> Float[Tensor, "b 3 n n n"]:
    """The volume (axes x, y, z) for each plane as a picture, its normal axis in the channels."""
    # Rows are y, z, z and columns x, x, y.
    return torch.stack([volume.permute(0, 3, 2, 1), volume.permute(0, 2, 3, 1), volume.permute(0, 1, 3, 2)], dim=1)


def twice_as_fine(columns: Float[Tensor, "b 3 n h w"]) -> Float[Tensor, "b 3 n h2 w2"]:
    """The pictures at twice their resolution, bilinear."""
    resized = F.interpolate(columns.flatten(0, 1), scale_factor=2, mode="bilinear", align_corners=False)
    return resized.unflatten(0, (-1, PLANES))


def first_surface(columns: Float[Tensor, "b 3 n m m"]) -> FirstSurface:
    """The first surfaces of a field, given as `normal_columns`; between its cells' centres the field is linear."""
    inside = columns < 0
    lower = _first(columns, inside)
    upper = _first(columns.flip(2), inside.flip(2))
    hit = inside.any(dim=2)
    depths = torch.stack([lower, -upper], dim=2) * hit.unsqueeze(2)
    return FirstSurface(depths, hit.unsqueeze(2).expand(-1, -1, SIDES, -1, -1))


def _first(columns: Float[Tensor, "b p n h w"], inside: Bool[Tensor, "b p n h w"]) -> Float[Tensor, "b p h w"]:
    """The world coordinate of the first crossing along the third axis, seen from its beginning."""
    n = columns.shape[2]
    index = inside.to(torch.uint8).argmax(dim=2, keepdim=True)
    here = columns.gather(2, index)
    before = columns.gather(2, (index - 1).clamp_min(0))
    share = torch.where(index > 0, here / (here - before).clamp_max(-1e-8), torch.zeros_like(here))
    return ((index - share + 0.5) / n * 2.0 - 1.0)[:, :, 0]
