"""How the benchmark times things, and the made-up object that it times them on."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import trimesh


def measure(runs: dict[str, Callable[[], Any]], repeats: int, device: str = "cpu") -> dict[str, float]:
    """The median seconds of each variant after one warm-up call; waits for the GPU where there is one.

    The variants take turns, so that other load on the machine falls on all of them and leaves their ratios alone.
    """
    for run in runs.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            _wait(device)
            start = time.perf_counter()
            run()
            _wait(device)
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def bench_mesh() -> trimesh.Trimesh:
    """A table with a drawer unit and a lamp: thin parts, a bulky part and a round one, in the frame of the product."""
    parts = [
        trimesh.creation.box((1.8, 0.08, 1.1)).apply_translation((0.0, 0.0, 0.0)),
        trimesh.creation.box((0.5, 0.7, 0.9)).apply_translation((0.55, -0.38, 0.0)),
        trimesh.creation.icosphere(subdivisions=3, radius=0.24).apply_translation((-0.45, 0.5, 0.0)),
        trimesh.creation.box((0.07, 0.3, 0.07)).apply_translation((-0.45, 0.16, 0.0)),
    ]
    for x, z in ((-0.82, -0.48), (-0.82, 0.48)):
        parts.append(trimesh.creation.box((0.09, 0.75, 0.09)).apply_translation((x, -0.4, z)))
    mesh = trimesh.util.concatenate(parts)
    mesh.visual.vertex_colors = np.tile(np.array([170, 120, 80, 255], np.uint8), (len(mesh.vertices), 1))
    return mesh
