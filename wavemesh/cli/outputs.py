"""What commands write: whole files or none, with places that cannot be written found before the work is done."""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wavemesh import files
from wavemesh.errors import InputError
from wavemesh.files import TEMPORARY_LETTERS
from wavemesh.geometry.export import (
    SIZED_SUFFIXES,
    TEXTURE_SUFFIXES,
    WRITTEN_SUFFIXES,
    check_size,
    mesh_files,
    side_files,
)

if TYPE_CHECKING:
    import trimesh


def check_mesh_path(path: Path, size_mm: float | None = None) -> None:
    """Raise InputError if a mesh cannot be written to the path, or not with its longest side of that size."""
    suffix = path.suffix.lower()
    if suffix not in WRITTEN_SUFFIXES:
        raise InputError(f"The output must end in one of {', '.join(WRITTEN_SUFFIXES)}, not {str(path)!r}.")
    if size_mm is not None:
        if suffix not in SIZED_SUFFIXES:
            raise InputError(f"A {suffix} file has no size: choose one for {', '.join(SIZED_SUFFIXES)}.")
        check_size(size_mm)
    check_writable(path)


def check_texture_path(path: Path, inputs: Sequence[str] = ()) -> None:
    """Raise InputError if a mesh with a texture cannot be written to the path, or would replace one of the inputs."""
    suffix = path.suffix.lower()
    if suffix not in TEXTURE_SUFFIXES:
        raise InputError(
            f"A {suffix} file holds no texture: write one of {', '.join(TEXTURE_SUFFIXES)}, or colours by vertex."
        )
    if suffix != ".obj":
        return
    for side in (path.parent / name for name in side_files(path.name)):
        if any(side.resolve() == Path(source).resolve() for source in inputs):
            raise InputError(f"The output {path} would replace the picture {side}; give it another name.")
        check_writable(side)


def check_outputs(outputs: Sequence[Path | None], inputs: Sequence[str | Path]) -> None:
    """Raise InputError if one of the outputs cannot be written, would replace an input, or another output.

    Paths are the same where they lead to the same file, whatever they are called; None is no output.
    """
    taken = {_identity(Path(source)): source for source in inputs}
    written: dict[object, Path] = {}
    for path in outputs:
        if path is None:
            continue
        check_writable(path)
        identity = _identity(path)
        if identity in taken:
            raise InputError(f"The output {path} would replace the input {taken[identity]}; give it another name.")
        if identity in written:
            raise InputError(f"The outputs {written[identity]} and {path} are one file; give them different names.")
        written[identity] = path


def check_writable(path: Path) -> None:
    """Raise InputError if the path is a folder, or the nearest folder above it cannot take a file."""
    try:
        if path.is_dir():
            raise InputError(f"The output {path} is a folder.")
        if path.exists() and not path.is_file():
            raise InputError(f"The output {path} is no plain file.")
        parent = path.absolute().parent
        while not parent.exists() and not parent.is_symlink():
            parent = parent.parent
        if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
            raise InputError(f"The output {path} cannot be written: {parent} takes no new files.")
        _try_name(parent, path)
    except OSError as error:  # a name that is too long, a loop of links
        raise InputError(f"The output {path!s:.200} cannot be written: {error.strerror or error}.") from None


def _try_name(parent: Path, path: Path) -> None:
    """Raise OSError for a name that this file system does not take, also while it is being written."""
    longest = os.pathconf(parent, "PC_NAME_MAX") if hasattr(os, "pathconf") else 255
    for name in path.absolute().parts:
        if len(os.fsencode(name)) > longest - (TEMPORARY_LETTERS if name == path.name else 0):
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))


def _identity(path: Path) -> object:
    """The same for two paths that lead to one file."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return os.path.realpath(path)
    return status.st_dev, status.st_ino


def write_bytes(path: Path, content: bytes) -> None:
    """Write the file whole; raises InputError, with nothing left behind, if that fails."""
    write_files({path: content})


def write_files(contents: dict[Path, bytes]) -> None:
    """Write all files or none; raises InputError, with nothing left behind, if that fails."""
    try:
        files.write_files(contents)
    except OSError as error:
        path = list(contents)[-1]
        raise InputError(f"The file {path} cannot be written: {error.strerror or error}.") from None


def write_json(path: Path, data: Any) -> None:
    """Write JSON; numbers that are not finite become null."""
    write_bytes(path, (json.dumps(_plain(data), indent=2, allow_nan=False) + "\n").encode())


def write_mesh(path: Path, mesh: trimesh.Trimesh, size_mm: float | None = None) -> None:
    """Write the mesh in the format that the suffix names; a textured .obj with its material and picture beside it."""
    write_files({path.parent / name: content for name, content in mesh_files(mesh, path.name, size_mm).items()})


def fill_table(path: Path, name: str, markdown: str) -> None:
    """Replace what stands between `<!-- table:NAME -->` and `<!-- end -->` in a Markdown file.

    Raises InputError if the file has no such place.
    """
    before, after = _table_place(path, name)
    write_bytes(path, f"{before}\n{markdown.strip()}\n\n{after}".encode())


def check_table(path: Path | None, name: str) -> None:
    """Raise InputError if the Markdown file has no place for the table; None is no file, and fine."""
    if path is not None:
        _table_place(path, name)


def _table_place(path: Path, name: str) -> tuple[str, str]:
    """What stands before and after a table, with its marks."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"The file {path} cannot be read: {error.strerror}.") from None
    found = re.search(rf"(.*<!-- table:{re.escape(name)} -->\n).*?(<!-- end -->.*)", text, re.DOTALL)
    if not found:
        raise InputError(f"The file {path} has no place for the table {name!r}.")
    return found[1], found[2]


def _plain(value: Any) -> Any:
    """The value as JSON can carry it: numpy numbers, tuples and paths turned into plain ones."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None
    if value is None or isinstance(value, bool | int | str):
        return value
    return str(value)
