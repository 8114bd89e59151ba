"""First surfaces along the planes' normals: columns, depths of a box, and the places they stand for."""

import torch

from wavemesh.models.first_surface import first_surface, normal_columns, twice_as_fine
from wavemesh.models.projection import grid_points

N = 32
HALF = torch.tensor([0.3, 0.5, 0.7])


def box() -> torch.Tensor:
    return (grid_points(N).abs() - HALF).amax(dim=-1).view(1, N, N, N)


def test_columns_stand_along_the_normals() -> None:
    x, y, z = grid_points(8).view(1, 8, 8, 8, 3).unbind(dim=-1)
    inner = slice(1, -1)  # the border is held, not continued
    m = 16
    place = (torch.arange(m) + 0.5) / m * 2.0 - 1.0
    depth = (torch.arange(8) + 0.5) / 8 * 2.0 - 1.0
    for plane, (width, height, normal) in enumerate([(x, y, z), (x, z, y), (y, z, x)]):
        for volume, expected in (
            (width, place.view(1, 1, m)),
            (height, place.view(1, m, 1)),
            (normal, depth.view(8, 1, 1)),
        ):
            found = twice_as_fine(normal_columns(volume))[0, plane]
            wanted = expected.expand(8, m, m)
            torch.testing.assert_close(found[:, inner, inner], wanted[:, inner, inner], atol=1e-5, rtol=1e-5)


def test_depths_are_those_of_the_box_from_both_sides() -> None:
    surface = first_surface(twice_as_fine(normal_columns(box())))
    depths, hit = surface.depths, surface.hit
    assert depths.shape == hit.shape == (1, 3, 2, 2 * N, 2 * N)
    middle = depths[0, :, :, N, N]
    half = HALF[[2, 1, 0]]
    torch.testing.assert_close(middle, torch.stack([-half, half], dim=1), atol=1e-4, rtol=1e-4)
    # The share of hits is the area of the box's faces.
    expected = torch.stack([HALF[0] * HALF[1], HALF[0] * HALF[2], HALF[1] * HALF[2]])
    torch.testing.assert_close(hit[0, :, 0].float().mean(dim=(1, 2)), expected, atol=0.04, rtol=0.0)
    assert (depths[~hit] == 0).all()


def test_a_solid_that_begins_at_the_border_is_met_there() -> None:
    surface = first_surface(normal_columns(-torch.ones(1, 4, 4, 4)))
    assert surface.hit.all()
    torch.testing.assert_close(surface.depths.unique(), torch.tensor([-0.75, 0.75]))


def test_places_lie_on_the_box_and_are_drawn_where_they_are_seen() -> None:
    field = torch.cat([box(), torch.ones(1, N, N, N)])
    surface = first_surface(normal_columns(field))
    places = surface.places()
    assert len(places.points) == int(surface.hit.sum())
    # The face that a plane's side looks at is the one at that end of its normal, axis 2 - plane.
    ends = places.points.gather(1, (2 - places.plane)[:, None])[:, 0]
    torch.testing.assert_close(ends, HALF[2 - places.plane] * (2.0 * places.side - 1.0), atol=0.02, rtol=0.0)
    assert bool((places.points.abs() <= HALF + 1.0 / N).all())
    maps = places.maps(places.points, 2, N)
    assert maps.shape == (2, 3, 2, 3, N, N)
    assert bool((maps[1] == 0).all())
    centres = (torch.arange(N) + 0.5) / N * 2.0 - 1.0
    for plane, (across, up) in enumerate([(0, 1), (0, 2), (1, 2)]):
        hit = surface.hit[0, plane, 0]
        torch.testing.assert_close(maps[0, plane, 0, across][hit], centres.expand(N, N)[hit])
        torch.testing.assert_close(maps[0, plane, 0, up][hit], centres[:, None].expand(N, N)[hit])
    assert len(places.of_object(1).points) == 0
    assert len(places.of_object(0).points) == len(places.points)
