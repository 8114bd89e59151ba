"""Errors of estimated cameras: a head that answers with a known mistake, on a tiny prepared data set."""

import json
from pathlib import Path

import pytest
import torch

from tests.data.conftest import analytic_shapes, prepared_root, sample_files  # noqa: F401 - fixtures
from wavemesh.data.augment import object_windows
from wavemesh.data.dataset import PreparedShapes
from wavemesh.evaluation.cameras import CameraErrors, held_out_errors
from wavemesh.evaluation.report import Report
from wavemesh.geometry.camera import Camera
from wavemesh.models.camera_head import (
    CameraAnswers,
    CameraHead,
    CameraHeadConfig,
    azimuths_deg,
    camera_targets,
    circle_targets,
)


class Mistaken(CameraHead):
    """Knows the cameras, and misses them by three degrees of azimuth, two of elevation and a tenth of the scale."""

    def __init__(self, shapes: PreparedShapes) -> None:
        super().__init__(CameraHeadConfig(image_size=64, widths=(8, 8, 16)))
        every = range(len(shapes)), [range(shapes.num_views)] * len(shapes)
        self.poses, intrinsics = (each.flatten(0, 1) for each in shapes.view_cameras(*every))
        self.pictures, moved = object_windows(shapes.images(*every).flatten(0, 1), intrinsics)
        self.known = camera_targets(self.poses, moved)

    def mirror_averaged(self, images: torch.Tensor) -> CameraAnswers:
        shown = torch.cdist(images.flatten(0, 1).flatten(1), self.pictures.flatten(1)).argmin(dim=1)
        answer = self.known[shown]
        turned = torch.atan2(answer[:, 0], answer[:, 1]) + torch.tensor(4 * 3.0).deg2rad()
        tilted = answer[:, 2] - torch.tensor(2.0).deg2rad()
        nearer = answer[:, 3] + torch.log(torch.tensor(1.1))
        mistaken = torch.stack([turned.sin(), turned.cos(), tilted, nearer, *answer[:, 4:].T], dim=1)
        turns = circle_targets(azimuths_deg(self.poses[shown])).unflatten(0, images.shape[:2])
        return CameraAnswers(mistaken.unflatten(0, images.shape[:2]), turns)


# ruff: noqa: F811 - a fixture's name is its argument's name
def test_medians_say_what_the_head_misses(prepared_root: Path) -> None:
    shapes = PreparedShapes(prepared_root, "train")
    head = Mistaken(shapes).eval()
    errors = held_out_errors(head, shapes)
    assert errors.azimuth_deg == pytest.approx(3.0, abs=1e-3)
    assert errors.elevation_deg == pytest.approx(2.0, abs=1e-3)
    assert errors.scale == pytest.approx(0.1, abs=1e-4)
    assert errors.offset == pytest.approx(0.0, abs=1e-6)
    assert errors.pictures == len(shapes) * shapes.num_views
    assert errors.distance == pytest.approx(0.0, abs=1e-5)
    assert errors.turns == 1.0
    assert str(errors).startswith("median error 3.0° of azimuth (modulo 90°), 2.0° of elevation, 10% of scale")
    some = held_out_errors(head, shapes, [shapes.keys[1]], views=2)
    assert (some.pictures, some.azimuth_deg) == (2, pytest.approx(3.0, abs=1e-3))


def test_a_wrong_quarter_turn_counts_against_every_other_picture(prepared_root: Path) -> None:
    shapes = PreparedShapes(prepared_root, "train")

    class Turned(Mistaken):
        number = 0

        def located(self, images: torch.Tensor) -> list[Camera]:
            azimuths = [camera.azimuth_deg for camera in shapes.cameras[self.number][: len(images)]]
            self.number += 1
            return [Camera(azimuth + 90.0 * (place == 1) + 20.0) for place, azimuth in enumerate(azimuths)]

    # Of four pictures one is wrong: three pairs of six.
    assert held_out_errors(Turned(shapes).eval(), shapes, views=4).turns == 0.5


def test_the_report_keeps_the_errors() -> None:
    errors = CameraErrors(6.7, 5.4, 0.1, 0.02, 0.3, 0.8, 192)
    assert json.loads(Report({}, [], {}, errors).to_json())["camera_errors"]["azimuth_deg"] == 6.7
    assert json.loads(Report({}, [], {}).to_json())["camera_errors"] is None
