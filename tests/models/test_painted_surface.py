"""The painted surface of a field: depths along the axes, what views see, and the colours that arrive."""

import pytest
import torch
import torch.nn.functional as F

from wavemesh.geometry.camera import Camera, project_points, stack_cameras
from wavemesh.models.coarse_triplane import PosedPictures
from wavemesh.models.painted_surface import (
    PAINTED_CHANNELS,
    along_normals,
    painted_planes,
    surface_depths,
    visible,
)
from wavemesh.models.projection import grid_points

N, SIZE = 32, 64
HALF = torch.tensor([0.3, 0.5, 0.7])
CELL = 2.0 / N
RED, GREEN, BLUE = torch.eye(3)


def box() -> torch.Tensor:
    return (grid_points(N).abs() - HALF).amax(dim=-1).view(1, N, N, N)


def pictures(colours: list[torch.Tensor], cameras: list[Camera]) -> PosedPictures:
    """Full frames of one colour each, opaque where the camera sees the box's bounding ball."""
    poses, intrinsics = stack_cameras(cameras)
    images = torch.cat([torch.stack(colours), torch.ones(len(colours), 1)], dim=1)[:, :, None, None]
    return PosedPictures(images.expand(-1, -1, SIZE, SIZE)[None].contiguous(), poses[None], intrinsics[None])


def maps(planes: torch.Tensor) -> torch.Tensor:
    """The features (3, 17, m, m) of the first object at twice the bands' resolution."""
    return F.pixel_shuffle(planes[0], 2)


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
            found = along_normals(volume)[0, plane]
            wanted = expected.expand(8, m, m)
            torch.testing.assert_close(found[:, inner, inner], wanted[:, inner, inner], atol=1e-5, rtol=1e-5)


def test_depths_are_those_of_the_box_from_both_sides() -> None:
    depths, hit = surface_depths(box())
    assert depths.shape == hit.shape == (1, 3, 2, 2 * N, 2 * N)
    middle = depths[0, :, :, N, N]
    half = HALF[[2, 1, 0]]
    torch.testing.assert_close(middle, torch.stack([-half, half], dim=1), atol=1e-4, rtol=1e-4)
    # The share of hits is the area of the box's faces.
    expected = torch.stack([HALF[0] * HALF[1], HALF[0] * HALF[2], HALF[1] * HALF[2]])
    torch.testing.assert_close(hit[0, :, 0].float().mean(dim=(1, 2)), expected, atol=0.04, rtol=0.0)
    assert (depths[~hit] == 0).all()


def test_a_solid_that_begins_at_the_border_is_met_there() -> None:
    depths, hit = surface_depths(-torch.ones(1, 4, 4, 4))
    assert hit.all()
    torch.testing.assert_close(depths.unique(), torch.tensor([-0.75, 0.75]))


def test_each_side_takes_the_colour_of_the_view_that_sees_it() -> None:
    cameras = [Camera(0.0, 0.0), Camera(180.0, 0.0), Camera(90.0, 0.0)]
    found = maps(painted_planes(box(), pictures([RED, GREEN, BLUE], cameras)))
    assert found.shape == (3, PAINTED_CHANNELS // 4, 2 * N, 2 * N)
    front, back = found[0, 1:6:2, N, N], found[0, 0:6:2, N, N]
    torch.testing.assert_close(front, RED, atol=0.02, rtol=0.0)
    torch.testing.assert_close(back, GREEN, atol=0.02, rtol=0.0)
    torch.testing.assert_close(found[2, 1:6:2, N, N], BLUE, atol=0.02, rtol=0.0)
    # Nobody looks at -x; the hull and the surface are known there all the same.
    assert float(found[2, 6, N, N]) < 0.1
    assert float(found[2, 10, N, N]) == 1.0
    assert float(found[2, 12, N, N]) == pytest.approx(-0.3, abs=1e-3)


def test_the_silhouettes_say_where_the_surface_is_wrong() -> None:
    given = pictures([RED], [Camera(0.0, 0.0)])
    given.images[..., : SIZE // 2] = 0.0  # nothing on the left, where x < 0
    found = maps(painted_planes(box(), given))
    allowed, solid = found[0, 9], found[0, 14]
    assert float(allowed[N, N + 6]) == 1.0
    assert float(allowed[N, N - 6]) == 0.0
    assert float(solid[N, N + 6]) == 1.0
    assert float(solid[N, N - 6]) == 0.0


def test_hidden_points_are_not_seen() -> None:
    poses, intrinsics = stack_cameras([Camera(0.0, 0.0), Camera(180.0, 0.0)])
    points = torch.tensor([[0.0, 0.0, 0.5], [0.0, 0.0, -0.5], [0.0, 0.0, 0.45], [5.0, 0.0, 0.0]])
    seen = visible(*project_points(points, poses, intrinsics))
    assert seen.tolist() == [[1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 0.0]]


def test_a_field_without_a_surface_has_no_colours() -> None:
    found = maps(painted_planes(torch.ones(1, 8, 8, 8), pictures([RED], [Camera()])))
    assert (found[:, :14] == 0).all()
    assert torch.isfinite(found).all()


def test_objects_of_a_batch_do_not_mix() -> None:
    one = pictures([RED], [Camera(0.0, 0.0)])
    other = pictures([GREEN], [Camera(90.0, 10.0)])
    both = PosedPictures(*(torch.cat([getattr(each, name) for each in (one, other)]) for name in vars(one)))
    fields = torch.cat([box(), 0.2 + box()])
    whole = painted_planes(fields, both)
    for index, each in enumerate((one, other)):
        torch.testing.assert_close(whole[index : index + 1], painted_planes(fields[index : index + 1], each))
