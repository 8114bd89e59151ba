"""Meshes with their colours: reading, placing in the world frame, and looking up surface colours.

A mesh here is a `trimesh.Trimesh`. Its colours are one of what trimesh knows (vertex or face colours, one textured
material) or a table of materials with one entry per face (`obj.load_obj`); `surface_colours` reads them all, so that
who looks up colours need not tell them apart.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import trimesh
from jaxtyping import Float, Int, UInt8
from PIL import Image
from trimesh.visual import ColorVisuals, TextureVisuals
from trimesh.visual.material import MultiMaterial, PBRMaterial, SimpleMaterial

from wavemesh.errors import InputError
from wavemesh.geometry.obj import load_obj

LONGEST_SIDE = 1.8
_GREY = np.array([178, 178, 178, 255], dtype=np.uint8)


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


def load_mesh(path: str | Path, max_texture: int = 1024) -> trimesh.Trimesh:
    """The mesh of a file with its colours; scenes are flattened into one mesh.

    OBJ goes through `obj.load_obj`, everything else through trimesh. Only for trusted files: uploads are parsed in a
    limited child process elsewhere. Raises InputError where the file cannot be read or holds no faces.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"There is no mesh file {path}.")
    if path.suffix.lower() == ".obj":
        return load_obj(path, max_texture)
    try:
        scene = trimesh.load_scene(path, process=False)
        parts = [part for part in scene.dump() if isinstance(part, trimesh.Trimesh) and len(part.faces)]
    except Exception as error:  # trimesh raises whatever its many readers raise
        raise InputError(f"{path.name} is not a mesh that can be read: {error}.") from error
    if not parts:
        raise InputError(f"{path.name} holds no faces.")
    return concatenate(parts)


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


def _texture(material: SimpleMaterial | PBRMaterial) -> Image.Image | None:
    return material.baseColorTexture if isinstance(material, PBRMaterial) else getattr(material, "image", None)


def _sample_texture(image: Image.Image, uv: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 4"]:
    """Bilinear RGBA (0..255) at texture coordinates that repeat; v grows upwards."""
    pixels = np.asarray(image.convert("RGBA"), dtype=np.float32)
    height, width = pixels.shape[:2]
    x = (uv[:, 0] % 1.0) * width - 0.5
    y = (1.0 - uv[:, 1] % 1.0) * height - 0.5
    x_0, y_0 = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    wx, wy = (x - x_0)[:, None].astype(np.float32), (y - y_0)[:, None].astype(np.float32)
    x_0, x_1, y_0, y_1 = x_0 % width, (x_0 + 1) % width, y_0 % height, (y_0 + 1) % height
    top = pixels[y_0, x_0] * (1 - wx) + pixels[y_0, x_1] * wx
    bottom = pixels[y_1, x_0] * (1 - wx) + pixels[y_1, x_1] * wx
    return top * (1 - wy) + bottom * wy


def surface_colours(
    mesh: trimesh.Trimesh, triangle: Int[np.ndarray, "n"], barycentric: Float[np.ndarray, "n 3"]
) -> UInt8[np.ndarray, "n 4"]:
    """RGBA of surface points given as triangle index and barycentric weights, without any shading.

    Texture over base colour where the texture is transparent; alpha is the material's opacity.
    """
    triangle = np.asarray(triangle, dtype=np.int64)
    faces = np.asarray(mesh.faces)[triangle]
    visual = mesh.visual
    if not isinstance(visual, TextureVisuals):
        if visual.kind == "face":
            return np.asarray(visual.face_colors, dtype=np.uint8)[triangle]
        colours = np.asarray(visual.vertex_colors, dtype=np.float32)[faces]
        return np.clip(np.einsum("nkc,nk->nc", colours, barycentric) + 0.5, 0, 255).astype(np.uint8)

    materials, index = _materials(mesh)
    base = np.array([_base_colour(material) for material in materials], dtype=np.float32).reshape(-1, 4)
    index = index[triangle]
    out = base[index]
    if visual.uv is not None and len(visual.uv) == len(mesh.vertices):
        uv = np.einsum("nkc,nk->nc", np.asarray(visual.uv)[faces], barycentric)
        for number in np.unique(index):
            image = _texture(materials[number])
            if image is None:
                continue
            chosen = np.flatnonzero(index == number)
            texel = _sample_texture(image, uv[chosen])
            weight = texel[:, 3:] / 255.0
            out[chosen, :3] = texel[:, :3] * weight + out[chosen, :3] * (1.0 - weight)
    return np.clip(out + 0.5, 0, 255).astype(np.uint8)


def _base_colour(material: SimpleMaterial | PBRMaterial) -> np.ndarray:
    colour = material.baseColorFactor if isinstance(material, PBRMaterial) else getattr(material, "diffuse", None)
    if colour is None:
        return np.full(4, 255, dtype=np.uint8) if _texture(material) is not None else _GREY
    colour = np.asarray(colour)
    if colour.dtype.kind == "f":
        colour = np.clip(colour * 255.0 + 0.5, 0, 255)
    colour = colour.astype(np.uint8).ravel()
    return colour[:4] if len(colour) >= 4 else np.append(colour[:3], np.uint8(255))
