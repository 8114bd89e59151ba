"""Meshes with their colours: reading them and placing them in the world frame.

A mesh here is a `trimesh.Trimesh`. Its colours are one of what trimesh knows (vertex or face colours, one textured
material) or a table of materials with one entry per face (`obj.load_obj`); `rendering.appearance` reads them all, so
that who looks up colours need not tell them apart.
"""

from __future__ import annotations

import io
import json
import math
import tempfile
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from jaxtyping import Float, Int, UInt8
from trimesh.resolvers import Resolver
from trimesh.visual import ColorVisuals, TextureVisuals
from trimesh.visual.color import uv_to_color
from trimesh.visual.material import MultiMaterial, PBRMaterial, SimpleMaterial

from wavemesh.errors import InputError
from wavemesh.extras import missing
from wavemesh.geometry.archives import packed_mesh
from wavemesh.geometry.colour import to_srgb
from wavemesh.geometry.obj import find_file, load_obj, read_obj
from wavemesh.geometry.off import load_off

LONGEST_SIDE = 1.8
STEP_SUFFIXES = (".step", ".stp")
_PACKED = {"KHR_draco_mesh_compression": "Draco", "EXT_meshopt_compression": "meshopt"}


def with_vertices(mesh: trimesh.Trimesh, vertices: Float[np.ndarray, "v 3"]) -> trimesh.Trimesh:
    """The same faces and colours over other vertex positions."""
    visual = mesh.visual if isinstance(mesh.visual, TextureVisuals) else mesh.visual.copy()
    return trimesh.Trimesh(vertices, mesh.faces, visual=visual, process=False, validate=False)


def normalise(mesh: trimesh.Trimesh, longest_side: float = LONGEST_SIDE) -> trimesh.Trimesh:
    """The mesh with its bounding box centred at the origin and that box's longest side of the given length.

    Only vertices that faces use count. Raises InputError for a mesh without extent or with values that are not finite.
    """
    if len(mesh.faces) == 0:
        raise InputError("The mesh has no faces.")
    used = np.asarray(mesh.vertices)[np.unique(mesh.faces)]
    if not np.isfinite(used).all():
        raise InputError("The mesh has vertices that are not finite.")
    low, high = used.min(axis=0), used.max(axis=0)
    extent = float((high - low).max())
    if extent <= 0.0:
        raise InputError("The mesh has no extent: all vertices are the same point.")
    return with_vertices(mesh, (np.asarray(mesh.vertices) - (low + high) / 2.0) * (longest_side / extent))


def rotated(mesh: trimesh.Trimesh, rotation: Float[np.ndarray, "3 3"]) -> trimesh.Trimesh:
    """The mesh with every vertex p moved to rotation @ p."""
    return with_vertices(mesh, np.asarray(mesh.vertices) @ np.asarray(rotation, dtype=np.float64).T)


def facing(mesh: trimesh.Trimesh, azimuth_deg: float) -> trimesh.Trimesh:
    """The mesh turned about the vertical axis so that what a camera at this azimuth sees becomes its front (+z)."""
    if azimuth_deg == 0.0:
        return mesh
    sine, cosine = math.sin(math.radians(azimuth_deg)), math.cos(math.radians(azimuth_deg))
    return rotated(mesh, np.array([[cosine, 0.0, -sine], [0.0, 1.0, 0.0], [sine, 0.0, cosine]]))


def load_mesh(path: str | Path, max_texture: int = 1024) -> trimesh.Trimesh:
    """The mesh of a file with its colours; scenes are flattened into one mesh.

    OBJ and OFF go through readers of our own, everything else through trimesh. Of a zip it is the mesh in it, with the
    materials and pictures that lie there. Other files are looked for beside the mesh alone. STEP needs the extra
    `step`. Only for trusted files: uploads are parsed in a limited child process elsewhere. Raises InputError where the
    file cannot be read or holds no faces, and for a zip without a mesh or with several.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"There is no mesh file {path}.")
    if path.suffix.lower() == ".zip":
        with tempfile.TemporaryDirectory(prefix="wavemesh-zip-") as folder:
            return load_mesh(packed_mesh(path, Path(folder)), max_texture)
    if path.suffix.lower() == ".obj":
        return load_obj(path, max_texture)
    if path.suffix.lower() in STEP_SUFFIXES:
        return _triangulated(path)
    try:
        content = path.read_bytes()
        if path.suffix.lower() == ".gltf":  # in several files
            _require_uncompressed(path.name, content)
            return _flattened(path.name, io.BytesIO(content), "gltf", _Beside(path.parent))
        return mesh_from_bytes(path.name, content)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from None


def _triangulated(path: Path) -> trimesh.Trimesh:
    """The surfaces of a STEP file as triangles, off by up to a hundredth of edges; InputError without cascadio."""
    try:
        from cascadio import step_to_glb
    except ModuleNotFoundError as error:
        raise missing(error) from error
    with tempfile.TemporaryDirectory(prefix="wavemesh-step-") as folder:
        made = Path(folder) / "made.glb"
        failed = step_to_glb(str(path), str(made), tol_linear=0.01, tol_angular=0.5, tol_relative=True)
        if failed or not made.is_file():
            raise InputError(f"{path.name} is no STEP file that can be read.")
        return _flattened(path.name, io.BytesIO(made.read_bytes()), "glb")


class _Beside(Resolver):
    """The files in a folder and below it, and no others, for a glTF that names its buffers and pictures."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, name: str) -> bytes:
        """The content of a file; raises InputError where the folder has none of this name."""
        found = find_file(self._folder, urllib.parse.unquote(name))
        if found is None:
            raise InputError(f"there is no file {name!r:.80} beside it")
        return found.read_bytes()

    def write(self, name: str, data: bytes) -> None:
        """Nothing is written."""
        raise NotImplementedError

    def namespaced(self, namespace: str) -> Resolver:
        """The same for a folder within the folder."""
        return _Beside(self._folder / namespace)

    def keys(self) -> list[str]:
        """Nothing: files are asked for by their names."""
        return []


def mesh_from_bytes(name: str, content: bytes) -> trimesh.Trimesh:
    """The mesh in the content of a file called `name`, without a look at any other file that it may mention.

    Raises InputError where the content cannot be read or holds no faces.
    """
    suffix = Path(name).suffix[1:].lower()
    if suffix == "obj":
        return read_obj(name, content.decode("utf-8-sig", errors="replace"))
    if suffix == "off":
        mesh = load_off(name, content.decode("utf-8", errors="replace"))
        if len(mesh.faces) == 0:
            raise InputError(f"{name} holds no faces, so there is no surface in it.")
        return mesh
    if suffix == "stl":
        content = _whole_stl(name, content)
    if suffix == "glb":
        _require_uncompressed(name, content[20 : 20 + int.from_bytes(content[12:16], "little")])
    return _flattened(name, io.BytesIO(content), suffix)


def _whole_stl(name: str, content: bytes) -> bytes:
    """The part of a binary STL file that its own count of triangles speaks of; some programs write more behind it."""
    if len(content) < 84 or (content[:5].lower() == b"solid" and b"facet" in content[:2000].lower()):
        return content
    promised, there = int.from_bytes(content[80:84], "little"), (len(content) - 84) // 50
    if there < promised:
        raise InputError(f"{name} is cut off: it promises {promised:,} triangles and holds {there:,}.")
    return content[: 84 + 50 * promised]


def _require_uncompressed(name: str, content: bytes) -> None:
    """Raise InputError for JSON of glTF whose numbers are packed by Draco or meshopt, which trimesh reads as zeros."""
    try:
        tree = json.loads(content)
        required = tree.get("extensionsRequired", [])
    except (ValueError, AttributeError):
        return  # trimesh says what is wrong with it
    for extension, method in _PACKED.items():
        if isinstance(required, list) and extension in required:
            raise InputError(f"{name} is packed with {method}, which cannot be read here: save it without compression.")


def _flattened(name: str, source: Any, file_type: str, resolver: Resolver | None = None) -> trimesh.Trimesh:
    try:
        scene = trimesh.load_scene(source, file_type=file_type, resolver=resolver, process=False)
        parts = list(_placed_parts(scene))
    except Exception as error:  # trimesh raises whatever its many readers raise
        raise InputError(f"{name} is not a mesh that can be read: {error}.") from error
    if not parts:
        raise InputError(f"{name} holds no faces, so there is no surface in it.")
    return concatenate(parts)


def _placed_parts(scene: trimesh.Scene) -> Iterator[trimesh.Trimesh]:
    """The meshes of a scene where its graph puts them. (`Scene.dump` loses colours that stand beside a material.)"""
    for node in scene.graph.nodes_geometry:
        matrix, name = scene.graph[node]
        part = scene.geometry[name]
        if isinstance(part, trimesh.Trimesh) and len(part.faces):
            _require_vertices(part)
            moved = with_vertices(part, trimesh.transform_points(part.vertices, matrix))
            if np.linalg.det(matrix[:3, :3]) < 0.0:
                moved.invert()
            colours = _gltf_colours(part)
            if colours is not None:
                moved.visual = ColorVisuals(moved, vertex_colors=colours)
            yield moved


def _require_vertices(mesh: trimesh.Trimesh) -> None:
    """Raise InputError for a face that names a vertex that is not there, which trimesh takes as it comes."""
    faces = np.asarray(mesh.faces)
    wrong = faces[(faces < 0) | (faces >= len(mesh.vertices))]
    if len(wrong):
        raise InputError(f"a face names vertex {wrong[0]:,} of {len(mesh.vertices):,}")


def _gltf_colours(mesh: trimesh.Trimesh) -> UInt8[np.ndarray, "v 4"] | None:
    """RGBA (sRGB) at the vertices of a glTF mesh whose material has no texture; None for other meshes.

    It is the material's base colour times that of the vertices, whichever there are, both in linear light.
    """
    material = getattr(mesh.visual, "material", None)
    colours = getattr(mesh.visual, "vertex_attributes", {}).get("color")
    if not isinstance(material, PBRMaterial) or material.baseColorTexture is not None:
        return None
    if colours is None and material.baseColorFactor is None:
        return None
    rgba = np.full((len(mesh.vertices), 4), 255.0)
    if colours is not None:
        rgba[:, : colours.shape[1]] = colours if colours.dtype == np.uint8 else np.clip(colours, 0.0, 1.0) * 255.0
    if material.baseColorFactor is not None:
        rgba *= trimesh.visual.color.to_rgba(material.baseColorFactor) / 255.0
    rgba[:, :3] = to_srgb(rgba[:, :3] / 255.0) * 255.0
    return np.rint(rgba).astype(np.uint8)


def concatenate(parts: list[trimesh.Trimesh]) -> trimesh.Trimesh:
    """One mesh of several, colours kept: as vertex colours if no part has a texture, else as a table of materials."""
    starts = np.cumsum([0] + [len(part.vertices) for part in parts])
    vertices = np.concatenate([np.asarray(part.vertices) for part in parts])
    faces = np.concatenate([np.asarray(part.faces) + start for part, start in zip(parts, starts, strict=False)])
    if len(parts) == 1:
        visual = parts[0].visual
    elif any(isinstance(part.visual, TextureVisuals) for part in parts):
        visual = _material_visual(parts)
    else:
        visual = ColorVisuals(vertex_colors=np.concatenate([part.visual.vertex_colors for part in parts]))
    return trimesh.Trimesh(vertices, faces, visual=visual, process=False, validate=False)


def _material_visual(parts: list[trimesh.Trimesh]) -> TextureVisuals:
    table: list[SimpleMaterial | PBRMaterial] = []
    uvs, face_materials = [], []
    for part in parts:
        materials, index = _materials(part)
        face_materials.append(index + len(table))
        table += materials
        uv = part.visual.uv if isinstance(part.visual, TextureVisuals) else None
        uvs.append(uv if uv is not None and len(uv) == len(part.vertices) else np.zeros((len(part.vertices), 2)))
    return TextureVisuals(
        uv=np.concatenate(uvs), material=MultiMaterial(table), face_materials=np.concatenate(face_materials)
    )


def _materials(mesh: trimesh.Trimesh) -> tuple[list, Int[np.ndarray, "f"]]:
    """The materials of a mesh and the index of each face's material; plain colours become one average material."""
    zeros = np.zeros(len(mesh.faces), dtype=np.int64)
    if not isinstance(mesh.visual, TextureVisuals):
        mean = np.asarray(mesh.visual.vertex_colors, dtype=np.float64).mean(axis=0).astype(np.uint8)
        return [SimpleMaterial(diffuse=mean)], zeros
    if isinstance(mesh.visual.material, MultiMaterial):
        index = mesh.visual.face_materials
        return list(mesh.visual.material.materials), zeros if index is None else np.asarray(index, dtype=np.int64)
    return [mesh.visual.material], zeros


def with_vertex_colours(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """A mesh with materials as one coloured by vertex: the colours that they and their textures have there.

    Vertices that faces of several materials share are split. What is finer than the triangles is lost.
    """
    materials, of_face = _materials(mesh)
    pairs = np.asarray(mesh.faces) * len(materials) + of_face[:, None]
    unique, faces = np.unique(pairs, return_inverse=True)
    vertex, of_vertex = unique // len(materials), unique % len(materials)
    colours = np.empty((len(unique), 4), np.uint8)
    uv = getattr(mesh.visual, "uv", None)
    for number in np.unique(of_vertex):
        own, material = of_vertex == number, materials[number]
        colour = np.asarray(material.main_color, dtype=np.float64)
        if isinstance(material, PBRMaterial):
            colour[:3] = to_srgb(colour[:3] / 255.0) * 255.0
        image = getattr(material, "baseColorTexture", None) or getattr(material, "image", None)
        if image is not None and uv is not None and len(uv) == len(mesh.vertices):
            colour = colour * uv_to_color(np.nan_to_num(uv[vertex[own]]), image) / 255.0
        colours[own] = np.rint(colour)
    return trimesh.Trimesh(
        np.asarray(mesh.vertices)[vertex], faces.reshape(-1, 3), vertex_colors=colours, process=False, validate=False
    )
