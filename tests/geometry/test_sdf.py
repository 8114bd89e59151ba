"""Depth carving against analytic distances, and the promises it makes for meshes that are not sound."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from scipy import ndimage

from wavemesh.errors import InputError
from wavemesh.geometry.isosurface import sdf_to_mesh
from wavemesh.geometry.orbit_depth import look_around, orbit_directions
from wavemesh.geometry.sdf import TRUNCATION, mesh_to_sdf, occupancy

RESOLUTION = 32
CELL = 2.0 / RESOLUTION


def carve(mesh: trimesh.Trimesh, resolution: int = RESOLUTION) -> np.ndarray:
    """The grid of a mesh from depth maps that are as coarse as the grid allows, for speed."""
    return mesh_to_sdf(mesh, resolution, orbit=look_around(mesh, size=80))


def grid(resolution: int = RESOLUTION) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    centres = (np.arange(resolution) + 0.5) / resolution * 2 - 1
    return tuple(np.meshgrid(centres, centres, centres, indexing="ij"))


def box_distance(extents: tuple[float, float, float]) -> np.ndarray:
    outside = np.stack([np.abs(axis) - side / 2 for axis, side in zip(grid(), extents, strict=True)])
    return np.linalg.norm(np.maximum(outside, 0), axis=0) + np.minimum(outside.max(axis=0), 0)


def without_faces(mesh: trimesh.Trimesh, direction: tuple[float, float, float]) -> trimesh.Trimesh:
    """The mesh without the faces that point in a direction."""
    keep = mesh.face_normals @ np.array(direction) < 0.9
    return trimesh.Trimesh(mesh.vertices, mesh.faces[keep], process=False)


def iou(first: np.ndarray, second: np.ndarray) -> float:
    return float((first & second).sum() / (first | second).sum())


@pytest.fixture(scope="module")
def ball() -> trimesh.Trimesh:
    return trimesh.creation.icosphere(subdivisions=3, radius=0.6)


@pytest.fixture(scope="module")
def ball_sdf(ball: trimesh.Trimesh) -> np.ndarray:
    return carve(ball)


def test_a_sphere_is_right_to_a_fraction_of_a_cell(ball_sdf: np.ndarray) -> None:
    x, y, z = grid()
    exact = np.sqrt(x**2 + y**2 + z**2) - 0.6
    assert ball_sdf.dtype == np.float32
    assert np.abs(ball_sdf - exact.clip(-TRUNCATION, TRUNCATION)).max() < 0.25 * CELL
    np.testing.assert_array_equal(
        occupancy(ball_sdf)[np.abs(exact) > 0.25 * CELL], (exact < 0)[np.abs(exact) > 0.25 * CELL]
    )


def test_a_box_is_right_to_a_fraction_of_a_cell() -> None:
    extents = (1.0, 0.7, 1.4)
    exact = box_distance(extents)
    sdf = carve(trimesh.creation.box(extents))
    assert np.abs(sdf - exact.clip(-TRUNCATION, TRUNCATION)).max() < 0.75 * CELL
    clear = np.abs(exact) > 0.5 * CELL
    np.testing.assert_array_equal((sdf < 0)[clear], (exact < 0)[clear])


def test_a_torus_keeps_its_hole() -> None:
    mesh = trimesh.creation.torus(0.55, 0.22, major_sections=48, minor_sections=24)  # about z
    x, y, z = grid()
    exact = np.hypot(np.hypot(x, y) - 0.55, z) - 0.22
    sdf = carve(mesh)
    assert np.abs(sdf - exact.clip(-TRUNCATION, TRUNCATION)).max() < CELL
    clear = np.abs(exact) > 0.25 * CELL
    np.testing.assert_array_equal((sdf < 0)[clear], (exact < 0)[clear])
    assert sdf_to_mesh(sdf).euler_number == 0


def test_range_border_and_shape(ball: trimesh.Trimesh, ball_sdf: np.ndarray) -> None:
    assert ball_sdf.min() >= -TRUNCATION
    assert ball_sdf.max() <= TRUNCATION
    for axis in range(3):
        for side in (0, -1):
            assert (ball_sdf.take(side, axis) == np.float32(TRUNCATION)).all()
    assert carve(ball, 30).shape == (30, 30, 30)


def test_round_trip_to_a_closed_mesh_of_the_same_volume(ball: trimesh.Trimesh, ball_sdf: np.ndarray) -> None:
    mesh = sdf_to_mesh(ball_sdf)
    assert mesh.is_watertight
    assert mesh.volume == pytest.approx(ball.volume, rel=0.02)


def test_the_orientation_of_faces_does_not_matter(ball: trimesh.Trimesh, ball_sdf: np.ndarray) -> None:
    faces = np.array(ball.faces)
    turned = np.random.default_rng(0).random(len(faces)) < 0.5
    faces[turned] = faces[turned, ::-1]
    mixed = carve(trimesh.Trimesh(ball.vertices, faces, process=False))
    np.testing.assert_allclose(mixed, ball_sdf, atol=1e-4)


def test_a_missing_bottom_stays_solid() -> None:
    """A fridge without a floor: from at most 20 degrees below, sight reaches a little way up into it and no further."""
    extents = (0.6, 1.6, 0.6)
    fridge = without_faces(trimesh.creation.box(extents), (0, -1, 0))
    assert not fridge.is_watertight
    solid, whole = carve(fridge) < 0, box_distance(extents) < 0
    upper = grid()[1] > -0.8 + 0.6 * np.sqrt(2) * np.tan(np.radians(20)) + CELL
    assert iou(solid[upper], whole[upper]) > 0.97
    assert solid.sum() > 0.85 * whole.sum()


def test_an_open_front_is_carved_and_the_walls_stay() -> None:
    extents = (1.2, 1.2, 1.2)
    shelf = without_faces(trimesh.creation.box(extents), (0, 0, 1))
    sdf = carve(shelf)
    x, y, z = grid()
    hollow = np.maximum.reduce([np.abs(x), np.abs(y), np.abs(z)]) < 0.35
    assert (sdf[hollow] > 0).all()
    # Each wall crosses the line from the middle outwards; in front there is none.
    middle = RESOLUTION // 2
    assert (sdf[:middle, middle, middle] < 0).any()
    assert (sdf[middle:, middle, middle] < 0).any()
    assert (sdf[middle, middle:, middle] < 0).any()
    assert (sdf[middle, middle, :middle] < 0).any()
    assert not (sdf[middle, middle, middle:] < 0).any()


@pytest.mark.parametrize("shift", [0.0, 0.5 * CELL, 0.23 * CELL])
def test_a_sheet_without_thickness_becomes_a_closed_plate(shift: float) -> None:
    """The least thickness is 1.5 cells, wherever the sheet lies between the cells."""
    side = 1.2
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * side / 2
    sheet = trimesh.Trimesh(np.column_stack([corners, np.full(4, shift)]), [[0, 1, 2], [0, 2, 3]], process=False)
    sdf = carve(sheet)
    solid = sdf < 0
    x, y, _ = grid()
    inner = (np.maximum(np.abs(x), np.abs(y)) < side / 2 - CELL)[:, :, 0]
    assert np.isin(solid.sum(axis=2)[inner], (1, 2)).all()
    plate = sdf_to_mesh(sdf)
    assert plate.is_watertight
    assert ndimage.label(solid)[1] == 1
    np.testing.assert_allclose(plate.extents[:2], side, atol=2 * CELL)
    assert plate.extents[2] == pytest.approx(1.5 * CELL, abs=0.5 * CELL)


def test_a_thick_solid_is_not_thickened(ball_sdf: np.ndarray) -> None:
    x, y, z = grid()
    assert not (ball_sdf[np.sqrt(x**2 + y**2 + z**2) > 0.6 + 0.25 * CELL] < 0).any()


@pytest.mark.parametrize(
    ("mesh", "reason"),
    [
        (trimesh.Trimesh(np.zeros((3, 3)), np.zeros((0, 3), dtype=int)), "no faces"),
        (trimesh.creation.box((2.5, 1, 1)), "reaches to 1.25"),
        (trimesh.Trimesh([[0, 0, 0], [1, 0, 0], [np.nan, 0, 0]], [[0, 1, 2]], process=False), "reaches to nan"),
    ],
)
def test_what_does_not_fit_the_grid_is_refused(mesh: trimesh.Trimesh, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        mesh_to_sdf(mesh, 16)


def test_cameras_stand_all_around_between_the_two_elevations() -> None:
    directions = orbit_directions(60)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1.0, atol=1e-12)
    elevation = np.degrees(np.arcsin(directions[:, 1]))
    assert elevation.min() >= -20.0
    assert elevation.max() <= 85.0
    quadrant = (np.arctan2(directions[:, 0], directions[:, 2]) // (np.pi / 2)).astype(int)
    assert (np.unique(quadrant, return_counts=True)[1] >= 12).all()
