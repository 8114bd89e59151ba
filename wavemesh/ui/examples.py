"""The bundled examples: pictures of objects with the cameras that took them, read from `examples/<name>/`.

A folder holds `view0.webp`, `view1.webp`, ..., `cameras.json` (a list of objects with azimuth_deg, elevation_deg,
distance, fov_deg and offset, one for each picture) and `about.json` (name, creator, licence). What the bundled weights
make of it may lie there too, written by `example_outputs`: `mesh.glb`, `preview.webp` and `result.json`; and so may the
mesh that the pictures show, `truth.glb`, written by `wavemesh.data.true_meshes`.
"""

from __future__ import annotations

import json
import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wavemesh.bundled import EXAMPLES

_CAMERA_KEYS = {"azimuth_deg", "elevation_deg", "distance", "fov_deg", "offset"}
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CachedResult:
    """What a model made of an example: a mesh of few faces, a picture of it, and how it came to be.

    manifest: fingerprint of the weights, see `weights.fingerprint`.
    """

    mesh: Path
    preview: Path
    manifest: str
    faces: int


@dataclass(frozen=True)
class Example:
    """One object: its pictures, as many cameras (keyword arguments of `Camera`), and who made it.

    result: what a model made of it, None where nothing is cached. truth: file of its true mesh, None without one.
    """

    key: str
    name: str
    creator: str
    licence: str
    pictures: tuple[Path, ...]
    cameras: tuple[dict[str, Any], ...]
    result: CachedResult | None = None
    truth: Path | None = None

    @property
    def credit(self) -> str:
        """The attribution that the licence asks for, as one line."""
        return ", ".join(part for part in (self.name, self.creator and f"by {self.creator}", self.licence) if part)


def load_examples(folder: Path = EXAMPLES) -> list[Example]:
    """The examples of a folder by name; damaged ones are left out with a warning, no folder means no examples."""
    if not folder.is_dir():
        return []
    examples = []
    for path in sorted(folder.iterdir()):
        if not (path / "cameras.json").is_file():
            continue
        try:
            examples.append(_load(path))
        except (OSError, ValueError, KeyError, TypeError) as error:
            _log.warning("the example %s is left out: %s", path.name, error)
    return examples


def _load(path: Path) -> Example:
    cameras = json.loads((path / "cameras.json").read_text(encoding="utf-8"))
    about = json.loads((path / "about.json").read_text(encoding="utf-8"))
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
        truth=path / "truth.glb" if (path / "truth.glb").is_file() else None,
    )


def _result(path: Path) -> CachedResult | None:
    mesh, preview, facts = path / "mesh.glb", path / "preview.webp", path / "result.json"
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
