"""Meshes of strangers: good ones come through placed and coloured, hostile ones are one sentence and cost little."""

from __future__ import annotations

import json
import struct
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh

from wavemesh.errors import InputError
from wavemesh.geometry import child, untrusted
from wavemesh.geometry.baking import bake_texture
from wavemesh.geometry.export import mesh_files
from wavemesh.geometry.untrusted import MESH_INPUT_SUFFIXES, read_untrusted_mesh


@pytest.mark.parametrize("suffix", [suffix for suffix in MESH_INPUT_SUFFIXES if suffix != ".zip"])
def test_every_format_is_read_and_placed(suffix: str, tmp_path: Path) -> None:
    box = trimesh.creation.box((4.0, 2.0, 1.0))
    box.apply_translation((10.0, 0.0, 0.0))
    box.visual.vertex_colors = np.tile(np.array([10, 200, 30, 255], np.uint8), (8, 1))
    path = tmp_path / f"box{suffix}"
    box.export(path)
    mesh = read_untrusted_mesh(path)
    assert np.allclose(mesh.bounds, [[-0.9, -0.45, -0.225], [0.9, 0.45, 0.225]])
    assert len(mesh.faces) == 12
    if suffix in (".glb", ".ply"):
        assert mesh.visual.face_colors[0][1] > mesh.visual.face_colors[0][0] + 50


def glb_claiming(count: int) -> bytes:
    """A GLB of 600 bytes whose accessors claim `count` vertices."""
    tree = {
        "asset": {"version": "2.0"},
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1}]}],
        "buffers": [{"byteLength": 16}],
        "bufferViews": [{"buffer": 0, "byteLength": 16}],
        "accessors": [
            {"componentType": 5126, "count": count, "type": "VEC3"},
            {"componentType": 5125, "count": count, "type": "SCALAR"},
        ],
    }
    text = json.dumps(tree).encode()
    text += b" " * (-len(text) % 4)
    body = struct.pack("<II", len(text), 0x4E4F534A) + text + struct.pack("<II", 16, 0x004E4942) + b"\0" * 16
    return struct.pack("<4sII", b"glTF", 2, 12 + len(body)) + body


def test_hostile_files_are_one_sentence(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.stl"
    bomb.write_bytes(b"\0" * 80 + struct.pack("<I", 400_000_000) + b"\0" * 50)
    claims = tmp_path / "claims.glb"
    claims.write_bytes(glb_claiming(400_000_000))
    packed = tmp_path / "packed.obj"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mesh.obj", b"v 0 0 0\n" * 10**6)
    infinite = tmp_path / "infinite.obj"
    infinite.write_text("v 0 0 0\nv nan 1 0\nv 1 0 inf\nf 1 2 3\n")
    flat = tmp_path / "point.off"
    flat.write_text("OFF\n3 1 0\n1 1 1\n1 1 1\n1 1 1\n3 0 1 2\n")
    empty = tmp_path / "empty.ply"
    empty.touch()
    for path in (bomb, claims, packed, infinite, flat, empty):
        begin = time.perf_counter()
        with pytest.raises(InputError) as caught:
            read_untrusted_mesh(path)
        assert "\n" not in str(caught.value)
        assert str(caught.value).endswith(".")
        assert time.perf_counter() - begin < 60


def test_a_busy_machine_does_not_make_a_good_file_a_bad_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float] = []
    run = child.subprocess.run

    def slow(*arguments: Any, timeout: float, **options: Any) -> Any:
        given.append(timeout)
        return run(*arguments, timeout=timeout, **options)

    monkeypatch.setattr(child.subprocess, "run", slow)
    trimesh.creation.box().export(tmp_path / "box.stl")
    read_untrusted_mesh(tmp_path / "box.stl")
    # The parser may use its seconds of the processor where it gets a twentieth of one.
    assert given[0] >= 20 * untrusted.CPU_S


def test_other_files_are_not_looked_at(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"must end in one of .*not 'mesh\.fbx'"):
        read_untrusted_mesh(tmp_path / "mesh.fbx")
    with pytest.raises(InputError, match="There is no mesh file"):
        read_untrusted_mesh(tmp_path / "mesh.ply")
    secret = tmp_path / "secret.mtl"
    secret.write_text("newmtl red\nKd 1 0 0\n")
    path = tmp_path / "box.obj"
    path.write_text("mtllib secret.mtl\nusemtl red\nv 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nf 1 2 3\nf 1 2 4\nf 1 3 4\n")
    colours = np.asarray(read_untrusted_mesh(path).visual.vertex_colors)[:, :3].astype(int)
    assert (np.ptp(colours, axis=1) < 10).all()  # grey: nobody read the material


def archive(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    return path


@pytest.mark.parametrize("suffix", [".obj", ".glb"])
def test_a_zip_brings_its_texture(suffix: str, tmp_path: Path) -> None:
    baked = bake_texture(trimesh.creation.icosphere(3, 0.9), lambda points: points / 2.0 + 0.5, 256)
    files = mesh_files(baked, f"ball{suffix}")
    files |= {"__MACOSX/._ball.obj": b"resource", "read me.txt": b"text"}
    mesh = read_untrusted_mesh(archive(tmp_path / "ball.zip", {f"a folder/{name}": files[name] for name in files}))
    assert len(mesh.faces) == 1280
    colours = np.asarray(mesh.visual.vertex_colors)[:, :3] / 255.0
    assert np.abs(colours - (mesh.vertices / 2.0 + 0.5)).mean() < 0.02


def test_materials_beside_each_other_meet_in_a_sharp_line(tmp_path: Path) -> None:
    obj = b"mtllib m.mtl\nv 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nusemtl r\nf 1 2 3\nusemtl b\nf 1 3 4\n"
    materials = b"newmtl r\nKd 1 0 0\nnewmtl b\nKd 0 0 1\n"
    mesh = read_untrusted_mesh(archive(tmp_path / "square.zip", {"s.obj": obj, "m.mtl": materials}))
    corners = np.asarray(mesh.visual.vertex_colors)[mesh.faces][..., :3]
    assert (corners[0] == (255, 0, 0)).all()
    assert (corners[1] == (0, 0, 255)).all()


def test_a_hostile_zip_is_one_sentence(tmp_path: Path) -> None:
    secret = tmp_path / "secret.bin"
    secret.write_bytes(np.eye(3, dtype=np.float32).tobytes())
    ball = trimesh.creation.icosphere(1)
    gltf = {
        "asset": {"version": "2.0"},
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}],
        "buffers": [{"byteLength": 36, "uri": str(secret)}],
        "bufferViews": [{"buffer": 0, "byteLength": 36}],
        "accessors": [{"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3"}],
    }
    kinds = {
        "holds no mesh": {"a.txt": b"text"},
        "holds 2 meshes \\(a.obj, b.ply\\)": {"a.obj": b"v 0 0 0", "b.ply": ball.export(file_type="ply")},
        "outside its folder": {"../a.obj": b"v 0 0 0"},
        "-fold when unpacked": {"a.obj": b"v 0 0 0\n" * 2_000_000},
        "there is no file '/.* beside it": {"a.gltf": json.dumps(gltf).encode()},
    }
    for reason, files in kinds.items():
        with pytest.raises(InputError, match=reason):
            read_untrusted_mesh(archive(tmp_path / "a.zip", files))
    gltf["buffers"] = [{"byteLength": 36, "uri": f"../../{secret.name}"}]
    with pytest.raises(InputError, match="no file"):
        read_untrusted_mesh(archive(tmp_path / "a.zip", {"a.gltf": json.dumps(gltf).encode()}))
    (tmp_path / "a.zip").write_bytes(b"PK no zip")
    with pytest.raises(InputError, match=r"a\.zip cannot be unpacked"):
        read_untrusted_mesh(tmp_path / "a.zip")
