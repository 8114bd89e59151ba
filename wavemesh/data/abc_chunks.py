"""ABC, a million CAD models: chunks of folders of eight digits, 00000002/00000002_<hash>_trimesh_001.obj.

Models are z up. The chunks of metadata, where they lie beside those of meshes, give names and owners. A model of which
there is only a STEP file is triangulated (extra `step`).
"""

from __future__ import annotations

import importlib.util
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wavemesh.data.sources import UNKNOWN, UPRIGHT, SourceModel, slug
from wavemesh.errors import InputError
from wavemesh.extras import missing

LICENCE = "Onshape terms of use"
CATEGORY = "CAD model"
_NO_READER = ModuleNotFoundError(name="cascadio")
FILE = re.compile(r"(?P<model>\d{8}_[0-9a-f]+)_(?P<kind>trimesh|step|metadata)_\d{3}\.(obj|stl|step|stp|yml)", re.I)


class ABC:
    """One chunk or several, unpacked: the folders of eight digits lie in the folder or one level deeper."""

    up = "z"

    def fits(self, path: Path) -> bool:
        """Whether there is a mesh or STEP file with a name as in ABC."""
        return path.is_dir() and any(found["kind"].lower() != "metadata" for _, found in _files(path))

    def models(self, path: Path, work: Path, up: str) -> list[SourceModel]:
        """The models by number, each by its mesh where there is one, else by its STEP file."""
        files: dict[str, dict[str, Path]] = {}
        for file, found in _files(path):
            files.setdefault(found["model"].lower(), {}).setdefault(found["kind"].lower(), file)
        kept = {model: kinds for model, kinds in sorted(files.items()) if kinds.keys() & {"trimesh", "step"}}
        if not kept:
            raise InputError(f"The folder {path} holds no 00000000/00000000_<hash>_trimesh_000.obj as ABC does.")
        return [_model(path, model, kinds, up) for model, kinds in kept.items()]


def _files(path: Path) -> Iterator[tuple[Path, re.Match[str]]]:
    """The files that are named as in ABC, by path within each level."""
    digits = "[0-9]" * 8
    for folder in itertools.chain(sorted(path.glob(digits)), sorted(path.glob(f"*/{digits}"))):
        for file in sorted(folder.glob("*_*")):
            found = FILE.fullmatch(file.name)
            if found is not None:
                yield file, found


def _model(root: Path, model: str, kinds: dict[str, Path], up: str) -> SourceModel:
    file = kinds.get("trimesh", kinds.get("step", root))
    about = read_metadata(kinds["metadata"]) if "metadata" in kinds else {}
    return SourceModel(
        key=f"{slug(root.name)}_{slug(model)}",
        name=about.get("name") or model,
        category=CATEGORY,
        library=root.name,
        creator=about.get("owner") or UNKNOWN,
        licence=LICENCE,
        path=file.relative_to(root).as_posix(),
        root=root,
        rotation=UPRIGHT[up],
        # Not left to the reader: what it refuses is not asked again, once the package is there.
        refusal="" if "trimesh" in kinds or importlib.util.find_spec("cascadio") else str(missing(_NO_READER)),
    )


def read_metadata(path: Path) -> dict[str, str]:
    """The `name` of a model and the name of its `owner`, what there is of them; nothing of a file that is damaged."""
    import yaml

    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    if not isinstance(content, dict):
        return {}
    owner = content.get("owner")
    found = {"name": content.get("name"), "owner": owner.get("name") if isinstance(owner, dict) else None}
    return {field: value.strip() for field, value in found.items() if isinstance(value, str)}
