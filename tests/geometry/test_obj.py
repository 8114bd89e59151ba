"""Wavefront OBJ files as furniture catalogues really hold them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from wavemesh.errors import InputError
from wavemesh.geometry.export import mesh_bytes
from wavemesh.geometry.obj import load_obj

SQUARE = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\n"


def write(folder: Path, obj: str, mtl: str | None = None) -> Path:
    path = folder / "model.obj"
    path.write_text(obj)
    if mtl is not None:
        (folder / "model.mtl").write_text(mtl)
    return path


def colours(path: Path) -> np.ndarray:
    """The colour of every face; all textures here are of one colour."""
    visual = load_obj(path).visual
    table = [
        material.diffuse if material.image is None else material.image.getpixel((0, 0))
        for material in visual.material.materials
    ]
    return np.array(table)[visual.face_materials]


@pytest.mark.parametrize(
    "face",
    ["f 1 2 3 4", "f -4 -3 -2 -1", "f 1// 2// 3// 4//", "f 1//9 2//9 3//9 4//9", "f 1 2 \\\n3 4", "f 1/7 2/7 3/7 4/7"],
)
def test_polygons_and_all_ways_to_write_a_corner(tmp_path: Path, face: str) -> None:
    mesh = load_obj(write(tmp_path, f"{SQUARE}{face}\n"))
    assert mesh.area == pytest.approx(1.0)
    np.testing.assert_array_equal(mesh.faces, [[0, 1, 2], [0, 2, 3]])


def test_faces_that_cannot_be_read_are_left_out(tmp_path: Path) -> None:
    mesh = load_obj(write(tmp_path, f"{SQUARE}f 1 2 99\nf 1 2\nf one two three\nf -9 1 2\nf 1 2 3\n"))
    assert len(mesh.faces) == 1


def test_vertices_are_split_only_where_texture_coordinates_differ(tmp_path: Path) -> None:
    path = write(tmp_path, f"{SQUARE}vt 0 0\nvt 1 0\nvt 1 1\nvt 0.5 0.5\nf 1/1 2/2 3/3\nf 1/4 3/3 4/1\n")
    mesh = load_obj(path)
    assert len(mesh.vertices) == 5
    np.testing.assert_allclose(mesh.visual.uv[mesh.faces[1]], [[0.5, 0.5], [1, 1], [0, 0]])
    np.testing.assert_allclose(mesh.vertices[mesh.faces[1, 0]], [0, 0, 0])


def test_every_face_keeps_its_material(tmp_path: Path) -> None:
    obj = f"mtllib model.mtl\n{SQUARE}usemtl dark red\nf 1 2 3\nusemtl nowhere\nf 1 3 4\nusemtl dark red\nf 2 3 4\n"
    seen = colours(write(tmp_path, obj, "newmtl dark red\nKd 0.4 0 0\nd 0.5\n"))
    np.testing.assert_array_equal(seen, [(102, 0, 0, 128), (178, 178, 178, 255), (102, 0, 0, 128)])


def test_invisible_faces_go_unless_nothing_else_is_there(tmp_path: Path) -> None:
    materials = "newmtl glass\nd 0\nnewmtl wood\nKd 1 0 0\n"
    obj = f"mtllib model.mtl\n{SQUARE}usemtl glass\nf 1 2 3\n"
    assert len(load_obj(write(tmp_path, obj, materials)).faces) == 1
    np.testing.assert_array_equal(
        colours(write(tmp_path, f"{obj}usemtl wood\nf 1 3 4\n", materials)), [(255, 0, 0, 255)]
    )


def test_textures_are_found_in_another_letter_case_and_behind_options(tmp_path: Path) -> None:
    (tmp_path / "Pictures").mkdir()
    Image.new("RGB", (64, 32), (0, 200, 0)).save(tmp_path / "Pictures" / "OAK wood.PNG")
    obj = f"mtllib MODEL.MTL\n{SQUARE}vt 0 0\nusemtl oak\nf 1/1 2/1 3/1\n"
    path = write(tmp_path, obj, "newmtl oak\nKd 1 0 0\nmap_Kd -s 1 1 1 -blendu on pictures\\oak wood.png\n")
    np.testing.assert_array_equal(colours(path), [(0, 200, 0, 255)])
    texture = load_obj(path, max_texture=16).visual.material.materials[0].image
    assert texture.size == (16, 8)


def test_a_texture_that_is_no_picture_or_lies_outside_is_passed_over(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8), (0, 200, 0)).save(tmp_path / "outside.png")
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnot really")
    for texture in ("broken.png", "../outside.png", str(tmp_path / "outside.png")):
        obj = f"mtllib model.mtl\n{SQUARE}vt 0 0\nusemtl m\nf 1/1 2/1 3/1\n"
        path = write(inner, obj, f"newmtl m\nKd 0 0 1\nmap_Kd {texture}\n")
        np.testing.assert_array_equal(colours(path), [(0, 0, 255, 255)])


def test_numbers_that_are_none_do_not_stop_the_reader(tmp_path: Path) -> None:
    obj = f"mtllib model.mtl\n{SQUARE}usemtl odd\nf 1 2 3\n"
    path = write(tmp_path, obj, "newmtl odd\nKd nan 7 -3\nd many\nNs\n\n")
    np.testing.assert_array_equal(colours(path), [(0, 255, 0, 0)])
    assert len(load_obj(write(tmp_path, obj, "newmtl odd\nKd 1 1 1\nd nan\n")).faces) == 1


def test_a_file_without_faces_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"model.obj holds no faces"):
        load_obj(write(tmp_path, SQUARE))
    with pytest.raises(InputError, match=r"missing.obj cannot be read"):
        load_obj(tmp_path / "missing.obj")


def test_a_concave_polygon_stays_open_and_its_corners_keep_their_texture_coordinates(tmp_path: Path) -> None:
    corners = [(1, 2), (0, 2), (0, 0), (3, 0), (3, 1), (1, 1)]
    vertices = "".join(f"v {x} {y} 0\nvt {x / 4} {y / 4}\n" for x, y in corners)
    mesh = load_obj(write(tmp_path, f"{vertices}usemtl a\nf 1/1 2/2 3/3\nusemtl b\nf 1/1 2/2 3/3 4/4 5/5 6/6\n"))
    assert mesh.area_faces[1:].sum() == pytest.approx(4.0)  # a fan would cover the notch too
    assert (mesh.face_normals[1:, 2] > 0.99).all() or (mesh.face_normals[1:, 2] < -0.99).all()
    np.testing.assert_allclose(mesh.visual.uv * 4, mesh.vertices[:, :2])
    np.testing.assert_array_equal(mesh.visual.face_materials, [0, 1, 1, 1, 1])


def test_a_byte_order_mark_and_numbers_beyond_all_bounds(tmp_path: Path) -> None:
    path = tmp_path / "marked.obj"
    path.write_text(f"{SQUARE}f 1 2 3 4\nf 1 2 {10**30}\nf 1 2/{10**30} 3\n", encoding="utf-8-sig")
    mesh = load_obj(path)
    np.testing.assert_array_equal(mesh.faces, [[0, 1, 2], [0, 2, 3]])


def test_a_face_of_too_many_corners_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"A face of the mesh has 5,000 corners; up to 4,096 are read\."):
        load_obj(write(tmp_path, SQUARE + "f" + " 1 2 3 4" * 1250 + "\n"))


@pytest.mark.parametrize("colours", ["0.2 0.4 1.0", "51 102 255", "0,2 0,4 1,0"])
def test_colours_behind_the_positions_are_kept(tmp_path: Path, colours: str) -> None:
    text = SQUARE.replace(" 0\n", f" 0 {colours}\n") + "f 1 2 3 4\n"
    mesh = load_obj(write(tmp_path, text))
    np.testing.assert_array_equal(mesh.visual.vertex_colors, np.tile((51, 102, 255, 255), (4, 1)))
    # Materials speak louder, and colours of some vertices only say nothing.
    known = load_obj(write(tmp_path, "mtllib model.mtl\nusemtl red\n" + text, "newmtl red\nKd 1 0 0\n"))
    assert known.visual.kind == "texture"
    assert load_obj(write(tmp_path, text.replace(f" {colours}", "", 1))).visual.kind == "texture"


def test_a_comma_is_a_decimal_point(tmp_path: Path) -> None:
    mesh = load_obj(write(tmp_path, SQUARE.replace("1", "1,5") + "f 1 2 3 4\n"))
    np.testing.assert_allclose(mesh.extents, (1.5, 1.5, 0.0))


def test_our_own_file_is_read_with_its_colours(tmp_path: Path) -> None:
    ball = trimesh.creation.icosphere(2)
    ball.visual.vertex_colors = np.random.default_rng(0).integers(0, 256, (len(ball.vertices), 4), dtype=np.uint8)
    (tmp_path / "ball.obj").write_bytes(mesh_bytes(ball, ".obj"))
    read = load_obj(tmp_path / "ball.obj")
    np.testing.assert_allclose(read.vertices, ball.vertices, atol=1e-6)
    np.testing.assert_allclose(read.visual.vertex_colors[:, :3], ball.visual.vertex_colors[:, :3], atol=1)
