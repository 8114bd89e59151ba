"""Reading meshes of several formats with their colours, placing them, and looking colours up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image
from trimesh.visual import TextureVisuals
from trimesh.visual.material import PBRMaterial, SimpleMaterial

from wavemesh.errors import InputError
from wavemesh.geometry.mesh import concatenate, load_mesh, normalise, rotated, surface_colours

RED, BLUE = (255, 0, 0, 255), (0, 0, 255, 255)


def coloured_box(colour: tuple, shift: float = 0.0) -> trimesh.Trimesh:
    box = trimesh.creation.box((1.0, 1.0, 1.0))
    box.apply_translation((shift, 0.0, 0.0))
    box.visual.vertex_colors = np.tile(colour, (8, 1))
    return box


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


def test_normalise_centres_and_scales_the_longest_side() -> None:
    box = trimesh.creation.box((2.0, 5.0, 3.0))
    box.apply_translation((10.0, -4.0, 7.0))
    np.testing.assert_allclose(normalise(box).bounds, np.array([[-0.36, -0.9, -0.54], [0.36, 0.9, 0.54]]), atol=1e-9)
    np.testing.assert_allclose(box.extents, (2.0, 5.0, 3.0))


def test_normalise_ignores_vertices_without_faces_and_keeps_colours() -> None:
    vertices = np.array([[0, 0, 0], [2, 0, 0], [0, 1, 0], [500, 0, 0]], dtype=float)
    mesh = trimesh.Trimesh(vertices, [[0, 1, 2]], vertex_colors=np.tile(RED, (4, 1)), process=False)
    placed = normalise(mesh)
    np.testing.assert_allclose(np.ptp(placed.vertices[:3], axis=0), (1.8, 0.9, 0.0), atol=1e-9)
    np.testing.assert_array_equal(placed.visual.vertex_colors[0], RED)


@pytest.mark.parametrize(
    ("vertices", "faces", "reason"),
    [
        (np.zeros((3, 3)), np.zeros((0, 3), dtype=int), "no faces"),
        (np.ones((3, 3)), [[0, 1, 2]], "no extent"),
        (np.array([[0, 0, 0], [1, 0, 0], [np.nan, 1, 0]]), [[0, 1, 2]], "not finite"),
    ],
)
def test_normalise_refuses_what_has_no_size(vertices: np.ndarray, faces: list, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        normalise(trimesh.Trimesh(vertices, faces, process=False))


def test_rotated_turns_every_vertex() -> None:
    quarter = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])  # x to y
    mesh = trimesh.Trimesh([[1, 0, 0], [0, 1, 0], [0, 0, 1]], [[0, 1, 2]], process=False)
    np.testing.assert_allclose(rotated(mesh, quarter).vertices, [[0, 1, 0], [-1, 0, 0], [0, 0, 1]], atol=1e-12)


def test_a_scene_is_flattened_with_its_transforms_and_colours(tmp_path: Path) -> None:
    scene = trimesh.Scene()
    scene.add_geometry(coloured_box(RED), transform=trimesh.transformations.translation_matrix((2, 0, 0)))
    scene.add_geometry(coloured_box(BLUE), transform=trimesh.transformations.translation_matrix((-2, 0, 0)))
    path = tmp_path / "two.glb"
    path.write_bytes(scene.export(file_type="glb"))
    mesh = load_mesh(path)
    np.testing.assert_allclose(mesh.bounds, [[-2.5, -0.5, -0.5], [2.5, 0.5, 0.5]], atol=1e-6)
    seen = surface_colours(mesh, np.arange(len(mesh.faces)), np.full((len(mesh.faces), 3), 1 / 3))
    on_the_right = mesh.triangles_center[:, 0] > 0
    assert (seen[on_the_right] == RED).all()
    assert (seen[~on_the_right] == BLUE).all()


def test_vertex_colours_of_a_ply_file(tmp_path: Path) -> None:
    path = tmp_path / "box.ply"
    path.write_bytes(coloured_box(BLUE).export(file_type="ply"))
    mesh = load_mesh(path)
    assert mesh.volume == pytest.approx(1.0)
    assert (mesh.visual.vertex_colors == BLUE).all()


def test_files_that_hold_no_mesh_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"There is no mesh file .*missing.glb"):
        load_mesh(tmp_path / "missing.glb")
    broken = tmp_path / "broken.glb"
    broken.write_bytes(b"glTF but not really")
    with pytest.raises(InputError, match=r"broken.glb is not a mesh that can be read"):
        load_mesh(broken)
    points = tmp_path / "points.ply"
    points.write_bytes(trimesh.PointCloud(np.eye(3)).export(file_type="ply"))
    with pytest.raises(InputError, match=r"points.ply"):
        load_mesh(points)


def test_colours_between_vertices_are_interpolated() -> None:
    mesh = trimesh.Trimesh(np.eye(3), [[0, 1, 2]], vertex_colors=[RED, BLUE, (0, 255, 0, 255)], process=False)
    weights = np.array([[1, 0, 0], [0, 0.5, 0.5], [0.2, 0.2, 0.6]])
    expected = [(255, 0, 0, 255), (0, 128, 128, 255), (51, 153, 51, 255)]
    np.testing.assert_allclose(surface_colours(mesh, np.zeros(3, dtype=int), weights), expected, atol=1)


def test_face_colours_have_no_gradient() -> None:
    mesh = trimesh.Trimesh(np.eye(3), [[0, 1, 2], [2, 1, 0]], face_colors=[RED, BLUE], process=False)
    np.testing.assert_array_equal(
        surface_colours(mesh, np.array([1, 0]), np.array([[1.0, 0, 0], [0.3, 0.3, 0.4]])), [BLUE, RED]
    )


@pytest.mark.parametrize("kind", ["simple", "pbr"])
def test_texture_coordinates_grow_upwards_and_repeat(kind: str) -> None:
    material = SimpleMaterial(image=quadrants()) if kind == "simple" else PBRMaterial(baseColorTexture=quadrants())
    mesh = textured_quad(material)
    # Weights of the corners (0, 0), (1, 0), (1, 1) for the points (.3, .1) and (.9, .7) of the first face.
    weights = np.array([[0.7, 0.2, 0.1], [0.1, 0.2, 0.7]])
    expected = [(0, 0, 255), (0, 255, 0)]
    np.testing.assert_array_equal(surface_colours(mesh, np.zeros(2, dtype=int), weights)[:, :3], expected)
    mesh.visual.uv = mesh.visual.uv + np.array([3.0, -2.0])
    np.testing.assert_array_equal(surface_colours(mesh, np.zeros(2, dtype=int), weights)[:, :3], expected)


def test_a_transparent_texture_shows_the_base_colour() -> None:
    image = Image.new("RGBA", (4, 4), (255, 255, 255, 0))
    mesh = textured_quad(SimpleMaterial(image=image, diffuse=[10, 20, 30, 255]))
    seen = surface_colours(mesh, np.array([0, 1]), np.full((2, 3), 1 / 3))
    np.testing.assert_array_equal(seen, [(10, 20, 30, 255)] * 2)


def test_joining_textured_and_plain_parts_keeps_both() -> None:
    textured = textured_quad(SimpleMaterial(image=Image.new("RGB", (4, 4), (0, 255, 0))))
    both = concatenate([textured, coloured_box(RED, shift=5.0)])
    seen = surface_colours(both, np.arange(len(both.faces)), np.full((len(both.faces), 3), 1 / 3))
    np.testing.assert_array_equal(seen[:2, :3], [(0, 255, 0)] * 2)
    np.testing.assert_array_equal(seen[2:], [RED] * 12)
