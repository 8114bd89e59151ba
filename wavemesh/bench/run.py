"""Measures what the benchmark is asked for, one part after the other.

Image to mesh per stage with peak memory (in a child process), the cut-out of a large photograph, the triplane system
beside its reference's figures, sparse against dense U-Net, cost per doubling of resolution, wavelets against ptwt and
PyWavelets, the time from starting the app to its first page, and what the page's previews add to a run.
"""

from __future__ import annotations

import logging
import os
import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from wavemesh.bench import PARTS
from wavemesh.bench.app import bench_app_start
from wavemesh.bench.cutout import bench_cutout
from wavemesh.bench.pipeline import bench_pipeline
from wavemesh.bench.previews import bench_previews
from wavemesh.bench.report import BenchReport
from wavemesh.bench.triplane import bench_triplane
from wavemesh.bench.unet import bench_unet
from wavemesh.bench.wavelets import bench_wavelets
from wavemesh.errors import InputError
from wavemesh.machine import load_average
from wavemesh.models.wavemesh import DenoiserConfig

log = logging.getLogger(__name__)


def run_bench(
    source: str | None = None,
    out_dir: str | Path | None = None,
    device: str = "auto",
    repeats: int = 3,
    parts: Sequence[str] = PARTS,
    detail: DenoiserConfig | None = None,
    triplane_source: str | None = None,
) -> BenchReport:
    """Measures the chosen parts, one after the other.

    source: weights (None: bundled). device: "auto", "cpu" or "cuda". repeats: runs of which the median counts.
    detail: size of the network for the part "unet" (None: the shipped one). triplane_source: weights of the triplane
    system. Raises InputError for an unknown part or fewer than one repeat; a part that cannot run here (no app.py) is
    left out with a warning.
    """
    unknown = [part for part in parts if part not in PARTS]
    if unknown or not parts:
        raise InputError(f"Unknown part of the benchmark {unknown}; choose from {', '.join(PARTS)}.")
    if repeats < 1:
        raise InputError(f"The benchmark needs at least one repeat, not {repeats}.")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    runners: dict[str, Callable[[], dict[str, Any] | None]] = {
        "pipeline": lambda: bench_pipeline(source, device, repeats),
        "cutout": lambda: bench_cutout(repeats),
        "triplane": lambda: bench_triplane(triplane_source, device, repeats),
        "unet": lambda: bench_unet(detail, device, repeats),
        "wavelets": lambda: bench_wavelets(max(repeats, 5)),
        "app": bench_app_start,
        "previews": lambda: bench_previews(source, device, min(repeats, 2)),
    }
    results = {}
    for part in parts:
        log.info("measuring %s", part)
        result = runners[part]()
        if result is not None:
            results[part] = result
    report = BenchReport(describe_machine(device), results)
    if out_dir is not None:
        report.save(Path(out_dir))
    return report


def describe_machine(device: str) -> dict[str, Any]:
    """Processor, cores, threads, versions and load: what the reader needs to judge the timings."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    load = load_average()
    machine = {
        "processor": model,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "load": None if load is None else round(load, 1),
    }
    if device == "cuda":
        machine["gpu"] = torch.cuda.get_device_name()
    return machine
