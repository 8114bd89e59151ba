"""Objaverse 1.0 as its package downloads it: hf-objaverse-v1/glbs/000-023/<uid>.glb.

`metadata/000-023.json.gz` says what the objects are, whose, and under which licence; `lvis-annotations.json.gz` has the
categories of some, `object-paths.json.gz` where each lies. Any of them may be missing or unpacked.
"""

from __future__ import annotations

import gzip
import json
import zlib
from pathlib import Path
from typing import Any

from wavemesh.data.sources import UNKNOWN, UPRIGHT, SourceModel, slug
from wavemesh.errors import InputError

FOLDER = "hf-objaverse-v1"


class Objaverse:
    """The folder `hf-objaverse-v1`, or the one that holds it; the objects that are there are taken."""

    up = "y"

    def fits(self, path: Path) -> bool:
        """Whether there are GLB files where Objaverse has them."""
        return path.is_dir() and any(_folder(path).glob("glbs/*/*.glb"))

    def models(self, path: Path, work: Path, up: str) -> list[SourceModel]:
        """The models by path; raises InputError for damaged annotations."""
        root = _folder(path)
        uid_of = {str(file): uid for uid, file in read_json(root / "object-paths.json").items()}
        classes = read_json(root / "lvis-annotations.json").items()
        lvis = {str(uid): name for name, uids in classes if isinstance(uids, list) for uid in uids}
        models = []
        for folder in sorted(root.glob("glbs/*")):
            annotations = read_json(root / "metadata" / f"{folder.name}.json")
            for file in sorted(folder.glob("*.glb")):
                name = file.relative_to(root).as_posix()
                uid = uid_of.get(name, file.stem)
                models.append(_model(root, name, uid, annotations.get(uid), lvis.get(uid), up))
        if not models:
            raise InputError(f"The folder {path} holds no glbs/000-000/<uid>.glb as Objaverse does.")
        return models


def _folder(path: Path) -> Path:
    return path / FOLDER if (path / FOLDER).is_dir() else path


def _model(root: Path, path: str, uid: str, about: Any, category: str | None, up: str) -> SourceModel:
    about = about if isinstance(about, dict) else {}
    user = about.get("user") if isinstance(about.get("user"), dict) else {}
    return SourceModel(
        key=f"{slug(root.name)}_{slug(uid)}",
        name=str(about.get("name") or uid).strip(),
        category=category or _first_name(about.get("categories")) or _first_name(about.get("tags")) or UNKNOWN,
        library=root.name,
        creator=str(user.get("displayName") or user.get("username") or UNKNOWN),
        licence=_licence(about.get("license")),
        path=path,
        root=root,
        rotation=UPRIGHT[up],
    )


def _first_name(entries: Any) -> str:
    """The name of the first entry of a list of categories or tags; empty where there is none."""
    names = [entry.get("name") for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    return str(next(filter(None, names), ""))


def _licence(short: Any) -> str:
    """Sketchfab's short name ("by-nc", "cc0") in full; its licences of Creative Commons are of version 4.0."""
    if not isinstance(short, str) or not short:
        return UNKNOWN
    if short == "by" or short.startswith("by-"):
        return f"CC-{short.upper()} 4.0"
    return "CC0 1.0" if short == "cc0" else short


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file, packed by gzip (path.gz) or not; empty where there is neither.

    Raises InputError for one that is damaged.
    """
    packed = path.with_name(path.name + ".gz")
    file = packed if packed.is_file() else path
    if not file.is_file():
        return {}
    try:
        content = gzip.decompress(file.read_bytes()) if file == packed else file.read_bytes()
        found = json.loads(content.decode("utf-8-sig"))
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise InputError(f"{file} is no JSON that can be read: {error}.") from error
    if not isinstance(found, dict):
        raise InputError(f"{file} holds no object but a {type(found).__name__}.")
    return found
