"""Archives of models are untrusted: members outside the target folder, zip bombs and odd members are refused."""

from __future__ import annotations

import tempfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from wavemesh.errors import InputError

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
