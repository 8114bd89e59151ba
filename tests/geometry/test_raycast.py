"""Ray casting against shapes whose hits are known by formula, and against every triangle tried in turn."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import trimesh

from wavemesh.errors import InputError
from wavemesh.geometry.raycast import RayCaster


def rays_around(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rays from a sphere of radius 3 towards points of a cube of side 2; directions of any length."""
    generator = np.random.default_rng(seed)
    origins = generator.normal(size=(count, 3))
    origins *= 3.0 / np.linalg.norm(origins, axis=1, keepdims=True)
    targets = generator.uniform(-1.0, 1.0, (count, 3))
    return origins, (targets - origins) * generator.uniform(0.1, 5.0, (count, 1))


def nearest_triangle(
    mesh: trimesh.Trimesh, origins: np.ndarray, directions: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Distance and index of the first triangle hit, every triangle tried (a 3 x 3 system for each pair)."""
    directions = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    a, b, c = np.asarray(mesh.vertices)[mesh.faces].transpose(1, 0, 2)
    matrix = np.stack(np.broadcast_arrays((b - a)[None], (c - a)[None], -directions[:, None]), axis=-1)
    right_side = origins[:, None] - a[None]
    singular = np.abs(np.linalg.det(matrix)) < 1e-9
    matrix[singular] = np.eye(3)
    u, v, distance = np.moveaxis(np.linalg.solve(matrix, right_side[..., None])[..., 0], -1, 0)
    inside = (u >= 0) & (v >= 0) & (u + v <= 1) & (distance > 0) & ~singular
    distance = np.where(inside, distance, np.inf)
    return distance.min(axis=1), distance.argmin(axis=1)


def test_distances_to_a_sphere() -> None:
    radius = 0.8
    mesh = trimesh.creation.icosphere(subdivisions=4, radius=radius)
    origins, directions = rays_around(2000)
    hits = RayCaster(mesh).cast(origins, directions)
    unit = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    middle = -(origins * unit).sum(axis=1)
    passing = np.linalg.norm(origins + middle[:, None] * unit, axis=1)
    # The facets lie up to 0.4% inside the sphere; rays that graze it are left out.
    sure = np.abs(passing - radius) > 0.03
    np.testing.assert_array_equal(hits.hit[sure], passing[sure] < radius)
    struck = sure & (passing < radius)
    expected = middle[struck] - np.sqrt(radius**2 - passing[struck] ** 2)
    np.testing.assert_allclose(hits.distance[struck], expected, atol=0.02)
    assert (hits.triangle[~hits.hit] == -1).all()
    assert np.isinf(hits.distance[~hits.hit]).all()
    assert (hits.barycentric[~hits.hit] == 0).all()


def test_distances_to_a_box_by_the_slab_formula() -> None:
    extents = np.array([1.0, 0.6, 1.4])
    origins, directions = rays_around(1000, seed=1)
    hits = RayCaster(trimesh.creation.box(extents)).cast(origins, directions)
    unit = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    first, second = (-extents / 2 - origins) / unit, (extents / 2 - origins) / unit
    enter, leave = np.minimum(first, second).max(axis=1), np.maximum(first, second).min(axis=1)
    sure = np.abs(leave - enter) > 1e-4
    np.testing.assert_array_equal(hits.hit[sure], (enter < leave)[sure])
    np.testing.assert_allclose(hits.distance[sure & hits.hit], enter[sure & hits.hit], atol=1e-5)


def test_first_hits_with_a_torus_equal_trying_every_triangle() -> None:
    mesh = trimesh.creation.torus(0.6, 0.2, major_sections=16, minor_sections=8)
    origins, directions = rays_around(300, seed=2)
    hits = RayCaster(mesh).cast(origins, directions)
    distance, triangle = nearest_triangle(mesh, origins, directions)
    both = np.isfinite(distance) & hits.hit
    assert both.sum() > 60
    assert (np.isfinite(distance) == hits.hit).mean() > 0.99  # rays along an edge may differ
    np.testing.assert_allclose(hits.distance[both], distance[both], atol=1e-4)
    assert (hits.triangle[both] == triangle[both]).mean() > 0.98


def test_barycentric_weights_give_the_point() -> None:
    mesh = trimesh.creation.icosphere(subdivisions=2, radius=0.9)
    origins, directions = rays_around(200, seed=3)
    hits = RayCaster(mesh).cast(origins, directions)
    unit = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    met = hits.hit
    corners = np.asarray(mesh.vertices)[mesh.faces[hits.triangle[met]]]
    np.testing.assert_allclose(hits.barycentric[met].sum(axis=1), 1.0, atol=1e-6)
    from_weights = np.einsum("nk,nkc->nc", hits.barycentric[met], corners)
    np.testing.assert_allclose(from_weights, origins[met] + hits.distance[met, None] * unit[met], atol=1e-4)


def test_both_sides_of_a_face_are_hit_and_the_mesh_may_go() -> None:
    sheet = trimesh.Trimesh([[-1, -1, 0], [1, -1, 0], [0, 1, 0]], [[0, 1, 2]])
    caster = RayCaster(sheet)
    del sheet
    hits = caster.cast(np.array([[0, 0, 2.0], [0, 0, -2.0]]), np.array([[0, 0, -1.0], [0, 0, 1.0]]))
    np.testing.assert_allclose(hits.distance, 2.0, atol=1e-6)


def test_no_rays_give_no_hits() -> None:
    hits = RayCaster(trimesh.creation.box()).cast(np.zeros((0, 3)), np.zeros((0, 3)))
    assert hits.distance.shape == hits.triangle.shape == (0,)
    assert hits.barycentric.shape == (0, 3)


def test_a_mesh_without_faces_is_refused() -> None:
    with pytest.raises(InputError, match="no faces"):
        RayCaster(trimesh.Trimesh(np.zeros((3, 3)), np.zeros((0, 3), dtype=int)))


@pytest.mark.parametrize("distance", [0.0, 3.0])
def test_the_second_caster_gives_the_hits_of_the_first(distance: float, monkeypatch: pytest.MonkeyPatch) -> None:
    ball = trimesh.creation.icosphere(subdivisions=2, radius=0.7)
    box = trimesh.creation.box((0.4, 0.4, 3.0))
    mesh = trimesh.util.concatenate([ball, box])
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(500, 3)).astype(np.float32)
    origins = distance * rng.normal(size=(500, 3)).astype(np.float32)
    first = RayCaster(mesh).cast(origins, directions)
    monkeypatch.setattr("wavemesh.geometry.raycast.rtcore_scene", None)
    second = RayCaster(mesh).cast(origins, directions)
    assert 0 < second.hit.sum() <= 500
    # A ray along an edge may be either triangle's, or nobody's.
    same = first.triangle == second.triangle
    assert same.mean() > 0.98
    np.testing.assert_allclose(first.distance[same], second.distance[same], atol=1e-4)
    np.testing.assert_allclose(first.barycentric[same], second.barycentric[same], atol=1e-3)
    assert (second.distance[~second.hit] == np.inf).all()
    assert (second.triangle[~second.hit] == -1).all()


def test_what_an_engine_leaves_where_a_ray_missed_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    caster = RayCaster(trimesh.creation.box())
    left = np.full(2, -1), np.full(2, np.nan), np.array([[1e300, -1e300], [np.inf, np.nan]])
    monkeypatch.setattr(caster, "_engine", SimpleNamespace(first=lambda origins, directions: left))
    hits = caster.cast(np.zeros((2, 3), dtype=np.float32), np.eye(3, dtype=np.float32)[:2])
    assert not hits.hit.any()
    assert (hits.distance == np.inf).all()
    assert (hits.barycentric == 0).all()
