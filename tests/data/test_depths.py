"""Depth maps: a ball's are known in closed form, and stored ones are those of the grid's surface."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from wavemesh.data.dataset import PreparedShapes
from wavemesh.data.depths import DEPTH_SIDE, ViewDepths, depth_maps
from wavemesh.geometry.camera import Camera
from wavemesh.geometry.raycast import RayCaster

BALL = RayCaster(trimesh.creation.icosphere(subdivisions=5, radius=0.6))


@settings(max_examples=20, deadline=None)
@given(st.floats(0, 360), st.floats(-80, 80), st.floats(2, 7), st.floats(-0.2, 0.2))
def test_a_ball_is_bounded_where_its_equation_says(azimuth: float, elevation: float, distance: float, x: float) -> None:
    camera = Camera(azimuth, elevation, distance, 2.0 * np.rad2deg(np.arctan(0.8 / distance)), (x, 0.0))
    front, back = depth_maps(BALL, camera, 24)
    origins, directions = camera.rays(24)
    along = -(origins * directions).sum(axis=-1)
    inside = 0.36 - (distance**2 - along**2)
    sure = inside > 0.01  # away from the outline, where the ball's facets count
    slope = directions @ -camera.camera_to_world()[:, 2]
    root = np.sqrt(inside.clip(0.0))
    np.testing.assert_allclose(front[sure], ((along - root) * slope - distance)[sure], atol=4e-3)
    np.testing.assert_allclose(back[sure], ((along + root) * slope - distance)[sure], atol=4e-3)
    assert np.isnan(front[inside < -0.01]).all()
    assert (np.isnan(front) == np.isnan(back)).all()


def test_the_back_is_the_furthest_of_several_surfaces() -> None:
    slabs = [trimesh.creation.box((0.8, 0.8, 0.1)).apply_translation((0, 0, z)) for z in (-0.5, 0.0, 0.5)]
    front, back = depth_maps(trimesh.util.concatenate(slabs), Camera(), 16)
    assert front[8, 8] == pytest.approx(-0.55, abs=1e-3)
    assert back[8, 8] == pytest.approx(0.55, abs=1e-3)


def test_stored_maps_are_those_of_the_grids_surface(prepared_root: Path) -> None:
    shapes = PreparedShapes(prepared_root, "train")
    maps, seen = ViewDepths(shapes).maps([0, 2], [[1, 0], [0, 1]])
    assert maps.shape == (2, 2, 2, DEPTH_SIDE, DEPTH_SIDE)
    # ball.0 is a ball of radius .6 in the middle.
    assert float(maps[0, :, 0][seen[0]].min()) == pytest.approx(-0.6, abs=0.01)
    assert float(maps[0, :, 1][seen[0]].max()) == pytest.approx(0.6, abs=0.01)
    assert float(maps.abs().amax(dim=2)[~seen].max()) == 0.0
    for number, view in ((0, 1), (2, 0)):
        alpha = shapes.images([number], [[view]])[0, 0, 3].numpy()
        nearest = (np.arange(DEPTH_SIDE) + 0.5) * len(alpha) / DEPTH_SIDE
        shown = alpha[np.ix_(nearest.astype(int), nearest.astype(int))] > 0.5
        place = 0 if number == 0 else 1
        assert (shown == seen[place, 0].numpy()).mean() > 0.95
