"""Google Scanned Objects, household things scanned by Google Research: <name>/meshes/model.obj with its texture.

Each object is a folder or a zip as Gazebo Fuel hands it out, with `metadata.pbtxt` for name and category. The models
are z up and under CC BY 4.0. The field evaluates on them, so that all of them are test shapes.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

from wavemesh.data.sources import UNKNOWN, UPRIGHT, SourceModel, file_key, slug
from wavemesh.errors import InputError
from wavemesh.geometry.archives import unpack_archive

LICENCE = "CC-BY 4.0"
CREATOR = "Google Research"
MESH = "meshes/model.obj"
TABLE = "metadata.pbtxt"


class ScannedObjects:
    """A folder of the objects, zipped or not."""

    up = "z"

    def fits(self, path: Path) -> bool:
        """Whether there is an object with its mesh and metadata or texture."""
        return path.is_dir() and any(_is_object(entry) for entry in sorted(path.iterdir()))

    def models(self, path: Path, work: Path, up: str) -> list[SourceModel]:
        """The models by name; a zip that cannot be unpacked has a refusal. Zips are unpacked below work/source."""
        models: dict[str, SourceModel] = {}
        for entry in sorted(path.iterdir() if path.is_dir() else ()):
            name = entry.name.removesuffix(".zip")
            if entry.name.startswith(".") or name in models:
                continue
            if (entry / MESH).is_file():
                models[name] = _model(path.name, name, entry, up)
            elif entry.suffix == ".zip" and entry.is_file():
                models[name] = _unpacked(path.name, name, entry, work / "source" / slug(path.name), up)
        if not models:
            raise InputError(
                f"The folder {path} holds no <name>/{MESH}, and no zip of one, as Google Scanned Objects do."
            )
        return list(models.values())


def _is_object(entry: Path) -> bool:
    if entry.suffix == ".zip" and entry.is_file():
        try:
            with zipfile.ZipFile(entry) as archive:
                return {MESH, TABLE} <= set(archive.namelist())
        except (OSError, zipfile.BadZipFile):
            return False
    return (entry / MESH).is_file() and ((entry / TABLE).is_file() or (entry / "materials" / "textures").is_dir())


def _unpacked(library: str, name: str, archive: Path, folder: Path, up: str) -> SourceModel:
    try:
        return _model(library, name, unpack_archive(archive, folder), up)
    except InputError as error:
        return _model(library, name, archive, up, str(error))


def _model(library: str, name: str, folder: Path, up: str, refusal: str = "") -> SourceModel:
    about = read_metadata(folder / TABLE)
    return SourceModel(
        key=file_key(library, name),
        name=about.get("name") or name.replace("_", " ").strip(),
        category=about.get("category") or UNKNOWN,
        library=library,
        creator=about.get("creator") or CREATOR,
        licence=about.get("licence") or LICENCE,
        path=MESH,
        root=folder,
        rotation=UPRIGHT[up],
        split="test",
        refusal=refusal,
    )


def read_metadata(path: Path) -> dict[str, str]:
    """Name, category, creator and licence in a text of protocol buffers, what there is of them."""
    if not path.is_file():
        return {}
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    patterns = {
        "name": r"^name",
        "category": r"^categories\s*\{[^}]*?\bfirst",
        "creator": r"^authors\s*\{[^}]*?\bname",
        "licence": r"^\s*license",
    }
    quoted = r"\s*:\s*\"((?:[^\"\\]|\\.)*)\""
    found = {field: re.search(pattern + quoted, text, re.MULTILINE) for field, pattern in patterns.items()}
    return {field: re.sub(r"\\(.)", r"\1", match[1]).strip() for field, match in found.items() if match}
