"""Tables of variants: paired differences, kept scores, and the sweep over steps and guidance."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from wavemesh.evaluation import variants
from wavemesh.evaluation.metrics import Scores
from wavemesh.evaluation.variants import Sampling, VariantScores, kept_scores, samplings, sweep, sweep_table
from wavemesh.models.wavemesh import SamplingConfig


def scores(f_score: float, iou: float) -> Scores:
    return Scores(0.1, 0.2, f_score, 0.05, 0.3, iou, iou, 0.7)


def by_views(f_score: float, iou: float) -> dict[int, dict[str, Scores]]:
    return {count: {f"s{n}": scores(f_score, iou + 0.1 * n + 0.01 * count) for n in range(4)} for count in (1, 4)}


def test_rows_are_compared_with_the_first_shape_by_shape() -> None:
    rows = [VariantScores("base", "a", by_views(0.5, 0.2)), VariantScores("more", "b", by_views(0.6, 0.25))]
    table = variants.variants_table(rows)
    assert table[2] == "| **a** | | | | | |"
    assert table[3] == "| base | 0.500 / 0.500 | 0.700 / 0.700 | 0.360 / 0.390 |  |  |"
    assert table[4] == "| **b** | | | | | |"
    # Every shape gains the same, so that the interval has no width although the shapes differ a lot.
    assert table[5].endswith("| +0.050 [+0.050, +0.050] | +0.050 [+0.050, +0.050] |")


def test_scores_are_kept_until_what_they_depend_on_changes(tmp_path: Path) -> None:
    made = []

    def make() -> dict[int, dict[str, Scores]]:
        made.append(1)
        return by_views(0.5, 0.1 * len(made))

    path = tmp_path / "deep" / "scores.json"
    first = kept_scores(path, ["weights", 3], make)
    assert first == by_views(0.5, 0.1)
    assert kept_scores(path, ["weights", 3], make) == first
    assert kept_scores(path, ["weights", 4], make) == by_views(0.5, 0.2)
    assert len(made) == 2


def test_samplings_differ_from_the_default_in_one_thing_and_come_once() -> None:
    found = samplings(Sampling(3, 1))
    assert found[0] == Sampling(3, 1)
    assert len(set(found)) == len(found)
    assert Sampling(10, 1) in found
    assert Sampling(3, 5) in found
    assert Sampling(5, 1, 2.0) in found
    assert found[0].name == "3 + 1 steps, guidance 1"
    assert [each.name for each in found if each.frames == 2][-1] == "2 + 1 steps, guidance 1, 2 frames"
    assert len({each.file_name for each in found}) == len(found)


def test_the_sweep_calls_the_pipeline_with_each_setting_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    def score(self: variants.HeldOut, pipeline: Any, **sampling: Any) -> dict[int, dict[str, Scores]]:
        asked.append(sampling)
        return by_views(0.5 + 0.001 * sampling["num_inference_steps"][0], 0.3)

    monkeypatch.setattr(variants.HeldOut, "open", lambda *place: object.__new__(variants.HeldOut))
    monkeypatch.setattr(variants.HeldOut, "score", score)
    config = SimpleNamespace(sampling=SamplingConfig(coarse_steps=3, detail_steps=1))
    pipeline = SimpleNamespace(model=SimpleNamespace(config=config), fingerprint="0" * 12)
    rows = sweep(pipeline, "data", tmp_path)
    assert asked[0] == {"num_inference_steps": (3, 1), "guidance_scale": 1.0, "frames": None}
    assert len(asked) == len(rows) == len(samplings(Sampling(3, 1)))
    assert [row.name for row in sweep(pipeline, "data", tmp_path)] == [row.name for row in rows]
    assert len(asked) == len(rows)
    table = sweep_table(rows)
    assert "is 1.4% below 10 + 1 steps, guidance 1 from 1 view, 1.4% below" in table
    assert "| **guidance** |" in table
