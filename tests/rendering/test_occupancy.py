"""The grid of empty and opaque cells: nothing that can be seen is left out."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.rendering.density_grid import grid_of_density
from wavemesh.errors import InputError
from wavemesh.rendering.occupancy import OccupancyGrid
from wavemesh.rendering.rays import Rays, stratified_samples


@settings(max_examples=10)
@given(st.floats(0.0, 0.12), st.floats(-0.5, 0.5))
def test_no_surface_between_cell_centres_is_missed(thickness: float, offset: float) -> None:
    # A slab much thinner than a cell, anywhere between the centres of the cells.
    n = 32
    z = (torch.arange(n) + 0.5) / n * 2 - 1
    sdf = ((z - offset).abs() - thickness / 2).clamp(-0.09, 0.09).expand(n, n, n).contiguous()
    grid = OccupancyGrid.from_distance(sdf, lambda d: 200.0 * (d < 0).float())
    cell = min(n - 1, max(0, math.floor((offset + 1) / 2 * n)))
    assert grid.occupied[:, :, cell].all()
    assert not grid.occupied[:, :, (cell + n // 2) % n].any()


def test_grids_that_cannot_be_are_refused() -> None:
    with pytest.raises(InputError, match="nan"):
        OccupancyGrid.from_distance(torch.full((4, 4, 4), math.nan), torch.zeros_like)
    with pytest.raises(InputError, match=r"4, 4, 5"):
        OccupancyGrid.from_distance(torch.zeros(4, 4, 5), torch.zeros_like)


def test_bounds_hold_the_occupied_cells() -> None:
    density = torch.zeros(16, 16, 16)
    density[4, 8:10, 12] = 5.0
    grid = grid_of_density(density)
    # One cell around on every side: cells 3 to 5, 7 to 10 and 11 to 13.
    torch.testing.assert_close((grid.low + 1) * 8, torch.tensor([3.0, 7.0, 11.0]))
    torch.testing.assert_close((grid.high + 1) * 8, torch.tensor([6.0, 11.0, 14.0]))
    assert grid.share == 3 * 4 * 3 / 16**3


def test_what_stands_behind_a_wall_is_not_visible() -> None:
    # Two thick walls across z; the ray comes from +z.
    density = torch.zeros(32, 32, 32)
    density[:, :, 4:10] = 100.0
    density[:, :, 20:28] = 100.0
    grid = grid_of_density(density)
    rays = Rays(torch.tensor([[0.1, 0.1, 3.0]]), torch.tensor([[0.0, 0.0, -1.0]]))
    samples = stratified_samples(torch.tensor([2.0]), torch.tensor([4.0]), 64)
    cells = ((3.0 - samples.distances[0] + 1) * 16).long()
    visible = grid.visible_samples(rays, samples)[0]
    assert visible[(cells >= 26) & (cells < 28)].all()
    assert not visible[cells < 22].any()
    assert not visible[cells > 29].any()
    # The same walls of thin fog hide nothing.
    fog = grid_of_density(density / 1000)
    assert fog.visible_samples(rays, samples)[0][(cells >= 20) & (cells < 28) | (cells >= 4) & (cells < 10)].all()
