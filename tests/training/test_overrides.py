"""`train --set NAME=VALUE`: any typed setting by name, and one sentence for what is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wavemesh.cli import main
from wavemesh.errors import InputError
from wavemesh.training.overrides import parse_settings
from wavemesh.training.presets import PRESETS, get_preset
from wavemesh.training.settings import LoopConfig


def test_values_are_json_or_words() -> None:
    texts = ["ema_decay=0.9", "amp=bf16", "view_counts=[1,4]", "limit=null", "augment=false", " a = b=c"]
    assert parse_settings(texts) == {
        "ema_decay": 0.9,
        "amp": "bf16",
        "view_counts": [1, 4],
        "limit": None,
        "augment": False,
        "a": " b=c",
    }
    for text in ("ema_decay", "=3", ""):
        with pytest.raises(InputError, match="NAME=VALUE"):
            parse_settings([text])


def test_settings_of_loop_task_and_model_reach_their_places(tmp_path: Path) -> None:
    changed = get_preset("tiny").changed(
        parse_settings(
            ["clip_norm=0.5", "keep_snapshots=5", "save_every_steps=7", "drop_prob=0.2", "view_counts=[2]",
             "view_weights=[1.0]", "encoder.scales=[64,32]", "diffusion.timesteps=50", "bank=bior4.4"]
        )
    )  # fmt: skip
    loop = changed.loop_config(tmp_path)
    assert (loop.clip_norm, loop.keep_snapshots, loop.save_every_steps) == (0.5, 5, 7)
    assert changed.task_options == {"drop_prob": 0.2, "view_counts": (2,), "view_weights": (1.0,)}
    assert changed.model["encoder"]["scales"] == [64, 32]
    assert changed.model["encoder"]["image_size"] == 64
    assert changed.model["diffusion"] == {"data_deviation": 0.3, "timesteps": 50}
    assert "scales" not in get_preset("tiny").model["encoder"]


def test_nothing_changed_is_the_preset_itself(tmp_path: Path) -> None:
    for preset in PRESETS.values():
        same = preset.changed({})
        assert same.loop_config(tmp_path) == preset.loop_config(tmp_path)
        assert same.task_options == preset.task_options


@pytest.mark.parametrize(
    "preset, setting, said",
    [
        ("tiny", {"ema_decai": 0.9}, "'ema_decai'"),
        ("tiny", {"ema_decay": "much"}, "LoopConfig.ema_decay"),
        ("tiny", {"ema_decay": 2.0}, "not 2.0"),
        ("tiny", {"seed": -1}, "not -1"),
        ("tiny", {"clip_norm": float("nan")}, "clip_norm"),
        ("tiny", {"drop_prob": 5.0}, "not 5.0"),
        ("tiny", {"limit": 0}, "not 0"),
        ("tiny", {"view_counts": []}, "view_counts"),
        ("tiny", {"encoder.size": 3}, "'size'"),
        ("tiny", {"encoder.widths.deep": 3}, "no settings of its own"),
        ("tiny", {"encoder.scales": [5]}, "scales"),
        ("tiny", {"diffusion": 3}, "WaveMeshConfig.diffusion"),
        ("tiny", {"out_dir": "x"}, "by -o"),
        ("camera", {"procedural": -1}, "procedural"),
        ("depth", {"encoder.scales": [64]}, "'encoder.scales'"),
        ("triplane-autoencoder", {"triplane_channels": 0}, "triplane_channels"),
    ],
)
def test_what_is_no_setting_is_one_sentence(preset: str, setting: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as refused:
        get_preset(preset).changed(setting)
    sentence = str(refused.value)
    assert said in sentence
    assert "\n" not in sentence
    assert sentence.endswith(".")


def test_the_command_line_refuses_in_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["train", "--preset", "tiny", "--data", str(tmp_path), "-o", str(tmp_path / "out"), "--set"]
    assert main([*command, "ema_decay=often"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert main([*command, "diffusion.timesteps=50", "--init", str(tmp_path)]) == 2
    assert "--init" in capsys.readouterr().err


@pytest.mark.parametrize("batch, accumulated, due", [(4, 1, [5, 10, 15]), (8, 1, [3, 5, 8, 10, 13, 15]), (4, 2, None)])
def test_every_second_epoch_is_the_step_that_completes_it(batch: int, accumulated: int, due: list[int] | None) -> None:
    """Ten samples: with four of them a step two epochs take five steps."""
    loop = LoopConfig("", 20, batch_size=batch, grad_accumulation=accumulated, save_every_epochs=2)
    found = [step for step in range(1, 16) if loop.is_due(step, None, loop.save_every_epochs, 10, 1)]
    assert found == (due or [3, 5, 8, 10, 13, 15])
    assert [step for step in range(1, 9) if loop.is_due(step, 3, None, None, 1)] == [3, 6]
    with pytest.raises(InputError, match="no epochs"):
        loop.is_due(1, None, 2, None, 1)
