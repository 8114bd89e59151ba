"""Samples from a data set's items and from shards."""

import numpy as np
import pytest
import torch

from wavemesh.errors import InputError
from wavemesh.evaluation import samples
from wavemesh.evaluation.metrics import evaluate_model
from wavemesh.geometry.camera import Camera
from wavemesh.geometry.camera_tensors import stack_cameras


def item(sphere, channels: int = 4) -> dict:
    cameras = [Camera(30.0, 20.0), Camera(200.0, -15.0, 3.5, 33.0, (0.1, -0.2))]
    poses, intrinsics = stack_cameras(cameras)
    alpha = torch.zeros(2, 1, 16, 16)
    alpha[:, :, 4:12, 4:12] = 1.0
    images = torch.cat([0.5 * alpha.expand(-1, 3, -1, -1), alpha], dim=1)[:, :channels]
    sdf = torch.from_numpy(sphere(0.4))
    return {"images": images, "poses": poses, "intrinsics": intrinsics, "sdf": sdf, "mesh_path": "p", "category": "c"}


def test_an_item_of_the_data_set_keeps_its_cameras_and_pictures(sphere) -> None:
    sample = samples.from_dataset_item(item(sphere))
    poses, intrinsics = stack_cameras(list(sample.cameras))
    torch.testing.assert_close(poses, item(sphere)["poses"], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(intrinsics, item(sphere)["intrinsics"], atol=1e-5, rtol=1e-5)
    assert sample.pictures[0][8, 8].tolist() == [128, 128, 128, 255]
    assert sample.pictures[0][0, 0, 3] == 0
    assert (sample.key, sample.category) == ("p", "c")
    with pytest.raises(InputError, match="3 channels"):
        samples.from_dataset_item(item(sphere, channels=3))


def test_evaluate_model_has_the_roadmaps_keys_and_takes_both_kinds(memory_data, fake_pipeline, sphere) -> None:
    held_out = list(memory_data("data", "test"))
    mean = evaluate_model(fake_pipeline, [*held_out, item(sphere)], "cpu", num_points=1000)
    assert set(mean) == {"chamfer_distance", "f_score", "iou"}
    expected = ((0.4 / 0.45) ** 3 + (0.4 / 0.65) ** 3 + 1.0) / 3
    assert mean["iou"] == pytest.approx(expected, abs=0.02)


def test_too_many_views_and_a_shape_without_surface_are_refused(memory_data) -> None:
    sample = memory_data("data", "test")["a"]
    with pytest.raises(InputError, match="4 canonical views, not 5"):
        sample.as_views(5)
    hollow = samples.EvaluationSample("x", "", np.full((64, 64, 64), 0.09, np.float32), [], [])
    with pytest.raises(InputError, match="no surface"):
        samples.ground_truth(hollow, 100)
