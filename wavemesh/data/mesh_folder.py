"""One's own meshes: a folder of files in any of the usual formats, told apart by their sub-folders.

A zip in it is one mesh with what belongs to it.

A table `metadata.csv` in the folder may say more about the files; see `COLUMNS`. What it does not say is taken from the
layout: the first sub-folder is the category, the file's name the model's.
"""

from __future__ import annotations

import csv
from pathlib import Path, PurePosixPath

from wavemesh.data.sources import SPLITS, UNKNOWN, UPRIGHT, SourceModel, file_key
from wavemesh.errors import InputError
from wavemesh.geometry.archives import READ_SUFFIXES, mesh_files

TABLE = "metadata.csv"
COLUMNS = ("file_name", "name", "category", "licence", "creator", "source", "up", "split")


class MeshFolder:
    """Mesh files in a folder and all folders below it."""

    up = "y"

    def fits(self, path: Path) -> bool:
        """Whether there is a folder with a mesh file anywhere in it."""
        return path.is_dir() and next(mesh_files(path, READ_SUFFIXES), None) is not None

    def models(self, path: Path, work: Path, up: str) -> list[SourceModel]:
        """A model for each file, sorted by path; raises InputError for a table that does not fit the files."""
        files = [file.relative_to(path).as_posix() for file in mesh_files(path, READ_SUFFIXES)]
        if not files:
            raise InputError(f"The folder {path} holds no meshes ({', '.join(READ_SUFFIXES)}).")
        rows = read_table(path / TABLE)
        unknown = next((name for name in rows if name not in set(files)), None)
        if unknown is not None:
            raise InputError(f"{TABLE} names {unknown!r}, which is no mesh file in {path}.")
        return [_model(path, name, rows.get(name, {}), up) for name in files]


def read_table(path: Path) -> dict[str, dict[str, str]]:
    """The rows of a table by file name, cells that say nothing left out; none where there is no table.

    Raises InputError for a table without file names, a file named twice, an unknown axis or split.
    """
    if not path.is_file():
        return {}
    rows: dict[str, dict[str, str]] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if COLUMNS[0] not in (reader.fieldnames or ()):
                raise InputError(f"{path} has no column {COLUMNS[0]!r}.")
            for line in reader:
                row = {column: (line.get(column) or "").strip() for column in COLUMNS}
                row = {column: value for column, value in row.items() if value}
                name = PurePosixPath(row.pop(COLUMNS[0], "").replace("\\", "/")).as_posix()
                if name in rows:
                    raise InputError(f"{path} names {name!r} twice.")
                if row.get("up", "y") not in UPRIGHT or row.get("split", "train") not in SPLITS:
                    raise InputError(f"{path} has no valid axis or split for {name!r}: {row}.")
                rows[name] = row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is not a table that can be read: {error}.") from error
    return rows


def _model(folder: Path, path: str, row: dict[str, str], up: str) -> SourceModel:
    library = row.get("source", folder.name)
    parts = PurePosixPath(path).parts
    return SourceModel(
        key=file_key(library, path),
        name=row.get("name", PurePosixPath(path).stem),
        category=row.get("category", parts[0] if len(parts) > 1 else UNKNOWN),
        library=library,
        creator=row.get("creator", UNKNOWN),
        licence=row.get("licence", UNKNOWN),
        path=path,
        root=folder,
        rotation=UPRIGHT[row.get("up", up)],
        split=row.get("split"),
    )
