"""A density grid that tells volume rendering where it need not look: empty space, and what stands behind a surface."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from wavemesh.errors import InputError
from wavemesh.rendering.rays import Rays, Samples

# A ray that has lost all but this share of its light shows nothing of what follows.
HIDDEN = 1e-4


class OccupancyGrid:
    """Where a field over [-1, 1]^3 is empty or opaque, on a grid of cells.

    Samples in cells that are not occupied, or behind so much density that nothing of them can be seen, are left out.
    occupied: bool, true wherever anything may be. floor: density per world unit that a cell has at least.
    """

    def __init__(self, occupied: Bool[Tensor, "x y z"], floor: Float[Tensor, "x y z"]) -> None:
        if len(set(occupied.shape)) != 1 or occupied.shape != floor.shape:
            raise InputError(
                f"The grids of an occupancy must be cubes of one size, not {tuple(occupied.shape)} and "
                f"{tuple(floor.shape)}."
            )
        self.resolution = len(occupied)
        self.occupied, self.floor = occupied, floor
        self.low, self.high = self._bounds()

    @classmethod
    def from_distance(
        cls, sdf: Float[Tensor, "x y z"], density: Callable[[Float[Tensor, "x y z"]], Float[Tensor, "x y z"]]
    ) -> OccupancyGrid:
        """The grid of a field whose density is a falling function of a signed distance, known at the cells' centres.

        A surface in a cell is no further from its centre than half the diagonal, so nothing is missed however thin it
        is or how sharply the density falls; one more cell around holds what the density reaches beyond the surface.
        Where the distance is truncated at less than that, every cell counts as occupied.
        """
        _require_finite(sdf)
        half_diagonal = math.sqrt(3.0) / len(sdf)
        return cls(_largest(-sdf) > -half_diagonal, density(_largest(sdf)))

    @property
    def is_empty(self) -> bool:
        """Whether no cell is occupied."""
        return bool((self.high <= self.low).any())

    @property
    def share(self) -> float:
        """The share of the volume that is occupied."""
        return float(self.occupied.float().mean())

    def visible_samples(self, rays: Rays, samples: Samples) -> Bool[Tensor, "r s"]:
        """Which samples can be seen at all."""
        with torch.no_grad():
            cells = self._cells(rays.at(samples.distances))
            occupied = self.occupied.view(-1)[cells]
            passed = (self.floor.view(-1)[cells] * samples.lengths).cumsum(dim=1)
            # What a sample itself absorbs does not hide it.
            passed = F.pad(passed[:, :-1], (1, 0))
            return occupied & (torch.exp(-passed) > HIDDEN)

    def _cells(self, points: Float[Tensor, "r s 3"]) -> Int[Tensor, "r s"]:
        n = self.resolution
        x, y, z = points.add(1.0).mul_(n / 2.0).to(torch.int32).clamp_(0, n - 1).unbind(dim=-1)
        return (x * n + y) * n + z

    def _bounds(self) -> tuple[Float[Tensor, "3"], Float[Tensor, "3"]]:
        """The corners of the smallest box around the occupied cells; the same point twice if there are none."""
        low, high = [], []
        for axis in range(3):
            others = [other for other in range(3) if other != axis]
            cells = self.occupied.any(dim=others[1]).any(dim=others[0]).nonzero().flatten()
            low.append(float(cells[0]) if len(cells) else 0.0)
            high.append(float(cells[-1]) + 1.0 if len(cells) else 0.0)
        corners = torch.tensor([low, high], device=self.occupied.device) / self.resolution * 2.0 - 1.0
        return corners[0], corners[1]


def _largest(volume: Float[Tensor, "x y z"]) -> Float[Tensor, "x y z"]:
    """The largest value among each cell and its 26 neighbours."""
    return F.max_pool3d(volume.detach().float()[None, None], 3, stride=1, padding=1)[0, 0]


def _require_finite(grid: Tensor) -> None:
    if not torch.isfinite(grid).all():
        place = tuple((~torch.isfinite(grid)).nonzero()[0].tolist())
        raise InputError(f"The grid of a field must hold finite numbers, not {grid[place].item()} in cell {place}.")
