import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from wavemesh.errors import InputError
from wavemesh.geometry.health import mesh_health, wall_thickness


def open_box() -> trimesh.Trimesh:
    box = trimesh.creation.box((1.0, 0.6, 0.4))
    return trimesh.Trimesh(box.vertices, box.faces[:-2], process=False)


@settings(max_examples=8, deadline=None)
@given(sides=st.tuples(*[st.floats(0.1, 1.5)] * 3))
def test_a_box(sides: tuple[float, float, float]) -> None:
    box = trimesh.creation.box(sides)
    health = mesh_health(box)
    assert (health.watertight, health.consistent, health.printable) == (True, True, True)
    assert (health.components, health.euler, health.open_edges, health.crowded_edges) == (1, 2, 0, 0)
    assert health.volume == pytest.approx(np.prod(sides))
    assert health.area == pytest.approx(box.area)
    assert health.extent == pytest.approx(max(sides))
    assert health.thinnest is not None
    # The least side, as long as its two faces are more than 1% of the surface: they are its largest.
    assert health.thinnest == pytest.approx(min(sides), rel=1e-3)


def test_a_torus_has_a_hole_through_it_and_a_tube_as_thick_as_it_is() -> None:
    health = mesh_health(trimesh.creation.torus(0.6, 0.15, 96, 48))
    assert (health.euler, health.components, health.printable) == (0, 1, True)
    assert health.volume == pytest.approx(2 * np.pi**2 * 0.6 * 0.15**2, rel=0.01)
    assert health.thinnest == pytest.approx(0.3, rel=0.02)


def test_two_boxes_are_two_pieces_and_a_thin_one_decides() -> None:
    plate = trimesh.creation.box((0.8, 0.8, 0.05)).apply_translation((0, 0, 1.0))
    both = trimesh.util.concatenate([trimesh.creation.box((0.5, 0.5, 0.5)), plate])
    health = mesh_health(both)
    assert (health.components, health.euler, health.watertight) == (2, 4, True)
    assert health.thinnest == pytest.approx(0.05, rel=1e-3)
    assert health.volume == pytest.approx(0.125 + 0.8 * 0.8 * 0.05)


def test_an_open_box_is_no_solid() -> None:
    health = mesh_health(open_box())
    assert (health.watertight, health.consistent, health.printable) == (False, True, False)
    assert (health.open_edges, health.euler, health.volume, health.thinnest) == (4, 1, None, None)


def test_what_is_wound_wrongly_is_no_solid() -> None:
    turned = trimesh.creation.box()
    turned.faces[0] = turned.faces[0][::-1]
    health = mesh_health(turned)
    assert (health.watertight, health.consistent, health.volume, health.printable) == (True, False, None, False)
    inverted = trimesh.creation.box()
    inverted.invert()
    assert mesh_health(inverted).volume == pytest.approx(-1.0)
    assert not mesh_health(inverted).printable


def test_an_edge_with_three_faces_is_counted() -> None:
    fins = trimesh.Trimesh(
        [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [0, -1, 0]], [[0, 1, 2], [0, 1, 3], [0, 1, 4]], process=False
    )
    assert mesh_health(fins).crowded_edges == 1


def test_faces_that_share_no_vertices_are_welded_first() -> None:
    box = trimesh.creation.box()
    soup = trimesh.Trimesh(box.triangles.reshape(-1, 3), np.arange(36).reshape(-1, 3), process=False)
    assert mesh_health(soup) == mesh_health(box)
    assert len(soup.vertices) == 36


def test_a_sharp_ridge_is_not_a_thin_wall() -> None:
    """Straight inwards from beside a ridge of 60 degrees the neighbouring slope is near; the wall is not there."""
    height = np.sqrt(3) / 2
    section = [[0, 0], [1, 0], [0.5, height]]
    corners = np.array([[x, y, z] for z in (0.0, 4.0) for x, y in section])
    prism = trimesh.Trimesh(
        corners, [[0, 2, 1], [3, 4, 5], [0, 1, 4], [0, 4, 3], [1, 2, 5], [1, 5, 4], [2, 0, 3], [2, 3, 5]], process=False
    )
    assert mesh_health(prism).printable
    beside = np.array([[0.02, 0.0, 2.0], [0.5, 0.0, 2.0], [0.3, 0.2, 0.0]])
    below = np.array([[0, -1, 0], [0, -1, 0], [0, 0, -1]], dtype=float)
    thickness = wall_thickness(prism, beside, below)
    assert np.isinf(thickness[:2]).all()
    assert thickness[2] == pytest.approx(4.0, rel=1e-3)


def test_a_mesh_without_faces_is_refused() -> None:
    with pytest.raises(InputError, match="no faces"):
        mesh_health(trimesh.Trimesh())
