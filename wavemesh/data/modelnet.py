"""ModelNet10 and ModelNet40 as Princeton hands them out: category/train/name.off and category/test/name.off.

The models are z up. No licence is stated: the set is for academic use.
"""

from __future__ import annotations

from pathlib import Path

from wavemesh.data.sources import UNKNOWN, UPRIGHT, SourceModel, file_key, split_of
from wavemesh.errors import InputError

LICENCE = "academic use"
PARTS = ("train", "test")


class ModelNet:
    """The unpacked folder. The official test set stays one; validation shapes are drawn from the training set."""

    up = "z"

    def fits(self, path: Path) -> bool:
        """Whether there is a category with OFF files in a folder `train` or `test`."""
        return path.is_dir() and any(next(path.glob(f"*/{part}/*.off"), None) is not None for part in PARTS)

    def models(self, path: Path, work: Path, up: str) -> list[SourceModel]:
        """The models, sorted by path."""
        files = sorted(file for part in PARTS for file in path.glob(f"*/{part}/*.off"))
        if not files:
            raise InputError(f"The folder {path} holds no category/train/name.off as ModelNet does.")
        return [_model(path, file.relative_to(path), up) for file in files]


def _model(root: Path, path: Path, up: str) -> SourceModel:
    category, part, _ = path.parts
    key = file_key(root.name, path.as_posix())
    return SourceModel(
        key=key,
        name=path.stem,
        category=category,
        library=root.name,
        creator=UNKNOWN,
        licence=LICENCE,
        path=path.as_posix(),
        root=root,
        rotation=UPRIGHT[up],
        split="test" if part == "test" else _training_split(key),
    )


def _training_split(key: str) -> str:
    return "val" if split_of(key) == "val" else "train"
