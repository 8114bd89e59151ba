"""Meshes that strangers send: parsed in a child process with little memory, little time and no way to other files.

A small file can claim 4e8 vertices or unpack to gigabytes, and parsers were not written with that in mind. The child
(`python -m wavemesh.geometry.untrusted IN OUT`) limits itself before it imports a parser, and hands plain arrays back.
Where the system has no such limits (Windows), the file's size and the clock are what holds.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from wavemesh.errors import InputError
from wavemesh.geometry.child import run_alone
from wavemesh.machine import limit_process

if TYPE_CHECKING:
    import trimesh

MESH_INPUT_SUFFIXES = (".glb", ".obj", ".ply", ".stl", ".off", ".zip")
MAX_FILE_BYTES = 32 * 2**20
MAX_FACES = 500_000
MEMORY_BYTES = 2 * 2**30
CPU_S = 30
FILE_BYTES = 256 * 2**20
_REFUSED = 3


def read_untrusted_mesh(path: str | Path) -> trimesh.Trimesh:
    """The mesh of a file in the world frame (centred, longest side 1.8), coloured by vertex or by face.

    A texture becomes the colours that it has at the vertices, interpolated between them when the mesh is drawn: what is
    finer than the triangles is lost. A zip holds one mesh with its materials and pictures; no other file is looked at.
    Raises InputError, in one sentence, for another suffix, a file that is too large, no mesh, without faces, with more
    than 500,000 faces or values that are not finite, and for one that takes too much memory or time to read.
    """
    import trimesh

    path = Path(path)
    if path.suffix.lower() not in MESH_INPUT_SUFFIXES:
        raise InputError(
            f"A mesh to render must end in one of {', '.join(MESH_INPUT_SUFFIXES)}, not {path.name!r:.80}."
        )
    if not path.is_file():
        raise InputError(f"There is no mesh file {path.name!r:.80}.")
    size = path.stat().st_size
    if not 0 < size <= MAX_FILE_BYTES:
        raise InputError(f"The mesh file {path.name!r:.80} has {size:,} bytes; up to {MAX_FILE_BYTES:,} are read.")
    with tempfile.TemporaryDirectory(prefix="wavemesh-mesh-") as folder:
        out = Path(folder) / "mesh.npz"
        _run_child(path, out)
        with np.load(out, allow_pickle=False) as data:
            vertices, faces, colours, by_face = (data[name] for name in ("vertices", "faces", "colours", "by_face"))
    kind = {"face_colors": colours} if by_face else {"vertex_colors": colours}
    return trimesh.Trimesh(vertices, faces, process=False, validate=False, **kind)


def _run_child(path: Path, out: Path) -> None:
    status, said = run_alone("wavemesh.geometry.untrusted", path, out)
    if status == _REFUSED:
        raise InputError(" ".join(said.split())[:300])
    if status != 0 or not out.is_file():
        raise InputError(
            f"The mesh file {path.name!r:.80} could not be read: it takes too much memory or time, or is damaged."
        )


def _child(path: Path, out: Path) -> None:
    """Read, check, place and store; InputError is told on stderr."""
    from trimesh.visual import TextureVisuals

    from wavemesh.geometry.archives import packed_mesh
    from wavemesh.geometry.mesh import load_mesh, normalise, with_vertex_colours

    # What a zip holds comes to lie in the folder that the parent made for the answer, and removes.
    mesh = load_mesh(packed_mesh(path, out.parent)) if path.suffix.lower() == ".zip" else _alone(path)
    if len(mesh.faces) > MAX_FACES:
        raise InputError(f"The mesh has {len(mesh.faces):,} faces; up to {MAX_FACES:,} are read.")
    faces = np.asarray(mesh.faces)
    if len(faces) == 0 or faces.min() < 0 or faces.max() >= len(mesh.vertices):
        raise InputError(f"The mesh in {path.name!r:.80} has no faces, or faces without vertices.")
    if not np.isfinite(mesh.vertices[faces]).all():
        raise InputError(f"The mesh in {path.name!r:.80} has vertices that are not finite.")
    mesh = normalise(mesh)
    if isinstance(mesh.visual, TextureVisuals):
        mesh = with_vertex_colours(mesh)
    visual, faces = mesh.visual, np.asarray(mesh.faces)
    by_face = visual.kind == "face"
    colours = np.asarray(visual.face_colors if by_face else visual.vertex_colors)
    if len(colours) != (len(faces) if by_face else len(mesh.vertices)):
        colours, by_face = np.full((len(mesh.vertices), 4), 184, np.uint8), False
    vertices = np.asarray(mesh.vertices, dtype=np.float64)
    np.savez(out, vertices=vertices, faces=faces, colours=colours.astype(np.uint8), by_face=np.array(by_face))


def _alone(path: Path) -> trimesh.Trimesh:
    from wavemesh.geometry.mesh import mesh_from_bytes

    return mesh_from_bytes(path.name, path.read_bytes())


def main() -> int:
    """The exit status of the child process: 0, or 3 with a sentence on stderr for what is refused."""
    limit_process(MEMORY_BYTES, CPU_S, FILE_BYTES)
    try:
        _child(Path(sys.argv[1]), Path(sys.argv[2]))
    except InputError as error:
        sys.stderr.write(str(error))
        return _REFUSED
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
