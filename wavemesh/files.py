"""Files that appear whole or not at all, and JSON files with an object in them.

A run that is stopped in the middle of writing leaves the old file in its place. Stands at the bottom of the package.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wavemesh.errors import InputError

MAX_JSON_BYTES = 2**24
TEMPORARY_LETTERS = 10  # how much longer than a file's own name that is under which it is written


def is_endless(path: str | Path) -> bool:
    """Whether a path leads to something that may never end: neither a file nor a folder, but a device or a pipe."""
    path = Path(path)
    return path.exists() and not path.is_file() and not path.is_dir()


def read_json(path: str | Path) -> dict[str, Any]:
    """The JSON object in a file; raises InputError if the file is missing, too large, or holds anything else."""
    try:
        if is_endless(path):
            raise InputError(f"{path} is a device or a pipe, not a file with JSON.")
        size = Path(path).stat().st_size
        if size > MAX_JSON_BYTES:
            raise InputError(f"The file {path} has {size:,} bytes; JSON is read up to {MAX_JSON_BYTES:,}.")
        data = json.loads(Path(path).read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except FileNotFoundError:
        raise InputError(f"The file {path} does not exist.") from None
    except InputError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"The file {path} is not readable JSON: {error}.") from None
    if not isinstance(data, dict):
        raise InputError(f"The file {path} should hold a JSON object, not {str(data)[:80]}.")
    return data


def write_text(path: str | Path, text: str) -> None:
    """Write a text file in UTF-8 as `write_bytes` does."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write a file through a temporary one beside it: it appears whole or not at all, and nothing else stays."""
    write_files({Path(path): content})


def write_files(contents: Mapping[Path, bytes]) -> None:
    """Write files that belong together, each through a temporary one beside it: all appear whole, or none at all.

    They are put in their places in the order given once every one of them is written.
    """
    staged: list[tuple[Path, Path]] = []
    placed: list[Path] = []
    try:
        for path, content in contents.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
            staged.append((Path(temporary), path))
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            umask = os.umask(0)
            os.umask(umask)
            os.chmod(temporary, 0o666 & ~umask)  # mkstemp makes files that only their owner may read
        for temporary_path, path in staged:
            new = not path.exists()
            os.replace(temporary_path, path)
            if new:
                placed.append(path)
    except BaseException:
        for leftover in [*(temporary_path for temporary_path, _ in staged), *placed]:
            leftover.unlink(missing_ok=True)
        raise


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number that JSON knows")
