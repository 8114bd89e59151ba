"""Reading meshes of several formats with their colours, and placing them."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image
from trimesh.visual import TextureVisuals
from trimesh.visual.material import PBRMaterial, SimpleMaterial

from wavemesh.errors import InputError
from wavemesh.geometry.export import mesh_bytes
from wavemesh.geometry.mesh import concatenate, load_mesh, mesh_from_bytes, normalise, rotated

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
    on_the_right = mesh.vertices[:, 0] > 0
    assert (mesh.visual.vertex_colors[on_the_right] == RED).all()
    assert (mesh.visual.vertex_colors[~on_the_right] == BLUE).all()


def test_a_mirrored_part_of_a_scene_keeps_its_outside(tmp_path: Path) -> None:
    scene = trimesh.Scene()
    scene.add_geometry(coloured_box(RED), transform=np.diag([-1.0, 2.0, 1.0, 1.0]))
    path = tmp_path / "mirrored.glb"
    path.write_bytes(scene.export(file_type="glb"))
    assert load_mesh(path).volume == pytest.approx(2.0)


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


@pytest.mark.parametrize("suffix", [".glb", ".ply"])
@pytest.mark.parametrize("index", [12, 70_000])
def test_a_face_without_its_vertex_is_refused(suffix: str, index: int, tmp_path: Path) -> None:
    """A box has eight vertices; the exporter writes any index that it is given."""
    box = trimesh.creation.box()
    faces = box.faces.copy()
    faces[5, 1] = index
    spoiled = trimesh.Trimesh(box.vertices, faces, process=False, validate=False)
    path = tmp_path / f"box{suffix}"
    path.write_bytes(spoiled.export(file_type=suffix[1:], **({"vertex_normal": False} if suffix == ".ply" else {})))
    with pytest.raises(
        InputError, match=rf"box{suffix} is not a mesh that can be read: a face names vertex {index:,} of 8"
    ):
        load_mesh(path)


def test_joining_textured_and_plain_parts_keeps_both() -> None:
    textured = textured_quad(SimpleMaterial(image=Image.new("RGB", (4, 4), (0, 255, 0))))
    both = concatenate([textured, coloured_box(RED, shift=5.0)])
    materials = [both.visual.material.materials[number] for number in both.visual.face_materials]
    assert [material.image is not None for material in materials] == [True] * 2 + [False] * 12
    np.testing.assert_array_equal(materials[0].image.getpixel((1, 1)), (0, 255, 0))
    np.testing.assert_array_equal([material.diffuse for material in materials[2:]], [RED] * 12)
    np.testing.assert_array_equal(both.visual.uv[:4], textured.visual.uv)


def test_a_base_colour_without_a_texture_is_seen_in_linear_light(tmp_path: Path) -> None:
    ball = trimesh.creation.icosphere(1)
    ball.visual = TextureVisuals(material=PBRMaterial(baseColorFactor=[0.5, 0.0, 1.0, 1.0]))
    (tmp_path / "ball.glb").write_bytes(ball.export(file_type="glb"))
    colours = load_mesh(tmp_path / "ball.glb").visual.vertex_colors
    np.testing.assert_allclose(colours, np.tile((188, 0, 255, 255), (len(ball.vertices), 1)), atol=1)


def test_an_stl_ends_where_its_count_says() -> None:
    content = trimesh.creation.icosphere(2).export(file_type="stl")
    assert len(mesh_from_bytes("a.stl", content + b"written by a scanner").faces) == 320
    with pytest.raises(InputError, match=r"a\.stl is cut off: it promises 320 triangles and holds 318"):
        mesh_from_bytes("a.stl", content[:-51])
    text = trimesh.creation.icosphere(1).export(file_type="stl_ascii").encode()
    assert len(mesh_from_bytes("a.stl", text).faces) == 80
    # Some binary files begin with the word that text files begin with.
    assert len(mesh_from_bytes("a.stl", b"solid" + content[5:]).faces) == 320


@pytest.mark.parametrize(
    ("extension", "method"), [("KHR_draco_mesh_compression", "Draco"), ("EXT_meshopt_compression", "meshopt")]
)
def test_packed_gltf_is_refused_by_name(extension: str, method: str) -> None:
    tree = json.dumps({"asset": {"version": "2.0"}, "extensionsRequired": [extension], "meshes": []}).encode()
    tree += b" " * (-len(tree) % 4)
    content = struct.pack("<4sIII4s", b"glTF", 2, 20 + len(tree), len(tree), b"JSON") + tree
    with pytest.raises(InputError, match=f"a.glb is packed with {method}"):
        mesh_from_bytes("a.glb", content)


@pytest.mark.parametrize("suffix", [".obj", ".ply", ".glb", ".off"])
def test_both_doors_read_the_same(suffix: str, tmp_path: Path) -> None:
    ball = coloured_box((188, 20, 255, 255))
    content = ball.export(file_type="off").encode() if suffix == ".off" else mesh_bytes(ball, suffix)
    (tmp_path / f"box{suffix}").write_bytes(content)
    file, upload = load_mesh(tmp_path / f"box{suffix}"), mesh_from_bytes(f"box{suffix}", content)
    np.testing.assert_array_equal(file.vertices, upload.vertices)
    np.testing.assert_array_equal(file.faces, upload.faces)
    if suffix != ".off":
        for each in (file, upload):
            np.testing.assert_allclose(each.visual.vertex_colors, np.tile((188, 20, 255, 255), (8, 1)), atol=3)
