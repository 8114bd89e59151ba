"""Sides fix quarter turns and the frame; what is left of the azimuths support each other."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wavemesh.geometry.camera import Camera
from wavemesh.geometry.frame import SIDE_AZIMUTHS, Side
from wavemesh.models.sides import TOP_MINIMUM_DEG, at_sides, shared_deviations

NAMED: list[Side] = list(SIDE_AZIMUTHS)
sides = st.lists(st.sampled_from(NAMED), min_size=1, max_size=6)


def apart(first: float, second: float) -> float:
    """Degrees between two directions."""
    return abs((first - second + 180.0) % 360.0 - 180.0)


@settings(max_examples=50, deadline=None)
@given(sides, st.floats(-44.9, 44.9), st.lists(st.integers(-4, 4), min_size=6, max_size=6))
def test_cameras_known_up_to_quarter_turns_stand_at_their_sides(
    chosen: list[Side], deviation: float, wrong: list[int]
) -> None:
    """Pictures of a turntable: one deviation from all sides, and quarter turns that nobody knows."""
    truth = [Camera(SIDE_AZIMUTHS[side] + deviation, 20.0, 3.0, 35.0, (0.1, 0.2)) for side in chosen]
    estimates = [camera.turned(90.0 * turns) for camera, turns in zip(truth, wrong, strict=False)]
    for found, camera in zip(at_sides(estimates, chosen), truth, strict=True):
        assert apart(found.azimuth_deg, camera.azimuth_deg) < 1e-6
        assert (found.elevation_deg, found.distance, found.fov_deg, found.offset) == (20.0, 3.0, 35.0, (0.1, 0.2))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-1000, 1000), min_size=1, max_size=6))
def test_deviations_are_less_than_half_a_quarter_turn(azimuths: list[float]) -> None:
    assert all(-45.0 <= deviation < 45.0 for deviation in shared_deviations(azimuths))


def test_one_picture_keeps_its_own_deviation_and_several_support_each_other() -> None:
    assert shared_deviations([100.0]) == pytest.approx([10.0])
    drawn = shared_deviations([10.0, 100.0, 190.0, 286.0])
    assert drawn[:3] == pytest.approx([drawn[0]] * 3)
    assert 10.0 < drawn[0] < 11.0
    assert 13.0 < drawn[3] < 15.9


def test_pictures_without_a_side_keep_their_angles_to_most_of_the_others() -> None:
    cameras = [Camera(20.0), Camera(110.0), Camera(290.0), Camera(155.0)]
    found = at_sides(cameras, ["right", "back", "left", None])
    assert [camera.azimuth_deg for camera in found[:3]] == pytest.approx([110.0, 200.0, 290.0])
    assert found[3].azimuth_deg == pytest.approx(245.0)
    assert at_sides(cameras, [None] * 4) == cameras
    assert at_sides([], []) == []


def test_a_top_is_seen_from_above_at_the_azimuth_of_the_front() -> None:
    cameras = [Camera(75.0, 25.0), Camera(3.0, 20.0), Camera(50.0, 70.0)]
    front, low, high = at_sides(cameras, ["front", "top", "top"])
    assert front == Camera(-15.0, 25.0)
    assert low.azimuth_deg == high.azimuth_deg == -15.0
    assert low.elevation_deg >= TOP_MINIMUM_DEG
    assert high.elevation_deg == 70.0
    [alone] = at_sides([Camera(50.0, 70.0)], ["top"])
    assert alone == Camera(0.0, 70.0)
