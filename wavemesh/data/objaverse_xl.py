"""A subset of Objaverse-XL: what `objaverse.xl.download_objects` left in a folder, and its table.

The table of the package's annotations, saved as `annotations.csv` in the folder (`subset.to_csv`), has the columns
fileIdentifier, source, license, fileType and sha256. Files are found by their sha256, wherever they lie: each of the
sources (GitHub, Thingiverse, the Smithsonian, Sketchfab) has a layout of its own.
"""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path
from urllib.parse import unquote, urlsplit

from wavemesh.data.sources import UNKNOWN, UPRIGHT, SourceModel, slug
from wavemesh.errors import InputError
from wavemesh.geometry.archives import mesh_files

TABLE = "annotations.csv"
COLUMNS = ("fileIdentifier", "source", "license", "sha256")
# Sources that hand models out as they are drawn for print.
LYING = {"thingiverse"}


class ObjaverseXL:
    """A folder of downloaded objects with their table; GLB files are y up, things for 3D printers z up."""

    up = "y"

    def fits(self, path: Path) -> bool:
        """Whether there is a table with the columns of Objaverse-XL."""
        try:
            return bool(read_table(path / TABLE))
        except InputError:
            return False

    def models(self, path: Path, work: Path, up: str) -> list[SourceModel]:
        """The models by path; of files that the table does not know nobody knows the licence, so they are left out."""
        rows = read_table(path / TABLE)
        models: dict[str, SourceModel] = {}
        for file in mesh_files(path) if rows else ():
            row = rows.get(hashlib.sha256(file.read_bytes()).hexdigest())
            if row is not None:
                model = _model(path, file, row, up)
                models.setdefault(model.key, model)
        if not models:
            raise InputError(
                f"The folder {path} holds no mesh that its {TABLE} knows, as a subset of Objaverse-XL does."
            )
        return list(models.values())


def _model(root: Path, file: Path, row: dict[str, str], up: str) -> SourceModel:
    address = urlsplit(row["fileIdentifier"])
    parts = [unquote(part) for part in address.path.split("/") if part]
    lies = up == ObjaverseXL.up and row["source"] in LYING
    return SourceModel(
        key=f"{slug(root.name)}_{row['sha256'][:24]}",
        name=Path(parts[-1]).stem if parts else file.stem,
        category=UNKNOWN,
        library=f"{root.name}, {row['source']}" if row["source"] else root.name,
        creator=parts[0] if address.netloc == "github.com" and len(parts) > 1 else UNKNOWN,
        licence=row["license"] or UNKNOWN,
        path=file.relative_to(root).as_posix(),
        root=root,
        rotation=UPRIGHT["z" if lies else up],
    )


def read_table(path: Path) -> dict[str, dict[str, str]]:
    """The rows by sha256; none where there is no table. Raises InputError for one that is damaged."""
    if not path.is_file():
        return {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [{column: (line[column] or "").strip() for column in COLUMNS} for line in csv.DictReader(file)]
    except (OSError, UnicodeDecodeError, csv.Error, KeyError) as error:
        raise InputError(f"{path} is no table of Objaverse-XL: {error!r}.") from error
    return {row["sha256"]: row for row in rows}
