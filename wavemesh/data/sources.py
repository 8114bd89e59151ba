"""What every kind of source gives: models, each a mesh file with a name, a category, a licence and a creator."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

UNKNOWN = "unknown"
SPLITS = {"train": 0.8, "val": 0.1, "test": 0.1}  # with their shares
MESHES = "meshes"  # folder of the true surfaces of what is held out, for evaluation
# Row-major: what points up becomes y, what faces -y becomes +z. Blender and many data sets are z up.
UPRIGHT: dict[str, tuple[float, ...] | None] = {"y": None, "z": (1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, -1.0, 0.0)}


@dataclass(frozen=True)
class SourceModel:
    """One model of a source.

    key: unique, made of a-z, 0-9, "_" and "-". library: what the model belongs to. path: of the mesh file below `root`.
    rotation: row-major 3 x 3 matrix that turns the model upright and its front to +z; None where it stands so already.
    split: the one that the source puts the model into; None where it has no say. refusal: why it cannot be used, in one
    sentence; empty for a model that can.
    """

    key: str
    name: str
    category: str
    library: str
    creator: str
    licence: str
    path: str
    rotation: tuple[float, ...] | None = None
    split: str | None = None
    refusal: str = ""
    root: Path = field(default=Path(), compare=False)

    @property
    def description(self) -> dict[str, Any]:
        """What a sample tells about its model."""
        names = ("key", "name", "category", "library", "creator", "licence", "path")
        return {name: getattr(self, name) for name in names}


class Source(Protocol):
    """One way in which models come. up: the axis that points up where nobody says another."""

    up: str

    def fits(self, path: Path) -> bool:
        """Whether a folder or file looks like one of this kind."""

    def models(self, path: Path, work: Path, up: str) -> list[SourceModel]:
        """All models, in a fixed order. work: a folder to unpack into. Raises InputError where there are none."""


def slug(text: str) -> str:
    """Lower-case letters, digits and single dashes: safe as a file name and as a WebDataset key."""
    spaced = re.sub(r"([a-z])([A-Z])", r"\1-\2", text)
    return re.sub(r"[^a-z0-9]+", "-", spaced.lower()).strip("-") or "model"


def file_key(library: str, path: str) -> str:
    """The key of a file of a library: readable, and the same whatever other files there are."""
    return f"{slug(library)}_{slug(Path(path).stem)[:60]}-{hashlib.sha256(path.encode()).hexdigest()[:8]}"


def split_of(group: str) -> str:
    """The split that a group of look-alikes falls in, from a hash of its name: 80 / 10 / 10."""
    position = int.from_bytes(hashlib.sha256(group.encode()).digest()[:8], "big") / 2**64
    for name, share in SPLITS.items():
        if position < share:
            return name
        position -= share
    return name
