"""The training meshes of a prepared data set as GLB files, for `photographed_scenes.py`, and their textures beside.

    python tools/placed_meshes.py MESHES --data data/furniture [SOURCE ...]

SOURCE: what the data set was prepared from; nothing for the furniture libraries. Meshes of other splits stay out.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np
import trimesh
from trimesh.visual.material import MultiMaterial

from wavemesh.data.formats import read_models
from wavemesh.data.prepare_model import placed_mesh

MOST_FACES = 60_000
LEAST_TEXTURE_PX, LEAST_SPREAD = 128, 6.0


def main() -> None:
    """Write the files that are missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("meshes", type=Path)
    parser.add_argument("sources", type=Path, nargs="*")
    parser.add_argument("--data", type=Path, required=True)
    asked = parser.parse_args()
    asked.meshes.mkdir(parents=True, exist_ok=True)
    index = json.loads((asked.data / "index.json").read_text())
    wanted = {entry["key"] for entry in index if entry["split"] == "train"}
    for source in asked.sources or [None]:
        for model in read_models(source, asked.data):
            path = asked.meshes / f"{model.key}.glb"
            if model.key in wanted and not path.is_file():
                mesh = placed_mesh(model)
                if len(mesh.faces) <= MOST_FACES:
                    parts = by_material(mesh)
                    parts.export(path)
                    keep_textures(parts, asked.meshes / "textures")


def by_material(mesh: trimesh.Trimesh) -> trimesh.Scene:
    """The mesh in parts of one material each: a part of several would lose them all in glTF."""
    material = getattr(mesh.visual, "material", None)
    if not isinstance(material, MultiMaterial):
        return trimesh.Scene(mesh)
    scene = trimesh.Scene()
    for number, single in enumerate(material.materials):
        faces = mesh.faces[np.asarray(mesh.visual.face_materials) == number]
        if len(faces):
            used, corners = np.unique(faces, return_inverse=True)
            visual = trimesh.visual.TextureVisuals(uv=mesh.visual.uv[used], material=single)
            scene.add_geometry(
                trimesh.Trimesh(mesh.vertices[used], corners.reshape(-1, 3), visual=visual, process=False)
            )
    return scene


def keep_textures(parts: trimesh.Scene, folder: Path) -> None:
    """Write the pictures on a mesh that show more than one colour, each of them once."""
    folder.mkdir(exist_ok=True)
    for part in parts.geometry.values():
        material = getattr(part.visual, "material", None)
        picture = getattr(material, "image", None) or getattr(material, "baseColorTexture", None)
        if picture is not None and min(picture.size) >= LEAST_TEXTURE_PX:
            picture = picture.convert("RGB")
            if np.asarray(picture.resize((64, 64))).std(axis=(0, 1)).max() > LEAST_SPREAD:
                picture.save(folder / f"{hashlib.sha256(picture.tobytes()).hexdigest()[:16]}.jpg", quality=92)


if __name__ == "__main__":
    main()
