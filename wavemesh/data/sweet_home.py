"""The furniture libraries of Sweet Home 3D.

A library is a `.sh3f` file: a zip with PluginFurnitureCatalog.properties (names, categories, creators) and OBJ models.
Debian ships five of them, 820 models under CC0 and CC-BY, in the package `sweethome3d-furniture`.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path, PurePosixPath

from wavemesh.data.sources import UNKNOWN, SourceModel, slug
from wavemesh.errors import InputError
from wavemesh.geometry.archives import unpack_archive

INSTALLED_FOLDER = Path("/usr/share/sweethome3d/furniture")
DEBIAN_PACKAGE = "sweethome3d-furniture"
CATALOGUE = "PluginFurnitureCatalog.properties"


class FurnitureLibraries:
    """Libraries in a folder, or one file; each model stands as its catalogue says."""

    up = "y"

    def fits(self, path: Path) -> bool:
        """Whether it is a `.sh3f` file or a folder with some."""
        return path.suffix == ".sh3f" or (path.is_dir() and next(path.rglob("*.sh3f"), None) is not None)

    def models(self, path: Path | None, work: Path, up: str = "y") -> list[SourceModel]:
        """The models of all libraries, see `find_libraries` for `path`; unpacked into work/source."""
        archives = find_libraries(path, work / "download")
        repeated = [name for name, count in Counter(archive.stem for archive in archives).items() if count > 1]
        if repeated:
            raise InputError(f"Two libraries are called {repeated[0]!r}; their models could not be told apart.")
        folders = [unpack_archive(archive, work / "source") for archive in archives]
        return [model for folder in folders for model in read_library(folder)]


def find_libraries(source: str | Path | None = None, download_dir: Path | None = None) -> list[Path]:
    """The `.sh3f` files of a folder (or the one file given), sorted by name.

    source None: the installed Debian package, or else it is downloaded with apt-get into download_dir and unpacked.
    Raises InputError where there is nothing.
    """
    if source is None:
        source = INSTALLED_FOLDER if INSTALLED_FOLDER.is_dir() else download_package(download_dir or Path("."))
    source = Path(source)
    if source.is_file() and source.suffix == ".sh3f":
        return [source]
    if not source.is_dir():
        raise InputError(f"There is no folder or .sh3f file {source}.")
    libraries = sorted(source.rglob("*.sh3f"))
    if not libraries:
        raise InputError(f"The folder {source} holds no .sh3f furniture library.")
    return libraries


def download_package(folder: Path) -> Path:
    """The folder of the furniture libraries after fetching and unpacking the Debian package; needs no root.

    Raises InputError where apt or dpkg are missing or fail.
    """
    target = folder / DEBIAN_PACKAGE
    unpacked = target / INSTALLED_FOLDER.relative_to("/")
    if unpacked.is_dir():
        return unpacked
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        raise InputError(f"Give a folder of .sh3f files: apt-get is not here to fetch {DEBIAN_PACKAGE}.")
    target.mkdir(parents=True, exist_ok=True)
    try:
        subprocess.run(["apt-get", "download", DEBIAN_PACKAGE], cwd=target, check=True, capture_output=True, text=True)
        package = next(target.glob("*.deb"))
        subprocess.run(["dpkg", "-x", str(package), str(target)], check=True, capture_output=True, text=True)
    except (subprocess.CalledProcessError, StopIteration) as error:
        detail = (getattr(error, "stderr", "") or "no package came").strip().splitlines()[-1]
        raise InputError(f"apt-get could not fetch {DEBIAN_PACKAGE}: {detail}") from error
    return unpacked


def read_properties(text: str) -> dict[str, str]:
    """The entries of a Java properties file: comments, continued lines and escapes included."""
    entries: dict[str, str] = {}
    joined = re.sub(r"(?<!\\)((?:\\\\)*)\\\r?\n[ \t]*", r"\1", text)
    for line in joined.splitlines():
        line = line.lstrip()
        if not line or line[0] in "#!":
            continue
        match = re.match(r"((?:\\.|[^\\=:\s])+)\s*[=:\s]\s*(.*)", line)
        if match:
            entries[_unescape(match[1])] = _unescape(match[2]).strip()
    return entries


def _unescape(value: str) -> str:
    def replace(match: re.Match[str]) -> str:
        if match[1]:
            return chr(int(match[1], 16))
        return {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}.get(match[2], match[2])

    return re.sub(r"\\(?:u([0-9a-fA-F]{4})|(.))", replace, value)


def read_library(folder: Path) -> list[SourceModel]:
    """The models of an unpacked library, in the catalogue's order. Raises InputError without a catalogue."""
    catalogue = folder / CATALOGUE
    if not catalogue.is_file():
        raise InputError(f"The library {folder.name} has no {CATALOGUE}.")
    entries = read_properties(catalogue.read_text(encoding="latin-1"))
    licence = re.split(r"\s{2,}|©", entries.get("license", UNKNOWN))[0].strip()
    models: list[SourceModel] = []
    taken: set[str] = set()
    numbers = sorted(int(key[6:]) for key in entries if re.fullmatch(r"model#\d+", key))
    for number in numbers:
        path = entries[f"model#{number}"].lstrip("/")
        if not path.lower().endswith(".obj") or ".." in PurePosixPath(path).parts or not (folder / path).is_file():
            continue
        key = base = f"{slug(folder.name)}_{slug(PurePosixPath(path).stem)}"
        suffix = 2
        while key in taken:
            key, suffix = f"{base}-{suffix}", suffix + 1
        taken.add(key)
        models.append(
            SourceModel(
                key=key,
                name=entries.get(f"name#{number}", key),
                category=entries.get(f"category#{number}", "Miscellaneous"),
                library=folder.name,
                creator=entries.get(f"creator#{number}", UNKNOWN),
                licence=licence,
                path=path,
                root=folder,
                rotation=_rotation(entries.get(f"modelRotation#{number}")),
            )
        )
    return models


def _rotation(text: str | None) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        values = tuple(float(word) for word in text.split())
    except ValueError:
        return None
    return values if len(values) == 9 else None
