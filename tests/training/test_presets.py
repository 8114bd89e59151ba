"""The table of presets: every row is valid, and values given replace those of a row."""

from pathlib import Path

import pytest

from wavemesh.errors import InputError
from wavemesh.training.presets import PRESETS, get_preset


def test_presets_make_valid_settings_and_values_replace_them(tmp_path: Path) -> None:
    for name, preset in PRESETS.items():
        assert preset.name == name
        assert preset.loop_config(tmp_path).total_steps > 0
    replaced = get_preset("tiny").loop_config(tmp_path, total_steps=7, batch_size=None)
    assert replaced.total_steps == 7
    assert replaced.batch_size == get_preset("tiny").loop["batch_size"]
    with pytest.raises(InputError, match="'huge'"):
        get_preset("huge")
    with pytest.raises(InputError, match="'epochs'"):
        get_preset("tiny").loop_config(tmp_path, epochs=3)
