"""True meshes of bundled examples: the models that their pictures show, small enough to ship.

The page renders views of them and measures what a run makes of these views. Written by
`python -m wavemesh examples --meshes`, one `truth.glb` beside an example's pictures.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import trimesh

from wavemesh.data.sources import find_libraries, read_library, unpack_library
from wavemesh.errors import InputError
from wavemesh.geometry.export import mesh_bytes
from wavemesh.geometry.mesh import load_mesh, normalise, rotated
from wavemesh.rendering.appearance import Appearance

FILE = "truth.glb"
MAX_BYTES = 150_000


def write_true_mesh(example: Path, source: str | Path | None = None) -> Path:
    """The file `truth.glb` of an example: its model in the world frame, with the colours that its faces have there.

    example: folder whose about.json names library and key. source: the libraries, as `find_libraries` takes them.
    Raises InputError where the model is not there, or is too large to ship.
    """
    about_file = example / "about.json"
    if not about_file.is_file():
        raise InputError(f"There is no example {str(example)!r}.")
    about = json.loads(about_file.read_text(encoding="utf-8"))
    archives = [path for path in find_libraries(source) if path.stem == about["library"]]
    if not archives:
        raise InputError(f"There is no library {about['library']!r} for the example {example.name}.")
    with tempfile.TemporaryDirectory() as folder:
        library = unpack_library(archives[0], Path(folder))
        models = [model for model in read_library(library) if model.key == about["key"]]
        if not models:
            raise InputError(f"The library {about['library']} has no model {about['key']!r}.")
        mesh = load_mesh(library / models[0].path, max_texture=512)
    if models[0].rotation is not None:
        mesh = rotated(mesh, np.array(models[0].rotation).reshape(3, 3))
    content = mesh_bytes(plain(normalise(mesh)), ".glb")
    if len(content) > MAX_BYTES:
        raise InputError(f"The mesh of {example.name} takes {len(content):,} bytes; {MAX_BYTES:,} may ship.")
    path = example / FILE
    path.write_bytes(content)
    return path


def plain(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """The mesh with colours at its vertices in place of materials and textures: each face has that of its centre.

    A texture is averaged over about the size of the face. Vertices are shared where position and colour agree.
    """
    look = Appearance.of(mesh)
    count = len(look.corners)
    size = np.sqrt(trimesh.triangles.area(look.corners))
    colours = look.colour_at(np.arange(count), np.full((count, 3), 1 / 3, np.float32), size.astype(np.float32))
    corners = np.column_stack([look.corners.reshape(-1, 3), np.repeat(np.rint(colours * 255), 3, axis=0)])
    rows, numbers = np.unique(corners.astype(np.float32), axis=0, return_inverse=True)
    rgba = np.column_stack([rows[:, 3:], np.full(len(rows), 255)]).astype(np.uint8)
    faces = np.asarray(numbers).reshape(-1, 3)
    return trimesh.Trimesh(rows[:, :3], faces, vertex_colors=rgba, process=False, validate=False)
