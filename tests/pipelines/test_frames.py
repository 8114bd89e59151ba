"""Turned frames: cameras turn with them, and the mean turns their fields back."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from wavemesh.data.augment import turn_poses, turn_quarter
from wavemesh.errors import InputError
from wavemesh.geometry.camera import Camera
from wavemesh.pipelines import StepReport, View, WaveMeshPipeline
from wavemesh.pipelines.frames import field_of_revolution, frame_tensors, mean_field
from wavemesh.pipelines.views import network_tensors, prepare_views


def _views(ellipse: Image.Image) -> list[View]:
    return [View(ellipse, Camera(30.0, 20.0)), View(ellipse, Camera(100.0, -5.0))]


def test_cameras_turn_as_in_training(ellipse: Image.Image) -> None:
    views = prepare_views(_views(ellipse), 64, lambda pictures, sides: [])
    images, poses, intrinsics = frame_tensors(views, 4)
    plain_images, plain_poses, plain_intrinsics = network_tensors(views)
    for k in range(4):
        torch.testing.assert_close(poses[k], turn_poses(plain_poses[0], k), atol=1e-5, rtol=0)
        torch.testing.assert_close(images[k], plain_images[0])
        torch.testing.assert_close(intrinsics[k], plain_intrinsics[0])


@pytest.mark.parametrize("turns", [1, 2, 4])
def test_the_mean_of_a_turned_field_is_the_field(turns: int) -> None:
    field = torch.rand(6, 6, 6, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(mean_field(torch.stack([turn_quarter(field, k) for k in range(turns)])), field)


def test_the_mean_weighs_all_frames_alike() -> None:
    fields = torch.arange(1.0, 5.0)[:, None, None, None].expand(4, 2, 2, 2)
    torch.testing.assert_close(mean_field(fields), torch.full((2, 2, 2), 2.5))


def test_more_frames_give_another_shape_and_the_same_each_time(
    tiny_pipeline: WaveMeshPipeline, ellipse: Image.Image
) -> None:
    views, reports = _views(ellipse), list[StepReport]()
    single = tiny_pipeline(views, 2, frames=1)
    turned = tiny_pipeline(views, 2, frames=4, callback=reports.append)
    assert (single.settings.frames, turned.settings.frames) == (1, 4)
    assert np.abs(single.sdf - turned.sdf).max() > 1e-4
    assert [report.sdf.shape for report in reports[:2]] == [(16, 16, 16)] * 2
    np.testing.assert_array_equal(tiny_pipeline(views, 2, frames=4).sdf, turned.sdf)


def test_the_weights_say_how_many_frames(
    tiny_pipeline: WaveMeshPipeline, ellipse: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_pipeline.model.config
    assert tiny_pipeline([ellipse], 1).settings.frames == config.sampling.frames == 1
    monkeypatch.setattr(tiny_pipeline.model, "config", replace(config, sampling=replace(config.sampling, frames=2)))
    assert tiny_pipeline([ellipse], 1).settings.frames == 2


def test_guidance_acts_in_all_frames(tiny_pipeline: WaveMeshPipeline, ellipse: Image.Image) -> None:
    plain, guided = (
        tiny_pipeline(_views(ellipse), 1, frames=2, guidance_scale=scale, resolution=16) for scale in (1.0, 3.0)
    )
    assert np.abs(plain.sdf - guided.sdf).max() > 1e-4


@pytest.mark.parametrize("frames", [0, 3, 8])
def test_other_numbers_of_frames(tiny_pipeline: WaveMeshPipeline, ellipse: Image.Image, frames: int) -> None:
    with pytest.raises(InputError, match=f"not {frames}"):
        tiny_pipeline([ellipse], frames=frames)


def test_a_field_of_revolution_is_the_mean_over_all_turns() -> None:
    n = 24
    centres = (torch.arange(n) + 0.5) / n * 2 - 1
    x, y, z = torch.meshgrid(centres, centres, centres, indexing="ij")
    round_field = (x.square() + z.square()).sqrt() - 0.3 * y
    found = field_of_revolution(round_field)
    # A third of a cell at the axis and in the corners, where rings have few cells.
    torch.testing.assert_close(found, round_field, atol=0.03, rtol=0.0)
    # What grows to one side cancels out, as over opposite turns.
    torch.testing.assert_close(field_of_revolution(round_field + x - 2.0 * z), found, atol=1e-5, rtol=0.0)
    # And what has two waves around the axis, or a quarter turn would bring out another one.
    torch.testing.assert_close(field_of_revolution(x.square() - z.square()), torch.zeros_like(x), atol=1e-5, rtol=0.0)
