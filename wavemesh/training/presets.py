"""The one table of training presets: `python -m wavemesh train --preset NAME` reads its rows.

A preset names the system it trains, the settings of the loop and the options of the system's task. Values given on the
command line replace single ones. Measured scores stand beside the rows that produced shipped weights.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from wavemesh.errors import InputError
from wavemesh.training.settings import LoopConfig


@dataclass(frozen=True)
class Preset:
    """One row: `loop` holds fields of LoopConfig (not `out_dir`), `task` options of the system's task."""

    name: str
    system: str
    summary: str
    loop: Mapping[str, Any]
    task: Mapping[str, Any] = field(default_factory=dict)

    def loop_config(self, out_dir: str | Path, **replaced: Any) -> LoopConfig:
        """Settings of a run in `out_dir`, with the values of `replaced` that are not None in place of the preset's.

        Raises InputError for a name that LoopConfig does not have and for values out of range.
        """
        values = {**self.loop, **{name: value for name, value in replaced.items() if value is not None}}
        unknown = sorted(set(values) - {each.name for each in fields(LoopConfig)})
        if unknown:
            raise InputError(f"Training has no setting {unknown[0]!r}.")
        return LoopConfig(out_dir=out_dir, **values)


_ROWS = (
    Preset(
        "tiny",
        "wavemesh",
        "a few minutes on two CPU cores: shows that everything runs, not that it learns much",
        {"total_steps": 200, "batch_size": 2, "warmup_steps": 20, "log_every": 10, "save_every_s": 120.0},
    ),
    Preset(
        "cpu",
        "wavemesh",
        "hours on two CPU cores in bf16",
        {"total_steps": 40_000, "batch_size": 8, "warmup_steps": 500, "sample_every": 2_000, "threads": 2},
    ),
    Preset(
        "gpu",
        "wavemesh",
        "hours on one GPU in bf16",
        {"total_steps": 100_000, "batch_size": 64, "warmup_steps": 1_000, "sample_every": 5_000, "ema_decay": 0.9995},
    ),
)

PRESETS: dict[str, Preset] = {preset.name: preset for preset in _ROWS}


def get_preset(name: str) -> Preset:
    """The row of that name; raises InputError that lists the names there are."""
    if name not in PRESETS:
        raise InputError(f"There is no preset {name!r}; there are {', '.join(PRESETS)}.")
    return PRESETS[name]
