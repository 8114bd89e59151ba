"""The camera head: targets and answers are inverse, quarter turns are found, weights are kept."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from wavemesh.errors import InputError
from wavemesh.geometry.camera import Camera
from wavemesh.geometry.camera_tensors import stack_cameras
from wavemesh.models.camera_head import (
    AZIMUTH_BINS,
    CameraHead,
    CameraHeadConfig,
    _camera,
    azimuths_deg,
    camera_errors,
    camera_targets,
    circle_targets,
    set_against_each_other,
    turn_probabilities,
)

SMALL = CameraHeadConfig(image_size=64, widths=(8, 8, 16), attention_blocks=1)


@settings(max_examples=30, deadline=None)
@given(st.floats(0, 360), st.floats(-60, 80), st.floats(2, 9), st.floats(15, 60), st.floats(-0.5, 0.5))
def test_targets_describe_the_camera_up_to_quarter_turns(
    azimuth: float, elevation: float, distance: float, fov: float, shift: float
) -> None:
    camera = Camera(azimuth, elevation, distance, fov, (shift, -shift / 2))
    poses, intrinsics = stack_cameras([camera])
    restored = _camera(camera_targets(poses, intrinsics)[0].tolist())
    difference = (restored.azimuth_deg - azimuth) % 90.0
    assert min(difference, 90.0 - difference) < 0.05
    assert restored.elevation_deg == pytest.approx(elevation, abs=0.05)
    assert restored.distance == pytest.approx(distance, rel=1e-4)
    assert restored.fov_deg == pytest.approx(fov, rel=1e-3)
    assert restored.offset == pytest.approx((shift, -shift / 2), abs=1e-4)


@settings(max_examples=30, deadline=None)
@given(st.floats(-360, 360))
def test_targets_of_the_azimuth_have_their_mean_there(azimuth: float) -> None:
    target = circle_targets(torch.tensor([azimuth]))[0].double()
    angles = torch.arange(AZIMUTH_BINS) * (2.0 * torch.pi / AZIMUTH_BINS)
    mean = torch.atan2((target * angles.sin()).sum(), (target * angles.cos()).sum()).rad2deg()
    assert float(target.sum()) == pytest.approx(1.0, abs=1e-5)
    # The mean on a circle of two points differs from their weighted mean, by less than a tenth of a degree here.
    assert abs((float(mean) - azimuth + 180.0) % 360.0 - 180.0) < 0.1


def test_azimuths_are_those_of_the_cameras() -> None:
    angles = [0.0, 45.0, 170.0, 350.0]
    poses, _ = stack_cameras([Camera(angle, 30.0) for angle in angles])
    torch.testing.assert_close(azimuths_deg(poses), torch.tensor(angles), atol=1e-3, rtol=0)


def test_turn_probabilities_are_those_of_two_draws() -> None:
    rng = np.random.default_rng(0)
    azimuths = rng.dirichlet(np.full(AZIMUTH_BINS, 0.3), size=(1, 2))
    drawn = [rng.choice(AZIMUTH_BINS, 200_000, p=row) for row in azimuths[0]]
    expected = np.bincount((drawn[1] - drawn[0]) % AZIMUTH_BINS, minlength=AZIMUTH_BINS) / 200_000
    np.testing.assert_allclose(turn_probabilities(torch.tensor(azimuths))[0, 0, 1], expected, atol=5e-3)


def test_mirrored_pictures_have_mirrored_cameras() -> None:
    torch.manual_seed(0)
    head = CameraHead(SMALL).eval()
    images = torch.rand(3, 2, 4, 64, 64)
    camera, mirrored = Camera(30.0, 20.0, 3.0, offset=(0.1, 0.2)), Camera(-30.0, 20.0, 3.0, offset=(-0.1, 0.2))
    signs = camera_targets(*stack_cameras([mirrored])) / camera_targets(*stack_cameras([camera]))
    with torch.inference_mode():
        cameras, azimuths = head.mirror_averaged(images)
        turned, opposite = head.mirror_averaged(images.flip(-1))
    torch.testing.assert_close(turned, cameras * signs[0])
    torch.testing.assert_close(opposite, azimuths[..., [-k % AZIMUTH_BINS for k in range(AZIMUTH_BINS)]])
    torch.testing.assert_close(azimuths.sum(dim=-1), torch.ones(3, 2))


def attentive_head() -> CameraHead:
    """A head whose attention says something: it begins with zeros."""
    torch.manual_seed(0)
    head = CameraHead(SMALL).eval()
    for block in head.attention:
        torch.nn.init.normal_(block.out.weight, std=0.3)
    return head


def test_objects_of_a_batch_know_nothing_of_each_other() -> None:
    head, images = attentive_head(), torch.rand(3, 4, 4, 64, 64)
    with torch.inference_mode():
        together, alone = head(images), head(images[1:2])
        turned = head(images[1:2, [0, 2, 1, 3]])
        first = head(images[1:2, :1])
    torch.testing.assert_close(together.cameras[1:2], alone.cameras, atol=1e-5, rtol=1e-4)
    # All pictures after the first are alike to the network, and each counts.
    torch.testing.assert_close(turned.azimuths, alone.azimuths[:, [0, 2, 1, 3]], atol=1e-5, rtol=1e-4)
    assert not torch.allclose(first.cameras, alone.cameras[:, :1], atol=1e-4)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=7), st.floats(0, 89))
def test_quarter_turns_are_the_likeliest(quarters: list[int], start: float) -> None:
    truth = [Camera(start, 20.0)] + [Camera(start + 25.0 + 90.0 * quarter, 20.0) for quarter in quarters]
    azimuths = circle_targets(torch.tensor([camera.azimuth_deg for camera in truth]))
    guessed = [truth[0], *[Camera(camera.azimuth_deg % 90.0, 20.0) for camera in truth[1:]]]
    turns = turn_probabilities(azimuths[None])[0]
    for found, camera in zip(set_against_each_other(guessed, turns), truth, strict=True):
        assert (found.azimuth_deg - camera.azimuth_deg + 1.0) % 360.0 == pytest.approx(1.0, abs=1e-3)


def test_estimate_gives_a_camera_for_each_picture() -> None:
    torch.manual_seed(0)
    picture = Image.new("RGBA", (80, 80), (200, 10, 10, 255))
    cameras = CameraHead(SMALL).eval().estimate([picture, picture])
    assert len(cameras) == 2
    assert 0.0 <= cameras[0].azimuth_deg < 90.0


@pytest.mark.parametrize("pretrained", [False, True])
def test_save_and_load(tmp_path: Path, pretrained: bool) -> None:
    head = CameraHead(replace(SMALL, pretrained=pretrained))
    head.save(tmp_path / "head")
    images = torch.rand(1, 2, 4, 64, 64)
    torch.testing.assert_close(CameraHead.load(tmp_path / "head")(images), head(images), atol=2e-2, rtol=1e-2)
    with pytest.raises(InputError, match="nothing-here"):
        CameraHead.load(tmp_path / "nothing-here")


def test_camera_errors_wrap_around() -> None:
    sine, cosine, rest = np.sin(0.04), np.cos(0.04), [0.1, 0.0, 0.0, 0.0]
    near_zero, below_turn = torch.tensor([[sine, cosine, *rest, 0.0]]), torch.tensor([[-sine, cosine, *rest, 0.1]])
    errors = camera_errors(near_zero.float(), below_turn.float())
    assert float(errors["azimuth_deg"][0]) == pytest.approx(1.146, abs=0.01)
    assert float(errors["distance"][0]) == pytest.approx(np.exp(0.1) - 1.0, abs=1e-5)
    assert float(errors["offset"][0]) == 0.0


def test_pictures_of_any_size_are_resized() -> None:
    torch.manual_seed(0)
    head = CameraHead(SMALL).eval()
    picture = torch.rand(1, 1, 4, 64, 64).round()
    sharp = picture.repeat_interleave(2, dim=3).repeat_interleave(2, dim=4)
    assert head(torch.rand(2, 3, 4, 48, 48)).cameras.shape == (2, 3, 7)
    even = torch.full((1, 1, 4, 64, 64), 0.3)
    torch.testing.assert_close(head(even[..., :40, :40]).cameras, head(even).cameras, atol=1e-5, rtol=1e-4)
    # Twice as large and then reduced it is a little blurred, but far nearer than another picture.
    change = (head(sharp).cameras - head(picture).cameras).norm()
    assert change < 0.5 * (head(1.0 - picture).cameras - head(picture).cameras).norm()
