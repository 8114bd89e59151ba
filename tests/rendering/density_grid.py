"""Grids of fields of which only the density at the cells' centres is known."""

import torch
import torch.nn.functional as F

from wavemesh.rendering.occupancy import OccupancyGrid


def grid_of_density(density: torch.Tensor) -> OccupancyGrid:
    """A cell is occupied if one of its 27 reaches a density of 0.05, and as dense as the least of them."""
    most, least = (F.max_pool3d(each[None, None], 3, 1, 1)[0, 0] for each in (density, -density))
    return OccupancyGrid(most > 0.05, -least)
