"""What writes the gallery: pictures of held-out models, what the weights make of them, their true meshes, the credits.

Used by `python -m wavemesh examples`. Meshes have few faces, so that all examples together stay small.
"""

from __future__ import annotations

import json
import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from PIL import Image

from wavemesh.data.dataset import PreparedShapes
from wavemesh.data.prepare_model import placed_mesh
from wavemesh.data.sweet_home import find_libraries, read_library
from wavemesh.errors import InputError
from wavemesh.gallery.format import ABOUT, CAMERAS, MESH, PREVIEW, RESULT, TRUTH, Example
from wavemesh.geometry.archives import unpack_archive
from wavemesh.geometry.camera import Camera
from wavemesh.geometry.export import mesh_bytes
from wavemesh.geometry.frame import beside
from wavemesh.geometry.isosurface import simplify
from wavemesh.geometry.repair import with_colours_of
from wavemesh.pipelines.views import View
from wavemesh.rendering import Appearance, RaycastRenderer
from wavemesh.rendering.turntable import STUDIO
from wavemesh.settings import to_json

MAX_FACES = 8_500
PREVIEW_SIDE = 320
MAX_BYTES = 150_000  # of a true mesh
_FREE = ("CC0", "CC BY ", "CC-BY ", "PUBLIC DOMAIN", "CREATIVE COMMONS ATTRIBUTION ")
_RESTRICTED = ("NONCOMMERCIAL", "NON-COMMERCIAL", "NODERIV", "NO DERIV", "SHAREALIKE", "SHARE ALIKE")


_OTHERS = """
## Not of the furniture libraries

- `assets/weights/cutout`: U-2-Net small by Xuebin Qin, Zichen Zhang, Chenyang Huang, Masood Dehghan, Osmar R. Zaiane and Martin Jagersand, Apache-2.0; see its model card.
- `assets/backgrounds`: surroundings from Poly Haven by way of the npm package `@pmndrs/assets` 1.7.0, CC0, here as 8-bit JPEG.
- `wavemesh/ui/viewer/viewer.js.gz`: parts of three.js 0.187.0, Copyright 2010-2026 three.js authors, MIT licence: permission is granted, free of charge, to deal in the software without restriction, provided that this notice is kept; it comes "as is", without warranty of any kind.
"""  # noqa: E501 - a paragraph of Markdown


def write_example(shapes: PreparedShapes, key: str, folder: str | Path) -> Path:
    """The example's folder: view0.webp..., cameras.json and about.json, of one held-out model.

    Raises InputError where the split has no such model or its licence does not let the picture ship.
    """
    if key not in shapes.keys:
        raise InputError(f"The split {shapes.split!r} has no model {key!r}.")
    shape = shapes[shapes.keys.index(key)]
    licence = str(shape.meta.get("licence") or "")
    if not licence.upper().startswith(_FREE) or any(word in licence.upper() for word in _RESTRICTED):
        raise InputError(f"The licence of {key} is {licence!r}, so its pictures cannot ship.")
    target = Path(folder) / key.partition("_")[2].replace("_", "-")
    target.mkdir(parents=True, exist_ok=True)
    for number, picture in enumerate(shape.pictures):
        Image.fromarray(picture).save(target / f"view{number}.webp", quality=88, alpha_quality=100, method=6)
    cameras = [asdict(camera) for camera in shape.cameras]
    (target / CAMERAS).write_text(json.dumps(cameras, indent=1) + "\n", encoding="utf-8")
    about = {name: shape.meta.get(name) or "" for name in ("name", "creator", "licence", "library", "key")}
    (target / ABOUT).write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return target


def write_output(example: Example, pipeline: Callable[..., Any], manifest: str, seed: int = 0) -> dict[str, Any]:
    """The facts about the example's result, which is written beside its pictures.

    The pipeline runs at its own defaults over all pictures with their cameras. manifest: fingerprint of its weights.
    """
    cameras = [Camera(**camera) for camera in example.cameras]
    views = [View(path, camera) for path, camera in zip(example.pictures, cameras, strict=True)]
    output = pipeline(views, seed=seed)
    mesh = with_colours_of(simplify(output.mesh, MAX_FACES), output.mesh)
    look = Camera(*beside(cameras[0].azimuth_deg, cameras[0].elevation_deg))
    folder = example.pictures[0].parent
    facts = {
        "manifest": manifest,
        "settings": to_json(output.settings),
        "vertices": len(mesh.vertices),
        "faces": len(mesh.faces),
    }
    (folder / MESH).write_bytes(mesh_bytes(mesh, ".glb"))
    preview = Image.fromarray(RaycastRenderer(output.mesh).view(look, PREVIEW_SIDE, STUDIO, 2).rgba)
    preview.save(folder / PREVIEW, quality=80, alpha_quality=90, method=6)
    (folder / RESULT).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    return facts


def write_true_mesh(example: Path, source: str | Path | None = None) -> Path:
    """The file `truth.glb` of an example: its model in the world frame, with the colours that its faces have there.

    example: folder whose about.json names library and key. source: the libraries, as `find_libraries` takes them.
    Raises InputError where the model is not there, or is too large to ship.
    """
    about_file = example / ABOUT
    if not about_file.is_file():
        raise InputError(f"There is no example {str(example)!r}.")
    about = json.loads(about_file.read_text(encoding="utf-8"))
    archives = [path for path in find_libraries(source) if path.stem == about["library"]]
    if not archives:
        raise InputError(f"There is no library {about['library']!r} for the example {example.name}.")
    with tempfile.TemporaryDirectory() as folder:
        library = unpack_archive(archives[0], Path(folder))
        models = [model for model in read_library(library) if model.key == about["key"]]
        if not models:
            raise InputError(f"The library {about['library']} has no model {about['key']!r}.")
        mesh = placed_mesh(models[0])
    content = mesh_bytes(plain(mesh), ".glb")
    if len(content) > MAX_BYTES:
        raise InputError(f"The mesh of {example.name} takes {len(content):,} bytes; {MAX_BYTES:,} may ship.")
    path = example / TRUTH
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


def attribution(data: str | Path, examples: str | Path) -> str:
    """Markdown that names the creators of everything that ships or was trained on.

    data: a prepared data set, whose index.json lists the models. examples: the folder of bundled examples.
    """
    lines = [
        "# Attribution",
        "",
        "## Pictures in `examples/`",
        "",
        "| example | model | creator | licence |",
        "|---|---|---|---|",
    ]
    for about_file in sorted(Path(examples).glob(f"*/{ABOUT}")):
        about = json.loads(about_file.read_text(encoding="utf-8"))
        lines.append(f"| {about_file.parent.name} | {about['name']} | {about['creator']} | {about['licence']} |")
    lines += [
        "",
        "The pictures are renders of models of the Sweet Home 3D furniture libraries; nothing else was changed. "
        "Where a folder has a `truth.glb`, it is the model itself, centred, scaled and with colours at vertices for "
        "its materials.",
        "",
        "## Models that the weights in `assets/weights` were trained on",
        "",
        "Furniture libraries of Sweet Home 3D (Debian package `sweethome3d-furniture`), training split, by licence and "
        "creator:",
        "",
    ]
    index = json.loads((Path(data) / "index.json").read_text(encoding="utf-8"))
    models: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for entry in index:
        if entry["split"] == "train":
            models[entry["library"], entry["licence"] or "", entry["creator"] or "unnamed"].append(entry["name"])
    for (library, licence, creator), names in sorted(models.items()):
        lines.append(f"- {library}, {licence}, {creator}: {_joined(sorted(names))}")
    return "\n".join(lines) + "\n" + _OTHERS


def _joined(names: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(names))
