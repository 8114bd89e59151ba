"""A run's settings: declared once, checked at construction, read by everything."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, fields, make_dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavemesh import settings
from wavemesh.errors import InputError
from wavemesh.settings import (
    METHODS,
    SAMPLERS,
    TriplaneSettings,
    WaveMeshSettings,
    by_option,
    declared,
    from_json,
    options,
    shipped_settings,
    to_json,
)

WEIGHTS = Path(__file__).resolve().parents[1] / "assets" / "weights"


def test_no_torch_is_loaded() -> None:
    code = "import sys, wavemesh.settings, wavemesh.geometry.camera; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("method", METHODS)
def test_every_setting_has_words_and_a_valid_default(method: str) -> None:
    for name, declaration in declared(METHODS[method]).items():
        assert declaration.name == name
        assert declaration.label
        assert declaration.help.endswith(".")
        assert declaration.checked(declaration.default) == declaration.default
    assert len(options(METHODS[method])) == len(fields(METHODS[method]))  # no two share a name


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("coarse_steps", 0),
        ("coarse_steps", 1.5),
        ("detail_steps", 1001),
        ("guidance_scale", -0.1),
        ("guidance_scale", float("nan")),
        ("guidance_scale", "1"),
        ("sampler", "euler"),
        ("seed", -1),
        ("seed", 10**23),
        ("seed", None),
        ("seed", True),
        ("resolution", 0),
        ("frames", 3),
        ("detail_threshold", float("inf")),
        ("colours", "rainbow"),
        ("background", ""),
    ],
)
def test_a_value_out_of_range_is_one_sentence_that_shows_it(name: str, value: object) -> None:
    with pytest.raises(InputError) as refusal:
        declared(WaveMeshSettings)[name].checked(value)
    sentence = str(refusal.value)
    assert repr(value) in sentence
    assert sentence.startswith("The ")
    assert sentence.endswith(".")


def test_whole_numbers_may_come_as_floats() -> None:
    asked = WaveMeshSettings.asked(coarse_steps=3.0, frames=2.0, seed=7.0, guidance_scale=2)
    assert [type(each) for each in (asked.coarse_steps, asked.frames, asked.seed)] == [int] * 3
    assert type(asked.guidance_scale) is float


def test_visitors_may_ask_for_less() -> None:
    WaveMeshSettings(coarse_steps=1000, seed=2**40, detail_threshold=1.0, resolution=256)
    for changes in ({"coarse_steps": 51}, {"seed": 2**40}, {"detail_threshold": 0.03}, {"resolution": 256}):
        with pytest.raises(InputError, match=str(*changes.values())):
            WaveMeshSettings(**changes).check_visitor()
    shipped_settings("wavemesh", WEIGHTS / "wavemesh").check_visitor()


def test_settings_come_from_the_weights_where_they_say_something(tmp_path: Path) -> None:
    stored = json.loads((WEIGHTS / "wavemesh" / "config.json").read_text("utf-8"))["sampling"]
    found = shipped_settings("wavemesh", WEIGHTS / "wavemesh")
    assert isinstance(found, WaveMeshSettings)
    assert (found.coarse_steps, found.detail_steps) == (stored["coarse_steps"], stored["detail_steps"])
    assert found.frames == stored["frames"]
    assert None not in asdict(found).values()
    assert shipped_settings("triplane", tmp_path) == TriplaneSettings().filled()
    # Weights older than the word.
    older = {"sampling": {"turns": 2, **{name: value for name, value in stored.items() if name != "frames"}}}
    (tmp_path / "config.json").write_text(json.dumps(older))
    assert shipped_settings("wavemesh", tmp_path) == replace(found, frames=2)


def test_changes_go_over_settings_and_foreign_ones_are_refused() -> None:
    asked = WaveMeshSettings(coarse_steps=7, seed=3)
    changed = WaveMeshSettings.asked(asked, (4, 2), seed=None, frames=2)
    assert changed == replace(asked, coarse_steps=4, detail_steps=2, frames=2)
    assert WaveMeshSettings.asked(None, 6).stage_steps() == {"coarse": 6, "detail": 6}
    with pytest.raises(InputError, match="are of the method wavemesh, not triplane"):
        TriplaneSettings.asked(asked)
    with pytest.raises(InputError, match="has no setting 'frames' \\(its value was 2\\)"):
        TriplaneSettings.asked(None, frames=2)
    with pytest.raises(InputError, match="takes 1 number of steps, not \\(2, 1\\)"):
        TriplaneSettings.asked(None, (2, 1))


def test_options_are_named_as_on_the_command_line() -> None:
    asked = by_option("wavemesh", {"guidance": 2.0, "threshold": 0.01, "frames": None, "steps": 3})
    assert asked == WaveMeshSettings(guidance_scale=2.0, detail_threshold=0.01, coarse_steps=3, detail_steps=3)
    with pytest.raises(InputError, match="frames is for the method wavemesh, not triplane"):
        by_option("triplane", {"frames": 2})
    with pytest.raises(InputError, match="no setting 'turns'"):
        by_option("wavemesh", {"turns": 2})
    with pytest.raises(InputError, match="no method 'nerf'"):
        by_option("nerf", {})


@given(
    steps=st.integers(1, 1000),
    guidance=st.floats(0.0, 20.0),
    seed=st.integers(0, 2**63 - 1),
    sampler=st.sampled_from(list(SAMPLERS)),
    frames=st.sampled_from([1, 2, 4]),
)
def test_json_and_back(steps: int, guidance: float, seed: int, sampler: str, frames: int) -> None:
    asked = WaveMeshSettings(
        coarse_steps=steps, guidance_scale=guidance, seed=seed, sampler=sampler, frames=frames
    ).filled()
    assert from_json(json.loads(json.dumps(to_json(asked)))) == asked


def test_settings_of_earlier_bundles_are_read() -> None:
    stored = {
        "method": "wavemesh",
        "num_inference_steps": [2, 1],
        "turns": 4,
        "seed": 5,
        "weights": "ab",
        "device": "cpu",
    }
    assert from_json(stored) == WaveMeshSettings(coarse_steps=2, detail_steps=1, frames=4, seed=5)
    assert from_json({"method": "triplane", "num_inference_steps": 3}) == TriplaneSettings(steps=3)


def test_passes_count_frames_and_guidance() -> None:
    assert WaveMeshSettings(frames=4).passes() == 4
    assert WaveMeshSettings(frames=4, guidance_scale=2.0).passes() == 8
    assert TriplaneSettings(guidance_scale=2.0).passes() == 2


def test_a_setting_is_one_field() -> None:
    """A made-up setting, declared once, has everything that doors ask of a setting."""
    extra = ("polish", float, settings.setting(0.0, "Polish", "Smooths the result.", minimum=0, maximum=1))
    made_up = make_dataclass("MadeUp", [extra], bases=(WaveMeshSettings,), frozen=True)
    declaration = options(made_up)["polish"]
    assert (declaration.kind, declaration.label, declaration.option) == (float, "Polish", "polish")
    with pytest.raises(InputError, match=r"polish must be a number between 0 and 1, not 2\.0"):
        made_up(polish=2.0)


def test_bad_values_are_refused_at_construction() -> None:
    with pytest.raises(InputError, match="coarse steps must be a whole number between 1 and 1000, not 0"):
        WaveMeshSettings(coarse_steps=0)


def test_the_names_of_choices_are_those_that_the_package_knows() -> None:
    from wavemesh import imaging
    from wavemesh.diffusion import samplers

    assert set(SAMPLERS) == set(samplers.SAMPLERS)
    assert set(settings.BACKGROUNDS) == set(imaging.METHODS)
