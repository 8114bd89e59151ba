"""ShapeNet's thirteen classes, on which reconstruction from one picture has been compared since 3D-R2N2 (2016).

Tables have a row for each class, and below the mean over the classes, each counting as one whatever its size; after
Occupancy Networks (2019) they hold volume IoU, Chamfer-L1 and normal consistency.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from wavemesh.errors import InputError
from wavemesh.evaluation.table import COLUMNS, ReportRow

SUBSET = "shapenet13"
CLASSES = {
    "02691156": "airplane",
    "02828884": "bench",
    "02933112": "cabinet",
    "02958343": "car",
    "03001627": "chair",
    "03211117": "display",
    "03636649": "lamp",
    "03691459": "loudspeaker",
    "04090263": "rifle",
    "04256520": "sofa",
    "04379243": "table",
    "04401088": "telephone",
    "04530566": "vessel",
}
METRICS = ("iou", "chamfer", "normal_consistency")
_KEY = re.compile(r"[a-z0-9-]+_(\d{8})-")


def class_of(key: str) -> str | None:
    """The class of a shape that `prepare` took from ShapeNetCore, by the synset in its key; None for all others."""
    found = _KEY.match(key)
    return None if found is None else CLASSES.get(found[1])


def of_the_classes(keys: Sequence[str]) -> list[str]:
    """Those keys that are of the thirteen classes; raises InputError where none is."""
    chosen = [key for key in keys if class_of(key) is not None]
    if not chosen:
        raise InputError(f"The set holds no shape of ShapeNet's 13 classes: its first one is {keys[0]!r}.")
    return chosen


def class_tables(rows: Sequence[ReportRow]) -> list[str]:
    """A Markdown table for each of METRICS: one line a class and one for their mean, a column for each row."""
    titles = [row.name + (f", {row.views} view{'s' if row.views > 1 else ''}" if row.views else "") for row in rows]
    found = [name for name in CLASSES.values() if any(name in row.categories for row in rows)]
    lines = []
    for metric in METRICS:
        lines += [f"### ShapeNet, {len(found)} of 13 classes: {COLUMNS[metric].heading}", ""]
        lines += ["| class | shapes | " + " | ".join(titles) + " |", "|---|---|" + "---|" * len(rows)]
        for name in found:
            count = int(rows[0].categories[name]["count"])
            lines.append(_line(name, count, [row.categories[name][metric] for row in rows], metric))
        means = [float(np.mean([row.categories[name][metric] for name in found])) for row in rows]
        lines += [_line("mean of the classes", rows[0].count, means, metric), ""]
    return lines


def _line(name: str, count: int, values: Sequence[float], metric: str) -> str:
    return f"| {name} | {count} | " + " | ".join(f"{value:.{COLUMNS[metric].digits}f}" for value in values) + " |"


def about(views: Sequence[int]) -> str:
    """What the head of a report says of the protocol."""
    counts = ", ".join(map(str, views))
    asked = "one picture each" if list(views) == [1] else f"{counts} pictures where published tables have one"
    return (
        f"ShapeNet's 13 classes, {asked}; longest side 1.8, so that a Chamfer-L1 in tenths of the longest side is "
        "this one divided by 0.18"
    )
