"""The camera head: targets and answers are inverse, quarter turns are found, weights are kept."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from wavemesh.errors import InputError
from wavemesh.geometry.camera import DEFAULT_DISTANCE, Camera
from wavemesh.geometry.camera_tensors import stack_cameras
from wavemesh.models.camera_head import (
    AZIMUTH_BINS,
    CameraHead,
    CameraHeadConfig,
    _camera,
    align_quarter_turns,
    azimuth_targets,
    camera_errors,
    camera_targets,
    turn_probabilities,
)

SMALL = CameraHeadConfig(image_size=64, widths=(8, 8, 16))


@settings(max_examples=30, deadline=None)
@given(st.floats(0, 360), st.floats(-60, 80), st.floats(15, 60), st.floats(-0.5, 0.5))
def test_targets_describe_the_camera_up_to_quarter_turns(
    azimuth: float, elevation: float, fov: float, shift: float
) -> None:
    camera = Camera(azimuth, elevation, DEFAULT_DISTANCE, fov, (shift, -shift / 2))
    poses, intrinsics = stack_cameras([camera])
    restored = _camera(camera_targets(poses, intrinsics)[0].tolist())
    difference = (restored.azimuth_deg - azimuth) % 90.0
    assert min(difference, 90.0 - difference) < 0.05
    assert restored.elevation_deg == pytest.approx(elevation, abs=0.05)
    assert restored.fov_deg == pytest.approx(fov, rel=1e-3)
    assert restored.offset == pytest.approx((shift, -shift / 2), abs=1e-4)


def test_distance_and_focal_length_act_alike() -> None:
    near, far = Camera(10.0, 5.0, 3.0, 40.0), Camera(10.0, 5.0, 6.0, 40.0)
    targets = camera_targets(*stack_cameras([near, far]))
    assert float(targets[0, 3] - targets[1, 3]) == pytest.approx(np.log(2.0), abs=1e-5)


@settings(max_examples=30, deadline=None)
@given(st.floats(-360, 360))
def test_targets_of_the_azimuth_have_their_mean_there(azimuth: float) -> None:
    target = azimuth_targets(torch.tensor([azimuth]))[0].double()
    angles = torch.arange(AZIMUTH_BINS) * (2.0 * torch.pi / AZIMUTH_BINS)
    mean = torch.atan2((target * angles.sin()).sum(), (target * angles.cos()).sum()).rad2deg()
    assert float(target.sum()) == pytest.approx(1.0, abs=1e-5)
    # The mean on a circle of two points differs from their weighted mean, by less than a tenth of a degree here.
    assert abs((float(mean) - azimuth + 180.0) % 360.0 - 180.0) < 0.1


def test_turn_probabilities_are_those_of_two_draws() -> None:
    rng = np.random.default_rng(0)
    azimuths = rng.dirichlet(np.full(AZIMUTH_BINS, 0.3), size=2)
    drawn = [rng.choice(AZIMUTH_BINS, 200_000, p=row) for row in azimuths]
    expected = np.bincount((drawn[1] - drawn[0]) % AZIMUTH_BINS, minlength=AZIMUTH_BINS) / 200_000
    np.testing.assert_allclose(turn_probabilities(torch.tensor(azimuths))[0, 1], expected, atol=5e-3)


def test_mirrored_pictures_have_mirrored_cameras() -> None:
    torch.manual_seed(0)
    head = CameraHead(SMALL).eval()
    images = torch.rand(3, 4, 64, 64)
    camera, mirrored = Camera(30.0, 20.0, offset=(0.1, 0.2)), Camera(-30.0, 20.0, offset=(-0.1, 0.2))
    signs = camera_targets(*stack_cameras([mirrored])) / camera_targets(*stack_cameras([camera]))
    with torch.inference_mode():
        answers, azimuths = head.mirror_averaged(images)
        turned, opposite = head.mirror_averaged(images.flip(-1))
    torch.testing.assert_close(turned, answers * signs)
    torch.testing.assert_close(opposite, azimuths[:, [-k % AZIMUTH_BINS for k in range(AZIMUTH_BINS)]])
    torch.testing.assert_close(azimuths.sum(dim=1), torch.ones(3))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=4), st.floats(0, 89))
def test_quarter_turns_are_found_from_azimuths(quarters: list[int], start: float) -> None:
    truth = [Camera(start, 20.0)] + [Camera(start + 25.0 + 90.0 * quarter, 20.0) for quarter in quarters]
    azimuths = azimuth_targets(torch.tensor([camera.azimuth_deg for camera in truth]))
    guessed = [truth[0], *[Camera(camera.azimuth_deg % 90.0, 20.0) for camera in truth[1:]]]
    for found, camera in zip(align_quarter_turns(guessed, azimuths), truth, strict=True):
        assert (found.azimuth_deg - camera.azimuth_deg + 1.0) % 360.0 == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("count", [2, 4, 6])
def test_pictures_that_say_nothing_are_taken_for_different_sides(count: int) -> None:
    cameras = [Camera(10.0 + 3.0 * index, 20.0) for index in range(count)]
    found = align_quarter_turns(cameras, torch.full((count, AZIMUTH_BINS), 1.0 / AZIMUTH_BINS))
    sides = [round((camera.azimuth_deg - 10.0) / 90.0) % 4 for camera in found]
    assert len(set(sides)) == min(count, 4)
    assert all(
        (camera.azimuth_deg - before.azimuth_deg) % 90.0 == pytest.approx(0.0, abs=1e-6)
        for camera, before in zip(found, cameras, strict=True)
    )
    # One that is surely from the same side stays there.
    same = azimuth_targets(torch.full((count,), 10.0))
    assert [camera.azimuth_deg for camera in align_quarter_turns(cameras, same)] == pytest.approx(
        [camera.azimuth_deg for camera in cameras]
    )


def test_estimate_gives_a_camera_for_each_picture() -> None:
    torch.manual_seed(0)
    picture = Image.new("RGBA", (80, 80), (200, 10, 10, 255))
    cameras = CameraHead(SMALL).eval().estimate([picture, picture])
    assert len(cameras) == 2
    assert 0.0 <= cameras[0].azimuth_deg < 90.0


def test_save_and_load(tmp_path: Path) -> None:
    head = CameraHead(SMALL)
    head.save(tmp_path / "head")
    images = torch.rand(1, 4, 64, 64)
    torch.testing.assert_close(CameraHead.load(tmp_path / "head")(images), head(images), atol=2e-2, rtol=1e-2)
    with pytest.raises(InputError, match="nothing-here"):
        CameraHead.load(tmp_path / "nothing-here")


def test_camera_errors_wrap_around() -> None:
    near_zero = torch.tensor([[torch.sin(torch.tensor(0.04)), torch.cos(torch.tensor(0.04)), 0.1, 0.0, 0.0, 0.0]])
    below_turn = torch.tensor([[-torch.sin(torch.tensor(0.04)), torch.cos(torch.tensor(0.04)), 0.1, 0.0, 0.0, 0.0]])
    assert float(camera_errors(near_zero, below_turn)["azimuth_deg"][0]) == pytest.approx(1.146, abs=0.01)


def test_pictures_of_any_size_are_resized() -> None:
    head = CameraHead(SMALL).eval()
    picture = torch.rand(1, 4, 64, 64).round()
    sharp = picture.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    assert head(torch.rand(2, 4, 48, 48)).shape == (2, 6)
    even = torch.full((1, 4, 64, 64), 0.3)
    torch.testing.assert_close(head(even[:, :, :40, :40]), head(even), atol=1e-5, rtol=1e-4)
    # Twice as large and then reduced it is a little blurred, but far nearer than another picture.
    change = (head(sharp) - head(picture)).norm()
    assert change < 0.5 * (head(1.0 - picture) - head(picture)).norm()
