"""Mesh files, taken apart without the library that wrote them."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh

from wavemesh.errors import InputError
from wavemesh.geometry.baking import bake_texture
from wavemesh.geometry.export import mesh_bytes, mesh_files
from wavemesh.geometry.mesh import load_mesh
from wavemesh.rendering.appearance import Appearance

GREYS = (0, 20, 188, 255)


def ball(colour: tuple[int, int, int] | None = (188, 20, 255)) -> trimesh.Trimesh:
    mesh = trimesh.creation.icosphere(subdivisions=2, radius=0.7)
    if colour is not None:
        mesh.visual.vertex_colors = np.tile((*colour, 255), (len(mesh.vertices), 1))
    return mesh


def read_glb(content: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The JSON of a GLB file and the attributes of its only primitive."""
    magic, version, length = struct.unpack_from("<4sII", content)
    assert (magic, version, length) == (b"glTF", 2, len(content))
    size, kind = struct.unpack_from("<I4s", content, 12)
    assert kind == b"JSON"
    tree, binary = json.loads(content[20 : 20 + size]), content[28 + size :]
    (primitive,) = tree["meshes"][0]["primitives"]
    found = {}
    for name, index in primitive["attributes"].items():
        accessor = tree["accessors"][index]
        view = tree["bufferViews"][accessor["bufferView"]]
        kind = {5121: np.uint8, 5126: np.float32}[accessor["componentType"]]
        columns = {"VEC2": 2, "VEC3": 3, "VEC4": 4}[accessor["type"]]
        start = view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
        values = np.frombuffer(binary, kind, accessor["count"] * columns, start)
        found[name] = values.reshape(-1, columns)
    return tree | {"material": tree["materials"][primitive["material"]]}, found


def test_a_glb_is_smooth_matt_and_in_linear_light() -> None:
    mesh = ball()
    tree, attributes = read_glb(mesh_bytes(mesh, ".glb"))
    surface = tree["material"]["pbrMetallicRoughness"]
    assert (surface["metallicFactor"], surface["baseColorFactor"]) == (0.0, [1.0, 1.0, 1.0, 1.0])
    assert surface["roughnessFactor"] > 0.5
    outwards = attributes["POSITION"] / np.linalg.norm(attributes["POSITION"], axis=1, keepdims=True)
    np.testing.assert_allclose(attributes["NORMAL"], outwards, atol=0.02)
    np.testing.assert_allclose(attributes["COLOR_0"][0], (128, 2, 255, 255), atol=1)  # table of the sRGB standard
    assert tuple(mesh.visual.vertex_colors[0]) == (188, 20, 255, 255)  # the mesh itself stays as it was


def test_a_mesh_without_colours_is_matt_as_well() -> None:
    tree, attributes = read_glb(mesh_bytes(ball(None), ".glb"))
    assert tree["material"]["pbrMetallicRoughness"]["metallicFactor"] == 0.0
    assert "NORMAL" in attributes


def test_a_glb_read_back_has_the_colours_that_were_written(tmp_path: Path) -> None:
    for srgb in GREYS:
        path = tmp_path / "ball.glb"
        path.write_bytes(mesh_bytes(ball((srgb, srgb, srgb)), ".glb"))
        colours = Appearance.of(load_mesh(path)).colours * 255.0
        np.testing.assert_allclose(colours, srgb, atol=4.0)  # eight bits of linear light are few in the dark


@pytest.mark.parametrize("suffix", [".glb", ".obj", ".ply"])
def test_every_format_keeps_the_shape(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"ball{suffix}"
    path.write_bytes(mesh_bytes(ball(), suffix.upper()))
    read = trimesh.load_mesh(path)
    assert read.volume == pytest.approx(ball().volume, rel=1e-4)
    assert len(read.faces) == len(ball().faces)
    if suffix in (".obj", ".ply"):
        np.testing.assert_array_equal(np.asarray(read.visual.vertex_colors)[0], (188, 20, 255, 255))


@pytest.mark.parametrize("suffix", [".stl", ".3mf", ".usdz"])
def test_a_file_with_a_size_holds_the_shape_in_it(suffix: str) -> None:
    small, large = (mesh_bytes(ball(), suffix, size_mm=size) for size in (50.0, 200.0))
    assert mesh_bytes(ball(), suffix, size_mm=50.0) == small
    assert small != large
    assert mesh_bytes(ball(), suffix) == mesh_bytes(ball(), suffix, size_mm=500.0 if suffix == ".usdz" else 100.0)


def test_faces_without_area_have_a_normal() -> None:
    mesh = ball()
    needle = np.array([[0, 0, 0], [0, 0, 0.1], [0, 0, 0.2]])
    vertices = np.concatenate([mesh.vertices, needle])
    faces = np.concatenate([mesh.faces, [np.arange(3) + len(mesh.vertices)]])
    _, attributes = read_glb(mesh_bytes(trimesh.Trimesh(vertices, faces, process=False), ".glb"))
    np.testing.assert_allclose(np.linalg.norm(attributes["NORMAL"], axis=1), 1.0, atol=1e-3)


def test_the_object_in_a_glb_has_the_name_of_the_file() -> None:
    tree, _ = read_glb(mesh_files(ball(), "my chair.glb")["my chair.glb"])
    assert tree["meshes"][0]["name"] == "my chair"
    assert "my chair" in {node.get("name") for node in tree["nodes"]}


def test_what_is_no_mesh_file_is_refused() -> None:
    with pytest.raises(InputError, match=r"'\.fbx'"):
        mesh_bytes(ball(), ".fbx")
    with pytest.raises(InputError, match="no faces"):
        mesh_bytes(trimesh.Trimesh(), ".ply")


@pytest.mark.parametrize("suffix", [".glb", ".obj", ".zip"])
def test_a_texture_is_read_back_with_its_colours(suffix: str, tmp_path: Path) -> None:
    name = f"my ball{suffix}"
    baked = bake_texture(ball(None), lambda points: points / 2.0 + 0.5, 128)
    files = mesh_files(baked, name)
    assert list(files)[-1] == name
    assert len(files) == (3 if suffix == ".obj" else 1)
    for each, content in files.items():
        (tmp_path / each).write_bytes(content)
    if suffix == ".zip":
        assert files[name] == mesh_bytes(baked, suffix, "my ball")
        with zipfile.ZipFile(tmp_path / name) as archive:
            assert archive.namelist() == ["my_ball_texture.png", "my_ball.mtl", "my ball.obj"]
    read = load_mesh(tmp_path / name)
    look = Appearance.of(read)
    third = np.full((len(look.corners), 3), 1 / 3)
    centres = look.corners.mean(axis=1)
    colours = look.colour_at(np.arange(len(centres)), third)
    # Also as bright as it should be: a grey material would darken it.
    np.testing.assert_allclose(colours, centres / 2.0 + 0.5, atol=0.05)


def test_a_textured_glb_is_matt_and_smooth() -> None:
    tree, attributes = read_glb(mesh_bytes(bake_texture(ball(None), lambda points: points / 2.0 + 0.5, 128), ".glb"))
    surface = tree["material"]["pbrMetallicRoughness"]
    assert surface["metallicFactor"] == 0.0
    assert surface["roughnessFactor"] > 0.5
    outwards = attributes["POSITION"] / np.linalg.norm(attributes["POSITION"], axis=1, keepdims=True)
    np.testing.assert_allclose(attributes["NORMAL"], outwards, atol=0.02)


def test_other_meshes_are_one_file() -> None:
    assert list(mesh_files(ball(), "ball.obj")) == ["ball.obj"]
    assert mesh_files(ball(), "ball.ply") == {"ball.ply": mesh_bytes(ball(), ".ply")}


@pytest.mark.parametrize(("size", "kind", "bytes_each"), [(2, 5123, 2), (7, 5125, 4)])
def test_corners_of_small_meshes_take_two_bytes(size: int, kind: int, bytes_each: int) -> None:
    mesh = trimesh.creation.icosphere(subdivisions=size)
    content = mesh_bytes(mesh, ".glb")
    tree = json.loads(content[20 : 20 + struct.unpack_from("<I", content, 12)[0]])
    accessor = tree["accessors"][tree["meshes"][0]["primitives"][0]["indices"]]
    assert accessor["componentType"] == kind
    assert tree["bufferViews"][accessor["bufferView"]]["byteLength"] == len(mesh.faces) * 3 * bytes_each
    read = trimesh.load(io.BytesIO(content), file_type="glb", force="mesh", process=False)
    np.testing.assert_array_equal(read.faces, mesh.faces)
