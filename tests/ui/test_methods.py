"""The page's presets: whole numbers of everything, and a fast one that the measured table bears out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from wavemesh.evaluation.variants import Sampling, samplings
from wavemesh.ui.methods import METHODS, presets
from wavemesh.ui.studio import shipped_defaults

TABLE = Path(__file__).resolve().parents[2] / "docs" / "ablations.md"


@pytest.mark.parametrize("method", METHODS)
def test_presets_have_steps_for_every_stage_and_balanced_is_what_ships(method: str) -> None:
    shipped = (3, 2)[: len(METHODS[method].stages)]
    found = presets(method, shipped, 2)
    assert list(found) == ["fast", "balanced", "fine"]
    assert all(len(preset.steps) == len(shipped) for preset in found.values())
    assert found["balanced"].steps == shipped
    assert found["balanced"].turns == (2 if len(shipped) == 2 else None)
    assert found["fast"].steps <= shipped < found["fine"].steps


def fast_setting() -> Sampling:
    """The fast preset as the table calls it, which leaves out the frames that the weights came with."""
    defaults = shipped_defaults()
    fast = defaults.presets("wavemesh")["fast"]
    return Sampling(*fast.steps, turns=None if fast.turns == defaults.turns else fast.turns)


def test_fast_is_one_of_the_measured_settings_with_few_evaluations() -> None:
    fast = shipped_defaults().presets("wavemesh")["fast"]
    assert fast_setting() in samplings(Sampling(2))
    assert fast.steps[0] * (fast.turns or 1) <= 5, "network evaluations of the coarse stage"
    assert fast.resolution == 128, "the resolution of the table"


def test_fast_is_within_a_fiftieth_of_the_best_measured_setting() -> None:
    section = TABLE.read_text(encoding="utf-8").split("<!-- table:sampling -->")[1]
    rows = re.findall(r"^\| (\d[^|]*?) \| ([\d.]+) / ([\d.]+) \|", section, re.MULTILINE)
    scores = {name: (float(one), float(four)) for name, one, four in rows}
    mine = scores[fast_setting().name]
    best = [max(views) for views in zip(*scores.values(), strict=True)]
    assert all(own >= 0.98 * top for own, top in zip(mine, best, strict=True))
