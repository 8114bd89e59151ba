"""The methods that the page offers: what they are called, their stages, presets, and where their weights lie.

Nothing here loads a model: the page is built before torch is.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wavemesh.bundled import WEIGHTS

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Method:
    """One way from pictures to a mesh. stages: of its diffusion, in order, as step reports name them."""

    key: str
    title: str
    stages: tuple[str, ...]
    note: str


@dataclass(frozen=True)
class Preset:
    """Where the sliders go. steps: one number for each stage. resolution, turns: None where the method has only one."""

    title: str
    steps: tuple[int, ...]
    resolution: int | None = None
    turns: int | None = None


METHODS = {
    method.key: method
    for method in (
        Method("wavemesh", "WaveMesh-Diff", ("coarse", "detail"), "Diffusion over 3D wavelets: the sharper geometry."),
        Method("triplane", "Wavelet Triplane", ("triplane",), "Diffusion over three planes: colours of its own."),
    )
}


def available_methods(folder: Path = WEIGHTS) -> list[str]:
    """The keys of the methods whose bundled weights are there."""
    return [key for key in METHODS if (folder / key / "manifest.json").is_file()]


def loader(method: str, weights: str | Path | None, device: str) -> Callable[[], Any]:
    """What loads the method's pipeline when it is first needed."""

    def load() -> Any:
        from wavemesh.pipelines.registry import load_pipeline

        return load_pipeline(method, weights, device)

    return load


def presets(method: str, shipped: tuple[int, ...], turns: int) -> dict[str, Preset]:
    """Fast, balanced and fine for a method; balanced is what its weights were shipped with: steps and frames."""
    if method == "triplane":
        first = shipped[0]
        return {
            "fast": Preset("Fast", (1,)),
            "balanced": Preset("Balanced", (first,)),
            "fine": Preset("Fine", (max(12, 2 * first),)),
        }
    coarse, detail = shipped
    return {
        # Four evaluations of the coarse network, in one batch; docs/ablations.md has what that costs.
        "fast": Preset("Fast", (1, 1), 128, 4),
        "balanced": Preset("Balanced", (coarse, detail), 128, turns),
        "fine": Preset("Fine", (max(12, 2 * coarse), max(4, 2 * detail)), 128, 4),
    }


def shipped_sampling(folder: Path) -> dict[str, Any]:
    """The sampling defaults that came with weights, read without loading them; empty where there are none."""
    try:
        data = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return dict(data.get("sampling") or {})
    except (OSError, ValueError, TypeError, AttributeError) as error:
        _log.info("no shipped defaults: %s", error)
        return {}
