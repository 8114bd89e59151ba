"""What a mesh can be compared with, and what the page calls it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from PIL import Image

from wavemesh.errors import InputError
from wavemesh.gallery.format import CachedResult
from wavemesh.settings import WaveMeshSettings
from wavemesh.ui.pictures import Picture
from wavemesh.ui.result.content import example_folder
from wavemesh.ui.result.others import chosen, others
from wavemesh.ui.runner import Result
from wavemesh.ui.runs import Run
from wavemesh.ui.studio import Studio


def run(name: str, seed: int, example: str | None = None, **more: Any) -> Run:
    """A run that has ended, in a folder of its name and seed."""
    made = Run([Picture(name, Image.new("RGBA", (8, 8)), example=example)], False, WaveMeshSettings().filled())
    given: dict[str, Any] = {"stopped": False, "folder": f"{name} {seed}", **more}
    made.result = Result({}, 10, 2000, 1.0, seed=seed, **given)
    return made


def test_runs_are_called_by_object_and_seed_and_told_apart(studio: Studio) -> None:
    ball = studio.examples[0]
    ball = replace(ball, result=CachedResult(ball.pictures[0], ball.pictures[0], "0", 9))
    kept = {
        "new": run("cup.png", 4),
        "again": run("cup.png", 4, folder="again", stopped=True),
        "ball": run("Ball 1", 0, ball.key),
        "shown": run("cup.png", 7),
        "going": Run([], True, WaveMeshSettings().filled()),
    }
    for name, each in kept.items():
        each.id = name
    runs = studio.runs
    runs._runs.update(kept)
    visit = ["new", "gone", "shown", "again", "going", "ball"]
    found = others(runs, visit, "cup.png 7", ball, [ball])
    assert [other.key for other in found[1:]] == ["new", "again", "ball"]
    assert [other.name for other in found] == [
        "Made earlier", "cup, seed 4 (2)", "cup, seed 4 (1)", "Ball, seed 0",
    ]  # fmt: skip
    assert found[2].words == "cup, seed 4 (1): 2,000 triangles, stopped early"
    assert found[0].folder == example_folder(ball)
    assert chosen(found, "again").folder == "again"
    with pytest.raises(InputError, match="no longer kept"):
        chosen(found, "gone")
    # The example's own mesh is nothing to compare itself with.
    assert "earlier" not in {other.key for other in others(runs, visit, example_folder(ball) or "", ball, [ball])}
