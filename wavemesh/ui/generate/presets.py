"""The page's presets: named choices of settings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from wavemesh.settings import Settings, WaveMeshSettings


@dataclass(frozen=True)
class Preset:
    """A named choice of settings, complete."""

    title: str
    settings: Settings


def presets(shipped: Settings) -> dict[str, Preset]:
    """Fast, balanced, fine and watch by key; balanced is what the weights were shipped with (filled settings).

    Watch has many cheap steps, to see the shape form. What would be the same as balanced or an earlier one is left out.
    """
    if isinstance(shipped, WaveMeshSettings):
        coarse, detail = shipped.stage_steps().values()
        # Fast: four evaluations of the coarse network, in one batch; docs/ablations.md has what that costs.
        fast: dict[str, Any] = {"coarse_steps": 1, "detail_steps": 1, "frames": 4}
        fine: dict[str, Any] = {"coarse_steps": max(12, 2 * coarse), "detail_steps": max(4, 2 * detail), "frames": 4}
        watch: dict[str, Any] = {"coarse_steps": 12, "frames": 1}
    else:
        (steps,) = shipped.stage_steps().values()
        fast, fine, watch = {"steps": 1}, {"steps": max(12, 2 * steps)}, {"steps": 12}
    found = {
        "fast": Preset("Fast", replace(shipped, **fast)),
        "balanced": Preset("Balanced", shipped),
        "fine": Preset("Fine", replace(shipped, **fine)),
        "watch": Preset("Watch", replace(shipped, **watch)),
    }
    settings = [preset.settings for preset in found.values()]
    return {
        key: preset
        for place, (key, preset) in enumerate(found.items())
        if key == "balanced" or preset.settings not in (shipped, *settings[:place])
    }
