"""Quadric edge collapse of large meshes, in a process of its own: libigl holds Python's lock until it is done.

A mesh of 590,000 faces takes it ten seconds, in which a server would answer nobody. `python -m
wavemesh.geometry.collapse FOLDER FACES SECONDS` reads and writes `mesh.npz` in the folder.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from wavemesh.errors import InputError
from wavemesh.geometry.child import run_alone
from wavemesh.machine import limit_process

CPU_S = 25
_MEMORY_BYTES, _FILE_BYTES = 4 * 2**30, 2**28
_FILE = "mesh.npz"


def collapsed(
    vertices: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"], max_faces: int, cpu_s: int = CPU_S
) -> tuple[Float[np.ndarray, "w 3"], Int[np.ndarray, "g 3"]]:
    """Vertices and faces after `igl.qslim`, no faces where it refuses them; InputError after cpu_s of the processor."""
    with tempfile.TemporaryDirectory(prefix="wavemesh-collapse-") as folder:
        path = Path(folder) / _FILE
        np.savez(path, vertices=vertices, faces=faces)
        status, _ = run_alone("wavemesh.geometry.collapse", folder, str(max_faces), str(cpu_s))
        if status != 0:
            raise InputError(f"Reducing {len(faces):,} triangles to {max_faces:,} takes too long here.")
        with np.load(path, allow_pickle=False) as data:
            return data["vertices"], data["faces"]


def qslim(
    vertices: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"], max_faces: int
) -> tuple[Float[np.ndarray, "w 3"], Int[np.ndarray, "g 3"]]:
    """Vertices and faces after libigl's collapse, in this process; no faces where edges have three."""
    import igl

    # Copies: plain arrays that may be written to.
    points, triangles, *_ = igl.qslim(np.array(vertices, np.float64), np.array(faces, np.int64), max_faces)
    return np.asarray(points, np.float64).reshape(-1, 3), np.asarray(triangles, np.int64).reshape(-1, 3)


def main() -> None:
    """Collapse what lies in the folder."""
    path = Path(sys.argv[1]) / _FILE
    limit_process(_MEMORY_BYTES, int(sys.argv[3]), _FILE_BYTES)
    with np.load(path, allow_pickle=False) as data:
        vertices, faces = qslim(data["vertices"], data["faces"], int(sys.argv[2]))
    np.savez(path, vertices=vertices, faces=faces)


if __name__ == "__main__":
    main()
