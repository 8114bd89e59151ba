"""Outlines of several silhouettes: cameras as numbers, distances, and whether silhouettes have room for each other."""

import math

import numpy as np
import pytest
import torch

from tests.models.silhouette_scene import SIZE, cropped_cameras, perturbed, silhouettes
from wavemesh.geometry.camera import Camera
from wavemesh.models.outlines import Outlines, camera_axes, to_cameras, to_parameters


def outlines(alphas: np.ndarray, cameras: list[Camera]) -> Outlines:
    return Outlines(alphas, [camera.distance for camera in cameras], 64, 16)


def test_numbers_and_cameras_are_inverse() -> None:
    cameras = [Camera(200.0, -12.0, 3.7, 33.0, (0.1, -0.2)), Camera(-30.0, 60.0, 5.0, 21.0, (0.0, 0.3))]
    restored = to_cameras(to_parameters(cameras), cameras)
    for camera, other in zip(cameras, restored, strict=True):
        assert math.cos(math.radians(camera.azimuth_deg - other.azimuth_deg)) == pytest.approx(1.0, abs=1e-6)
        assert other.elevation_deg == pytest.approx(camera.elevation_deg, abs=1e-4)
        assert other.focal == pytest.approx(camera.focal, rel=1e-5)
        assert other.offset == pytest.approx(camera.offset, abs=1e-6)


def test_points_are_projected_as_the_camera_projects_them() -> None:
    cameras = [Camera(200.0, -12.0, 3.7, 33.0, (0.1, -0.2)), Camera(-30.0, 60.0, 5.0, 21.0, (0.0, 0.3))]
    points = np.random.default_rng(0).uniform(-0.9, 0.9, (20, 3))
    given = torch.tensor(points, dtype=torch.float32)[None, None]
    found = outlines(np.ones((2, 8, 8), np.float32), cameras).project(to_parameters(cameras)[None], given)
    for index, camera in enumerate(cameras):
        assert found[0, index].numpy() == pytest.approx(camera.project(points)[0], abs=1e-4)
        assert camera_axes(to_parameters([camera]))[0].T.numpy() == pytest.approx(
            camera.camera_to_world()[:, :3], abs=1e-5
        )


def test_rays_go_through_their_pixels() -> None:
    cameras = cropped_cameras()
    given = outlines(silhouettes(cameras), cameras)
    origins, directions = given.rays(to_parameters(cameras)[None])
    for index, camera in enumerate(cameras):
        ahead = (origins[0, index] + 4.0 * directions[0, index]).double().numpy()
        assert camera.project(ahead)[0] == pytest.approx(given.places[index].numpy(), abs=1e-4)


def test_depths_are_distances_to_the_outline() -> None:
    """A disc: inside and outside are known."""
    axis = (np.arange(SIZE) + 0.5) / SIZE * 2.0 - 1.0
    disc = (np.hypot(*np.meshgrid(axis, axis)) < 0.5).astype(np.float32)
    places = torch.tensor([[[[0.1, 0.0], [0.3, 0.0], [0.0, 0.7], [0.0, 1.5]]]])
    depth = outlines(disc[None], [Camera()]).inside(places)
    assert depth[0, 0].tolist() == pytest.approx([0.4, 0.2, -0.2, -1.0], abs=2.0 / SIZE)


def test_beyond_the_frame_an_object_may_go_on_where_it_touches_the_border() -> None:
    cut = np.zeros((SIZE, SIZE), np.float32)
    cut[SIZE // 4 : SIZE // 2, : SIZE // 2] = 1.0  # leaves the picture on the left, above its middle
    depth = outlines(cut[None], [Camera()]).inside(torch.tensor([[[[-1.4, 0.25], [1.4, 0.25], [-1.4, -0.5]]]]))
    assert depth[0, 0, 0] >= 0.0 > depth[0, 0, 1:].max()


def test_silhouettes_agree_through_their_cameras_and_not_through_others() -> None:
    cameras = cropped_cameras()
    given = outlines(silhouettes(cameras), cameras)
    assert min(given.agreement(to_parameters(cameras))) > 0.98
    assert np.mean(given.agreement(to_parameters(perturbed(cameras)))) < 0.95
    turned = [*cameras[:3], cameras[3].turned(90.0)]
    assert np.mean(given.agreement(to_parameters(turned))) < 0.9


def test_several_sets_of_cameras_are_looked_at_as_each_alone() -> None:
    cameras = cropped_cameras()
    given = outlines(silhouettes(cameras), cameras)
    sets = torch.stack([to_parameters(perturbed(cameras, seed)) for seed in range(3)])
    along, missed = given.nearest(sets)
    for index in range(3):
        alone = given.nearest(sets[index : index + 1])
        assert torch.allclose(alone[0][0], along[index], atol=1e-4)
        assert torch.allclose(alone[1][0], missed[index], atol=1e-6)


def test_one_picture_agrees_with_itself() -> None:
    cameras = cropped_cameras()[:1]
    assert outlines(silhouettes(cameras), cameras).agreement(to_parameters(cameras)) == [1.0]
