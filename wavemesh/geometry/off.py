"""Object File Format (OFF) with the colours of its vertices and faces, which trimesh's reader leaves out.

ModelNet's files run the word OFF and the numbers behind it together; that is read as well.
"""

from __future__ import annotations

import re

import numpy as np
import trimesh
from jaxtyping import Float, UInt8
from trimesh.visual import ColorVisuals

from wavemesh.errors import InputError
from wavemesh.geometry.polygons import triangulate

_HEAD = re.compile(r"(ST)?(C?)(N?)OFF\b|(ST)?(C?)(N?)OFF(?=\d)")
_GREY = (184, 184, 184, 255)  # of faces without a colour beside others that have one


def load_off(name: str, text: str) -> trimesh.Trimesh:
    """The mesh in the text of an OFF file called `name`.

    Raises InputError for text that is none, for fewer lines than it promises, numbers that are none, corners that name
    no vertex, and a face of more than 4,096 corners.
    """
    head = _HEAD.match(text.lstrip("\ufeff \t\r\n"))
    if head is None:
        raise InputError(f"{name} is not a mesh that can be read: it does not begin with OFF.")
    body = text.lstrip("\ufeff \t\r\n")[head.end() :]
    lines = [words for line in body.splitlines() if (words := line.split("#", 1)[0].split())]
    try:
        num_vertices, num_faces = (int(word) for word in lines[0][:2])
        rows = lines[1 : 1 + num_vertices + num_faces]
        if len(rows) < num_vertices + num_faces:
            wanted = f"{num_vertices:,} vertices and {num_faces:,} faces"
            raise InputError(f"{name} is cut off: it promises {wanted} and has {len(rows):,} lines.")
        return _mesh(rows[:num_vertices], rows[num_vertices:], "C" in head.group(), "N" in head.group())
    except (ValueError, IndexError) as error:
        raise InputError(f"{name} is not a mesh that can be read: {error}.") from None


def _mesh(vertex_rows: list[list[str]], face_rows: list[list[str]], coloured: bool, normals: bool) -> trimesh.Trimesh:
    vertices = np.array([row[:3] for row in vertex_rows], dtype=np.float64).reshape(-1, 3)
    sizes = np.array([int(row[0]) for row in face_rows], dtype=np.int64)
    corners = np.array([int(word) for row in face_rows for word in row[1 : 1 + int(row[0])]], dtype=np.int64)
    if len(corners) != sizes.sum() or (sizes < 0).any() or ((corners < 0) | (corners >= len(vertices))).any():
        raise ValueError("a face names a vertex that is not there")
    triangles, polygon = triangulate(vertices[corners], sizes)
    start = 6 if normals else 3
    visual = None
    if coloured and all(len(row) >= start + 3 for row in vertex_rows):
        visual = ColorVisuals(vertex_colors=np.array([_rgba(row[start:]) for row in vertex_rows], dtype=np.uint8))
    elif any(len(row) >= int(row[0]) + 4 for row in face_rows):
        colours = [_rgba(row[1 + int(row[0]) :]) if len(row) >= int(row[0]) + 4 else _GREY for row in face_rows]
        visual = ColorVisuals(face_colors=np.array(colours, dtype=np.uint8)[polygon])
    return trimesh.Trimesh(vertices, corners[triangles], visual=visual, process=False, validate=False)


def _rgba(words: list[str]) -> UInt8[np.ndarray, "4"]:
    """A colour from whole numbers to 255, or from others to 1; opaque, as surfaces are."""
    whole = not any("." in word or "e" in word.lower() for word in words[:3])
    values: Float[np.ndarray, "3"] = np.array(words[:3], dtype=np.float64) * (1.0 if whole else 255.0)
    return np.append(np.rint(values.clip(0.0, 255.0)), 255.0).astype(np.uint8)
