"""One folder of the gallery: `examples/<name>/` holds an object's pictures, their cameras, and who made it.

| file | what it holds |
|---|---|
| `view0.webp`, `view1.webp`, ... | pictures |
| `cameras.json` | a list of objects, one for each picture: azimuth_deg, elevation_deg, distance, fov_deg, offset |
| `about.json` | name, creator, licence; library and key, where it was found |
| `mesh.glb`, `preview.webp`, `result.json` | what the bundled weights make of it, where that was written |
| `truth.glb` | the mesh that the pictures show, where it may ship |
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

CAMERAS, ABOUT = "cameras.json", "about.json"
MESH, PREVIEW, RESULT = "mesh.glb", "preview.webp", "result.json"
TRUTH = "truth.glb"


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
