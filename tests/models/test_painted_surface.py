"""The painted surface of a field: what views see, the colours that arrive, and those that are guessed."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from wavemesh.geometry.camera import Camera
from wavemesh.geometry.camera_tensors import project_points, stack_cameras
from wavemesh.models.painted_surface import PAINTED_CHANNELS, PaintedPlanes, painted_planes, visibility
from wavemesh.models.posed_pictures import PosedPictures
from wavemesh.models.projection import grid_points, soft_hull

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


def maps(planes: PaintedPlanes) -> torch.Tensor:
    """The features (3, 17, m, m) of the first object at twice the bands' resolution."""
    return F.pixel_shuffle(planes.features[0], 2)


def test_each_side_takes_the_colour_of_the_view_that_sees_it() -> None:
    cameras = [Camera(0.0, 0.0), Camera(180.0, 0.0), Camera(90.0, 0.0)]
    planes = painted_planes(box(), pictures([RED, GREEN, BLUE], cameras))
    found = maps(planes)
    assert found.shape == (3, PAINTED_CHANNELS // 4, 2 * N, 2 * N)
    torch.testing.assert_close(found[:, :6], planes.colours[0])
    for plane, side, colour in ((0, 1, RED), (0, 0, GREEN), (2, 1, BLUE)):
        shown = planes.colours[0, plane, 3 * side : 3 * side + 3, N, N]
        torch.testing.assert_close(shown, 2.0 * colour - 1.0, atol=0.04, rtol=0.0)
    # Nobody looks at -x: it takes the other side's colour. The hull and the surface are known there all the same.
    assert float(found[2, 6, N, N]) < 0.1
    torch.testing.assert_close(planes.colours[0, 2, :3, N, N], 2.0 * BLUE - 1.0, atol=0.3, rtol=0.0)
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
    seen = visibility(*project_points(points, poses, intrinsics))
    assert seen.tolist() == [[1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 0.0]]


def test_a_field_without_a_surface_has_no_colours() -> None:
    planes = painted_planes(torch.ones(1, 8, 8, 8), pictures([RED], [Camera()]))
    found = maps(planes)
    assert (found[:, :14] == 0).all()
    assert torch.isfinite(found).all()
    assert (planes.colours == 0).all()


def test_objects_of_a_batch_do_not_mix() -> None:
    one = pictures([RED], [Camera(0.0, 0.0)])
    other = pictures([GREEN], [Camera(90.0, 10.0)])
    names = ("images", "poses", "intrinsics")
    both = PosedPictures(*(torch.cat([getattr(each, name) for each in (one, other)]) for name in names))
    fields = torch.cat([box(), 0.2 + box()])
    whole = painted_planes(fields, both)
    for index, each in enumerate((one, other)):
        alone = painted_planes(fields[index : index + 1], each)
        torch.testing.assert_close(whole.features[index : index + 1], alone.features)
        torch.testing.assert_close(whole.colours[index : index + 1], alone.colours)


def test_a_hull_that_is_known_is_the_same() -> None:
    given = pictures([RED], [Camera(20.0, 10.0)])
    hull = soft_hull(given, grid_points(N)).view(1, N, N, N)
    torch.testing.assert_close(painted_planes(box(), given, hull).features, painted_planes(box(), given).features)


def test_a_place_just_inside_of_the_frame_is_seen() -> None:
    edge = float(np.nextafter(np.float32(1.0), np.float32(0.0)))
    ndc = torch.tensor([[[edge, edge], [-edge, edge], [1.0, 0.0]]])
    assert visibility(ndc, torch.full((1, 3), 2.0)).tolist() == [[1.0, 1.0, 0.0]]
