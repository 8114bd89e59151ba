"""Seconds and memory of picture to mesh with the shipped defaults, in a process of its own.

python -m wavemesh.bench.pipeline '{"picture": "chair.png", "out": "result.json", "repeats": 1}'
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from PIL import Image

from wavemesh.bench.processes import measured_apart
from wavemesh.machine import peak_resident_bytes


def bench_pipeline(source: str | None = None, device: str = "cpu", repeats: int = 3) -> dict[str, Any]:
    """Median seconds per stage of picture -> mesh with the shipped defaults, and peak memory.

    Raises InputError with the child's last words when it fails.
    """
    return measured_on_picture(__name__, source, device, repeats)


def measured_on_picture(module: str, source: str | None, device: str, repeats: int) -> dict[str, Any]:
    """What a module measures of a pipeline, in a process of its own, on a picture of a made-up object."""
    from wavemesh.bench.timing import bench_mesh
    from wavemesh.geometry.camera import Camera
    from wavemesh.rendering import raycast_view

    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "picture.png"
        view = raycast_view(bench_mesh(), Camera(azimuth_deg=30.0, elevation_deg=20.0), 512)
        Image.fromarray(view.rgba, "RGBA").save(picture)
        options = {"source": source, "device": device, "repeats": repeats, "picture": str(picture)}
        return measured_apart(module, options)


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


if __name__ == "__main__":
    main(sys.argv[1])
