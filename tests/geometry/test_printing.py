"""Files for printing programs, read by a library that other people wrote: lib3mf, the format's reference."""

import io
import re
import struct
import zipfile

import lib3mf
import numpy as np
import pytest
import trimesh

from wavemesh.errors import InputError
from wavemesh.geometry.baking import bake_texture
from wavemesh.geometry.export import mesh_bytes
from wavemesh.geometry.printing import for_printing


def post() -> trimesh.Trimesh:
    """A post twice as high (y) as wide, red at the top and blue at the bottom."""
    mesh = trimesh.creation.box((0.4, 0.8, 0.3))
    top = mesh.vertices[:, 1] > 0.0
    mesh.visual.vertex_colors = np.where(top[:, None], (255, 0, 0, 255), (0, 0, 255, 255)).astype(np.uint8)
    return mesh


def read_3mf(content: bytes) -> tuple[np.ndarray, np.ndarray, list[tuple[int, int, int]], str]:
    """Vertices, faces, the colour of each vertex, and the object's name."""
    model = lib3mf.get_wrapper().CreateModel()
    reader = model.QueryReader("3mf")
    reader.SetStrictModeActive(True)
    reader.ReadFromBuffer(content)
    assert reader.GetWarningCount() == 0
    assert model.GetUnit() == lib3mf.ModelUnit.MilliMeter
    objects = model.GetMeshObjects()
    assert objects.MoveNext()
    found = objects.GetCurrentMeshObject()
    vertices = np.array([list(vertex.Coordinates) for vertex in found.GetVertices()])
    faces = np.array([list(triangle.Indices) for triangle in found.GetTriangleIndices()])
    groups = model.GetColorGroups()
    assert groups.MoveNext()
    group = groups.GetCurrentColorGroup()
    colours: list[tuple[int, int, int]] = [(0, 0, 0)] * len(vertices)
    for number, face in enumerate(faces):
        properties = found.GetTriangleProperties(number)
        assert properties.ResourceID == group.GetResourceID()
        for corner, key in zip(face, properties.PropertyIDs, strict=True):
            colour = group.GetColor(key)
            colours[corner] = (colour.Red, colour.Green, colour.Blue)
    return vertices, faces, colours, found.GetName()


def test_a_3mf_stands_upright_in_millimetres_with_its_colours() -> None:
    mesh = post()
    vertices, faces, colours, name = read_3mf(mesh_bytes(mesh, ".3mf", 'a "post" & <more>', 160.0))
    np.testing.assert_allclose(np.ptp(vertices, axis=0), (80.0, 60.0, 160.0), rtol=1e-4)
    assert vertices[:, 2].min() == 0.0
    assert name == 'a "post" & <more>'
    solid = trimesh.Trimesh(vertices, faces)
    assert solid.is_watertight
    assert solid.volume == pytest.approx(80 * 60 * 160, rel=1e-4)
    for (_, _, height), colour in zip(vertices, colours, strict=True):
        assert colour == ((255, 0, 0) if height > 80.0 else (0, 0, 255))


def test_a_baked_texture_becomes_colours_of_vertices_in_a_3mf() -> None:
    baked = bake_texture(trimesh.creation.icosphere(3, 0.7), lambda points: points / 2.0 + 0.5, 256)
    vertices, _, colours, _ = read_3mf(mesh_bytes(baked, ".3mf", size_mm=140.0))
    x, back, up = (vertices - (0.0, 0.0, 70.0)).T / 100.0
    expected = np.stack([x, up, -back], axis=1) / 2.0 + 0.5
    np.testing.assert_allclose(np.array(colours) / 255.0, expected, atol=0.08)


def test_an_stl_stands_upright_in_millimetres() -> None:
    content = mesh_bytes(post(), ".stl")
    (count,) = struct.unpack_from("<I", content, 80)
    assert (count, len(content)) == (12, 84 + 50 * 12)
    read = trimesh.load_mesh(io.BytesIO(content), file_type="stl")
    np.testing.assert_allclose(read.extents, (50.0, 37.5, 100.0), rtol=1e-5)
    assert read.bounds[0, 2] == 0.0
    assert read.is_watertight


def test_a_printed_mesh_stands_on_the_plate_over_its_middle() -> None:
    tall = trimesh.creation.box((0.2, 1.8, 0.4)).apply_translation((0.1, 0.2, 0.3))
    np.testing.assert_allclose(for_printing(tall, 90.0).bounds, [[-5.0, -10.0, 0.0], [5.0, 10.0, 90.0]], atol=1e-9)


def test_what_was_in_front_faces_the_person_at_the_printer() -> None:
    mesh = trimesh.creation.box((1.0, 1.0, 1.0))
    mesh.vertices[mesh.vertices[:, 2] > 0.0] *= 0.5  # the front (+z) is smaller
    printed = for_printing(mesh, 100.0)
    front = printed.vertices[printed.vertices[:, 1] == printed.vertices[:, 1].min()]
    assert np.ptp(front[:, 0]) == pytest.approx(50.0)


@pytest.mark.parametrize("size", [0.0, -3.0, 5e9, float("nan")])
def test_sizes_that_nothing_prints_are_refused(size: float) -> None:
    with pytest.raises(InputError, match=re.escape(f"not {size:g}")):
        mesh_bytes(post(), ".3mf", size_mm=size)


def test_a_3mf_is_a_package_of_three_parts() -> None:
    with zipfile.ZipFile(io.BytesIO(mesh_bytes(post(), ".3mf"))) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["[Content_Types].xml", "_rels/.rels", "3D/3dmodel.model"]
