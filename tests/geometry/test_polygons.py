"""Polygons of any shape become triangles that cover them once: areas by the shoelace formula, points by matplotlib."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.path import Path as Outline
from scipy.spatial.transform import Rotation

from wavemesh.errors import InputError
from wavemesh.geometry.polygons import MAX_CORNERS, triangulate

ARROW = [(0, 0), (2, -1), (0.5, 0), (2, 1)]
ARROW_FROM_ITS_TIP = [(2, 1), (0, 0), (2, -1), (0.5, 0)]
L_SHAPE = [(1, 1), (1, 2), (0, 2), (0, 0), (3, 0), (3, 1)]
HOLE_BY_A_BRIDGE = [(0, 0), (4, 0), (4, 4), (0, 4), (0, 0), (1, 1), (1, 3), (3, 3), (3, 1), (1, 1)]
REPEATED = [(0, 0), (0, 0), (3, 0), (3, 0), (1, 1), (0, 3), (0, 3)]
STRAIGHT_EDGES = [(0, 0), (1, 0), (2, 0), (3, 0), (3, 1), (2, 1), (2, 3), (1, 3), (1, 1), (0, 1)]


def comb(teeth: int) -> list[tuple[float, float]]:
    """A rack of narrow teeth with a thin back."""
    top = [(x, y) for tooth in range(teeth) for x, y in ((tooth, 1), (tooth, 9), (tooth + 0.5, 9), (tooth + 0.5, 1))]
    return [*top, (teeth, 0), (0, 0)][::-1]


def spiral(corners: int) -> list[tuple[float, float]]:
    """A band that winds five times around its start."""
    angle = np.linspace(0, 10 * np.pi, corners // 2)
    line = np.stack([np.cos(angle), np.sin(angle)], axis=1) * (1 + angle)[:, None]
    wider = np.stack([np.cos(angle), np.sin(angle)], axis=1) * (2 + angle)[:, None]
    return [tuple(point) for point in np.concatenate([line[::-1], wider])]


def shoelace(outline: np.ndarray) -> float:
    x, y = outline.T
    return float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2


def assert_covered_once(outline: np.ndarray, triangles: np.ndarray) -> None:
    """All triangles run the polygon's way round, have its area together, and cover its inside and nothing else."""
    areas = np.array([shoelace(outline[triangle]) for triangle in triangles]) * np.sign(shoelace(outline))
    tolerance = 1e-9 * abs(shoelace(outline))
    assert areas.min() > -tolerance
    assert areas.sum() == pytest.approx(abs(shoelace(outline)), rel=1e-9)
    points = np.random.default_rng(0).uniform(outline.min(axis=0), outline.max(axis=0), (400, 2))
    clear = np.ones(len(points), dtype=bool)  # of every edge: there the two may round differently
    covered = np.zeros(len(points), dtype=int)
    for triangle in triangles:
        corners = outline[triangle]
        edges = np.roll(corners, -1, axis=0) - corners
        side = edges[:, 0] * (points[:, None, 1] - corners[:, 1]) - edges[:, 1] * (points[:, None, 0] - corners[:, 0])
        clear &= np.abs(side).min(axis=1) > 1e-6
        covered += (side > 0).all(axis=1) | (side < 0).all(axis=1)
    np.testing.assert_array_equal(covered[clear], Outline(outline).contains_points(points[clear]).astype(int))


def cut(outline: np.ndarray, placed: np.ndarray | None = None) -> np.ndarray:
    placed = np.pad(outline, ((0, 0), (0, 1))) if placed is None else placed
    triangles, polygon = triangulate(placed, np.array([len(outline)]))
    assert len(triangles) == len(outline) - 2
    assert (polygon == 0).all()
    return triangles


@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize(
    "outline",
    [ARROW, ARROW_FROM_ITS_TIP, L_SHAPE, REPEATED, STRAIGHT_EDGES, comb(3), comb(150), spiral(600)],
    ids=["arrow", "arrow from its tip", "L", "repeated", "straight edges", "comb", "long comb", "spiral"],
)
def test_concave_polygons_are_covered_once(outline: list[tuple[float, float]], direction: int) -> None:
    flat = np.array(outline, dtype=float)[::direction]
    assert_covered_once(flat, cut(flat))


def test_a_hole_with_a_bridge_stays_open() -> None:
    flat = np.array(HOLE_BY_A_BRIDGE, dtype=float)
    triangles = cut(flat)
    assert sum(abs(shoelace(flat[triangle])) for triangle in triangles) == pytest.approx(12.0)
    middles = flat[triangles].mean(axis=1)
    assert not ((np.abs(middles - 2) < 1) @ [1, 1] == 2).any()


@settings(max_examples=60, deadline=None)
@given(
    radii=st.lists(st.floats(0.1, 1.0), min_size=4, max_size=40),
    turn=st.tuples(*[st.floats(-3, 3)] * 3),
    shift=st.floats(-100, 100),
    direction=st.sampled_from([1, -1]),
)
def test_star_shaped_polygons_anywhere_in_space(
    radii: list[float], turn: tuple[float, float, float], shift: float, direction: int
) -> None:
    angle = np.linspace(0, 2 * np.pi, len(radii), endpoint=False)
    flat = (np.array(radii)[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1))[::direction]
    placed = np.pad(flat, ((0, 0), (0, 1))) @ Rotation.from_rotvec(turn).as_matrix().T + shift
    assert_covered_once(flat, cut(flat, placed))


def test_a_polygon_that_is_not_flat_is_cut_along_its_normal() -> None:
    flat = np.array(comb(5))
    placed = np.column_stack([flat, 0.2 * np.sin(3 * flat[:, 0])])
    turned = Rotation.from_rotvec([0.4, -1.0, 0.3])
    assert_covered_once(flat, cut(flat, turned.apply(placed)))


def test_convex_polygons_are_fans_and_all_keep_their_order() -> None:
    square = [(0, 0), (1, 0), (1, 1), (0, 1)]
    corners = np.pad(np.array([*square, (5, 5), (6, 6), *ARROW_FROM_ITS_TIP, *square], dtype=float), ((0, 0), (0, 1)))
    triangles, polygon = triangulate(corners, np.array([4, 2, 4, 0, 4]))
    np.testing.assert_array_equal(polygon, [0, 0, 2, 2, 4, 4])
    np.testing.assert_array_equal(triangles[[0, 1, 4, 5]], [[0, 1, 2], [0, 2, 3], [10, 11, 12], [10, 12, 13]])
    assert_covered_once(corners[6:10, :2], triangles[2:4] - 6)


@pytest.mark.parametrize(
    "outline",
    [
        [(0, 0, 0)] * 7,
        [(0, 0, 0), (1, 0, 0), (2, 0, 0), (1, 0, 0)],
        [(0, 0, 0), (1, 0, 0), (np.nan, 1, 0), (0, 1, 0), (-1, 0, 0)],
        [(0, 0, 0), (np.inf, 0, 0), (1, 1, 0), (-np.inf, 1, 0), (0.1, 0.1, 0)],
        [(0, 0, 0), (1e200, 0, 0), (1e199, 1e199, 0), (0, 1e200, 0)],
        [(0, 0, 0), (1e-200, 0, 0), (1e-201, 1e-201, 0), (0, 1e-200, 0)],
    ],
    ids=["a point", "a line", "not a number", "infinite", "huge", "tiny"],
)
def test_degenerate_polygons_give_as_many_triangles(outline: list[tuple[float, float, float]]) -> None:
    triangles, _ = triangulate(np.array(outline, dtype=float), np.array([len(outline)]))
    assert triangles.shape == (len(outline) - 2, 3)
    assert triangles.min() >= 0
    assert triangles.max() < len(outline)


@settings(max_examples=60, deadline=None)
@given(points=st.lists(st.tuples(*[st.floats(-5, 5)] * 3), min_size=3, max_size=25))
def test_polygons_that_cross_themselves_use_every_corner(points: list[tuple[float, float, float]]) -> None:
    triangles, _ = triangulate(np.array(points), np.array([len(points)]))
    assert triangles.shape == (len(points) - 2, 3)
    np.testing.assert_array_equal(np.unique(triangles), np.arange(len(points)))


def test_corners_have_a_bound_that_is_quickly_reached() -> None:
    points = np.random.default_rng(1).normal(size=(MAX_CORNERS, 3))
    begin = time.perf_counter()
    assert len(triangulate(points, np.array([MAX_CORNERS]))[0]) == MAX_CORNERS - 2
    assert time.perf_counter() - begin < 20
    with pytest.raises(InputError, match=r"A face of the mesh has 4,097 corners; up to 4,096 are read\."):
        triangulate(np.zeros((MAX_CORNERS + 1, 3)), np.array([MAX_CORNERS + 1]))


def test_no_polygons_give_no_triangles() -> None:
    triangles, polygon = triangulate(np.zeros((0, 3)), np.zeros(0, dtype=int))
    assert triangles.shape == (0, 3)
    assert polygon.shape == (0,)
