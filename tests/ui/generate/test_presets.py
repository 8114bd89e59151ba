"""The page's presets: whole numbers of everything, and a fast one that the measured table bears out."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path

import pytest

from wavemesh.bundled import WEIGHTS
from wavemesh.evaluation.variants import Sampling, samplings
from wavemesh.settings import METHODS, WaveMeshSettings, shipped_settings
from wavemesh.ui.generate.presets import presets

TABLE = Path(__file__).resolve().parents[3] / "docs" / "ablations.md"


@pytest.mark.parametrize("method", METHODS)
def test_presets_have_steps_for_every_stage_and_balanced_is_what_ships(method: str) -> None:
    names = METHODS[method].stages.values()
    shipped = METHODS[method](**dict(zip(names, (3, 2), strict=False))).filled()
    found = presets(shipped)
    assert list(found)[:3] == ["fast", "balanced", "fine"]
    assert found["balanced"].settings == shipped
    fast, balanced, fine = ([getattr(preset.settings, name) for name in names] for preset in list(found.values())[:3])
    assert fast <= balanced < fine


def test_presets_are_complete_and_differ() -> None:
    for method in METHODS:
        shipped = shipped_settings(method, WEIGHTS / method)
        found = presets(shipped)
        assert found["balanced"].settings == shipped
        assert {"balanced", "fine"} <= set(found) <= {"fast", "balanced", "fine", "watch"}
        given = [preset.settings for preset in found.values()]
        assert all(one != other for place, one in enumerate(given) for other in given[:place])
        for preset in found.values():
            assert None not in asdict(preset.settings).values()
            preset.settings.check_visitor()


def wavemesh_presets() -> tuple[WaveMeshSettings, WaveMeshSettings]:
    """The fast and the balanced settings of the bundled weights."""
    found = presets(shipped_settings("wavemesh", WEIGHTS / "wavemesh"))
    fast, balanced = found["fast"].settings, found["balanced"].settings
    assert isinstance(fast, WaveMeshSettings)
    assert isinstance(balanced, WaveMeshSettings)
    return fast, balanced


def fast_setting() -> Sampling:
    """The fast preset as the table calls it, which leaves out the frames that the weights came with."""
    fast, balanced = wavemesh_presets()
    frames = None if fast.frames == balanced.frames else fast.frames
    return Sampling(fast.coarse_steps, fast.detail_steps, frames=frames)


def test_fast_is_one_of_the_measured_settings_with_few_evaluations() -> None:
    fast, _ = wavemesh_presets()
    assert fast_setting() in samplings(Sampling(2))
    assert fast.coarse_steps * fast.frames <= 5, "network evaluations of the coarse stage"
    assert fast.resolution == 128, "the resolution of the table"


def test_fast_is_within_a_fiftieth_of_the_best_measured_setting() -> None:
    section = TABLE.read_text(encoding="utf-8").split("<!-- table:sampling -->")[1]
    rows = re.findall(r"^\| (\d[^|]*?) \| ([\d.]+) / ([\d.]+) \|", section, re.MULTILINE)
    scores = {name: (float(one), float(four)) for name, one, four in rows}
    mine = scores[fast_setting().name]
    best = [max(views) for views in zip(*scores.values(), strict=True)]
    assert all(own >= 0.98 * top for own, top in zip(mine, best, strict=True))
