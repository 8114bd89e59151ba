"""From scores per shape to a report: means with bootstrap intervals, as JSON and as a Markdown table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from wavemesh.errors import InputError
from wavemesh.evaluation.cameras import CameraErrors
from wavemesh.evaluation.metrics import Scores

COLUMNS = {  # score -> heading; the arrow says which way is better
    "f_score_001": "F@0.01 ↑",
    "f_score_002": "F@0.02 ↑",
    "f_score_005": "F@0.05 ↑",
    "chamfer": "Chamfer-L1 ↓",
    "hausdorff": "Hausdorff ↓",
    "iou": "IoU 64³ ↑",
    "normal_consistency": "Normals ↑",
}
WITH_INTERVAL = ("f_score_005", "iou")


@dataclass(frozen=True)
class Estimate:
    """A mean over shapes and its 95% bootstrap interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class ReportRow:
    """One line of the table: a method at a number of views (None: it looks at no picture)."""

    name: str
    views: int | None
    count: int
    scores: dict[str, Estimate]
    categories: dict[str, dict[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """The result of `evaluate`: what was measured, how, each shape's scores by row, and what the camera head misses."""

    header: dict[str, Any]
    rows: list[ReportRow]
    shapes: dict[str, dict[str, dict[str, float]]]
    camera_errors: CameraErrors | None = None

    def row(self, name: str, views: int | None = None) -> ReportRow:
        """The row of a method; raises InputError if the report has none of that name at that number of views."""
        for row in self.rows:
            if row.name == name and row.views in (views, None):
                return row
        raise InputError(f"The report has no row {name!r} with {views} views.")

    def to_json(self) -> str:
        """The whole report as JSON."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False)

    def to_markdown(self) -> str:
        """A header and one table for each number of views."""
        lines = [f"- {name}: {value}" for name, value in self.header.items()] + [""]
        for views in sorted({row.views for row in self.rows if row.views is not None}):
            lines += [f"### {views} view{'s' if views > 1 else ''}", ""]
            lines += [*markdown_table([row for row in self.rows if row.views in (views, None)]), ""]
        if any(row.categories for row in self.rows):
            lines += ["### By category (F@0.05 / IoU)", "", *_category_table(self.rows)]
        return "\n".join(lines).rstrip() + "\n"

    def save(self, folder: Path, stem: str = "report") -> tuple[Path, Path]:
        """Writes <stem>.json and <stem>.md and gives their paths."""
        folder.mkdir(parents=True, exist_ok=True)
        paths = folder / f"{stem}.json", folder / f"{stem}.md"
        paths[0].write_text(self.to_json(), encoding="utf-8")
        paths[1].write_text(self.to_markdown(), encoding="utf-8")
        return paths


def bootstrap(values: Sequence[float], rounds: int = 2000, seed: int = 0) -> Estimate:
    """The mean and the 2.5% and 97.5% percentiles of means over resampled shapes; InputError without values."""
    data = np.asarray(values, dtype=np.float64)
    if not data.size:
        raise InputError("There are no scores to average.")
    draws = np.random.default_rng(seed).integers(0, data.size, size=(rounds, data.size))
    low, high = np.percentile(data[draws].mean(axis=1), [2.5, 97.5])
    return Estimate(float(data.mean()), float(low), float(high))


def make_row(
    name: str, views: int | None, scores: Mapping[str, Scores], categories: Mapping[str, str] | None = None
) -> ReportRow:
    """The row of a method from its scores by shape; `categories` (by shape) adds the means of each category."""
    table = {key: score.to_dict() for key, score in scores.items()}
    names = list(next(iter(table.values())))
    estimates = {metric: bootstrap([row[metric] for row in table.values()]) for metric in names}
    groups: dict[str, list[dict[str, float]]] = {}
    for key, category in (categories or {}).items():
        groups.setdefault(category, []).append(table[key])
    means = {
        group: {"count": float(len(rows))} | {metric: float(np.mean([row[metric] for row in rows])) for metric in names}
        for group, rows in sorted(groups.items())
    }
    return ReportRow(name, views, len(table), estimates, means)


def markdown_table(rows: Sequence[ReportRow]) -> list[str]:
    """The lines of a Markdown table; F@0.05 and IoU carry their 95% intervals."""
    lines = ["| | " + " | ".join(COLUMNS.values()) + " |", "|---|" + "---|" * len(COLUMNS)]
    for row in rows:
        cells = []
        for metric in COLUMNS:
            value = row.scores[metric]
            interval = f" [{value.low:.2f}, {value.high:.2f}]" if metric in WITH_INTERVAL else ""
            cells.append(f"{value.mean:.{4 if metric == 'chamfer' else 3}f}{interval}")
        lines.append(f"| {row.name} | " + " | ".join(cells) + " |")
    return lines


def _category_table(rows: Sequence[ReportRow]) -> list[str]:
    """One line for each category, one column for each row that has categories."""
    shown = [row for row in rows if row.categories]
    titles = [row.name + (f", {row.views} view{'s' if row.views > 1 else ''}" if row.views else "") for row in shown]
    lines = ["| category | shapes | " + " | ".join(titles) + " |", "|---|---|" + "---|" * len(shown)]
    for category in sorted({name for row in shown for name in row.categories}):
        found = [row.categories.get(category) for row in shown]
        count = max(int(entry["count"]) for entry in found if entry)
        cells = [f"{entry['f_score_005']:.2f} / {entry['iou']:.2f}" if entry else "" for entry in found]
        lines.append(f"| {category} | {count} | " + " | ".join(cells) + " |")
    return lines
