"""Projective conditioning against hand-made geometry: what a cell sees is what stands at its projection."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wavemesh.geometry.camera import Camera
from wavemesh.geometry.camera_tensors import project_points, stack_cameras
from wavemesh.models.multiview_encoder import ViewFeatures
from wavemesh.models.projection import ProjectiveFeatures, grid_points, sample_maps, soft_hull


def features_of(alpha: torch.Tensor, cameras: list[Camera], maps: torch.Tensor | None = None) -> ViewFeatures:
    poses, intrinsics = stack_cameras(cameras)
    maps = torch.zeros(1, len(cameras), 4, 8, 8) if maps is None else maps
    empty = torch.zeros(1, len(cameras), 0)
    return ViewFeatures(maps, alpha, empty, empty, poses[None], intrinsics[None])


def test_grid_points_are_cell_centres_in_order() -> None:
    points = grid_points(4).reshape(4, 4, 4, 3)
    torch.testing.assert_close(points[0, 1, 3], torch.tensor([-0.75, -0.25, 0.75]))
    torch.testing.assert_close(grid_points(4, 0.5)[0], torch.full((3,), -0.5))


@settings(max_examples=20, deadline=None)
@given(st.floats(-180, 180), st.floats(-80, 80), st.floats(2.5, 8.0), st.floats(20, 70), st.floats(-0.5, 0.5))
def test_project_points_equals_the_camera(
    azimuth: float, elevation: float, distance: float, fov: float, shift: float
) -> None:
    camera = Camera(azimuth, elevation, distance, fov, (shift, -shift))
    points = np.random.default_rng(0).uniform(-1, 1, (50, 3))
    poses, intrinsics = stack_cameras([camera])
    ndc, depth = project_points(torch.tensor(points, dtype=torch.float32), poses, intrinsics)
    expected, expected_depth = camera.project(points)
    np.testing.assert_allclose(ndc[0].numpy(), expected, atol=2e-4)
    np.testing.assert_allclose(depth[0].numpy(), expected_depth, atol=1e-4)


def test_sample_maps_reads_pixel_centres() -> None:
    maps = torch.arange(16.0).reshape(1, 1, 4, 4)
    row, column = 1, 2
    ndc = torch.tensor([[[(column + 0.5) / 2 - 1, 1 - (row + 0.5) / 2]]])
    assert sample_maps(maps, ndc)[0, 0, 0] == maps[0, 0, row, column]
    outside = torch.tensor([[[3.0, 0.0]]])
    assert sample_maps(maps, outside)[0, 0, 0] == 0
    assert sample_maps(maps, outside, padding="border")[0, 0, 0] > 0


def sphere_alpha(camera: Camera, radius: float, size: int = 64) -> torch.Tensor:
    origins, directions = camera.rays(size)
    closest = np.linalg.norm(np.cross(origins, directions), axis=-1)
    return torch.tensor(closest < radius, dtype=torch.float32)[None, None, None]


def test_hull_of_a_sphere_contains_it_and_little_more() -> None:
    cameras = [Camera(azimuth, elevation) for azimuth in (0.0, 60.0, 120.0) for elevation in (-30.0, 30.0)]
    alpha = torch.cat([sphere_alpha(camera, 0.6) for camera in cameras], dim=1)
    points = grid_points(24)
    hull = soft_hull(features_of(alpha, cameras), points)[0]
    distance = points.norm(dim=1)
    assert (hull[distance < 0.55] > 0.5).all()
    assert (hull[distance > 0.8] < 0.5).float().mean() > 0.97


def test_hull_says_nothing_beyond_the_frame() -> None:
    camera = Camera(0.0, 0.0, 4.56, 10.0)
    alpha = torch.zeros(1, 1, 1, 16, 16)
    alpha[..., 4:12, 8:] = 1.0  # touches the right border, not the others
    points = torch.tensor([[-0.2, 0.0, 0.0], [0.2, 0.0, 0.0], [0.9, 0.0, 0.0], [-0.9, 0.0, 0.0], [0.0, 0.9, 0.0]])
    hull = soft_hull(features_of(alpha, [camera]), points)[0]
    assert hull.round().tolist() == [0.0, 1.0, 1.0, 0.0, 0.0]


def test_features_follow_the_projection() -> None:
    torch.manual_seed(0)
    camera = Camera(0.0, 0.0)
    maps = torch.zeros(1, 1, 4, 8, 8)
    maps[..., 4:] = 1.0  # the right half of the picture, where x > 0 for a camera in front
    module = ProjectiveFeatures(4, hidden=8, out_channels=5)
    views = features_of(torch.ones(1, 1, 1, 16, 16), [camera], maps)
    blank = features_of(torch.ones(1, 1, 1, 16, 16), [camera])
    points = torch.tensor([[0.8, 0.0, 0.0], [-0.8, 0.0, 0.0]])
    change = (module(views, points) - module(blank, points)).abs().amax(dim=-1)[0]
    assert change[0] > 1e-4
    assert change[1] < 1e-6


def test_order_of_views_does_not_matter() -> None:
    torch.manual_seed(0)
    cameras = [Camera(0.0, 10.0), Camera(100.0, 20.0), Camera(220.0, 0.0)]
    maps, alpha = torch.rand(1, 3, 4, 8, 8), torch.rand(1, 3, 1, 16, 16)
    module = ProjectiveFeatures(4, hidden=8, out_channels=5)
    points = grid_points(4)
    order = [2, 0, 1]
    first = module(features_of(alpha, cameras, maps), points)
    second = module(features_of(alpha[:, order], [cameras[i] for i in order], maps[:, order]), points)
    torch.testing.assert_close(first, second, atol=1e-5, rtol=1e-4)


def test_attention_begins_near_the_mean_and_may_leave_views_out() -> None:
    torch.manual_seed(0)
    cameras = [Camera(0.0, 10.0), Camera(100.0, 20.0), Camera(220.0, 0.0)]
    maps, alpha = torch.rand(1, 3, 4, 8, 8), torch.rand(1, 3, 1, 16, 16)
    points = grid_points(4)
    attended = ProjectiveFeatures(4, hidden=8, out_channels=5, pooling="attention")
    plain = ProjectiveFeatures(4, hidden=8, out_channels=5)
    plain.load_state_dict({name: value for name, value in attended.state_dict().items() if "attention" not in name})
    views = features_of(alpha, cameras, maps)
    assert attended.attention is not None
    torch.nn.init.zeros_(attended.attention.weight)
    torch.testing.assert_close(attended(views, points), plain(views, points), atol=1e-5, rtol=1e-4)
    torch.nn.init.normal_(attended.attention.weight)
    assert (attended(views, points) - plain(views, points)).abs().max() > 1e-3
    # A view that does not see a point has no say in it, but for the maximum, where it counts as nothing.
    torch.nn.init.zeros_(attended.pool.weight[:, 16:24])
    behind = features_of(alpha[:, :2], [cameras[0], Camera(0.0, 0.0, 0.01, 10.0)], maps[:, :2])
    alone = features_of(alpha[:, :1], cameras[:1], maps[:, :1])
    unseen = torch.tensor([[0.0, 0.0, 0.9]])
    torch.testing.assert_close(attended(behind, unseen), attended(alone, unseen), atol=1e-5, rtol=1e-4)


def test_hull_of_several_views_is_the_least_of_each() -> None:
    cameras = [Camera(30.0, 20.0), Camera(120.0, 5.0, distance=3.0, offset=(0.1, -0.05))]
    alpha = torch.rand(1, 2, 1, 32, 32)
    points = grid_points(12)
    both = features_of(alpha, cameras)
    each = [features_of(alpha[:, [i]], [camera]) for i, camera in enumerate(cameras)]
    expected = torch.minimum(*(soft_hull(one, points) for one in each))
    torch.testing.assert_close(soft_hull(both, points), expected)


def test_depths_count_from_the_plane_through_the_origin() -> None:
    torch.manual_seed(0)
    project = ProjectiveFeatures(map_channels=4, hidden=8, out_channels=8)
    points = 0.1 * torch.randn(20, 3)
    alpha, maps = torch.ones(1, 1, 1, 16, 16), torch.ones(1, 1, 4, 8, 8)
    # From far away the picture of one lens and distance is that of another, and so is what it says.
    far, further = (
        project(features_of(alpha, [Camera(30.0, 20.0, distance, fov)], maps), points)
        for distance, fov in ((40.0, 3.0), (80.0, 1.5))
    )
    torch.testing.assert_close(far, further, atol=5e-3, rtol=0.0)
