"""Where real meshes come from: the Sweet Home 3D furniture libraries.

A library is a `.sh3f` file: a zip with PluginFurnitureCatalog.properties (names, categories, creators) and OBJ models.
Debian ships five of them, 820 models under CC0 and CC-BY, in the package `sweethome3d-furniture`. Archives are treated
as untrusted: members outside the target folder, zip bombs and odd members are refused.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from wavemesh.errors import InputError

INSTALLED_FOLDER = Path("/usr/share/sweethome3d/furniture")
DEBIAN_PACKAGE = "sweethome3d-furniture"
CATALOGUE = "PluginFurnitureCatalog.properties"
MAX_UNPACKED_BYTES = 2 * 2**30
MAX_RATIO = 200
MAX_MEMBERS = 50_000


@dataclass(frozen=True)
class SourceModel:
    """One model of a library.

    key: unique, made of a-z, 0-9, "_" and "-". path: of the OBJ file inside the unpacked library.
    rotation: row-major 3 x 3 matrix that turns the model upright and its front to +z; None where it stands so already.
    """

    key: str
    name: str
    category: str
    library: str
    creator: str
    licence: str
    path: str
    rotation: tuple[float, ...] | None = None


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


def unpack_library(archive: Path, folder: Path) -> Path:
    """The folder of the unpacked library, folder/<library name>; done once, atomically.

    Raises InputError for a file that is not a zip, members that lie outside, and sizes that are out of proportion.
    """
    target = folder / archive.stem
    if target.is_dir():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with zipfile.ZipFile(archive) as bundle, tempfile.TemporaryDirectory(dir=folder) as partial:
            members = _checked_members(archive, bundle)
            for member, path in members:
                destination = Path(partial, "library", *path.parts)
                destination.parent.mkdir(parents=True, exist_ok=True)
                _copy_limited(bundle, member, destination)
            Path(partial, "library").rename(target)
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError) as error:
        raise InputError(f"{archive.name} is not a furniture library that can be read: {error}.") from error
    return target


def _checked_members(archive: Path, bundle: zipfile.ZipFile) -> list[tuple[zipfile.ZipInfo, PurePosixPath]]:
    members = []
    infos = bundle.infolist()
    total = sum(info.file_size for info in infos)
    if len(infos) > MAX_MEMBERS or total > MAX_UNPACKED_BYTES:
        raise InputError(f"{archive.name} would unpack to {len(infos)} files of {total} bytes together: too much.")
    if total > MAX_RATIO * max(archive.stat().st_size, 1):
        raise InputError(f"{archive.name} would grow {total // archive.stat().st_size}-fold when unpacked.")
    for info in infos:
        path = PurePosixPath(info.filename.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or (path.parts and ":" in path.parts[0]):
            raise InputError(f"{archive.name} holds a file outside its folder: {info.filename!r}.")
        is_link = (info.external_attr >> 16) & 0o170000 == 0o120000
        if info.is_dir() or is_link or not path.parts:
            continue
        members.append((info, path))
    return members


def _copy_limited(bundle: zipfile.ZipFile, member: zipfile.ZipInfo, destination: Path) -> None:
    """Writes one member, no more bytes than its header promised."""
    left = member.file_size
    with bundle.open(member) as source, destination.open("wb") as sink:
        while chunk := source.read(1 << 20):
            left -= len(chunk)
            if left < 0:
                raise InputError(f"{member.filename!r} is larger than its header says.")
            sink.write(chunk)


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


def slug(text: str) -> str:
    """Lower-case letters, digits and single dashes: safe as a file name and as a WebDataset key."""
    spaced = re.sub(r"([a-z])([A-Z])", r"\1-\2", text)
    return re.sub(r"[^a-z0-9]+", "-", spaced.lower()).strip("-") or "model"


def read_library(folder: Path) -> list[SourceModel]:
    """The models of an unpacked library, in the catalogue's order. Raises InputError without a catalogue."""
    catalogue = folder / CATALOGUE
    if not catalogue.is_file():
        raise InputError(f"The library {folder.name} has no {CATALOGUE}.")
    entries = read_properties(catalogue.read_text(encoding="latin-1"))
    licence = re.split(r"\s{2,}|©", entries.get("license", "unknown"))[0].strip()
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
                creator=entries.get(f"creator#{number}", "unknown"),
                licence=licence,
                path=path,
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
