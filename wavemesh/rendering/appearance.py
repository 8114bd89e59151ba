"""The look of a mesh as flat arrays: corner colours, corner UVs, textures with mip levels, shading normals.

Trimesh keeps colours in half a dozen ways (vertex or face colours, simple or PBR materials, several materials in one
mesh, a scene of meshes). Here they become one table that answers "which colour has this point of this triangle" with a
single gather, whatever mixture of materials a picture shows. Used by `raycast`, and by whoever needs surface colours.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import trimesh
from jaxtyping import Float, Int, UInt8
from PIL import Image
from trimesh.visual.material import PBRMaterial

from wavemesh.errors import InputError
from wavemesh.geometry.colour import to_srgb

MAX_TEXTURE_SIDE = 1024
DEFAULT_COLOUR = 0.72  # sRGB grey of a mesh without any colour


@dataclass(frozen=True)
class _Part:
    """One mesh of a scene with one material: corner arrays and perhaps a texture."""

    corners: Float[np.ndarray, "f 3 3"]
    colours: Float[np.ndarray, "f 3 3"]  # sRGB in [0, 1]; multiplies the texture
    uv: Float[np.ndarray, "f 3 2"]
    image: Image.Image | None


@dataclass(frozen=True)
class Appearance:
    """Geometry and look of a mesh or scene, one row per triangle.

    corners: (f, 3, 3) world positions. normals: (f, 3, 3) unit shading normals, smooth across edges under 40 degrees.
    colours: (f, 3, 3) sRGB in [0, 1] of the corners. uv: (f, 3, 2), origin at the lower left, repeating.
    texture: (f,) texture number, 0 is plain white. texel_density: (f,) texels per unit of length on the surface.
    """

    corners: Float[np.ndarray, "f 3 3"]
    normals: Float[np.ndarray, "f 3 3"]
    colours: Float[np.ndarray, "f 3 3"]
    uv: Float[np.ndarray, "f 3 2"]
    texture: Int[np.ndarray, "f"]
    texel_density: Float[np.ndarray, "f"]
    textures: MipTextures

    @classmethod
    def of(cls, mesh: trimesh.Trimesh | trimesh.Scene) -> Appearance:
        """The appearance of a mesh or of every mesh in a scene; InputError where there is no face."""
        parts = list(_parts(mesh))
        if not parts:
            raise InputError("The mesh has no faces.")
        corners = np.concatenate([part.corners for part in parts])
        uv = np.concatenate([part.uv for part in parts])
        images: list[Image.Image | None] = [None]
        numbers: dict[int, int] = {}
        texture = []
        for part in parts:
            number = 0
            if part.image is not None:
                number = numbers.setdefault(id(part.image), len(images))
                if number == len(images):
                    images.append(part.image)
            texture.append(np.full(len(part.corners), number, dtype=np.int32))
        textures = MipTextures([_pixels(image) for image in images])
        texture_of_face = np.concatenate(texture)
        return cls(
            corners=corners.astype(np.float32),
            normals=smooth_normals(corners).astype(np.float32),
            colours=np.concatenate([part.colours for part in parts]).astype(np.float32),
            uv=uv.astype(np.float32),
            texture=texture_of_face,
            texel_density=_texel_density(corners, uv, textures.side_of(texture_of_face)),
            textures=textures,
        )

    def geometry(self) -> trimesh.Trimesh:
        """A triangle soup with the rows of this table as faces, for a ray caster."""
        faces = np.arange(3 * len(self.corners)).reshape(-1, 3)
        return trimesh.Trimesh(vertices=self.corners.reshape(-1, 3), faces=faces, process=False, validate=False)

    def colour_at(
        self,
        triangle: Int[np.ndarray, "n"],
        barycentric: Float[np.ndarray, "n 3"],
        footprint: Float[np.ndarray, "n"] | float = 0.0,
    ) -> Float[np.ndarray, "n 3"]:
        """Colours (sRGB in [0, 1]) of surface points; footprint: a sample's width there, picks the mip."""
        weights = barycentric[:, :, None]
        colour = (self.colours[triangle] * weights).sum(axis=1)
        textured = np.flatnonzero(self.texture[triangle] > 0)
        if len(textured):
            faces = triangle[textured]
            uv = (self.uv[faces] * weights[textured]).sum(axis=1)
            width = np.broadcast_to(footprint, triangle.shape)[textured]
            level = np.log2(np.maximum(width * self.texel_density[faces], 1.0))
            colour[textured] *= self.textures.sample(self.texture[faces], uv, level)
        return colour

    def normal_at(
        self, triangle: Int[np.ndarray, "n"], barycentric: Float[np.ndarray, "n 3"]
    ) -> Float[np.ndarray, "n 3"]:
        """Unit shading normals of surface points, on the side the file says."""
        normal = (self.normals[triangle] * barycentric[:, :, None]).sum(axis=1)
        return normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)


class MipTextures:
    """All textures of a mesh with their mip levels in one row of texels, so that a lookup is one gather.

    pictures: (h, w, 3) uint8 each, kept as given.
    """

    def __init__(self, pictures: list[np.ndarray]) -> None:
        rows: list[np.ndarray] = []
        starts: list[list[int]] = []
        sizes: list[list[tuple[int, ...]]] = []
        position = 0
        for picture in pictures:
            levels = _mip_levels(picture)
            starts.append([])
            sizes.append([])
            for level in levels:
                rows.append(level.reshape(-1, 3))
                starts[-1].append(position)
                sizes[-1].append(level.shape[:2])
                position += len(rows[-1])
        depth = max(len(row) for row in starts)
        self.pictures = pictures
        self._texels = np.concatenate(rows)
        self._start = np.array([row + [row[-1]] * (depth - len(row)) for row in starts])
        self._size = np.array([row + [row[-1]] * (depth - len(row)) for row in sizes])

    def side_of(self, texture: Int[np.ndarray, "n"]) -> Int[np.ndarray, "n 2"]:
        """(width, height) in texels at full size."""
        return self._size[texture, 0][:, ::-1]

    def sample(
        self, texture: Int[np.ndarray, "n"], uv: Float[np.ndarray, "n 2"], level: Float[np.ndarray, "n"]
    ) -> Float[np.ndarray, "n 3"]:
        """Colours (sRGB in [0, 1]), bilinear in the nearest mip level; UV repeat, origin at the lower left."""
        mip = np.clip(np.rint(level).astype(np.int64), 0, self._start.shape[1] - 1)
        start, size = self._start[texture, mip], self._size[texture, mip]
        height, width = size[:, 0], size[:, 1]
        x = (uv[:, 0] - np.floor(uv[:, 0])) * width - 0.5
        y = (1.0 - (uv[:, 1] - np.floor(uv[:, 1]))) * height - 0.5
        x_0, y_0 = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
        fraction_x, fraction_y = (x - x_0)[:, None], (y - y_0)[:, None]
        left, right = x_0 % width, (x_0 + 1) % width
        top, bottom = start + (y_0 % height) * width, start + ((y_0 + 1) % height) * width
        upper = self._texels[top + left] * (1 - fraction_x) + self._texels[top + right] * fraction_x
        lower = self._texels[bottom + left] * (1 - fraction_x) + self._texels[bottom + right] * fraction_x
        return (upper * (1 - fraction_y) + lower * fraction_y).astype(np.float32) / 255.0


def smooth_normals(corners: Float[np.ndarray, "f 3 3"], crease_deg: float = 40.0) -> Float[np.ndarray, "f 3 3"]:
    """Unit normals of the corners: averaged over faces that meet at edges flatter than the crease angle.

    Vertices are joined by position, since OBJ files split them along texture seams. Degenerate faces get (0, 1, 0).
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    count = len(corners)
    area_vectors = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    length = np.linalg.norm(area_vectors, axis=1, keepdims=True)
    face_normals = np.where(length > 1e-14, area_vectors / np.maximum(length, 1e-14), (0.0, 1.0, 0.0))
    scale = max(float(np.ptp(corners.reshape(-1, 3), axis=0).max()), 1e-12)
    rounded = np.rint((corners.reshape(-1, 3) - corners.reshape(-1, 3).min(axis=0)) / scale * 2**20).astype(np.int64)
    keys = (rounded[:, 0] << 42) + (rounded[:, 1] << 21) + rounded[:, 2]
    _, vertex = np.unique(keys, return_inverse=True)
    vertex = vertex.reshape(count, 3)

    edges = np.sort(vertex[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    edge_key = edges[:, 0].astype(np.int64) * (vertex.max() + 1) + edges[:, 1]
    order = np.argsort(edge_key, kind="stable")
    same = np.flatnonzero(edge_key[order][1:] == edge_key[order][:-1])
    first, second = order[same] // 3, order[same + 1] // 3
    flat = (face_normals[first] * face_normals[second]).sum(axis=1) > np.cos(np.radians(crease_deg))
    first, second = first[flat], second[flat]
    graph = coo_matrix((np.ones(len(first), dtype=np.int8), (first, second)), shape=(count, count))
    _, group = connected_components(graph, directed=False)

    _, corner_of = np.unique(
        (group[:, None].astype(np.int64) * (vertex.max() + 1) + vertex).ravel(), return_inverse=True
    )
    weights = np.repeat(area_vectors, 3, axis=0)
    summed = np.stack([np.bincount(corner_of, weights[:, axis]) for axis in range(3)], axis=1)[corner_of]
    summed = summed / np.maximum(np.linalg.norm(summed, axis=1, keepdims=True), 1e-14)
    summed = summed.reshape(count, 3, 3)
    # A smooth group may close on itself at a sharp edge: there the face's own normal is the better one.
    agree = (summed * face_normals[:, None]).sum(axis=-1, keepdims=True) > 0.5
    return np.where(agree, summed, face_normals[:, None])


def _parts(mesh: trimesh.Trimesh | trimesh.Scene) -> Iterator[_Part]:
    """The parts of a mesh or scene, one material each."""
    if isinstance(mesh, trimesh.Scene):
        for node in mesh.graph.nodes_geometry:
            matrix, name = mesh.graph[node]
            geometry = mesh.geometry[name]
            if isinstance(geometry, trimesh.Trimesh) and len(geometry.faces):
                yield from _mesh_parts(geometry, np.asarray(matrix))
    elif len(mesh.faces):
        yield from _mesh_parts(mesh, np.eye(4))


def _mesh_parts(mesh: trimesh.Trimesh, matrix: np.ndarray) -> Iterator[_Part]:
    faces = np.asarray(mesh.faces)
    corners = (np.asarray(mesh.vertices) @ matrix[:3, :3].T + matrix[:3, 3])[faces]
    visual: Any = mesh.visual
    uv = getattr(visual, "uv", None)
    usable_uv = uv is not None and len(uv) == len(mesh.vertices) and np.isfinite(uv).all()
    corner_uv = np.asarray(uv)[faces] if usable_uv else np.zeros((len(faces), 3, 2))
    if visual.kind != "texture":
        yield _Part(corners, _plain_colours(mesh), corner_uv, None)
        return
    materials = getattr(visual.material, "materials", None)
    if materials is None or visual.face_materials is None:
        chosen = [(materials[0] if materials else visual.material, np.arange(len(faces)))]
    else:
        numbers = np.asarray(visual.face_materials)
        chosen = [(materials[number], np.flatnonzero(numbers == number)) for number in np.unique(numbers)]
    vertex_colours = _extra_vertex_colours(visual, len(mesh.vertices))
    for material, rows in chosen:
        factor, image = _material_look(material)
        colours = np.broadcast_to(factor, (len(corners[rows]), 3, 3))
        if vertex_colours is not None:
            colours = colours * vertex_colours[faces[rows]]
        yield _Part(corners[rows], colours, corner_uv[rows], image if usable_uv else None)


def _plain_colours(mesh: trimesh.Trimesh) -> Float[np.ndarray, "f 3 3"]:
    """Corner colours of vertex or face colours; grey where the mesh defines none."""
    visual: Any = mesh.visual
    if visual.kind == "vertex":
        return np.asarray(visual.vertex_colors)[mesh.faces][..., :3] / 255.0
    if visual.kind == "face":
        return np.repeat(np.asarray(visual.face_colors)[:, None, :3], 3, axis=1) / 255.0
    return np.full((len(mesh.faces), 3, 3), DEFAULT_COLOUR)


def _extra_vertex_colours(visual: object, num_vertices: int) -> Float[np.ndarray, "v 3"] | None:
    """Colours (sRGB) that glTF files may carry, in linear light, at the vertices beside a material; they multiply."""
    colours = getattr(visual, "vertex_attributes", {}).get("color")
    if colours is None or len(colours) != num_vertices or np.ndim(colours) != 2 or np.shape(colours)[1] < 3:
        return None
    colours = np.asarray(colours)[:, :3]
    linear = colours / 255.0 if np.issubdtype(colours.dtype, np.integer) else np.clip(colours, 0.0, 1.0)
    return to_srgb(linear)


def _material_look(material: object) -> tuple[Float[np.ndarray, "3"], Image.Image | None]:
    """The sRGB factor and the opaque texture of a simple or PBR material.

    glTF multiplies texture and base colour. In OBJ files the texture replaces Kd: the specification multiplies there
    too, but exporters write a default grey beside the texture, which would darken it.
    """
    if isinstance(material, PBRMaterial):
        image, factor = material.baseColorTexture, material.baseColorFactor
    else:
        image, factor = getattr(material, "image", None), getattr(material, "diffuse", None)
    colour = np.asarray(trimesh.visual.color.to_rgba(factor))[:3] / 255.0 if factor is not None else None
    if not isinstance(image, Image.Image):
        return (np.full(3, DEFAULT_COLOUR) if colour is None else colour), None
    if isinstance(material, PBRMaterial):
        return (np.ones(3) if colour is None else colour), _opaque(image, None)
    return np.ones(3), _opaque(image, colour)


def _opaque(image: Image.Image, under: Float[np.ndarray, "3"] | None) -> Image.Image:
    """The texture over a colour, by default the mean of its visible texels; RGB over transparent is undefined."""
    if not image.has_transparency_data:
        return image
    picture = np.asarray(image.convert("RGBA"))
    alpha = picture[..., 3:].astype(np.float32) / 255.0
    if under is None:
        under = (picture[..., :3] * alpha).sum(axis=(0, 1)) / max(float(alpha.sum()), 1e-6) / 255.0
    return Image.fromarray(np.rint(picture[..., :3] * alpha + under * 255.0 * (1.0 - alpha)).astype(np.uint8))


def _pixels(image: Image.Image | None) -> UInt8[np.ndarray, "h w 3"]:
    """The texels of an opaque texture, reduced to `MAX_TEXTURE_SIDE`; one white texel for None."""
    if image is None:
        return np.full((1, 1, 3), 255, dtype=np.uint8)
    picture = image.convert("RGB")
    if max(picture.size) > MAX_TEXTURE_SIDE:
        picture.thumbnail((MAX_TEXTURE_SIDE, MAX_TEXTURE_SIDE), Image.Resampling.BOX)
    return np.asarray(picture)


def _mip_levels(picture: np.ndarray) -> list[np.ndarray]:
    """The picture and its halvings by box averages, down to one texel."""
    levels = [np.ascontiguousarray(picture)]
    while max(levels[-1].shape[:2]) > 1:
        height, width = levels[-1].shape[:2]
        size = (max(width // 2, 1), max(height // 2, 1))
        levels.append(np.asarray(Image.fromarray(levels[-1]).resize(size, Image.Resampling.BOX)))
    return levels


def _texel_density(corners: np.ndarray, uv: np.ndarray, side: np.ndarray) -> Float[np.ndarray, "f"]:
    """Texels per unit of length on the surface, from the ratio of areas."""
    edge_1, edge_2 = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = np.linalg.norm(np.cross(edge_1, edge_2), axis=1)
    texel_uv = uv * side[:, None, :]
    uv_1, uv_2 = texel_uv[:, 1] - texel_uv[:, 0], texel_uv[:, 2] - texel_uv[:, 0]
    texel_area = np.abs(uv_1[:, 0] * uv_2[:, 1] - uv_1[:, 1] * uv_2[:, 0])
    return np.sqrt(texel_area / np.maximum(area, 1e-12)).astype(np.float32)
