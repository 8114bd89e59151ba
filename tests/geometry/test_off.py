"""OFF files as data sets and programs write them."""

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from wavemesh.errors import InputError
from wavemesh.geometry.mesh import mesh_from_bytes
from wavemesh.geometry.off import load_off

TETRAHEDRON = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]
SIDES = [(0, 2, 1), (0, 1, 3), (0, 3, 2), (1, 2, 3)]


def off(head: str = "OFF\n", vertex: str = "", face: str = "") -> str:
    vertices = "".join(f"{x} {y} {z} {vertex}\n" for x, y, z in TETRAHEDRON)
    return f"{head}4 4 6\n{vertices}" + "".join(f"3 {a} {b} {c} {face}\n" for a, b, c in SIDES)


@pytest.mark.parametrize(
    "text",
    [
        off(),
        off("OFF"),
        off().replace("\n", "\r\n"),
        "\ufeff" + off(),
        off("OFF # made by hand\n# more\n\n"),
        off("OFF "),
    ],
)
def test_heads_of_all_kinds(text: str) -> None:
    mesh = load_off("t.off", text)
    np.testing.assert_array_equal(mesh.vertices, TETRAHEDRON)
    np.testing.assert_array_equal(mesh.faces, SIDES)
    assert mesh.visual.kind is None


@pytest.mark.parametrize("colour", ["188 20 255 255", "188 20 255", "0.737 0.0784 1.0"])
def test_colours_of_vertices_and_of_faces(colour: str) -> None:
    by_vertex = load_off("t.off", off("COFF\n", vertex=colour))
    np.testing.assert_array_equal(by_vertex.visual.vertex_colors, np.tile((188, 20, 255, 255), (4, 1)))
    by_face = load_off("t.off", off(face=colour))
    np.testing.assert_array_equal(by_face.visual.face_colors, np.tile((188, 20, 255, 255), (4, 1)))
    beside = load_off("t.off", off("CNOFF\n", vertex=f"0 0 1 {colour}"))
    np.testing.assert_array_equal(beside.visual.vertex_colors, by_vertex.visual.vertex_colors)
    assert load_off("t.off", off("NOFF\n", vertex="0 0 1")).visual.kind is None


def test_polygons_keep_their_colour_and_their_notches() -> None:
    arrow = [(0, 0, 0), (2, 1, 0), (0, 2, 0), (0.5, 1, 0)]
    vertices = "".join(f"{x} {y} {z}\n" for x, y, z in arrow)
    mesh = load_off("a.off", f"OFF\n4 2 0\n{vertices}4 0 1 2 3 255 0 0\n3 0 1 2\n")
    assert mesh.area_faces[:2].sum() == pytest.approx(1.5)
    np.testing.assert_array_equal(mesh.visual.face_colors[:, 0], (255, 255, 184))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3))
def test_what_another_library_writes_is_read_as_it_reads_it(seed: int, subdivisions: int) -> None:
    mesh = trimesh.creation.icosphere(subdivisions)
    mesh.vertices += np.random.default_rng(seed).normal(0.0, 0.1, mesh.vertices.shape)
    text = mesh.export(file_type="off")
    found = load_off("m.off", text)
    expected = trimesh.load_mesh(trimesh.util.wrap_as_stream(text), file_type="off", process=False)
    np.testing.assert_allclose(found.vertices, expected.vertices)
    np.testing.assert_array_equal(found.faces, expected.faces)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("PLY\n", "does not begin with OFF"),
        ("OFF\n", "t.off is not a mesh"),
        (off()[:60], "is cut off: it promises 4 vertices and 4 faces"),
        (off().replace("3 1 2 3", "3 1 2 9"), "a vertex that is not there"),
        (off().replace("3 1 2 3", "-3 1 2 3"), "t.off is not a mesh"),
        (off().replace("3 1 2 3", "7 1 2 3"), "a vertex that is not there"),
        (off().replace("0 0 1", "0 x 1"), "could not convert"),
        (off().replace("4 4 6", "many few"), "invalid literal"),
        ("OFF\n3 0 0\n0 0 0\n1 0 0\n0 1 0\n", "holds no faces"),
    ],
)
def test_what_is_no_mesh_is_refused_in_one_sentence(text: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason) as refused:
        mesh_from_bytes("t.off", text.encode())
    assert "\n" not in str(refused.value)
