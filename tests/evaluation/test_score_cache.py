"""Scores that are kept: what comes back, and what is made anew."""

from dataclasses import dataclass
from pathlib import Path

from wavemesh.evaluation.novel_views import ViewScores
from wavemesh.evaluation.score_cache import ScoreCache


@dataclass(frozen=True)
class Unit:
    name: str
    fingerprint: str


OLD = [Unit("a", "1"), Unit("b", "1")]


def open_cache(folder: Path, salt: str = "s/") -> ScoreCache[ViewScores]:
    return ScoreCache(folder, "shape", salt, ViewScores)


def test_kept_scores_come_back_and_are_not_missing(tmp_path: Path) -> None:
    cache = open_cache(tmp_path)
    assert cache.missing_units(OLD) == OLD
    scores = [ViewScores(20.0, 0.9, 0.1), ViewScores(30.0, 0.95, 0.05)]
    cache.store(scores, OLD)
    cache.describe("chairs", "mesh")
    again = open_cache(tmp_path)
    assert again.missing_units(OLD) == []
    assert again.scores(OLD) == dict(zip(["a", "b"], scores, strict=True))
    assert (again.category, again.source) == ("chairs", "mesh")


def test_what_was_made_by_something_else_is_missing(tmp_path: Path) -> None:
    open_cache(tmp_path).store([ViewScores(20.0, 0.9, 0.1)] * 2, OLD)
    changed = [Unit("a", "2"), OLD[1]]
    assert open_cache(tmp_path).missing_units(changed) == changed[:1]
    assert open_cache(tmp_path, "other/").missing_units(OLD) == OLD
    assert ScoreCache(tmp_path, "another shape", "s/", ViewScores).missing_units(OLD) == OLD
