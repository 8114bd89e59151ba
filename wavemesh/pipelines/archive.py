"""Runs as one .zip file: JSON, PNG pictures and plain .npy arrays, read back as if a stranger had made them.

Only members with known names are read, each up to a limit, arrays without pickle and only if they hold as many bytes
as they say. `record` keeps runs in such files, and they are the run bundles that people download.
"""

from __future__ import annotations

import io
import json
import math
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from wavemesh.files import is_endless
from wavemesh.imaging import read_picture
from wavemesh.pipelines.facts import MAX_STEPS
from wavemesh.pipelines.views import MAX_VIEWS

FACTS_MEMBER = "bundle.json"
MAX_FACTS_BYTES = 2**20
MAX_PICTURE_BYTES = 8 * 2**20
MAX_ARRAY_BYTES = 64 * 2**20 + 4096  # a field of 256^3, with its header
MAX_TOTAL_BYTES = 256 * 2**20
MAX_DIRECTORY_BYTES = 2**20
_RESULT_ARRAYS = ("sdf", "vertices", "faces", "colours")
_OPTIONAL_ARRAYS = ("result.coarse", "result.coords", "result.features", "ll", "details")
_STEP_ARRAYS = ("coarse", "coords", "features", "field")


@dataclass(frozen=True)
class Parts:
    """What an archive holds: facts as JSON values, arrays by name, RGBA pictures."""

    facts: dict[str, Any]
    arrays: dict[str, np.ndarray]
    pictures: list[Image.Image]


def archive_bytes(parts: Parts, others: Mapping[str, bytes]) -> bytes:
    """The archive of the parts, and of other members as they are. Equal parts give equal bytes."""
    buffer = io.BytesIO()
    # Level 1: a field that is constant far from the surface shrinks well at any level, and the others take seconds.
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        _add(archive, FACTS_MEMBER, (json.dumps(parts.facts, indent=1, allow_nan=False) + "\n").encode())
        for number, picture in enumerate(parts.pictures):
            content = io.BytesIO()
            picture.save(content, "PNG")
            _add(archive, _picture_member(number), content.getvalue())
        for name, array in parts.arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, np.ascontiguousarray(array), allow_pickle=False)
            _add(archive, _array_member(name), content.getvalue())
        for name, data in others.items():
            _add(archive, name, data)
    return buffer.getvalue()


def read_archive(path: str | Path) -> Parts:
    """The parts in an archive; those that its facts ask for, nothing else.

    Raises OSError for a file that cannot be read, zipfile.BadZipFile for one that is no archive, and ValueError or
    RecursionError for parts that are missing, too large, or not what they say.
    """
    _check_directory(Path(path))
    with zipfile.ZipFile(path) as archive:
        reader = _Reader(archive)
        facts = json.loads(reader.read(FACTS_MEMBER, MAX_FACTS_BYTES))
        if not isinstance(facts, dict):
            raise ValueError(f"{FACTS_MEMBER} is no object")
        cameras, steps = facts.get("cameras"), facts.get("steps")
        if not isinstance(cameras, list) or not isinstance(steps, list):
            raise ValueError(f"{FACTS_MEMBER} has no lists of cameras and steps")
        num_views, num_steps = len(cameras), len(steps)
        if not 1 <= num_views <= MAX_VIEWS or num_steps > MAX_STEPS:
            raise ValueError(f"it has {num_views} cameras and {num_steps} steps")
        pictures = [read_picture(reader.read(_picture_member(index), MAX_PICTURE_BYTES)) for index in range(num_views)]
        names = [*_RESULT_ARRAYS, *(name for name in _OPTIONAL_ARRAYS if _array_member(name) in reader)]
        for index in range(num_steps):
            names += [name for part in _STEP_ARRAYS if _array_member(name := f"step{index}.{part}") in reader]
        arrays = {name: reader.array(name) for name in names}
    return Parts(facts, arrays, pictures)


class _Reader:
    """Reads members of an archive by name, within limits on each and on all of them together."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._sizes = {info.filename: info.file_size for info in archive.infolist()}
        self._left = MAX_TOTAL_BYTES

    def __contains__(self, name: str) -> bool:
        return name in self._sizes

    def read(self, name: str, limit: int) -> bytes:
        """The content of a member; ValueError for one that is missing or too large."""
        if name not in self._sizes:
            raise ValueError(f"it has no {name}")
        limit = min(limit, self._left)
        # The size that the archive claims is checked first, what comes out of it as well.
        if self._sizes[name] > limit:
            raise ValueError(f"{name} has {self._sizes[name]:,} bytes, more than the {limit:,} allowed")
        try:
            with self._archive.open(name) as member:
                content = member.read(limit + 1)
        except (RuntimeError, zlib.error, EOFError) as error:  # encrypted or damaged
            raise ValueError(f"{name} cannot be read: {error}") from None
        if len(content) > limit:
            raise ValueError(f"{name} has more than the {limit:,} bytes allowed")
        self._left -= len(content)
        return content

    def array(self, name: str) -> np.ndarray:
        """The array of a member; ValueError unless it is one of plain numbers and complete."""
        content = self.read(_array_member(name), MAX_ARRAY_BYTES)
        stream = io.BytesIO(content)
        if np.lib.format.read_magic(stream) != (1, 0):
            raise ValueError(f"the array {name} has an unknown format")
        try:
            shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(stream)
        except (SyntaxError, TypeError, AttributeError, tokenize.TokenError) as error:  # numpy's own are ValueErrors
            raise ValueError(f"the array {name} has a damaged header") from error
        # numpy allocates what the header claims before it looks at the content.
        if dtype.kind not in "fiu" or fortran_order or min(shape, default=0) < 0:
            raise ValueError(f"the array {name} is not of plain numbers")
        if math.prod(shape) * dtype.itemsize != len(content) - stream.tell():
            raise ValueError(f"the array {name} says it has shape {shape}, which its content does not fill")
        return np.frombuffer(content, dtype, offset=stream.tell()).reshape(shape).copy()


def _check_directory(path: Path) -> None:
    """Raise ValueError for an archive that lists more than a run has: the list is read whole when it is opened.

    Also for what never ends, as /dev/zero.
    """
    if is_endless(path):
        raise ValueError("it is a device or a pipe")
    with path.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(max(0, size - 2**16 - 22))
        _, end, found = file.read().rpartition(b"PK\5\6")
    if end and int.from_bytes(found[8:12], "little") > MAX_DIRECTORY_BYTES:
        raise ValueError("it lists more members than a run has")


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    # A fixed date, so that equal runs give equal files.
    info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    info.compress_type = zipfile.ZIP_STORED if name.endswith(".png") else zipfile.ZIP_DEFLATED
    info.external_attr = 0o644 << 16
    archive.writestr(info, content)


def _picture_member(index: int) -> str:
    return f"pictures/{index}.png"


def _array_member(name: str) -> str:
    return f"arrays/{name}.npy"
