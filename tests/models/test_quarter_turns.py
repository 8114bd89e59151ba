"""Quarter turns of several pictures: silhouettes tell them for a chair, probabilities where silhouettes cannot."""

import numpy as np
import pytest
import torch

from tests.models.silhouette_scene import cropped_cameras, perturbed, silhouettes
from wavemesh.geometry.camera import Camera
from wavemesh.models.quarter_turns import choose_quarter_turns, contradictions, with_repeats

BINS = 24


def turned(cameras: list[Camera], quarters: tuple[int, ...]) -> list[Camera]:
    return [camera.turned(90.0 * quarter) for camera, quarter in zip(cameras, quarters, strict=True)]


def angles(cameras: list[Camera]) -> list[float]:
    return [round(camera.azimuth_deg % 360.0, 3) for camera in cameras]


def opinion(angle_deg: float, count: int = 2) -> torch.Tensor:
    """Every picture after the first is likely turned by this angle against each before it."""
    turns = torch.full((count, count, BINS), 0.1 / BINS)
    turns[:, :, round(angle_deg / 360.0 * BINS) % BINS] += 0.9
    return turns


def disc() -> np.ndarray:
    axis = (np.arange(64) + 0.5) / 32.0 - 1.0
    return (np.hypot(*np.meshgrid(axis, axis)) < 0.7).astype(np.float32)


@pytest.mark.parametrize("quarters", [(0, 1, 0, 3), (0, 2, 2, 2), (0, 0, 0, 0)])
def test_silhouettes_tell_quarter_turns_although_estimates_are_off(quarters: tuple[int, ...]) -> None:
    truth = cropped_cameras()
    start = perturbed(truth, 1, 0.3)
    found = choose_quarter_turns(silhouettes(truth), turned(start, quarters), [True] * 4)
    assert angles(found) == pytest.approx(angles(start), abs=1e-2)


def test_cameras_that_are_not_free_are_not_turned() -> None:
    truth = cropped_cameras()
    start = turned(truth, (0, 1, 0, 0))
    found = choose_quarter_turns(silhouettes(truth), start, [False] * 4)
    assert found == start


def test_further_pictures_are_turned_one_by_one() -> None:
    truth = [*cropped_cameras(), Camera(165.0, 25.0, fov_deg=28.0)]
    found = choose_quarter_turns(silhouettes(truth), turned(truth, (0, 1, 2, 3, 2)), [True] * 5)
    assert angles(found) == pytest.approx(angles(truth), abs=1e-2)


@pytest.mark.parametrize("angle", [90.0, 180.0, 270.0])
def test_of_a_round_object_the_probabilities_decide(angle: float) -> None:
    cameras = [Camera(10.0, 20.0), Camera(10.0, 20.0)]
    found = choose_quarter_turns(np.stack([disc()] * 2), cameras, [True] * 2, opinion(angle))
    assert (found[1].azimuth_deg - 10.0) % 360.0 == pytest.approx(angle)


def test_pictures_are_rather_of_different_sides() -> None:
    cameras = [Camera(10.0, 20.0), Camera(10.0, 20.0)]
    found = choose_quarter_turns(np.stack([disc()] * 2), cameras, [True] * 2)
    assert found[0] == cameras[0]
    assert found[1].azimuth_deg != 10.0


def test_true_cameras_contradict_each_other_least() -> None:
    truth = cropped_cameras()
    wrong = [turned(truth, quarters) for quarters in ((0, 1, 0, 0), (0, 0, 3, 0), (0, 2, 1, 3))]
    found = contradictions(silhouettes(truth), [truth, *wrong])
    assert found[0] < 0.2 < found[1:].min()


def test_the_same_picture_twice_is_not_turned() -> None:
    generator = torch.Generator().manual_seed(0)
    picture, other = torch.rand(2, 4, 32, 32, generator=generator)
    images = torch.stack(
        [picture, (picture + 0.004 * torch.randn(picture.shape, generator=generator)).clamp(0, 1), other]
    )
    turns = with_repeats(opinion(90.0, 3), images)
    torch.testing.assert_close(turns[0, 1], torch.eye(BINS)[0])
    torch.testing.assert_close(turns[0, 2], opinion(90.0, 3)[0, 2])
    # People walk around an object, so that two pictures from one side are unlikely, but not these.
    cameras = [Camera(10.0, 20.0), Camera(10.0, 20.0)]
    found = choose_quarter_turns(np.stack([disc()] * 2), cameras, [True] * 2, turns[:2, :2])
    assert found[1].azimuth_deg == pytest.approx(10.0)
