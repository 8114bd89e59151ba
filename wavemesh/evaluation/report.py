"""The result of an evaluation, as JSON and as Markdown: all tables for docs/results.md, six rows for the README."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from wavemesh.errors import InputError
from wavemesh.evaluation.cameras import CameraErrors
from wavemesh.evaluation.shapenet import class_tables
from wavemesh.evaluation.table import (
    COLUMNS,
    METHOD,
    ORACLE,
    REGRESSION,
    TRIPLANE,
    VIEW_COLUMNS,
    ReportRow,
    markdown_table,
)

# A table by category has no room for all rows; report.json has them.
CATEGORY_ROWS = (ORACLE, METHOD, TRIPLANE)
# What a newcomer compares: name of the row, and what the README calls it.
SUMMARY_ROWS = {
    "visual hull": "visual hull",
    ORACLE: "nearest training shape, chosen by the truth",
    REGRESSION: "regression: the same network, one step",
    METHOD: f"**{METHOD}**",
    f"{METHOD}, cameras estimated": f"{METHOD}, cameras estimated",
    TRIPLANE: TRIPLANE,
}
SUMMARY_METRICS = ("f_score_005", "iou", "normal_consistency")


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
        for views in sorted({row.views for row in self.view_rows if row.views is not None}):
            shown = [row for row in self.view_rows if row.views in (views, None)]
            lines += [f"### Novel views from {views} picture{'s' if views > 1 else ''}", ""]
            lines += [*markdown_table(shown, VIEW_COLUMNS), ""]
        if "protocol" in self.header:
            lines += class_tables([row for row in self.rows if row.categories])
        elif any(row.categories for row in self.rows):
            lines += ["### By category (F@0.05 / IoU)", "", *_category_table(self.rows)]
        return "\n".join(lines).rstrip() + "\n"

    def to_summary(self) -> str:
        """The rows of SUMMARY_ROWS that there are, as one table with a column for each number of views."""
        counts = sorted({row.views for row in self.rows if row.views is not None})
        headings = [
            f"{COLUMNS[metric].heading.rstrip(' ↑↓')}, {count} picture{'s' if count > 1 else ''}"
            for metric in SUMMARY_METRICS
            for count in counts
        ]
        lines = ["| | " + " | ".join(headings) + " |", "|---|" + "---|" * len(headings)]
        known = {(row.name, row.views): row.scores for row in self.rows}
        for name, title in SUMMARY_ROWS.items():
            scores = {count: known.get((name, count), known.get((name, None))) for count in counts}
            if any(scores.values()):
                cells = [
                    f"{found[metric].mean:.2f}" if (found := scores[count]) else ""
                    for metric in SUMMARY_METRICS
                    for count in counts
                ]
                lines.append(f"| {title} | " + " | ".join(cells) + " |")
        return "\n".join(lines) + "\n"

    def save(self, folder: Path, stem: str = "report") -> tuple[Path, Path]:
        """Writes <stem>.json and <stem>.md and gives their paths."""
        folder.mkdir(parents=True, exist_ok=True)
        paths = folder / f"{stem}.json", folder / f"{stem}.md"
        paths[0].write_text(self.to_json(), encoding="utf-8")
        paths[1].write_text(self.to_markdown(), encoding="utf-8")
        return paths


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
