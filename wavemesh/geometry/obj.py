"""Wavefront OBJ with its materials, read leniently.

The furniture catalogues hold Java3D-flavoured OBJ: materials that are not defined anywhere, polygons, negative and
missing indices, invisible (d = 0) helper faces, textures in another letter case. Each face keeps its own material,
which trimesh's reader would turn into one mesh per material and, joined again, into a re-sampled texture atlas.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import trimesh
from jaxtyping import Float, Int, UInt8
from PIL import Image
from trimesh.visual import ColorVisuals, TextureVisuals
from trimesh.visual.material import MultiMaterial, SimpleMaterial

from wavemesh.errors import InputError
from wavemesh.geometry.polygons import triangulate

# Faces less opaque than this are helpers that no viewer shows.
INVISIBLE_OPACITY = 0.05
_GREY = (0.7, 0.7, 0.7)
_LARGEST_INDEX = 2**31


@dataclass
class ObjMaterial:
    """One `newmtl` block: base colour in [0, 1], opacity, and the texture's path where there is one."""

    colour: tuple[float, float, float] = _GREY
    opacity: float = 1.0
    texture: Path | None = None


@dataclass
class _Parsed:
    """Raw numbers of an OBJ file; corners are 0-based (vertex, uv), polygon by polygon, uv -1 where missing.

    colours: of the vertices that have some, as MeshLab and many others write them behind the position.
    """

    vertices: list[list[float]] = field(default_factory=list)
    colours: list[list[float]] = field(default_factory=list)
    uvs: list[list[float]] = field(default_factory=list)
    corners: list[tuple[int, int]] = field(default_factory=list)
    polygon_size: list[int] = field(default_factory=list)
    polygon_material: list[int] = field(default_factory=list)
    material_names: list[str] = field(default_factory=list)
    libraries: list[str] = field(default_factory=list)


def _numbers(words: list[str], count: int) -> list[float]:
    values = []
    for word in words[:count]:
        try:
            values.append(float(word.replace(",", ".")))  # as programs of other countries write them
        except ValueError:
            values.append(0.0)
    return values + [0.0] * (count - len(values))


def _share(value: float) -> float:
    """The number within [0, 1]; 0 for one that is none."""
    return min(max(0.0, value), 1.0)


def _corner(word: str, num_vertices: int, num_uvs: int) -> tuple[int, int]:
    """0-based (vertex, uv) of one face corner such as "7", "7/2", "7//3" or "-1/-1"."""
    parts = word.split("/")
    vertex = int(parts[0])
    vertex = vertex - 1 if vertex > 0 else num_vertices + vertex
    uv = -1
    if len(parts) > 1 and parts[1]:
        uv = int(parts[1])
        uv = uv - 1 if uv > 0 else num_uvs + uv
    if max(abs(vertex), abs(uv)) > _LARGEST_INDEX:
        raise ValueError(word)
    return vertex, uv


def _parse(text: str) -> _Parsed:
    parsed = _Parsed()
    index_of: dict[str, int] = {}
    current = -1
    for line in text.replace("\\\n", " ").splitlines():
        words = line.split()
        if not words:
            continue
        kind = words[0]
        if kind == "v":
            parsed.vertices.append(_numbers(words[1:], 3))
            if len(words) >= 7:
                parsed.colours.append(_numbers(words[4:], 3))
        elif kind == "vt":
            parsed.uvs.append(_numbers(words[1:], 2))
        elif kind == "f":
            if current < 0:
                current = index_of.setdefault("", len(index_of))
            num_vertices, num_uvs = len(parsed.vertices), len(parsed.uvs)
            try:
                polygon = [_corner(word, num_vertices, num_uvs) for word in words[1:]]
            except ValueError:
                continue
            parsed.corners += polygon
            parsed.polygon_size.append(len(polygon))
            parsed.polygon_material.append(current)
        elif kind == "usemtl":
            name = line.split(None, 1)[1].strip() if len(words) > 1 else ""
            current = index_of.setdefault(name, len(index_of))
        elif kind == "mtllib" and len(words) > 1:
            parsed.libraries.append(line.split(None, 1)[1].strip())
    parsed.material_names = list(index_of)
    return parsed


def _triangles(
    parsed: _Parsed, vertices: Float[np.ndarray, "v 3"]
) -> tuple[Int[np.ndarray, "t 3 2"], Int[np.ndarray, " t"]]:
    """The corners and the material of every triangle; polygons that name a vertex which is not there are left out."""
    corners = np.array(parsed.corners, dtype=np.int64).reshape(-1, 2)
    sizes = np.array(parsed.polygon_size, dtype=np.int64)
    material = np.array(parsed.polygon_material, dtype=np.int64)
    polygon = np.repeat(np.arange(len(sizes)), sizes)
    missing = (corners[:, 0] < 0) | (corners[:, 0] >= len(vertices))
    sound = np.bincount(polygon, missing, len(sizes)) == 0
    corners, sizes, material = corners[sound[polygon]], sizes[sound], material[sound]
    triangles, polygon = triangulate(vertices[corners[:, 0]], sizes)
    return corners[triangles], material[polygon]


def find_file(folder: Path, name: str) -> Path | None:
    """The file of that name inside the folder, whatever its letter case; None if there is none or it lies outside."""
    target = folder
    for part in re.split(r"[\\/]+", name.strip().strip('"')):
        if part in ("", ".", "..") or part.endswith(":"):
            continue
        if not target.is_dir():
            return None
        exact = target / part
        if not exact.exists():
            matches = [entry for entry in target.iterdir() if entry.name.lower() == part.lower()]
            if not matches:
                return None
            exact = matches[0]
        target = exact
    return target if target.is_file() else None


def _texture_name(words: list[str]) -> str:
    """The file name of a `map_Kd` statement, whose options (-s 1 1 1, -blendu on, ...) come first."""
    rest = words
    while rest and rest[0].startswith("-"):
        rest = rest[1:]
        while rest[1:] and re.fullmatch(r"-?[\d.]+|on|off", rest[0]):
            rest = rest[1:]
    return " ".join(rest)


def read_materials(path: Path) -> dict[str, ObjMaterial]:
    """The materials of an MTL file by name; statements that cannot be read are passed over."""
    materials: dict[str, ObjMaterial] = {}
    current = ObjMaterial()
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        words = line.split()
        if len(words) < 2:
            continue
        kind = words[0]
        if kind == "newmtl":
            current = materials.setdefault(line.split(None, 1)[1].strip(), ObjMaterial())
        elif kind == "Kd":
            red, green, blue = (_share(value) for value in _numbers(words[1:], 3))
            current.colour = (red, green, blue)
        elif kind == "d":
            current.opacity = _share(_numbers([words[-1]], 1)[0])
        elif kind == "map_Kd":
            name = _texture_name(words[1:])
            # Gazebo's models keep their textures beside the folder of the mesh.
            folders = path.parent, path.parent.parent / "materials" / "textures"
            current.texture = next(filter(None, (find_file(folder, name) for folder in folders)), None)
    return materials


def _load_texture(path: Path, max_side: int) -> Image.Image | None:
    try:
        with Image.open(path) as image:
            image.draft("RGB", (max_side, max_side))
            picture = image.convert("RGBA")
    except (OSError, ValueError, Image.DecompressionBombError):
        return None
    if max(picture.size) > max_side:
        scale = max_side / max(picture.size)
        size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        picture = picture.resize(size, Image.Resampling.BOX)
    return picture


def _material_table(names: list[str], materials: dict[str, ObjMaterial], max_texture: int) -> list[SimpleMaterial]:
    pictures: dict[Path, Image.Image | None] = {}
    table = []
    for name in names:
        material = materials.get(name, ObjMaterial())
        if material.texture is not None and material.texture not in pictures:
            pictures[material.texture] = _load_texture(material.texture, max_texture)
        image = pictures.get(material.texture) if material.texture is not None else None
        diffuse = [round(255 * value) for value in (*material.colour, material.opacity)]
        table.append(SimpleMaterial(image=image, diffuse=diffuse, name=name))
    return table


def _rgba(colours: Float[np.ndarray, "v 3"]) -> UInt8[np.ndarray, "v 4"]:
    """Colours from 0 to 1, or to 255 where one is larger, as eight bits; all opaque."""
    scale = 1.0 if np.nanmax(colours) > 1.0 else 255.0
    rgb = np.rint(np.nan_to_num(colours * scale).clip(0.0, 255.0)).astype(np.uint8)
    return np.concatenate([rgb, np.full((len(rgb), 1), 255, np.uint8)], axis=1)


def load_obj(path: str | Path, max_texture: int = 1024) -> trimesh.Trimesh:
    """The mesh of an OBJ file with one material per face (TextureVisuals with a MultiMaterial and face_materials).

    A file without materials whose vertices have colours keeps those (ColorVisuals).
    Vertices are split only where texture coordinates differ. Faces whose material is invisible are left out, unless
    nothing else would remain. max_texture: larger pictures are reduced to this side.
    Raises InputError where the file cannot be read, holds no faces, or one of more than 4,096 corners.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    return read_obj(path.name, text, path.parent, max_texture)


def read_obj(name: str, text: str, folder: Path | None = None, max_texture: int = 1024) -> trimesh.Trimesh:
    """The same for the text of a file called `name`; folder: where its materials lie, None for none."""
    parsed = _parse(text)
    vertices = np.array(parsed.vertices, dtype=np.float64).reshape(-1, 3)
    uvs = np.array(parsed.uvs, dtype=np.float64).reshape(-1, 2)
    corners, face_material = _triangles(parsed, vertices)
    if len(corners) == 0:
        raise InputError(f"{name} holds no faces, so there is no surface in it.")
    corners[..., 1][(corners[..., 1] < 0) | (corners[..., 1] >= len(uvs))] = -1

    materials: dict[str, ObjMaterial] = {}
    for library in parsed.libraries:
        found = None if folder is None else find_file(folder, library)
        if found is not None:
            materials |= read_materials(found)
    opacity = np.array([materials.get(name, ObjMaterial()).opacity for name in parsed.material_names])
    visible = opacity[face_material] > INVISIBLE_OPACITY
    if visible.any():
        corners, face_material = corners[visible], face_material[visible]

    if not materials and len(parsed.colours) == len(vertices):
        used, faces = np.unique(corners[..., 0], return_inverse=True)
        colours = ColorVisuals(vertex_colors=_rgba(np.array(parsed.colours)[used]))
        return trimesh.Trimesh(vertices[used], faces.reshape(-1, 3), visual=colours, process=False, validate=False)

    code = corners[..., 0] * (len(uvs) + 1) + corners[..., 1] + 1
    unique, faces = np.unique(code, return_inverse=True)
    uv_index = unique % (len(uvs) + 1) - 1
    uv = np.concatenate([uvs, np.zeros((1, 2))])[uv_index]  # index -1: the appended zeros
    visual = TextureVisuals(
        uv=uv,
        material=MultiMaterial(_material_table(parsed.material_names, materials, max_texture)),
        face_materials=face_material,
    )
    return trimesh.Trimesh(
        vertices[unique // (len(uvs) + 1)], faces.reshape(-1, 3), visual=visual, process=False, validate=False
    )
