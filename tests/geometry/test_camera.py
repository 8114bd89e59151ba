"""Cameras: the conventions of the design, written out by hand, and that rays, projection and crops agree."""

from __future__ import annotations

import json
import math
from dataclasses import asdict

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from wavemesh.errors import InputError
from wavemesh.geometry.camera import Camera
from wavemesh.geometry.camera_tensors import project_points, stack_cameras

cameras = st.builds(
    Camera,
    azimuth_deg=st.floats(-400.0, 400.0),
    elevation_deg=st.floats(-90.0, 90.0),
    distance=st.floats(2.0, 10.0),
    fov_deg=st.floats(5.0, 120.0),
    offset=st.tuples(st.floats(-1.0, 1.0), st.floats(-1.0, 1.0)),
)


def turn_about_y(degrees: float) -> np.ndarray:
    angle = math.radians(degrees)
    return np.array([[math.cos(angle), 0, math.sin(angle)], [0, 1, 0], [-math.sin(angle), 0, math.cos(angle)]])


@pytest.mark.parametrize(
    ("azimuth", "elevation", "place", "right", "up"),
    [
        (0.0, 0.0, (0, 0, 2), (1, 0, 0), (0, 1, 0)),
        (90.0, 0.0, (2, 0, 0), (0, 0, -1), (0, 1, 0)),
        (180.0, 0.0, (0, 0, -2), (-1, 0, 0), (0, 1, 0)),
        (0.0, 90.0, (0, 2, 0), (1, 0, 0), (0, 0, -1)),
        (0.0, -90.0, (0, -2, 0), (1, 0, 0), (0, 0, 1)),
    ],
)
def test_axes(azimuth: float, elevation: float, place: tuple, right: tuple, up: tuple) -> None:
    pose = Camera(azimuth, elevation, distance=2.0).camera_to_world()
    expected = np.stack([right, up, np.array(place) / 2.0, place], axis=1)
    np.testing.assert_allclose(pose, expected, atol=1e-6)


@given(cameras)
def test_pose_is_a_rotation_that_looks_at_the_origin(camera: Camera) -> None:
    pose = camera.camera_to_world().astype(np.float64)
    np.testing.assert_allclose(pose[:, :3].T @ pose[:, :3], np.eye(3), atol=1e-6)
    assert np.linalg.det(pose[:, :3]) == pytest.approx(1.0, abs=1e-6)
    ndc, depth = camera.project(np.zeros((1, 3)))
    np.testing.assert_allclose(ndc[0], camera.offset, atol=1e-5)
    assert depth[0] == pytest.approx(camera.distance, rel=1e-6)


def test_projection_by_hand() -> None:
    ndc, depth = Camera(distance=4.0, fov_deg=90.0).project(np.array([[0.5, 0.0, 0.0], [0.0, 0.5, 1.0], [0, 0, 5.0]]))
    np.testing.assert_allclose(ndc[:2], [[0.125, 0.0], [0.0, 0.5 / 3.0]], atol=1e-7)
    np.testing.assert_allclose(depth, [4.0, 3.0, -1.0], atol=1e-6)


def test_the_default_camera_shows_the_whole_cube() -> None:
    corners = 0.9 * np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    for azimuth in range(0, 360, 15):
        for elevation in range(-90, 91, 15):
            assert np.abs(Camera(float(azimuth), float(elevation)).project(corners)[0]).max() < 1.0


@given(cameras, st.integers(1, 9), st.floats(0.5, 20.0))
def test_rays_project_onto_the_centres_of_their_pixels(camera: Camera, size: int, along: float) -> None:
    origins, directions = camera.rays(size)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=-1), 1.0, atol=1e-9)
    ndc, depth = camera.project((origins + along * directions).reshape(-1, 3))
    rows, columns = np.divmod(np.arange(size * size), size)
    expected = np.stack([(columns + 0.5) / size * 2 - 1, 1 - (rows + 0.5) / size * 2], axis=1)
    np.testing.assert_allclose(ndc, expected, atol=1e-4)
    assert (depth > 0).all()


@given(st.lists(cameras, min_size=1, max_size=4))
def test_tensor_projection_equals_that_of_the_cameras(several: list[Camera]) -> None:
    points = np.random.default_rng(0).uniform(-0.9, 0.9, (20, 3))
    ndc, depth = project_points(torch.from_numpy(points).float(), *stack_cameras(several))
    for index, camera in enumerate(several):
        expected_ndc, expected_depth = camera.project(points)
        np.testing.assert_allclose(depth[index], expected_depth, atol=1e-5)
        np.testing.assert_allclose(ndc[index], expected_ndc, rtol=1e-4, atol=1e-4)


def test_tensor_projection_of_batches_and_of_points_behind() -> None:
    poses, intrinsics = stack_cameras([Camera(10.0 * index) for index in range(6)])
    points = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, 50.0]])
    ndc, depth = project_points(points, poses.reshape(2, 3, 3, 4), intrinsics.reshape(2, 3, 3))
    assert ndc.shape == (2, 3, 2, 2)
    assert depth.shape == (2, 3, 2)
    assert torch.isfinite(ndc).all()
    assert (depth[..., 0] > 0).all()
    assert (depth[..., 1] < 0).all()


@given(cameras, st.integers(-4, 12), st.integers(-4, 12), st.integers(1, 12))
def test_a_crop_has_the_rays_of_its_pixels(camera: Camera, left: int, top: int, size: int) -> None:
    _, whole = camera.rays(16)
    _, part = camera.cropped(float(left), float(top), float(size), 16.0, 16.0).rays(size)
    # Only what lies on both pictures: a window may reach beyond.
    rows, columns = (range(max(0, -start), min(size, 16 - start)) for start in (top, left))
    for row in rows:
        for column in columns:
            np.testing.assert_allclose(part[row, column], whole[top + row, left + column], atol=1e-6)


def test_a_crop_of_a_wide_picture_keeps_the_vertical_field_of_view() -> None:
    camera = Camera(20.0, 30.0, fov_deg=50.0)
    middle = camera.cropped(4.0, 0.0, 16.0, 24.0, 16.0)
    np.testing.assert_allclose(middle.rays(16)[1], camera.rays(16)[1], atol=1e-9)
    # The left edge of the wide picture is half as far again from the middle as that of the square one.
    left = camera.cropped(0.0, 0.0, 16.0, 24.0, 16.0)
    np.testing.assert_allclose(left.rays(16)[1][:, 4:], camera.rays(16)[1][:, :12], atol=1e-9)


def test_padding_is_a_crop_with_a_larger_window() -> None:
    camera = Camera(-70.0, 15.0)
    np.testing.assert_allclose(
        camera.cropped(-3.0, -3.0, 16.0, 10.0, 10.0).rays(16)[1][3:13, 3:13], camera.rays(10)[1], atol=1e-9
    )


@given(cameras, st.floats(-360.0, 360.0))
def test_a_turned_camera_sees_the_world_turned_back(camera: Camera, degrees: float) -> None:
    points = np.random.default_rng(1).uniform(-0.9, 0.9, (10, 3))
    turned_world = points @ turn_about_y(-degrees).T
    ndc, depth = camera.turned(degrees).project(points)
    expected_ndc, expected_depth = camera.project(turned_world)
    np.testing.assert_allclose(depth, expected_depth, atol=1e-5)
    np.testing.assert_allclose(ndc, expected_ndc, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ({"elevation_deg": 91.0}, "91.0"),
        ({"azimuth_deg": math.nan}, "nan"),
        ({"distance": 0.0}, "0.0"),
        ({"distance": math.inf}, "inf"),
        ({"fov_deg": 180.0}, "180.0"),
        ({"offset": (0.0, math.inf)}, "inf"),
    ],
)
def test_values_out_of_range_are_refused(values: dict, shown: str) -> None:
    with pytest.raises(InputError, match=shown):
        Camera(**values)


def test_an_empty_crop_is_refused() -> None:
    with pytest.raises(InputError, match=r"not 0.0 of 16.0 x 16.0"):
        Camera().cropped(0.0, 0.0, 0.0, 16.0, 16.0)


def test_numbers_of_numpy_become_plain_floats() -> None:
    """They would show in messages and files; a network's estimate arrives as such."""
    camera = Camera(np.float64(30.0), np.float64(20.0), np.float64(5.0), np.float64(40.0), (np.float64(0.5), 0.0))
    values = asdict(camera)
    assert {type(value) for value in (*values.values(), *values["offset"])} == {float, tuple}
    assert json.loads(json.dumps(values))["offset"] == [0.5, 0.0]
