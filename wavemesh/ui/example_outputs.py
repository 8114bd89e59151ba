"""What the bundled weights make of the examples, kept beside their pictures so that the page can show it at once.

Written by `python -m wavemesh examples --outputs`, read by `examples`. The mesh has few faces, so that all of them stay
small; the fingerprint of the weights tells whether they are those that would make it today.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from PIL import Image

from wavemesh.geometry.export import mesh_bytes
from wavemesh.ui.examples import Example

MAX_FACES = 20_000
PREVIEW_SIDE = 320


def write_output(example: Example, pipeline: Callable[..., Any], manifest: str, seed: int = 0) -> dict[str, Any]:
    """The facts about the example's result, which is written beside its pictures.

    The pipeline runs at its own defaults over all pictures with their cameras. manifest: fingerprint of its weights.
    """
    from wavemesh.geometry.camera import Camera
    from wavemesh.geometry.isosurface import simplify
    from wavemesh.geometry.repair import with_colours_of
    from wavemesh.pipelines.views import View
    from wavemesh.ui.widgets.painting import beside, paint_mesh

    cameras = [Camera(**camera) for camera in example.cameras]
    views = [View(path, camera) for path, camera in zip(example.pictures, cameras, strict=True)]
    output = pipeline(views, seed=seed)
    mesh = with_colours_of(simplify(output.mesh, MAX_FACES), output.mesh)
    look = beside(cameras[0].azimuth_deg, cameras[0].elevation_deg)
    folder = example.pictures[0].parent
    facts = {
        "manifest": manifest,
        "settings": output.settings,
        "vertices": len(mesh.vertices),
        "faces": len(mesh.faces),
    }
    (folder / "mesh.glb").write_bytes(mesh_bytes(mesh, ".glb"))
    preview = Image.fromarray(paint_mesh(output.mesh, *look, PREVIEW_SIDE, in_clay=False))
    preview.save(folder / "preview.webp", quality=80, alpha_quality=90, method=6)
    (folder / "result.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    return facts
