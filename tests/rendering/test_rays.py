"""Rays and samples against the cameras of numpy, a march along the ray and the weights themselves."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wavemesh.geometry.camera import Camera
from wavemesh.geometry.camera_tensors import stack_cameras
from wavemesh.rendering.rays import Rays, camera_rays, importance_distances, intersect_box, merged, stratified_samples


def rays_of(camera: Camera, size: int) -> Rays:
    poses, intrinsics = stack_cameras([camera])
    return camera_rays(poses[0], intrinsics[0], size)


@settings(max_examples=15)
@given(st.floats(-180, 180), st.floats(-85, 85), st.floats(2.5, 6.0), st.floats(20, 60), st.floats(-0.4, 0.4))
def test_rays_are_those_of_the_camera(
    azimuth: float, elevation: float, distance: float, fov: float, shift: float
) -> None:
    camera = Camera(azimuth, elevation, distance, fov, (shift, -shift))
    origins, directions = camera.rays(5)
    rays = rays_of(camera, 5)
    np.testing.assert_allclose(rays.origins.numpy(), origins.reshape(-1, 3), atol=1e-5)
    np.testing.assert_allclose(rays.directions.numpy(), directions.reshape(-1, 3), atol=1e-5)
    poses, intrinsics = stack_cameras([camera])
    some = camera_rays(poses[0], intrinsics[0], 5, torch.tensor([7, 3]))
    torch.testing.assert_close(some.directions, rays.directions[[7, 3]])


def test_box_is_met_where_numpy_says() -> None:
    rng = np.random.default_rng(0)
    origins = rng.uniform(-3, 3, (200, 3)).astype(np.float32)
    directions = rng.normal(size=(200, 3))
    directions = (directions / np.linalg.norm(directions, axis=1, keepdims=True)).astype(np.float32)
    near, far = intersect_box(Rays(torch.from_numpy(origins), torch.from_numpy(directions)))
    # March along each ray and look which places are inside.
    steps = np.linspace(0.0, 12.0, 6001)
    inside = (np.abs(origins[:, None] + steps[:, None] * directions[:, None]) <= 1.0).all(axis=-1)
    length = inside.sum(axis=1) * (steps[1] - steps[0])
    np.testing.assert_allclose((far - near).numpy(), length, atol=6e-3)
    assert (length > 0.1).any()
    assert (length == 0.0).any()


def test_rays_along_the_faces_and_from_inside() -> None:
    origins = torch.tensor([[0.0, 0.0, 3.0], [1.0, 0.0, 3.0], [2.0, 0.0, 3.0], [0.5, 0.0, 0.0]])
    directions = torch.tensor([[0.0, 0.0, -1.0], [0.0, 0.0, -1.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])
    near, far = intersect_box(Rays(origins, directions))
    torch.testing.assert_close(near[[0, 3]], torch.tensor([2.0, 0.0]))
    torch.testing.assert_close(far[[0, 3]], torch.tensor([4.0, 0.5]))
    assert torch.isfinite(near).all()
    assert far[2] == near[2]


def test_stratified_samples_keep_to_their_pieces() -> None:
    near, far = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 2.5])
    middle = stratified_samples(near, far, 4)
    torch.testing.assert_close(middle.distances[0], torch.tensor([1.25, 1.75, 2.25, 2.75]))
    torch.testing.assert_close(middle.lengths[1], torch.full((4,), 0.125))
    random = stratified_samples(near, far, 4, torch.Generator().manual_seed(0))
    assert (random.distances > random.edges[:, :-1]).all()
    assert (random.distances < random.edges[:, 1:]).all()
    assert not torch.equal(random.distances, middle.distances)


def test_importance_samples_follow_the_weights() -> None:
    samples = stratified_samples(torch.zeros(1), torch.ones(1) * 10, 10)
    weights = torch.zeros(1, 10)
    weights[0, 6] = 1.0
    found = importance_distances(samples, weights, 200)
    # The weighted piece and, at half its weight, its neighbours: 6 to 7 and 5 to 8.
    assert ((found > 5) & (found < 8)).float().mean() > 0.95
    assert ((found > 6) & (found < 7)).float().mean() == pytest.approx(0.5, abs=0.03)
    both, order = merged(samples, found)
    assert (both.distances[:, 1:] >= both.distances[:, :-1]).all()
    assert both.lengths.sum().item() == pytest.approx(10.0, abs=1e-4)
    torch.testing.assert_close(torch.cat([samples.distances, found], dim=1).gather(1, order), both.distances)
