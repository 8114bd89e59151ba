"""Points of the visible surface against closed forms of spheres."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from scipy import stats

from wavemesh.errors import InputError
from wavemesh.geometry.orbit_depth import look_around
from wavemesh.geometry.visible import visible_surface


@pytest.fixture(scope="module")
def ball() -> trimesh.Trimesh:
    return trimesh.creation.icosphere(subdivisions=3, radius=0.6)


def test_the_visible_surface_leaves_out_what_is_inside(ball: trimesh.Trimesh) -> None:
    inner = trimesh.creation.icosphere(subdivisions=3, radius=0.4)
    both = trimesh.util.concatenate([ball, inner])
    surface = visible_surface(both, 2000, orbit=look_around(both, size=80))
    assert surface.points.shape == surface.normals.shape == (2000, 3)
    radius = np.linalg.norm(surface.points, axis=1)
    np.testing.assert_allclose(radius, 0.6, atol=0.01)
    assert (np.einsum("nc,nc->n", surface.points, surface.normals) > 0.55).all()
    # On a sphere equal areas mean that each coordinate is uniform (Archimedes).
    for axis in range(3):
        assert stats.kstest(surface.points[:, axis] / 0.6, stats.uniform(-1, 2).cdf).pvalue > 1e-3


def test_the_visible_surface_depends_on_the_seed_alone(ball: trimesh.Trimesh) -> None:
    orbit = look_around(ball, count=12, size=40)
    first, again, other = (visible_surface(ball, 300, seed, orbit).points for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1


def test_a_surface_without_area_is_refused() -> None:
    line = trimesh.Trimesh([[-0.5, 0, 0], [0.5, 0, 0], [0, 0, 0]], [[0, 1, 2]], process=False)
    with pytest.raises(InputError, match="degenerate"):
        visible_surface(line, 10)
    with pytest.raises(InputError, match="no faces"):
        visible_surface(trimesh.Trimesh(np.zeros((3, 3)), np.zeros((0, 3), dtype=int)), 10)


def test_depth_maps_of_ones_own_change_nothing(ball: trimesh.Trimesh) -> None:
    usual = visible_surface(ball, 200)
    given = visible_surface(ball, 200, orbit=look_around(ball))
    np.testing.assert_array_equal(usual.points, given.points)
    np.testing.assert_array_equal(usual.normals, given.normals)
