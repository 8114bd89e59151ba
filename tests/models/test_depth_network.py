"""The depth network: what it answers, that it knows its camera, weights that are kept."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wavemesh.errors import InputError
from wavemesh.geometry.camera import Camera
from wavemesh.geometry.camera_tensors import stack_cameras
from wavemesh.models.depth_network import DepthConfig, DepthNetwork, camera_features
from wavemesh.models.posed_pictures import PosedPictures
from wavemesh.models.projection import BOUND_SOFTNESS, grid_points, soft_hull

SMALL = DepthConfig(image_size=32, widths=(8, 8, 16, 16), attention_blocks=1, heads=2)


def test_the_back_lies_behind_the_front_and_every_spread_is_positive() -> None:
    torch.manual_seed(0)
    network = DepthNetwork(SMALL).eval()
    with torch.inference_mode():
        answer = network(torch.rand(3, 4, 32, 32), torch.randn(3, 5))
        large = network(torch.rand(1, 4, 80, 80), torch.randn(1, 5))
    assert answer.depth.shape == answer.spread.shape == (3, 2, 16, 16)
    assert large.depth.shape == (1, 2, 16, 16)
    assert bool((answer.depth[:, 1] > answer.depth[:, 0]).all())
    assert bool((answer.spread > 0).all())


def test_depths_depend_on_the_camera() -> None:
    torch.manual_seed(0)
    network = DepthNetwork(SMALL).eval()
    picture = torch.rand(1, 4, 32, 32).expand(2, -1, -1, -1)
    cameras = camera_features(*stack_cameras([Camera(0.0, 0.0), Camera(0.0, 50.0)]))
    with torch.inference_mode():
        first, second = network(picture, cameras).depth
    assert not torch.allclose(first, second, atol=1e-4)


@settings(max_examples=30, deadline=None)
@given(st.floats(0, 360), st.floats(-80, 80), st.floats(2, 7), st.floats(20, 60))
def test_features_of_a_camera_leave_out_its_azimuth(
    azimuth: float, elevation: float, distance: float, fov: float
) -> None:
    camera = Camera(azimuth, elevation, distance, fov, (0.1, -0.2))
    turned, plain = camera_features(*stack_cameras([camera, Camera(0.0, elevation, distance, fov, (0.1, -0.2))]))
    torch.testing.assert_close(turned, plain, atol=1e-4, rtol=1e-4)
    assert float(plain[0]) == pytest.approx(torch.tensor(elevation).deg2rad().sin().item(), abs=1e-4)
    assert float(plain[1]) == pytest.approx(torch.tensor(camera.focal / distance).log().item(), abs=1e-4)


@pytest.mark.parametrize("pretrained", [False, True])
def test_save_and_load(tmp_path: Path, pretrained: bool) -> None:
    torch.manual_seed(0)
    network = DepthNetwork(replace(SMALL, pretrained=pretrained)).eval()
    network.save(tmp_path / "depth")
    images, cameras = torch.rand(1, 4, 32, 32), torch.randn(1, 5)
    with torch.inference_mode():
        kept = DepthNetwork.load(tmp_path / "depth").eval()(images, cameras)
        torch.testing.assert_close(kept.depth, network(images, cameras).depth, atol=2e-2, rtol=1e-2)
    with pytest.raises(InputError, match="nothing-here"):
        DepthNetwork.load(tmp_path / "nothing-here")


def test_bounds_hold_what_was_answered_and_reach_beside_the_silhouette() -> None:
    torch.manual_seed(0)
    network = DepthNetwork(SMALL).eval()
    images = torch.zeros(1, 2, 4, 32, 32)
    images[..., 8:24, 8:24] = 1.0
    poses, intrinsics = (each[None] for each in stack_cameras([Camera(), Camera(90.0, 20.0)]))
    with torch.inference_mode():
        depth, spread = network(images[0], camera_features(poses, intrinsics)[0])
        near, far = (network.of_views(images, poses, intrinsics).bounds(each)[0] for each in (0.0, 2.0))
    inside = (slice(None), slice(5, 11), slice(5, 11))
    assert bool((near[:, 0][inside] <= depth[:, 0][inside] + 1e-6).all())
    assert bool((near[:, 1][inside] >= depth[:, 1][inside] - 1e-6).all())
    assert bool((far[:, 0][inside] < near[:, 0][inside] - spread[:, 0][inside].min()).all())
    # A pixel beside the object has the widest bounds of its neighbours.
    torch.testing.assert_close(near[:, 0, 3, 7], depth[:, 0, 4, 6:9].amin(dim=1))


def test_bounds_carve_the_hull_between_front_and_back() -> None:
    poses, intrinsics = (each[None] for each in stack_cameras([Camera(30.0, 20.0)]))
    alpha = torch.ones(1, 1, 1, 32, 32)
    bounds = torch.tensor([-0.2, 0.3]).view(1, 1, 2, 1, 1).expand(-1, -1, -1, 8, 8)
    views = PosedPictures(alpha, poses, intrinsics, bounds)
    points = grid_points(16)
    hull = soft_hull(views, points)[0]
    backward = torch.from_numpy(Camera(30.0, 20.0).position() / Camera().distance).float()
    depth = -points @ backward
    assert bool((hull[(depth > -0.19) & (depth < 0.29)] > 0.999).all())
    assert bool((hull[(depth < -0.2 - BOUND_SOFTNESS) | (depth > 0.3 + BOUND_SOFTNESS)] == 0.0).all())
    assert bool((soft_hull(PosedPictures(alpha, poses, intrinsics), points) > 0.999).all())
