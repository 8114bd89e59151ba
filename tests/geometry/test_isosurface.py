"""Marching cubes on analytic distance fields: size, place, orientation, closedness; and simplification."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
import trimesh

from wavemesh.errors import InputError
from wavemesh.geometry import isosurface
from wavemesh.geometry.collapse import collapsed
from wavemesh.geometry.isosurface import sdf_to_mesh, simplify


def grid(resolution: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    centres = (np.arange(resolution) + 0.5) / resolution * 2 - 1
    return tuple(np.meshgrid(centres, centres, centres, indexing="ij"))


def sphere(radius: float, resolution: int = 32) -> np.ndarray:
    x, y, z = grid(resolution)
    return (np.sqrt(x**2 + y**2 + z**2) - radius).astype(np.float32)


def test_a_sphere_comes_back() -> None:
    mesh = sdf_to_mesh(np.clip(sphere(0.7), -0.09, 0.09))
    assert mesh.is_watertight
    assert mesh.is_winding_consistent
    assert mesh.volume == pytest.approx(4 / 3 * math.pi * 0.7**3, rel=0.01)
    np.testing.assert_allclose(np.linalg.norm(mesh.vertices, axis=1), 0.7, atol=0.01)
    assert (np.einsum("nc,nc->n", mesh.face_normals, mesh.triangles_center)[mesh.area_faces > 1e-9] > 0).all()


def test_a_torus_keeps_its_hole() -> None:
    x, y, z = grid(40)
    mesh = sdf_to_mesh((np.hypot(np.hypot(x, z) - 0.6, y) - 0.2).astype(np.float32))
    assert mesh.is_watertight
    assert mesh.euler_number == 0
    assert mesh.volume == pytest.approx(2 * math.pi**2 * 0.6 * 0.2**2, rel=0.02)


def test_axes_and_places_are_those_of_the_world() -> None:
    x, y, z = grid(32)
    box = np.maximum.reduce([np.abs(x - 0.2) - 0.3, np.abs(y + 0.1) - 0.5, np.abs(z) - 0.7]).astype(np.float32)
    np.testing.assert_allclose(sdf_to_mesh(box).bounds, [[-0.1, -0.6, -0.7], [0.5, 0.4, 0.7]], atol=1e-3)


def test_another_level_is_an_offset_surface() -> None:
    mesh = sdf_to_mesh(sphere(0.6), level=0.1)
    np.testing.assert_allclose(np.linalg.norm(mesh.vertices, axis=1), 0.7, atol=0.01)


def test_a_solid_at_the_border_is_closed_there() -> None:
    x, _, _ = grid(16)
    mesh = sdf_to_mesh(np.clip(x, -0.09, 0.09).astype(np.float32))
    assert mesh.is_watertight
    assert mesh.volume == pytest.approx(4.0, rel=0.02)
    assert np.abs(mesh.vertices).max() <= 1.0 + 1e-6


def test_values_exactly_at_the_level_leave_no_holes() -> None:
    x, y, z = grid(16)
    steps = np.rint((np.sqrt(x**2 + y**2 + z**2) - 0.6) * 8).astype(np.float32)
    assert (steps == 0).any()
    assert sdf_to_mesh(steps).is_watertight


@pytest.mark.parametrize("value", [0.09, -0.09, 0.0])
def test_a_field_without_a_surface_is_refused(value: float) -> None:
    with pytest.raises(InputError, match="no surface"):
        sdf_to_mesh(np.full((8, 8, 8), value, dtype=np.float32))


def test_values_that_are_not_finite_are_refused() -> None:
    field = sphere(0.5, 8)
    field[3, 3, 3] = np.nan
    with pytest.raises(InputError, match="not finite"):
        sdf_to_mesh(field)


def test_simplify_keeps_the_shape() -> None:
    mesh = trimesh.creation.icosphere(subdivisions=4, radius=0.8)
    smaller = simplify(mesh, 500)
    assert 400 <= len(smaller.faces) <= 510
    assert smaller.volume == pytest.approx(mesh.volume, rel=0.03)
    assert smaller.is_watertight


def test_simplify_keeps_a_solid_of_thin_parts_closed() -> None:
    x, y, z = grid(96)
    legs = np.minimum.reduce([np.hypot(x - a, z - b) for a in (-0.6, 0.6) for b in (-0.6, 0.6)]) - 0.035
    legs = np.maximum(legs, np.abs(y) - 0.8)
    top = np.maximum(np.maximum(np.abs(x), np.abs(z)) - 0.8, np.abs(y - 0.8) - 0.03)
    mesh = sdf_to_mesh(np.minimum(legs, top).clip(-0.09, 0.09).astype(np.float32))
    smaller = simplify(mesh, len(mesh.faces) // 6)
    assert len(mesh.faces) // 7 <= len(smaller.faces) <= len(mesh.faces) // 6
    assert smaller.is_watertight
    assert smaller.is_winding_consistent
    assert smaller.volume == pytest.approx(mesh.volume, rel=0.03)


def test_what_is_no_solid_is_simplified_too() -> None:
    sheet = trimesh.creation.icosphere(subdivisions=4, radius=0.8)
    sheet.update_faces(sheet.triangles_center[:, 2] > 0.0)
    assert 200 <= len(simplify(sheet, 300).faces) <= 310
    fin = trimesh.Trimesh(sheet.vertices, np.concatenate([sheet.faces, sheet.faces[:40, ::-1]]), process=False)
    assert 200 <= len(simplify(fin, 300).faces) <= 310


def test_a_large_mesh_is_reduced_by_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """libigl would let no other thread of this one run until it is done."""
    mesh = trimesh.creation.icosphere(subdivisions=4)
    here = simplify(mesh, 500)
    monkeypatch.setattr(isosurface, "MAX_FACES_AT_ONCE", 5000)
    monkeypatch.setitem(sys.modules, "igl", None)  # not in this one
    there = simplify(mesh, 500)
    np.testing.assert_array_equal(there.vertices, here.vertices)
    np.testing.assert_array_equal(there.faces, here.faces)


def test_a_reduction_that_takes_too_long_is_one_sentence() -> None:
    mesh = trimesh.creation.icosphere(subdivisions=7)
    with pytest.raises(InputError, match=r"Reducing 327,680 triangles to 4 takes too long here"):
        collapsed(np.array(mesh.vertices), np.array(mesh.faces), 4, cpu_s=1)


def test_simplify_leaves_small_meshes_alone_and_refuses_nonsense() -> None:
    mesh = trimesh.creation.box()
    assert simplify(mesh, 12) is mesh
    with pytest.raises(InputError, match="not 3"):
        simplify(mesh, 3)


def test_the_vertices_of_a_surface_are_counted_before_it_is_built() -> None:
    sdf = sphere(0.7)
    count = len(sdf_to_mesh(sdf).vertices)
    assert len(sdf_to_mesh(sdf, max_vertices=count).vertices) == count
    noise = np.random.default_rng(0).normal(size=(32, 32, 32)).astype(np.float32)
    with pytest.raises(InputError, match="up to 10,000 are made of one"):
        sdf_to_mesh(noise, max_vertices=10_000)
