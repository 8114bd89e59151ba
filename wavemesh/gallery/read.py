"""The examples of a folder, as the page and the command line take them; reading them costs neither torch nor gradio."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Any

from wavemesh.bundled import EXAMPLES
from wavemesh.gallery.format import ABOUT, CAMERAS, MESH, PREVIEW, RESULT, TRUTH, CachedResult, Example

_CAMERA_KEYS = {"azimuth_deg", "elevation_deg", "distance", "fov_deg", "offset"}
_log = logging.getLogger(__name__)


def load_examples(folder: Path = EXAMPLES) -> list[Example]:
    """The examples of a folder by name; damaged ones are left out with a warning, no folder means no examples."""
    if not folder.is_dir():
        return []
    examples = []
    for path in sorted(folder.iterdir()):
        if not (path / CAMERAS).is_file():
            continue
        try:
            examples.append(_load(path))
        except (OSError, ValueError, KeyError, TypeError) as error:
            _log.warning("the example %s is left out: %s", path.name, error)
    return examples


def _load(path: Path) -> Example:
    cameras = json.loads((path / CAMERAS).read_text(encoding="utf-8"))
    about = json.loads((path / ABOUT).read_text(encoding="utf-8"))
    pictures = sorted(path.glob("view*.webp"), key=_number)
    if not pictures or len(pictures) != len(cameras):
        raise ValueError(f"{len(pictures)} pictures with {len(cameras)} cameras")
    for camera in cameras:
        unknown = set(camera) - _CAMERA_KEYS
        if unknown:
            raise ValueError(f"cameras.json has unknown keys {sorted(unknown)}")
    return Example(
        key=path.name,
        name=str(about.get("name") or path.name),
        creator=str(about.get("creator") or ""),
        licence=str(about.get("licence") or ""),
        pictures=tuple(pictures),
        cameras=tuple(_camera(camera) for camera in cameras),
        result=_result(path),
        truth=path / TRUTH if (path / TRUTH).is_file() else None,
    )


def _result(path: Path) -> CachedResult | None:
    mesh, preview, facts = path / MESH, path / PREVIEW, path / RESULT
    if not (mesh.is_file() and preview.is_file() and facts.is_file()):
        return None
    told = json.loads(facts.read_text(encoding="utf-8"))
    return CachedResult(mesh, preview, str(told["manifest"]), int(told["faces"]))


def _camera(values: dict[str, Any]) -> dict[str, Any]:
    """The values as `Camera` takes them."""
    camera: dict[str, Any] = {key: float(value) for key, value in values.items() if key != "offset"}
    if "offset" in values:
        x, y = values["offset"]
        camera["offset"] = (float(x), float(y))
    return camera


def _number(path: Path) -> int:
    digits = re.search(r"(\d+)$", path.stem)
    return int(digits[1]) if digits else -1
