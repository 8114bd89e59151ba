"""Refined cameras on exact silhouettes: nearer to the truth, left alone where right, and contradiction left out."""

import time

import numpy as np
import pytest
import torch

from tests.models.silhouette_scene import cropped_cameras, perturbed, silhouettes, true_field
from wavemesh.geometry.camera import Camera
from wavemesh.models.camera_refinement import refine_cameras

ESTIMATES, GIVEN = [False] * 4, [True] * 4


def errors(cameras: list[Camera], truth: list[Camera]) -> np.ndarray:
    """Mean of each: azimuth, elevation in degrees, scale as a share, offset in NDC."""
    rows = [
        (
            abs((camera.azimuth_deg - true.azimuth_deg + 180.0) % 360.0 - 180.0),
            abs(camera.elevation_deg - true.elevation_deg),
            abs(np.log(camera.focal / true.focal)),
            np.hypot(*np.subtract(camera.offset, true.offset)),
        )
        for camera, true in zip(cameras, truth, strict=True)
    ]
    return np.mean(rows, axis=0)


def relative(cameras: list[Camera], truth: list[Camera]) -> np.ndarray:
    """The errors that silhouettes can see: without the turn and the unit that all cameras have in common."""
    turn = np.mean([c.azimuth_deg - t.azimuth_deg for c, t in zip(cameras, truth, strict=True)])
    unit = np.exp(np.mean([np.log(c.focal / t.focal) for c, t in zip(cameras, truth, strict=True)]))
    moved = [
        Camera(
            c.azimuth_deg - turn,
            c.elevation_deg,
            c.distance,
            float(np.degrees(2 * np.arctan(unit / c.focal))),
            c.offset,
        )
        for c in cameras
    ]
    return errors(moved, truth)


def test_silhouettes_alone_bring_the_cameras_together() -> None:
    truth = cropped_cameras()
    before, after = np.zeros(4), np.zeros(4)
    for seed in range(3):
        start = perturbed(truth, seed)
        found = refine_cameras(silhouettes(truth), start, ESTIMATES)
        assert min(found.after) >= min(found.before)
        assert min(found.after) > 0.95
        before, after = before + relative(start, truth), after + relative(found.cameras, truth)
    assert after[2] < before[2]


def test_a_true_shape_brings_them_to_their_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wavemesh.models.camera_refinement.INSET", 0.0)  # predictions are thinner than the truth
    truth, field = cropped_cameras(), true_field(128)
    before, after = np.zeros(4), np.zeros(4)
    for seed in range(3):
        start = perturbed(truth, seed)
        found = refine_cameras(silhouettes(truth), start, ESTIMATES, lambda cameras: field)
        before, after = before + errors(start, truth), after + errors(found.cameras, truth)
        assert all(found.agrees)
    assert (after < 0.5 * before).all()


def test_given_cameras_that_agree_stay_as_they_are() -> None:
    truth = cropped_cameras()
    found = refine_cameras(silhouettes(truth), truth, GIVEN, lambda cameras: pytest.fail("nothing is to be predicted"))
    assert found.cameras == truth
    assert found.before == found.after


def test_given_elevations_that_are_off_are_mended() -> None:
    truth = cropped_cameras()
    wrong = [Camera(c.azimuth_deg, c.elevation_deg - 5.0, c.distance, c.fov_deg, c.offset) for c in truth]
    found = refine_cameras(silhouettes(truth), wrong, GIVEN)
    assert min(found.before) < 0.95 < min(found.after)
    assert errors(found.cameras, truth)[1] < 5.0


def test_one_estimate_beside_given_cameras_moves_and_they_hardly_do() -> None:
    truth = cropped_cameras()
    start = [*truth[:3], perturbed(truth, 1)[3]]
    found = refine_cameras(silhouettes(truth), start, [True, True, True, False])
    assert errors(found.cameras[:3], truth[:3])[0] < 0.5
    assert errors(found.cameras[3:], truth[3:])[0] < errors(start[3:], truth[3:])[0]


def test_a_picture_that_contradicts_the_others_does_not_bind() -> None:
    truth = cropped_cameras()
    start = [*perturbed(truth[:3], 0, 0.3), truth[3].turned(90.0)]
    found = refine_cameras(silhouettes(truth), start, ESTIMATES)
    assert found.agrees == (True, True, True, False)
    assert errors(found.cameras[:3], truth[:3])[1] < 1.5


def test_two_pictures_that_contradict_each_other_do_not_bind() -> None:
    bars = np.zeros((2, 96, 96), np.float32)
    bars[0, 8:88, 40:56] = bars[1, 40:56, 8:88] = 1.0  # as tall as wide
    start = cropped_cameras()[:2]
    found = refine_cameras(bars, start, [True, True])
    assert found.agrees == (False, False)
    assert found.cameras == start


def test_a_single_picture_has_nothing_to_agree_with() -> None:
    truth = cropped_cameras()[:1]
    found = refine_cameras(silhouettes(truth), truth, [False])
    assert found.cameras == truth
    assert found.agrees == (True,)


def test_the_same_input_gives_the_same_cameras_and_soon() -> None:
    truth, field = cropped_cameras(), true_field()
    start, alphas = perturbed(truth), silhouettes(truth)
    begin = time.process_time()
    first = refine_cameras(alphas, start, ESTIMATES, lambda cameras: field)
    assert time.process_time() - begin < 3.0
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    again = refine_cameras(alphas, start, ESTIMATES, lambda cameras: field)
    torch.set_num_threads(threads)
    assert [c.azimuth_deg for c in first.cameras] == pytest.approx([c.azimuth_deg for c in again.cameras], abs=1e-3)
    assert refine_cameras(alphas, start, ESTIMATES, lambda cameras: field) == first
