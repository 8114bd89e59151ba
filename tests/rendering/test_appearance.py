"""Shading normals and texture lookup against closed forms."""

from __future__ import annotations

import numpy as np
import trimesh
from PIL import Image
from trimesh.visual import TextureVisuals

from wavemesh.rendering.appearance import Appearance, MipTextures, smooth_normals


def corners_of(mesh: trimesh.Trimesh) -> np.ndarray:
    return np.asarray(mesh.vertices)[mesh.faces]


def test_a_box_keeps_its_edges_sharp() -> None:
    box = trimesh.creation.box((1, 2, 3))
    normals = smooth_normals(corners_of(box))
    np.testing.assert_allclose(normals, np.repeat(box.face_normals[:, None], 3, axis=1), atol=1e-9)


def test_a_sphere_is_smooth_even_as_a_soup() -> None:
    sphere = trimesh.creation.icosphere(subdivisions=3, radius=0.7)
    sphere.unmerge_vertices()
    corners = corners_of(sphere)
    assert (smooth_normals(corners) * corners / 0.7).sum(-1).min() > 0.999


def test_a_cylinder_is_round_at_its_side_and_flat_at_its_caps() -> None:
    cylinder = trimesh.creation.cylinder(0.5, 1.0, sections=24)
    normals, corners = smooth_normals(corners_of(cylinder)), corners_of(cylinder)
    cap = np.abs(cylinder.face_normals[:, 2]) > 0.9
    np.testing.assert_allclose(np.abs(normals[cap][..., 2]), 1.0, atol=1e-9)
    radial = corners[~cap][..., :2] / 0.5
    assert (normals[~cap][..., :2] * radial).sum(-1).min() > 0.999


def test_degenerate_triangles_get_unit_normals() -> None:
    normals = smooth_normals(np.zeros((2, 3, 3)))
    np.testing.assert_allclose(np.linalg.norm(normals, axis=-1), 1.0)


def test_bilinear_lookup_equals_interpolation_by_hand() -> None:
    picture = np.array([[(0, 0, 0), (100, 0, 0)], [(0, 200, 0), (100, 200, 0)]], dtype=np.uint8)
    textures = MipTextures([picture])
    centre = textures.sample(np.zeros(1, int), np.array([(0.5, 0.5)]), np.zeros(1))
    np.testing.assert_allclose(centre * 255, [(50, 100, 0)], atol=1e-3)
    upper_left = textures.sample(np.zeros(1, int), np.array([(0.25, 0.75)]), np.zeros(1))
    np.testing.assert_allclose(upper_left * 255, [(0, 0, 0)], atol=1e-3)
    coarsest = textures.sample(np.zeros(1, int), np.array([(0.1, 0.9)]), np.full(1, 9.0))
    np.testing.assert_allclose(coarsest * 255, [(50, 100, 0)], atol=1e-3)


def test_texel_density_counts_texels_per_unit() -> None:
    vertices = np.array([(0, 0, 0), (2, 0, 0), (2, 2, 0), (0, 2, 0)], dtype=float)
    uv = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], dtype=float)
    visual = TextureVisuals(uv=uv, image=Image.new("RGB", (64, 64)))
    mesh = trimesh.Trimesh(vertices, [(0, 1, 2), (0, 2, 3)], visual=visual, process=False)
    np.testing.assert_allclose(Appearance.of(mesh).texel_density, 32.0, rtol=1e-5)
