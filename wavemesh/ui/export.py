"""Mesh files for the viewer and for download."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import trimesh

SUFFIXES = (".glb", ".obj", ".ply", ".stl")


def export_mesh(mesh: trimesh.Trimesh, folder: Path, stem: str) -> dict[str, str]:
    """The paths of the mesh's files by suffix, written into the folder."""
    paths = {}
    for suffix in SUFFIXES:
        path = folder / f"{stem}{suffix}"
        if suffix == ".glb":
            # Without normals a viewer shows every facet.
            content = _linear(mesh).export(file_type="glb", include_normals=True, tree_postprocessor=_matt)
        else:
            content = mesh.export(file_type=suffix[1:])
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        paths[suffix] = str(path)
    return paths


def _linear(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """The mesh with its vertex colours in linear light, as glTF wants them; trimesh writes them as they are."""
    if mesh.visual.kind != "vertex":
        return mesh
    colours = np.array(mesh.visual.vertex_colors)
    share = colours[:, :3] / 255.0
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    colours[:, :3] = np.round(linear * 255.0)
    return trimesh.Trimesh(
        mesh.vertices, mesh.faces, vertex_normals=mesh.vertex_normals, vertex_colors=colours, process=False
    )


def _matt(tree: dict[str, Any]) -> None:
    """Give the mesh a matt material: glTF's default is metal, which looks nearly black in a viewer."""
    surface = {"baseColorFactor": [1.0, 1.0, 1.0, 1.0], "metallicFactor": 0.0, "roughnessFactor": 0.85}
    materials = tree.setdefault("materials", [])
    for mesh in tree.get("meshes", []):
        for primitive in mesh["primitives"]:
            if "material" not in primitive:
                primitive["material"] = len(materials)
                materials.append({"pbrMetallicRoughness": surface, "doubleSided": True})
