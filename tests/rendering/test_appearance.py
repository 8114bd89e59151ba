"""Shading normals and texture lookup against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from PIL import Image
from trimesh.visual import TextureVisuals
from trimesh.visual.material import PBRMaterial, SimpleMaterial

from wavemesh.rendering.appearance import Appearance, MipTextures, smooth_normals

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def textured_quad(material: SimpleMaterial | PBRMaterial) -> trimesh.Trimesh:
    """The unit square in x and y, whose texture coordinates are its x and y."""
    corners = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], dtype=float)
    visual = TextureVisuals(uv=corners[:, :2], material=material)
    return trimesh.Trimesh(corners, [[0, 1, 2], [0, 2, 3]], visual=visual, process=False)


def quadrants() -> Image.Image:
    """A picture of four colours: red and green above, blue and white below."""
    pixels = np.zeros((8, 8, 3), dtype=np.uint8)
    pixels[:4, :4], pixels[:4, 4:], pixels[4:, :4], pixels[4:, 4:] = (255, 0, 0), (0, 255, 0), (0, 0, 255), 255
    return Image.fromarray(pixels)


def colours_at(mesh: trimesh.Trimesh, triangle: np.ndarray, barycentric: np.ndarray) -> np.ndarray:
    return Appearance.of(mesh).colour_at(triangle, np.asarray(barycentric, dtype=np.float32)) * 255.0


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


def test_colours_between_vertices_are_interpolated() -> None:
    mesh = trimesh.Trimesh(np.eye(3), [[0, 1, 2]], vertex_colors=[RED, BLUE, GREEN], process=False)
    weights = np.array([[1, 0, 0], [0, 0.5, 0.5], [0.2, 0.2, 0.6]])
    expected = [(255, 0, 0), (0, 127.5, 127.5), (51, 153, 51)]
    np.testing.assert_allclose(colours_at(mesh, np.zeros(3, dtype=int), weights), expected, atol=0.01)


def test_face_colours_have_no_gradient() -> None:
    mesh = trimesh.Trimesh(np.eye(3), [[0, 1, 2], [2, 1, 0]], face_colors=[RED, BLUE], process=False)
    seen = colours_at(mesh, np.array([1, 0]), np.array([[1.0, 0, 0], [0.3, 0.3, 0.4]]))
    np.testing.assert_allclose(seen, [BLUE, RED], atol=0.01)


@pytest.mark.parametrize("kind", ["simple", "pbr"])
def test_texture_coordinates_grow_upwards_and_repeat(kind: str) -> None:
    material = SimpleMaterial(image=quadrants()) if kind == "simple" else PBRMaterial(baseColorTexture=quadrants())
    mesh = textured_quad(material)
    # Weights of the corners (0, 0), (1, 0), (1, 1) for the points (.3, .1) and (.9, .7) of the first face.
    weights = np.array([[0.7, 0.2, 0.1], [0.1, 0.2, 0.7]])
    expected = [BLUE, GREEN]
    np.testing.assert_allclose(colours_at(mesh, np.zeros(2, dtype=int), weights), expected, atol=0.01)
    mesh.visual.uv = mesh.visual.uv + np.array([3.0, -2.0])
    np.testing.assert_allclose(colours_at(mesh, np.zeros(2, dtype=int), weights), expected, atol=0.01)


def test_colours_beside_a_gltf_material_are_linear_and_multiply() -> None:
    mesh = textured_quad(PBRMaterial(baseColorTexture=Image.new("RGB", (4, 4), GREEN)))
    mesh.visual.vertex_attributes["color"] = np.tile(np.array([255, 128, 255, 255], dtype=np.uint8), (4, 1))
    seen = colours_at(mesh, np.array([0, 1]), np.full((2, 3), 1 / 3))
    np.testing.assert_allclose(seen, [(0, 188, 0)] * 2, atol=0.6)  # 50% of the light is sRGB 188


def test_a_transparent_texture_shows_the_base_colour() -> None:
    image = Image.new("RGBA", (4, 4), (255, 255, 255, 0))
    mesh = textured_quad(SimpleMaterial(image=image, diffuse=[10, 20, 30, 255]))
    seen = colours_at(mesh, np.array([0, 1]), np.full((2, 3), 1 / 3))
    np.testing.assert_allclose(seen, [(10, 20, 30)] * 2, atol=0.01)
