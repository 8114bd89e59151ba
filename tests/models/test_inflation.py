"""Silhouettes inflated to solids, against balls, bars and every ball tried."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from tests.models.test_symmetry import posed
from wavemesh.geometry.camera import Camera
from wavemesh.models.inflation import FACING, Normal, inflated_field, largest_balls
from wavemesh.models.projection import grid_points

SIDES: Normal = (1.0, 0.0, 0.0)
TRUNCATION = 0.1


def overlap(field: torch.Tensor, inside: torch.Tensor) -> float:
    """The IoU of a field's solid with the cells that are inside."""
    solid = field.flatten() < 0
    return float((inside & solid).sum() / (inside | solid).sum())


def ball(radius: float) -> tuple[trimesh.Trimesh, torch.Tensor]:
    """A ball around the origin, and its signed distance in the cells of a grid."""
    return trimesh.creation.icosphere(3, radius), grid_points(64).norm(dim=1) - radius


@pytest.mark.parametrize("camera", [Camera(), Camera(30.0, 20.0), Camera(200.0, -35.0, offset=(0.1, -0.2))])
def test_a_ball_stays_a_ball(camera: Camera) -> None:
    mesh, distance = ball(0.6)
    field = inflated_field(posed(mesh, camera, 128), FACING, 64, TRUNCATION)
    assert overlap(field, distance < 0) > 0.85
    assert float((field.flatten() - distance.clamp(-TRUNCATION, TRUNCATION)).abs().mean()) < 0.004


def test_a_bar_is_as_deep_as_wide_along_its_own_plane() -> None:
    # Along z, seen from 60 degrees beside its end.
    bar = trimesh.creation.capsule(1.0, 0.25, [24, 24])
    bar.apply_translation(-bar.bounds.mean(axis=0))
    points = grid_points(64)
    inside = (points - points.clamp(-0.5, 0.5) * torch.tensor([0.0, 0.0, 1.0])).norm(dim=1) < 0.25
    picture = posed(bar, Camera(60.0, 10.0), 128)
    about_own, about_facing = (inflated_field(picture, normal, 64, TRUNCATION) for normal in (SIDES, FACING))
    assert overlap(about_own, inside) > 0.75
    assert overlap(about_facing, inside) < 0.5
    # Which way the normal points does not matter.
    assert torch.equal(about_own, inflated_field(picture, (-1.0, 0.0, 0.0), 64, TRUNCATION))


def test_a_plane_seen_edge_on_gives_way_to_the_one_that_faces_the_camera() -> None:
    picture = posed(trimesh.creation.icosphere(3, 0.5), Camera(10.0), 64)
    facing = inflated_field(picture, FACING, 32, TRUNCATION)
    assert torch.equal(inflated_field(picture, SIDES, 32, TRUNCATION), facing)
    steeper = posed(trimesh.creation.icosphere(3, 0.5), Camera(30.0), 64)
    assert not torch.equal(
        inflated_field(steeper, SIDES, 32, TRUNCATION), inflated_field(steeper, FACING, 32, TRUNCATION)
    )


def test_from_above_objects_are_inflated_about_the_picture() -> None:
    mesh, distance = ball(0.5)
    assert overlap(inflated_field(posed(mesh, Camera(40.0, 80.0), 128), SIDES, 64, TRUNCATION), distance < 0) > 0.8


def test_what_is_cut_by_the_border_goes_on_there() -> None:
    # A column through the picture from top to bottom has one radius all along.
    mask = np.zeros((64, 64), dtype=bool)
    mask[:, 24:40] = True
    balls = largest_balls(mask)
    assert np.ptp(balls.radius[:, 14]) < 1e-6
    assert balls.radius.max() == pytest.approx(3.75)


def test_a_solid_ends_where_the_picture_does() -> None:
    # The picture ends at a height of .3 above the middle of a column.
    camera = Camera(0.0, 0.0, offset=(0.0, 1.0 - 0.3 * Camera().focal / Camera().distance))
    column = trimesh.creation.cylinder(
        0.3, 1.6, transform=trimesh.transformations.rotation_matrix(np.pi / 2, [1, 0, 0])
    )
    field = inflated_field(posed(column, camera, 128), FACING, 64, TRUNCATION)
    highest = grid_points(64)[field.flatten() < 0][:, 1].max()
    assert float(highest) == pytest.approx(0.3, abs=0.05)


@pytest.mark.parametrize("filled", [False, True])
def test_empty_and_full_silhouettes(filled: bool) -> None:
    balls = largest_balls(np.full((32, 32), filled))
    if filled:
        assert np.array_equal(balls.radius, np.full((16, 16), 16.0, np.float32))
    else:
        assert (balls.power < -(16.0**2)).all()
    picture = posed(trimesh.creation.icosphere(2, 0.5), Camera(), 32)
    picture.images[:, :, -1] = float(filled)
    field = inflated_field(picture, FACING, 16, TRUNCATION)
    assert field.isfinite().all()
    assert bool((field < 0).any()) == filled


@settings(max_examples=20)
@given(seed=st.integers(0, 1000), share=st.floats(0.05, 0.95))
def test_the_highest_ball_is_found_over_every_pixel(seed: int, share: float) -> None:
    mask = np.random.default_rng(seed).random((16, 16)) < share
    balls = largest_balls(mask)
    size, beyond = 8, 4
    wide = np.pad(mask, 2 * beyond, mode="edge")
    fine = ndimage.distance_transform_edt(wide) if not wide.all() else np.full(wide.shape, 100.0)
    radius = ((fine - 0.5) / 2.0).reshape(16, 2, 16, 2).max(axis=(1, 3)).clip(max=size)
    centres = np.argwhere(radius > 0)
    for row in range(size):
        for column in range(size):
            away = ((centres - beyond - (row, column)) ** 2).sum(axis=1)
            powers = radius[tuple(centres.T)] ** 2 - away
            if not len(powers):
                assert balls.power[row, column] < -(size**2)
                continue
            assert balls.power[row, column] == pytest.approx(powers.max(), abs=1e-4)
            own = balls.row[row, column] - row, balls.column[row, column] - column
            assert balls.radius[row, column] ** 2 - own[0] ** 2 - own[1] ** 2 == pytest.approx(powers.max(), abs=1e-4)
