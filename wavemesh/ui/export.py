"""Mesh files for the viewer and for download."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from wavemesh.geometry.export import MESH_SUFFIXES, mesh_bytes

if TYPE_CHECKING:
    import trimesh


def export_mesh(mesh: trimesh.Trimesh, folder: Path, stem: str) -> dict[str, str]:
    """The paths of the mesh's files by suffix, written into the folder."""
    paths = {}
    for suffix in MESH_SUFFIXES:
        path = folder / f"{stem}{suffix}"
        path.write_bytes(mesh_bytes(mesh, suffix))
        paths[suffix] = str(path)
    return paths
