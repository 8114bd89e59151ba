"""The cameras of the prepared pictures: what a crop shows, and that the choice depends on the key alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavemesh.data.cameras import canonical_cameras, crop_to_points, training_cameras
from wavemesh.geometry.camera import Camera

POINTS = np.random.default_rng(0).uniform((-0.9, -0.5, -0.3), (0.9, 0.6, 0.2), (200, 3))


def frame(camera: Camera, points: np.ndarray) -> tuple[np.ndarray, float]:
    """Middle and longer side of what the camera sees of the points, NDC."""
    ndc, _ = camera.project(points)
    return (ndc.min(axis=0) + ndc.max(axis=0)) / 2, float(np.ptp(ndc, axis=0).max())


@given(
    st.floats(0, 360),
    st.floats(-60, 80),
    st.floats(3, 7),
    st.floats(-0.2, 0.5),
    st.tuples(st.floats(-0.2, 0.2), st.floats(-0.2, 0.2)),
)
def test_a_crop_leaves_the_margin_asked_for(
    azimuth: float, elevation: float, distance: float, margin: float, shift: tuple[float, float]
) -> None:
    camera = crop_to_points(Camera(azimuth, elevation, distance), POINTS, margin, shift)
    middle, side = frame(camera, POINTS)
    # The window is 2 wide and holds the object and a margin on either side.
    assert side == pytest.approx(2 / (1 + 2 * margin), rel=1e-4)
    np.testing.assert_allclose(middle, -np.array(shift) * side, atol=1e-4)
    assert (camera.azimuth_deg, camera.elevation_deg, camera.distance) == (azimuth, elevation, distance)


def test_a_cropped_camera_sees_the_same_rays() -> None:
    """The object's projection moves and grows, nothing else: an affine map joins the two pictures."""
    camera = Camera(30.0, 20.0)
    before, after = camera.project(POINTS)[0], crop_to_points(camera, POINTS, 0.1).project(POINTS)[0]
    scale = np.ptp(after, axis=0) / np.ptp(before, axis=0)
    assert scale[0] == pytest.approx(scale[1], rel=1e-5)
    np.testing.assert_allclose(after - after.mean(axis=0), (before - before.mean(axis=0)) * scale, atol=1e-5)


def test_canonical_cameras_stand_a_quarter_turn_apart_and_show_the_full_frame() -> None:
    cameras = canonical_cameras()
    assert np.diff([camera.azimuth_deg for camera in cameras]).tolist() == [90.0, 90.0, 90.0]
    assert {(camera.fov_deg, camera.distance, camera.offset) for camera in cameras} == {(40.0, 4.56, (0.0, 0.0))}


def test_training_cameras_begin_with_the_canonical_ones_cropped() -> None:
    cameras = training_cameras("some-key", POINTS, 24)
    assert len(cameras) == 24
    for camera, canonical in zip(cameras, canonical_cameras(), strict=False):
        assert (camera.azimuth_deg, camera.elevation_deg) == (canonical.azimuth_deg, canonical.elevation_deg)
        middle, side = frame(camera, POINTS)
        np.testing.assert_allclose(middle, 0.0, atol=1e-4)
        assert side == pytest.approx(2 / 1.16, rel=1e-4)


def test_training_cameras_depend_on_the_key_alone() -> None:
    cameras = training_cameras("some-key", POINTS, 24)
    assert training_cameras("some-key", POINTS, 24) == cameras
    assert training_cameras("some-key", POINTS, 6) == cameras[:6]
    assert training_cameras("some-key", POINTS, 2) == cameras[:2]
    assert training_cameras("other-key", POINTS, 24)[4:] != cameras[4:]


def test_training_cameras_vary_and_mostly_show_all_of_the_object() -> None:
    cameras = [camera for key in "abcdefgh" for camera in training_cameras(key, POINTS, 24)[4:]]
    elevations = np.array([camera.elevation_deg for camera in cameras])
    distances = np.array([camera.distance for camera in cameras])
    assert elevations.min() < 5
    assert elevations.max() > 40
    assert ((distances >= 2.0) & (distances <= 7.0)).all()
    assert 0.1 < np.mean(distances == 4.56) < 0.4
    assert np.mean(distances < 3.4) > 0.2, "phones stand near"
    assert distances.min() > 1.2 * np.linalg.norm(POINTS, axis=1).max()
    whole = [np.abs(camera.project(POINTS)[0]).max() <= 1.0 + 1e-6 for camera in cameras]
    assert 0.8 < np.mean(whole) < 1.0
    assert all(frame(camera, POINTS)[1] > 1.3 for camera in cameras)
