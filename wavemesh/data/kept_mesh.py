"""The true surface of a held-out shape in one file: triangles with their colours and small textures.

Scores need the triangles, photographs that are drawn of it need its look too. Nothing in the file is run: arrays alone.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from jaxtyping import UInt8
from PIL import Image
from trimesh.visual import TextureVisuals
from trimesh.visual.material import MultiMaterial, PBRMaterial

from wavemesh.geometry.colour import to_linear
from wavemesh.rendering import Appearance

MAX_TEXTURE = 256  # pixels a side
_QUALITY = 90
_WHITE = (1.0, 1.0, 1.0, 1.0)


def kept_bytes(mesh: trimesh.Trimesh) -> bytes:
    """The content of a .npz; raises InputError for a mesh without faces.

    vertices (v, 3) float32 and faces (f, 3) int32; colours (f, 3, 3) uint8 sRGB and uv (f, 3, 2) float32 of the corners
    of faces, texture (f,) the number of each face's picture, 0 for none; picture_1, picture_2, ... encoded as WebP.
    """
    look = Appearance.of(mesh)
    vertices, faces = np.unique(look.corners.reshape(-1, 3), axis=0, return_inverse=True)
    arrays: dict[str, Any] = {
        "vertices": vertices,
        "faces": faces.reshape(-1, 3).astype(np.int32),
        "colours": np.rint(look.colours * 255.0).astype(np.uint8),
        "uv": look.uv,
        "texture": look.texture,
    }
    for number, picture in enumerate(look.textures.pictures[1:], 1):
        arrays[f"picture_{number}"] = np.frombuffer(_webp(picture), np.uint8)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def kept_mesh(path: Path) -> trimesh.Trimesh:
    """The mesh of such a file, each face with corners of its own; without colours where the file has none."""
    with np.load(path, allow_pickle=False) as arrays:
        corners = arrays["vertices"][arrays["faces"]].reshape(-1, 3)
        faces = np.arange(len(corners)).reshape(-1, 3)
        visual = _visual(arrays) if "colours" in arrays.files else None
    return trimesh.Trimesh(corners, faces, visual=visual, process=False, validate=False)


def has_look(path: Path) -> bool:
    """Whether such a file is there and has colours; those of older sets have triangles alone."""
    if not path.is_file():
        return False
    with zipfile.ZipFile(path) as archive:
        return "colours.npy" in archive.namelist()


def _visual(arrays: Any) -> TextureVisuals:
    numbers = sorted(int(name.removeprefix("picture_")) for name in arrays.files if name.startswith("picture_"))
    pictures = [None, *(Image.open(io.BytesIO(arrays[f"picture_{number}"].tobytes())) for number in numbers)]
    visual = TextureVisuals(
        uv=arrays["uv"].reshape(-1, 2),
        material=MultiMaterial([PBRMaterial(baseColorTexture=each, baseColorFactor=_WHITE) for each in pictures]),
        face_materials=arrays["texture"],
    )
    # Linear light, as glTF has colours beside a material.
    visual.vertex_attributes["color"] = to_linear(arrays["colours"].reshape(-1, 3) / 255.0)
    return visual


def _webp(picture: UInt8[np.ndarray, "h w 3"]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="WEBP", quality=_QUALITY)
    return buffer.getvalue()
