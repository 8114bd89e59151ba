"""The tables of a report: by number of views, by category, and the README's six rows."""

import re
from pathlib import Path

import pytest

from wavemesh.errors import InputError
from wavemesh.evaluation.metrics import Scores
from wavemesh.evaluation.report import SUMMARY_ROWS, Report
from wavemesh.evaluation.table import make_row

ROOT = Path(__file__).resolve().parents[2]


def scores(value: float) -> Scores:
    return Scores(*[value] * 8)


def test_a_table_for_each_number_of_views_and_one_by_category() -> None:
    row = make_row("WaveMesh", 1, {"a": scores(0.25), "b": scores(0.75)}, {"a": "chair", "b": "sofa"})
    report = Report({"shapes": 2}, [row, make_row("ceiling", None, {"a": scores(1.0)})], {})
    text = report.to_markdown()
    assert "### 1 view" in text
    assert "| category | shapes | WaveMesh, 1 view |" in text
    assert "| chair | 1 |" in text
    other = make_row("another row", 1, {"a": scores(0.25)}, {"a": "chair"})
    assert "another row, 1 view" not in Report({}, [row, other], {}).to_markdown()
    assert report.row("ceiling", 4).views is None
    with pytest.raises(InputError, match="no row 'x'"):
        report.row("x")


def test_the_summary_has_the_rows_that_there_are_with_a_column_for_each_number_of_pictures() -> None:
    rows = [
        make_row("mean shape", None, {"a": scores(0.1)}),
        make_row("oracle nearest training shape", None, {"a": scores(0.2)}),
        make_row("WaveMesh", 1, {"a": scores(0.3)}),
        make_row("WaveMesh", 4, {"a": scores(0.4)}),
        make_row("Triplane", 4, {"a": scores(0.5)}),
    ]
    assert Report({}, rows, {}).to_summary().splitlines() == [
        "| | F@0.05, 1 picture | F@0.05, 4 pictures | IoU 64³, 1 picture | IoU 64³, 4 pictures "
        "| Normals, 1 picture | Normals, 4 pictures |",
        "|---|---|---|---|---|---|---|",
        "| nearest training shape, chosen by the truth | 0.20 | 0.20 | 0.20 | 0.20 | 0.20 | 0.20 |",
        "| **WaveMesh** | 0.30 | 0.40 | 0.30 | 0.40 | 0.30 | 0.40 |",
        "| Triplane |  | 0.50 |  | 0.50 |  | 0.50 |",
    ]


def table_cells(text: str, name: str) -> dict[str, list[str]]:
    """The cells of the rows between a table's marks, by their first cell; of rows of one name the last counts."""
    (table,) = re.findall(rf"<!-- table:{name} -->\n(.*?)<!-- end -->", text, re.DOTALL)
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines() if line.startswith("|")]
    return {cells[0]: cells[1:] for cells in rows}


def test_the_readme_shows_figures_of_the_results() -> None:
    """Where this fails, one of the two tables was written without the other: see `python -m wavemesh evaluate`."""
    short = table_cells((ROOT / "README.md").read_text(encoding="utf-8"), "scores")
    whole = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    parts = re.findall(r"### [14] views?\n(.*?)(?=\n###)", whole, re.DOTALL)
    by_views = [table_cells(f"<!-- table:x -->\n{part}<!-- end -->", "x") for part in parts]
    assert len(by_views) == 2
    assert set(SUMMARY_ROWS.values()) < set(short)
    for name, title in SUMMARY_ROWS.items():
        found = [[float(by_views[view][name][column].split()[0]) for view in (0, 1)] for column in (2, 5, 6)]
        shown = [float(cell) for cell in short[title]]
        assert shown == pytest.approx([value for pair in found for value in pair], abs=0.0051)
