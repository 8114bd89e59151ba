"""Written files before foreign judges: Khronos' glTF validator, admesh, and Assimp as a second reader.

Meshes as they are made, reduced, and with a baked texture. 3MF and USDZ are read by lib3mf and Pixar's USD in
`test_printing.py` and `test_usdz.py`; here by them as well, for reduced and baked meshes.
"""

from __future__ import annotations

import io
import json
import re
import shutil
import struct
import subprocess
from pathlib import Path

import assimp_py
import numpy as np
import pytest
import trimesh
from PIL import Image
from pxr import Usd, UsdGeom
from scipy.spatial import cKDTree

from tests.geometry.test_printing import read_3mf
from tests.geometry.test_usdz import opened
from wavemesh.geometry.baking import bake_texture
from wavemesh.geometry.colour import to_linear, to_srgb
from wavemesh.geometry.export import mesh_bytes, mesh_files
from wavemesh.geometry.isosurface import sdf_to_mesh
from wavemesh.geometry.repair import repair, simplified_solid

ROOT = Path(__file__).resolve().parents[2]
VALIDATOR = ROOT / "tools" / "validator"
KINDS = ("whole", "reduced", "baked")
needs_validator = pytest.mark.skipif(
    not (VALIDATOR / "node_modules").is_dir() or not shutil.which("node"), reason="npm ci was not run"
)
needs_admesh = pytest.mark.skipif(not shutil.which("admesh"), reason="admesh is not installed")


def colour_at(points: np.ndarray) -> np.ndarray:
    """sRGB from 0 to 1 that tells a point's place, and changes slowly."""
    return 0.5 + 0.4 * np.sin(np.asarray(points) * 1.5)


@pytest.fixture(scope="module")
def meshes() -> dict[str, trimesh.Trimesh]:
    """A stool: a thick seat with a hole, on three legs, by the ways that meshes of a run take."""
    axis = (np.arange(64) + 0.5) / 32 - 1
    x, y, z = np.meshgrid(axis, axis, axis, indexing="ij")
    seat = np.maximum(np.abs(np.hypot(x, z) - 0.5) - 0.3, np.abs(y - 0.4) - 0.1)
    legs = [
        np.maximum(np.hypot(x - 0.5 * np.cos(t), z - 0.5 * np.sin(t)) - 0.1, np.abs(y + 0.2) - 0.6) for t in (0, 2, 4)
    ]
    mesh = repair(sdf_to_mesh(np.minimum.reduce([seat, *legs]).clip(-0.09, 0.09).astype(np.float32))).mesh
    made = {"whole": mesh, "reduced": simplified_solid(mesh, 1500)}
    for each in made.values():
        each.visual.vertex_colors = (colour_at(each.vertices) * 255).round().astype(np.uint8)
    assert len(made["reduced"].faces) <= 1500
    return {**made, "baked": bake_texture(made["reduced"], colour_at, 512)}


def validated(paths: list[Path]) -> list[dict]:
    command = ["node", "validate.mjs", *map(str, paths)]
    done = subprocess.run(command, cwd=VALIDATOR, check=True, capture_output=True, text=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


@needs_validator
def test_khronos_finds_nothing_wrong(meshes: dict[str, trimesh.Trimesh], tmp_path: Path) -> None:
    paths = []
    for kind, mesh in meshes.items():
        paths.append(tmp_path / f"{kind}.glb")
        paths[-1].write_bytes(mesh_bytes(mesh, ".glb"))
    (tmp_path / "broken.glb").write_bytes(paths[0].read_bytes().replace(b'"VEC3"', b'"VEC2"', 1))
    *reports, broken = validated([*paths, tmp_path / "broken.glb"])
    assert len(reports) == 3
    for report in reports:
        assert (report["numErrors"], report["numWarnings"]) == (0, 0), report
    assert broken["numErrors"] > 0


@needs_validator
def test_khronos_finds_nothing_wrong_in_the_meshes_that_ship() -> None:
    shipped = sorted((ROOT / "assets").rglob("*.glb")) + sorted((ROOT / "examples").rglob("*.glb"))
    assert shipped
    wrong = [report for report in validated(shipped) if report["numErrors"] or report["numWarnings"]]
    assert not wrong


@needs_admesh
@pytest.mark.parametrize("kind", KINDS)
def test_admesh_has_nothing_to_mend(meshes: dict[str, trimesh.Trimesh], tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"{kind}.stl"
    path.write_bytes(mesh_bytes(meshes[kind], ".stl", size_mm=80.0))
    told = subprocess.run(["admesh", str(path)], check=True, capture_output=True, text=True).stdout
    numbers = {name.strip(): int(value) for name, value in re.findall(r"([A-Z][a-z ]+?)\s*:\s+(\d+)", told)}
    wanted = (
        "Degenerate facets",
        "Edges fixed",
        "Facets removed",
        "Facets added",
        "Facets reversed",
        "Backwards edges",
    )
    assert {name: numbers[name] for name in wanted} == dict.fromkeys(wanted, 0), told
    assert numbers["Number of parts"] == 1
    assert re.search(rf"Number of facets\s*:\s+{len(meshes[kind].faces)}\b", told)
    low, high = (np.array(re.findall(rf"{side}\s*[XYZ] = +(-?[\d.]+)", told), float) for side in ("Min", "Max"))
    np.testing.assert_allclose((high - low).max(), 80.0, rtol=1e-4)


def by_assimp(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices, faces and sRGB colours at the vertices, from colours or a texture, as Assimp reads them."""
    scene = assimp_py.import_file(str(path), assimp_py.Process_Triangulate)
    (mesh,) = scene.meshes
    vertices = np.asarray(mesh.vertices, float).reshape(-1, 3)
    faces = np.array(mesh.indices).reshape(-1, 3)  # copied: it is the scene that holds it
    if mesh.colors:
        colours = np.asarray(mesh.colors[0], float).reshape(len(vertices), -1)[:, :3]
        return vertices, faces, to_srgb(colours) if path.suffix == ".glb" else colours
    uv = np.asarray(mesh.texcoords[0], float).reshape(len(vertices), -1)[:, :2]
    name = scene.materials[mesh.material_index]["TEXTURE_BASE"]
    with Image.open(inner_picture(path) if name == "*0" else path.parent / name) as picture:
        pixels = np.asarray(picture.convert("RGB")) / 255.0
    row, column = np.floor(np.stack([1.0 - uv[:, 1], uv[:, 0]]) * pixels.shape[0]).astype(int)
    return vertices, faces, pixels[row, column]


def inner_picture(path: Path) -> io.BytesIO:
    """The first picture inside a GLB file."""
    content = path.read_bytes()
    (size,) = struct.unpack_from("<I", content, 12)
    tree = json.loads(content[20 : 20 + size])
    view = tree["bufferViews"][tree["images"][0]["bufferView"]]
    start = 28 + size + view.get("byteOffset", 0)
    return io.BytesIO(content[start : start + view["byteLength"]])


def check_read(vertices: np.ndarray, faces: np.ndarray, colours: np.ndarray, mesh: trimesh.Trimesh, off: float) -> None:
    """The surface and the colours, at the places of the mesh."""
    assert len(faces) == len(mesh.faces)
    np.testing.assert_allclose(np.ptp(vertices, axis=0), mesh.extents, rtol=1e-4)
    assert cKDTree(mesh.vertices).query(vertices)[0].max() < 1e-4
    np.testing.assert_allclose(colours, colour_at(vertices), atol=off)
    volume = (
        np.einsum("ij,ij->i", vertices[faces[:, 0]], np.cross(vertices[faces[:, 1]], vertices[faces[:, 2]])).sum() / 6
    )
    assert volume == pytest.approx(mesh.volume, rel=1e-3)


@pytest.mark.parametrize("suffix", [".glb", ".ply", ".obj"])
@pytest.mark.parametrize("kind", KINDS)
def test_assimp_reads_size_and_colours(
    meshes: dict[str, trimesh.Trimesh], tmp_path: Path, kind: str, suffix: str
) -> None:
    mesh = meshes[kind]
    for name, content in mesh_files(mesh, f"stool{suffix}").items():
        (tmp_path / name).write_bytes(content)
    vertices, faces, colours = by_assimp(tmp_path / f"stool{suffix}")
    check_read(vertices, faces, colours, mesh, 0.03)


@pytest.mark.parametrize("kind", KINDS)
def test_assimp_reads_an_stl_in_its_size(meshes: dict[str, trimesh.Trimesh], tmp_path: Path, kind: str) -> None:
    (tmp_path / "stool.stl").write_bytes(mesh_bytes(meshes[kind], ".stl", size_mm=90.0))
    scene = assimp_py.import_file(str(tmp_path / "stool.stl"), assimp_py.Process_Triangulate)
    vertices = np.asarray(scene.meshes[0].vertices, float).reshape(-1, 3)
    assert len(vertices) == 3 * len(meshes[kind].faces)
    x, y, z = meshes[kind].extents * 90.0 / max(meshes[kind].extents)
    np.testing.assert_allclose(np.ptp(vertices, axis=0), (x, z, y), rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_lib3mf_reads_size_and_colours(meshes: dict[str, trimesh.Trimesh], kind: str) -> None:
    mesh = meshes[kind]
    size = float(max(mesh.extents))
    vertices, faces, colours, _ = read_3mf(mesh_bytes(mesh, ".3mf", size_mm=size * 100.0))
    x, back, up = (vertices / 100.0).T
    placed = np.stack([x, up, -back], axis=1)
    placed += mesh.bounds.mean(axis=0) - (placed.min(axis=0) + placed.max(axis=0)) / 2
    check_read(placed, faces, np.array(colours) / 255.0, mesh, 0.03)


@pytest.mark.parametrize("kind", KINDS)
def test_usd_reads_size_and_colours(meshes: dict[str, trimesh.Trimesh], tmp_path: Path, kind: str) -> None:
    mesh = meshes[kind]
    stage: Usd.Stage = opened(mesh_bytes(mesh, ".usdz", size_mm=1000.0 * max(mesh.extents)), tmp_path / "stool.usdz")
    (read,) = [UsdGeom.Mesh(prim) for prim in stage.Traverse() if prim.IsA(UsdGeom.Mesh)]
    vertices = np.array(read.GetPointsAttr().Get())
    faces = np.array(read.GetFaceVertexIndicesAttr().Get()).reshape(-1, 3)
    np.testing.assert_allclose(vertices, mesh.vertices, atol=1e-4)
    np.testing.assert_array_equal(faces, mesh.faces)
    if kind != "baked":
        expected = to_linear(colour_at(np.asarray(mesh.vertices)))
        np.testing.assert_allclose(np.array(read.GetDisplayColorAttr().Get()), expected, atol=0.01)
