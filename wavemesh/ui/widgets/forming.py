"""The shape after a step as a small mesh, which the viewer shows where the finished mesh will stand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from wavemesh.errors import InputError
from wavemesh.geometry.camera import Camera

if TYPE_CHECKING:
    from wavemesh.pipelines.record import RunRecord

CELLS = 64  # of a side of the field that is shown: a few hundredths of a second to build, a third of a megabyte


@dataclass(frozen=True)
class Forming:
    """A shape that forms. mesh: the path of its .glb file. first: where the view of it begins, in the mesh's frame."""

    mesh: str
    first: Camera


def write_forming(sdf: np.ndarray, front_deg: float, path: Path) -> bool:
    """Write the surface of a field (n, n, n) as a .glb without colours, its front to +z; False where it has none."""
    from wavemesh.geometry.export import mesh_bytes
    from wavemesh.geometry.isosurface import sdf_to_mesh
    from wavemesh.geometry.mesh import facing

    stride = max(1, len(sdf) // CELLS)
    try:
        mesh = sdf_to_mesh(np.ascontiguousarray(sdf[::stride, ::stride, ::stride]))
    except InputError:
        return False
    path.write_bytes(mesh_bytes(facing(mesh, front_deg), ".glb"))
    return True


def write_steps(record: RunRecord, indices: list[int], folder: Path) -> dict[int, str]:
    """The paths of the shapes after these steps of a finished run, by step; those without a surface are left out."""
    folder.mkdir(exist_ok=True)
    paths = {index: folder / f"step-{index + 1}.glb" for index in indices}
    return {
        index: str(path)
        for index, path in paths.items()
        if path.exists() or write_forming(record.field(index), record.front_deg, path)
    }
