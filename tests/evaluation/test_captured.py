"""Turns between real frames: a head that knows them, one that misses one by a known angle."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from scipy.spatial.transform import Rotation

from tests.data.test_co3d import write_set
from wavemesh.data.co3d import read_co3d
from wavemesh.evaluation.captured import CapturedErrors, captured_errors, relative_turns_deg
from wavemesh.geometry.camera import Camera
from wavemesh.models.camera_head import CameraHead, CameraHeadConfig


class Walker(CameraHead):
    """Answers with cameras that stand 40 degrees apart, as those of the test's sequence do; the last one is missed."""

    def __init__(self, missed_deg: float) -> None:
        super().__init__(CameraHeadConfig(image_size=64, widths=(8, 8, 16)))
        self.missed_deg = missed_deg

    def located(self, images: torch.Tensor) -> list[Camera]:
        assert images.shape[1:] == (4, 256, 256)
        assert (images[:, 3] > 0.5).any()
        turns = [40.0 * number for number in range(len(images))]
        return [Camera(turn + self.missed_deg * (turn == turns[-1]), 10.0) for turn in turns]


def test_turns_are_compared_whatever_the_world_is() -> None:
    found = torch.tensor(Rotation.random(5, random_state=1).as_matrix())
    world = torch.tensor(Rotation.random(random_state=2).as_matrix())
    assert relative_turns_deg(found, world @ found).max() < 1e-3
    turned = found.clone()
    turned[4] = found[4] @ torch.tensor(Rotation.from_euler("x", 25, degrees=True).as_matrix())
    errors = relative_turns_deg(turned, found)
    assert sorted(errors.tolist()) == pytest.approx([0.0] * 6 + [25.0] * 4, abs=1e-3)


def test_a_missed_frame_counts_against_every_other(tmp_path: Path) -> None:
    write_set(tmp_path, frames=4)
    objects = read_co3d(tmp_path)
    exact = captured_errors(Walker(0.0), objects)
    assert (exact.pairs, exact.objects) == (6, 1)
    missed = captured_errors(Walker(90.0), objects)
    assert missed.within_30 == pytest.approx(exact.within_30 - 0.5)
    assert "over 6 pairs of 1 objects" in str(missed)
    assert captured_errors(Walker(0.0), objects, frames=1) == CapturedErrors(0.0, 1.0, 1.0, 0, 0)
