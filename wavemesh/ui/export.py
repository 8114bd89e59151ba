"""Mesh files for the viewer and for download."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import trimesh

SUFFIXES = (".glb", ".obj", ".ply", ".stl")


def export_mesh(mesh: trimesh.Trimesh, folder: Path, stem: str) -> dict[str, str]:
    """The paths of the mesh's files by suffix, written into the folder."""
    paths = {}
    for suffix in SUFFIXES:
        path = folder / f"{stem}{suffix}"
        options: dict[str, Any] = {}
        if suffix == ".glb":
            # Without normals a viewer shows every facet.
            options = {"include_normals": True, "tree_postprocessor": _matt}
        content = mesh.export(file_type=suffix[1:], **options)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        paths[suffix] = str(path)
    return paths


def _matt(tree: dict[str, Any]) -> None:
    """Give the mesh a matt material: glTF's default is metal, which looks nearly black in a viewer."""
    surface = {"baseColorFactor": [1.0, 1.0, 1.0, 1.0], "metallicFactor": 0.0, "roughnessFactor": 0.85}
    materials = tree.setdefault("materials", [])
    for mesh in tree.get("meshes", []):
        for primitive in mesh["primitives"]:
            if "material" not in primitive:
                primitive["material"] = len(materials)
                materials.append({"pbrMetallicRoughness": surface, "doubleSided": True})
