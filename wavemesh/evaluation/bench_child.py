"""Runs the pipeline in a process of its own, so that peak memory is the pipeline's; started by `bench.bench_pipeline`.

python -m wavemesh.evaluation.bench_child '{"out": "result.json", "repeats": 1}'
"""

from __future__ import annotations

import json
import resource
import statistics
import sys
import time
from pathlib import Path
from typing import Any


def main(arguments: str) -> None:
    """Writes timings and memory to the file that the JSON in `arguments` names."""
    options = {"source": None, "device": "cpu", "repeats": 3, "picture": None} | json.loads(arguments)
    start = time.perf_counter()
    import torch

    from wavemesh.geometry.camera import Camera
    from wavemesh.pipelines import View, WaveMeshPipeline

    imported = time.perf_counter()
    pipeline = WaveMeshPipeline.from_pretrained(options["source"], device=options["device"])
    loaded = time.perf_counter()
    view = View(options["picture"], Camera(azimuth_deg=30.0, elevation_deg=20.0))
    runs: list[dict[str, float]] = []
    for _ in range(options["repeats"] + 1):
        begin = time.perf_counter()
        out = pipeline([view])
        runs.append({**out.timings, "total": time.perf_counter() - begin})
    result: dict[str, Any] = {
        "import_s": imported - start,
        "load_s": loaded - imported,
        "first_s": runs[0]["total"],
        "seconds": {name: statistics.median(run[name] for run in runs[1:]) for name in runs[-1]},
        "repeats": options["repeats"],
        "peak_resident_mib": peak_resident_bytes() / 2**20,
        "faces": len(out.mesh.faces),
        "resolution": int(out.sdf.shape[0]),
        "threads": torch.get_num_threads(),
    }
    if pipeline.device.type == "cuda":
        result["peak_device_mib"] = torch.cuda.max_memory_allocated() / 2**20
    Path(options["out"]).write_text(json.dumps(result), encoding="utf-8")


def peak_resident_bytes() -> int:
    """The largest resident set of this process so far.

    Linux's VmHWM starts anew with the program, while getrusage's maximum is inherited from the process that forked us.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    main(sys.argv[1])
