import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from wavemesh.errors import InputError
from wavemesh.geometry.deviation import Surface, signed_deviation


def box_distance(points: np.ndarray, half: np.ndarray) -> np.ndarray:
    outside = np.abs(points) - half
    return np.linalg.norm(np.maximum(outside, 0.0), axis=1) + np.minimum(outside.max(axis=1), 0.0)


@settings(max_examples=10, deadline=None)
@given(sides=st.tuples(*[st.floats(0.2, 1.0)] * 3), seed=st.integers(0, 999))
def test_distance_to_a_box_is_the_analytic_one(sides: tuple[float, float, float], seed: int) -> None:
    points = np.random.default_rng(seed).uniform(-1.0, 1.0, (200, 3))
    found = Surface(trimesh.creation.box(sides)).signed_distance(points)
    np.testing.assert_allclose(found, box_distance(points, np.array(sides) / 2), atol=1e-9)


@pytest.mark.parametrize("stretch", ((1.0, 1.0, 1.0), (1.0, 0.02, 1.0)))
def test_closest_points_are_those_of_a_search_through_all_triangles(stretch: tuple[float, float, float]) -> None:
    """Long thin triangles as well: there the nearest centroid is often not of the nearest triangle."""
    mesh = trimesh.creation.torus(0.6, 0.2, 24, 12).apply_scale(stretch)
    points = np.random.default_rng(0).uniform(-1.0, 1.0, (400, 3)) * [1.0, stretch[1], 1.0]
    nearest, triangle = Surface(mesh).closest(points)
    _, distance, _ = trimesh.proximity.closest_point_naive(mesh, points)
    np.testing.assert_allclose(np.linalg.norm(points - nearest, axis=1), distance, atol=1e-9)
    on_it = trimesh.triangles.closest_point(mesh.triangles[triangle], nearest)
    np.testing.assert_allclose(on_it, nearest, atol=1e-9)


def test_of_no_points_there_are_no_distances() -> None:
    assert Surface(trimesh.creation.box()).signed_distance(np.zeros((0, 3))).shape == (0,)


def test_a_larger_sphere_lies_outside_and_a_smaller_one_inside() -> None:
    reference = trimesh.creation.icosphere(4, 0.5)
    assert signed_deviation(trimesh.creation.icosphere(4, 0.6), reference) == pytest.approx(0.1, abs=2e-3)
    assert signed_deviation(trimesh.creation.icosphere(4, 0.4), reference) == pytest.approx(-0.1, abs=2e-3)
    assert np.abs(signed_deviation(reference, reference)).max() < 1e-9


def test_a_mesh_without_faces_is_refused() -> None:
    with pytest.raises(InputError, match="no faces"):
        Surface(trimesh.Trimesh())
