"""Colours baked into a texture: a UV map of the mesh, and a picture whose texels hold the colour of their place on it.

Many programs show a texture but ignore the colours of vertices. The colours come from any function of space
(`texture.ColourAt`), so a texture can be finer than the mesh that carries it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import trimesh
import xatlas
from jaxtyping import Bool, Float, Int
from PIL import Image
from scipy.ndimage import distance_transform_edt
from trimesh.visual.material import PBRMaterial
from trimesh.visual.texture import TextureVisuals

from wavemesh.errors import InputError
from wavemesh.geometry.texture import ColourAt

ROUGHNESS = 0.85
_GUTTER = 2  # texels around each chart
_MAX_FACES = 200_000  # the time to unwrap grows faster than the number of faces
_TEXELS_AT_ONCE = 2**20


@dataclass(frozen=True)
class Texels:
    """Texels that lie on triangles: triangle (n,), barycentric (n, 3) weights of its corners, row (n,), column (n,)."""

    triangle: Int[np.ndarray, "n"]
    barycentric: Float[np.ndarray, "n 3"]
    row: Int[np.ndarray, "n"]
    column: Int[np.ndarray, "n"]


def bake_texture(mesh: trimesh.Trimesh, colour_at: ColourAt, size: int = 1024) -> trimesh.Trimesh:
    """The mesh with a UV map, cut open at its seams, and a texture of size x size pixels that colours it.

    Faces keep their order and corners, normals stay smooth across seams. Raises InputError for a size that is not
    between 64 and 8192, and for a mesh without faces or with too many (simplify it before).
    """
    if not 64 <= size <= 8192:
        raise InputError(f"A texture must be between 64 and 8192 pixels wide, not {size}.")
    if not 1 <= len(mesh.faces) <= _MAX_FACES:
        raise InputError(f"A mesh to bake must have between 1 and {_MAX_FACES:,} faces, not {len(mesh.faces):,}.")
    unwrapped, uv = unwrap(mesh, size)
    corners = np.asarray(unwrapped.vertices)[unwrapped.faces]
    pixels, covered = np.zeros((size, size, 3)), np.zeros((size, size), dtype=bool)
    for texels in rasterise(uv[unwrapped.faces], size):
        points = np.einsum("nk,nkd->nd", texels.barycentric, corners[texels.triangle])
        pixels[texels.row, texels.column] = colour_at(points)
        covered[texels.row, texels.column] = True
    # The tip of a chart may lie in a texel whose centre is off it: filled from around, it could get another chart's.
    place = np.stack([1.0 - uv[:, 1], uv[:, 0]], axis=1) * size
    row, column = np.floor(place).astype(np.int64).clip(0, size - 1).T
    bare = ~covered[row, column]
    pixels[row[bare], column[bare]] = colour_at(np.asarray(unwrapped.vertices)[bare])
    covered[row, column] = True
    image = Image.fromarray((_spread(pixels, covered).clip(0.0, 1.0) * 255.0).round().astype(np.uint8))
    material = PBRMaterial(
        name="colours",
        baseColorTexture=image,
        baseColorFactor=(255, 255, 255, 255),
        metallicFactor=0.0,
        roughnessFactor=ROUGHNESS,
        doubleSided=True,
    )
    unwrapped.visual = TextureVisuals(uv=uv, material=material)
    return unwrapped


def unwrap(mesh: trimesh.Trimesh, size: int) -> tuple[trimesh.Trimesh, Float[np.ndarray, "v 2"]]:
    """The mesh with a vertex for each chart that it belongs to, and their places (u, v) in [0, 1], origin lower left.

    size: of the texture in pixels; it decides how far apart the charts are.
    """
    normals = np.asarray(mesh.vertex_normals)
    atlas = xatlas.Atlas()
    atlas.add_mesh(
        np.ascontiguousarray(mesh.vertices, dtype=np.float32),
        np.ascontiguousarray(mesh.faces, dtype=np.uint32),
        np.ascontiguousarray(normals, dtype=np.float32),
    )
    packing = xatlas.PackOptions()
    packing.resolution, packing.padding, packing.bilinear = size, _GUTTER, True
    atlas.generate(pack_options=packing)
    source, faces, uv = atlas[0]
    unwrapped = trimesh.Trimesh(
        np.asarray(mesh.vertices)[source],
        faces.astype(np.int64),
        vertex_normals=normals[source],
        process=False,
        validate=False,
    )
    return unwrapped, uv.astype(np.float64)


def rasterise(uv: Float[np.ndarray, "f 3 2"], size: int) -> Iterator[Texels]:
    """The texels whose centres lie on triangles of a UV map, in portions; a texel on a common edge comes twice."""
    # Pixel coordinates (column, row) with pixel centres at whole numbers, the first row on top.
    place = np.stack([uv[..., 0] * size - 0.5, (1.0 - uv[..., 1]) * size - 0.5], axis=-1)
    low = np.ceil(place.min(axis=1)).clip(0, size).astype(np.int64)
    high = np.floor(place.max(axis=1)).clip(-1, size - 1).astype(np.int64)
    width, height = (high - low + 1).clip(0).T
    count = width * height
    portion = np.cumsum(count) // _TEXELS_AT_ONCE
    for triangles in np.split(np.arange(len(uv)), np.flatnonzero(np.diff(portion)) + 1):
        triangle = np.repeat(triangles, count[triangles])
        number = np.arange(len(triangle)) - np.repeat(np.cumsum(count[triangles]) - count[triangles], count[triangles])
        column = low[triangle, 0] + number % width[triangle]
        row = low[triangle, 1] + number // width[triangle]
        barycentric, area = _barycentric(place[triangle], np.stack([column, row], axis=1))
        inside = (barycentric >= -1e-6).all(axis=1) & (np.abs(area) > 1e-9)
        if inside.any():
            yield Texels(triangle[inside], barycentric[inside], row[inside], column[inside])


def _barycentric(
    corners: Float[np.ndarray, "n 3 2"], points: Int[np.ndarray, "n 2"]
) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n"]]:
    """The weights of a triangle's corners that give a point, and twice the triangle's signed area."""
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    offset = points - corners[:, 0]
    area = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
    safe = np.where(np.abs(area) > 1e-9, area, 1.0)
    b = (offset[:, 0] * second[:, 1] - offset[:, 1] * second[:, 0]) / safe
    c = (first[:, 0] * offset[:, 1] - first[:, 1] * offset[:, 0]) / safe
    return np.stack([1.0 - b - c, b, c], axis=1), area


def _spread(pixels: Float[np.ndarray, "s s 3"], covered: Bool[np.ndarray, "s s"]) -> Float[np.ndarray, "s s 3"]:
    """The texture with each empty texel filled from the nearest covered one, so that no seam shows at any distance."""
    if not covered.any():
        raise InputError(f"No texel of a texture {len(pixels)} pixels wide lies on the mesh.")
    row, column = distance_transform_edt(~covered, return_distances=False, return_indices=True)
    return pixels[row, column]
