"""From scores per shape to a report: means with bootstrap intervals, as JSON and as a Markdown table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from scipy import stats

from wavemesh.errors import InputError
from wavemesh.evaluation.cameras import CameraErrors


class Column(NamedTuple):
    """How a score is shown. heading: its arrow says which way is better. interval: digits of it, None for none."""

    heading: str
    digits: int = 3
    interval: int | None = None


COLUMNS = {
    "f_score_001": Column("F@0.01 ↑"),
    "f_score_002": Column("F@0.02 ↑"),
    "f_score_005": Column("F@0.05 ↑", interval=2),
    "chamfer": Column("Chamfer-L1 ↓", digits=4),
    "hausdorff": Column("Hausdorff ↓"),
    "iou": Column("IoU 64³ ↑", interval=2),
    "normal_consistency": Column("Normals ↑"),
}
VIEW_COLUMNS = {
    "psnr": Column("PSNR ↑", digits=2, interval=1),
    "ssim": Column("SSIM ↑", digits=4, interval=3),
    "flip": Column("FLIP ↓", digits=4, interval=3),
}

# Names of rows.
METHOD, TRIPLANE, ORACLE = "WaveMesh", "Triplane", "oracle nearest training shape"
REGRESSION = "regression (same network, one step)"

# A table by category has no room for all rows; report.json has them.
CATEGORY_ROWS = (ORACLE, METHOD, TRIPLANE)


@runtime_checkable
class ScoreRow(Protocol):
    """The scores of one shape."""

    def to_dict(self) -> dict[str, float]:
        """The scores by name."""
        ...


@dataclass(frozen=True)
class Estimate:
    """A mean over shapes and its 95% bootstrap interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class ReportRow:
    """One line of the table: a method at a number of views (None: it looks at no picture).

    difference: the scores are what one method has more than another, shape by shape.
    """

    name: str
    views: int | None
    count: int
    scores: dict[str, Estimate]
    categories: dict[str, dict[str, float]] = field(default_factory=dict)
    difference: bool = False


@dataclass(frozen=True)
class Report:
    """The result of `evaluate`: what was measured, how, each shape's scores by row, and what the camera head misses.

    view_rows, view_shapes: the same for pictures from novel views.
    """

    header: dict[str, Any]
    rows: list[ReportRow]
    shapes: dict[str, dict[str, dict[str, float]]]
    camera_errors: CameraErrors | None = None
    view_rows: list[ReportRow] = field(default_factory=list)
    view_shapes: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)

    def row(self, name: str, views: int | None = None) -> ReportRow:
        """The row of a method; raises InputError if the report has none of that name at that number of views."""
        return _find(self.rows, name, views)

    def view_row(self, name: str, views: int | None = None) -> ReportRow:
        """The row of a method in the table of novel views; raises InputError as `row` does."""
        return _find(self.view_rows, name, views)

    def to_json(self) -> str:
        """The whole report as JSON."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False)

    def to_markdown(self) -> str:
        """A header and one table for each number of views."""
        lines = [f"- {name}: {value}" for name, value in self.header.items()] + [""]
        for views in sorted({row.views for row in self.rows if row.views is not None}):
            lines += [f"### {views} view{'s' if views > 1 else ''}", ""]
            lines += [*markdown_table([row for row in self.rows if row.views in (views, None)]), ""]
        for views in sorted({row.views for row in self.view_rows if row.views is not None}):
            shown = [row for row in self.view_rows if row.views in (views, None)]
            lines += [f"### Novel views from {views} picture{'s' if views > 1 else ''}", ""]
            lines += [*markdown_table(shown, VIEW_COLUMNS), ""]
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
    mean = float(data.mean())
    if data.size == 1:  # nothing to resample
        return Estimate(mean, mean, mean)
    found = stats.bootstrap((data,), np.mean, n_resamples=rounds, method="percentile", rng=np.random.default_rng(seed))
    return Estimate(mean, float(found.confidence_interval.low), float(found.confidence_interval.high))


def make_row(
    name: str, views: int | None, scores: Mapping[str, ScoreRow], categories: Mapping[str, str] | None = None
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


def difference_row(
    name: str, views: int | None, scores: Mapping[str, ScoreRow], others: Mapping[str, ScoreRow]
) -> ReportRow:
    """What `scores` have more than `others`, with intervals over resampled shapes: both methods meet the same ones."""
    pairs = [(scores[key].to_dict(), others[key].to_dict()) for key in scores]
    estimates = {metric: bootstrap([own[metric] - other[metric] for own, other in pairs]) for metric in pairs[0][0]}
    return ReportRow(name, views, len(pairs), estimates, difference=True)


def markdown_table(rows: Sequence[ReportRow], columns: Mapping[str, Column] = COLUMNS) -> list[str]:
    """The lines of a Markdown table; some columns carry their 95% intervals."""
    headings = [column.heading for column in columns.values()]
    lines = ["| | " + " | ".join(headings) + " |", "|---|" + "---|" * len(columns)]
    for row in rows:
        cells = [_cell(row.scores[metric], column, row.difference) for metric, column in columns.items()]
        lines.append(f"| {row.name} | " + " | ".join(cells) + " |")
    return lines


def _cell(value: Estimate, column: Column, difference: bool) -> str:
    """Mean and interval; differences carry their sign and always an interval, to tell them from nothing."""
    sign, digits = ("+", column.digits) if difference else ("", column.interval)
    interval = "" if digits is None else f" [{value.low:{sign}.{digits}f}, {value.high:{sign}.{digits}f}]"
    return f"{value.mean:{sign}.{column.digits}f}{interval}"


def _find(rows: Sequence[ReportRow], name: str, views: int | None) -> ReportRow:
    for row in rows:
        if row.name == name and row.views in (views, None):
            return row
    raise InputError(f"The report has no row {name!r} with {views} views.")


def _category_table(rows: Sequence[ReportRow]) -> list[str]:
    """One line for each category, one column for each of CATEGORY_ROWS that has categories."""
    shown = [row for row in rows if row.categories and row.name in CATEGORY_ROWS]
    titles = [row.name + (f", {row.views} view{'s' if row.views > 1 else ''}" if row.views else "") for row in shown]
    lines = ["| category | shapes | " + " | ".join(titles) + " |", "|---|---|" + "---|" * len(shown)]
    for category in sorted({name for row in shown for name in row.categories}):
        found = [row.categories.get(category) for row in shown]
        count = max(int(entry["count"]) for entry in found if entry)
        cells = [f"{entry['f_score_005']:.2f} / {entry['iou']:.2f}" if entry else "" for entry in found]
        lines.append(f"| {category} | {count} | " + " | ".join(cells) + " |")
    return lines
