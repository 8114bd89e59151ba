"""A prepared data set on the Hub, from where training streams it and whose page shows its shapes.

The shards are WebDataset tars, which the page's viewer reads as they are; the card says which of them are which split.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from wavemesh.data.sources import MESHES, SPLITS
from wavemesh.errors import InputError
from wavemesh.files import write_text
from wavemesh.weights import HUB_ID, ask_hub, sent_folder

CARD = "README.md"
_LISTS = ("index.json", "settings.json", "duplicates.json", "rejected.json")
_SPLIT_NAMES = {"val": "validation"}  # as the Hub calls it
_SIZES = {1_000: "n<1K", 10_000: "1K<n<10K", 100_000: "10K<n<100K", 1_000_000: "100K<n<1M", 10_000_000: "1M<n<10M"}

_TEXT = """\
# {name}

{count} shapes in WebDataset shards, prepared by WaveMesh: {splits}.

    python -m wavemesh train --preset gpu --data hf://datasets/{name} -o run

| in a sample | |
|---|---|
| `sdf.npz` | signed distances on a grid of [-1, 1]³, int8; times 0.09 / 127 they are world units |
| `view00.webp` ... | training pictures, RGBA |
| `canonical00.webp` ... | pictures for evaluation |
| `meta.json` | name, category, licence, creator, and the camera of each picture |

`index.json` lists all shapes with their shards. `meshes` has the true surfaces of validation and test shapes.

| licence | shapes |
|---|---|
{licences}

Each shape keeps the licence of its model; `index.json` names its creator.
"""


def set_files(folder: str | Path) -> list[str]:
    """The files of a prepared set that go to the Hub, as paths inside it, sorted; its card is one of them.

    Raises InputError for a folder that is no prepared set, and for shards that its list names and that are not there.
    """
    folder = Path(folder)
    shards = sorted({entry["shard"] for entry in _index(folder)})
    lost = [name for name in shards if not (folder / name).is_file()]
    if lost:
        raise InputError(f"{folder} lacks {lost[0]}, which its index.json names.")
    meshes = [path.relative_to(folder).as_posix() for path in (folder / MESHES).glob("*.npz")]
    return sorted([CARD, *(name for name in _LISTS if (folder / name).is_file()), *shards, *meshes])


def data_card(folder: str | Path, repo_id: str) -> str:
    """The card of a prepared set: what the Hub's viewer has to know, and what a reader wants to."""
    index = _index(Path(folder))
    counts = Counter(entry["split"] for entry in index)
    files = {split: sorted({e["shard"] for e in index if e["split"] == split}) for split in SPLITS if counts[split]}
    header: dict[str, Any] = {
        "task_categories": ["image-to-3d"],
        "tags": ["webdataset", "3d"],
        "size_categories": [next((name for most, name in _SIZES.items() if len(index) < most), "n>10M")],
        "configs": [
            {
                "config_name": "default",
                "data_files": [{"split": _hub_name(split), "path": shards} for split, shards in files.items()],
            }
        ],
    }
    licences = Counter(str(entry.get("licence") or "unknown").replace("|", "/") for entry in index)
    text = _TEXT.format(
        name=repo_id,
        count=len(index),
        splits=", ".join(f"{counts[split]} {_hub_name(split)}" for split in files),
        licences="\n".join(f"| {licence} | {count} |" for licence, count in licences.most_common()),
    )
    # Every JSON value is YAML as well.
    lines = [f"{name}: {json.dumps(value)}" for name, value in header.items()]
    return "\n".join(["---", *lines, "---", "", text])


def push_to_hub(
    folder: str | Path, repo_id: str, private: bool | None = None, message: str | None = None, token: str | None = None
) -> str:
    """The address of the commit that brought a prepared set to the Hub, where "hf://datasets/<repo_id>" streams it.

    A card is written into the folder where it has none. private, message and token as in `weights.push_to_hub`. Raises
    InputError for a repository that is no `owner/name`, for `set_files`' reasons, and where the Hub refuses.
    """
    if not HUB_ID.fullmatch(repo_id):
        raise InputError(f"A data set is named OWNER/NAME, not {repo_id!r}.")
    folder = Path(folder)
    names = set_files(folder)
    if not (folder / CARD).is_file():
        write_text(folder / CARD, data_card(folder, repo_id))
    left = ["shard-*.tar", f"{MESHES}/*"]
    message = message or f"{len(_index(folder))} shapes"
    return ask_hub(
        lambda: sent_folder(folder, repo_id, "dataset", names, left, message, private, token),
        f"The data set could not be sent to {repo_id}",
    )


def _index(folder: Path) -> list[dict[str, Any]]:
    path = folder / "index.json"
    if not path.is_file():
        raise InputError(f"{folder} is no prepared data set: it has no index.json.")
    return json.loads(path.read_text(encoding="utf-8"))


def _hub_name(split: str) -> str:
    return _SPLIT_NAMES.get(split, split)
