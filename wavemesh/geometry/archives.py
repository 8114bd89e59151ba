"""Archives of models are untrusted: members outside the target folder, zip bombs and odd members are refused.

A zip may hold a library, or one mesh with what belongs to it: an OBJ with material and pictures, a glTF in parts.
"""

from __future__ import annotations

import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from wavemesh.errors import InputError

MESH_SUFFIXES = (".glb", ".gltf", ".obj", ".ply", ".stl", ".off")
READ_SUFFIXES = (*MESH_SUFFIXES, ".zip")
MAX_UNPACKED_BYTES = 2 * 2**30
MAX_RATIO = 200
MAX_MEMBERS = 50_000


def unpack_archive(archive: Path, folder: Path) -> Path:
    """The folder of what was in a zip, folder/<its name without the ending>; done once, atomically.

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
                destination = Path(partial, "content", *path.parts)
                destination.parent.mkdir(parents=True, exist_ok=True)
                _copy_limited(bundle, member, destination)
            Path(partial, "content").rename(target)
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError) as error:
        raise InputError(f"{archive.name} cannot be unpacked: {error}.") from error
    return target


def packed_mesh(archive: Path, folder: Path) -> Path:
    """The only mesh file in a zip, unpacked below the folder together with everything else that is in it.

    Raises InputError like `unpack_archive`, and for a zip with no mesh or with several.
    """
    found = list(mesh_files(unpack_archive(archive, folder)))
    if len(found) != 1:
        names = ", ".join(path.name for path in found[:3])
        count = f"{len(found)} meshes ({names}{', ...' if len(found) > 3 else ''})" if found else "no mesh"
        raise InputError(f"{archive.name} holds {count}; a zip is read that holds one, with its materials.")
    return found[0]


def mesh_files(folder: Path, suffixes: tuple[str, ...] = MESH_SUFFIXES) -> Iterator[Path]:
    """The mesh files in and below a folder by path; hidden ones and the leftovers of macOS's zips are passed over."""
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith(".") or entry.name == "__MACOSX":
            continue
        if entry.is_dir() and not entry.is_symlink():
            yield from mesh_files(entry, suffixes)
        elif entry.suffix.lower() in suffixes and entry.is_file():
            yield entry


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
