"""ShapeNetCore v1 and v2: synset/model/model.obj and synset/model/models/model_normalized.obj.

`taxonomy.json` names the categories and `all.csv` holds the official split, where they lie beside the synsets. Models
are y up; by the sets' own notes the fronts are at +x in v1 and at -z in v2.
"""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

from wavemesh.data.sources import SPLITS, UNKNOWN, UPRIGHT, SourceModel, slug
from wavemesh.errors import InputError

LICENCE = "ShapeNet terms of use"
# Where models lie in a synset, and what turns their fronts to +z.
LAYOUTS = {
    "*/models/model_normalized.obj": (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, -1.0),
    "*/model.obj": (0.0, 0.0, -1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0),
}


class ShapeNet:
    """The unpacked folder of synsets, whole or in part."""

    up = "y"

    def fits(self, path: Path) -> bool:
        """Whether there is a synset, a folder of eight digits, with models."""
        return path.is_dir() and _layout(path) is not None

    def models(self, path: Path, work: Path, up: str) -> list[SourceModel]:
        """The models, sorted by synset and model; what the official split does not name is split by key."""
        names, splits = read_taxonomy(path / "taxonomy.json"), read_splits(path / "all.csv")
        layout = _layout(path)
        if layout is None:
            raise InputError(f"The folder {path} holds no synset/{' or synset/'.join(LAYOUTS)} as ShapeNetCore does.")
        files = [file for synset in _synsets(path) for file in sorted(synset.glob(layout))]
        models = []
        for file in files:
            relative = file.relative_to(path)
            synset, model = relative.parts[:2]
            category = names.get(synset, synset)
            models.append(
                SourceModel(
                    key=f"{slug(path.name)}_{synset}-{slug(model)}",
                    name=f"{category} {model}",
                    category=category,
                    library=path.name,
                    creator=UNKNOWN,
                    licence=LICENCE,
                    path=relative.as_posix(),
                    root=path,
                    rotation=LAYOUTS[layout] if up == self.up else UPRIGHT[up],
                    split=splits.get((synset, model)),
                )
            )
        return models


def _layout(path: Path) -> str | None:
    """The pattern of LAYOUTS that there are files of; None where the folder is no ShapeNetCore."""
    synsets = _synsets(path)
    return next((found for found in LAYOUTS if any(any(synset.glob(found)) for synset in synsets)), None)


def _synsets(path: Path) -> list[Path]:
    return sorted(entry for entry in path.iterdir() if re.fullmatch(r"\d{8}", entry.name) and entry.is_dir())


def read_taxonomy(path: Path) -> dict[str, str]:
    """The first name of each synset; none where there is no such file. Raises InputError for one that is damaged."""
    if not path.is_file():
        return {}
    try:
        entries = json.loads(path.read_text(encoding="utf-8-sig"))
        return {str(entry["synsetId"]): str(entry["name"]).partition(",")[0].strip() for entry in entries}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path} is no taxonomy of ShapeNet: {error!r}.") from error


def read_splits(path: Path) -> dict[tuple[str, str], str]:
    """The split by synset and model; none where there is no such file. Raises InputError for one that is damaged."""
    if not path.is_file():
        return {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = {(row["synsetId"].zfill(8), row["modelId"]): row["split"] for row in csv.DictReader(file)}
    except (OSError, UnicodeDecodeError, csv.Error, KeyError, AttributeError) as error:
        raise InputError(f"{path} is no split of ShapeNet: {error!r}.") from error
    strange = next((split for split in rows.values() if split not in SPLITS), None)
    if strange is not None:
        raise InputError(f"{path} names the split {strange!r}, which is none of {', '.join(SPLITS)}.")
    return rows
