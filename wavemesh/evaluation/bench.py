"""What the product costs: `wavemesh bench` measures the budgets of the design and writes them as JSON and Markdown.

Image to mesh per stage with peak memory (in a child process), the triplane system beside its reference's figures,
sparse against dense U-Net, cost per doubling of resolution, wavelets against ptwt and PyWavelets, the time from
starting the app to its first page, and what the page's previews add to a run.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from wavemesh.errors import InputError
from wavemesh.evaluation.bench_parts import bench_mesh, bench_unet, bench_wavelets
from wavemesh.evaluation.bench_triplane import bench_triplane, triplane_lines
from wavemesh.geometry.camera import Camera
from wavemesh.models.wavemesh import DenoiserConfig
from wavemesh.rendering import raycast_view

log = logging.getLogger(__name__)

PARTS = ("pipeline", "triplane", "unet", "wavelets", "app", "previews")
ROOT = Path(__file__).resolve().parents[2]
APP_TIMEOUT_S = 120.0


@dataclass(frozen=True)
class BenchReport:
    """All measurements by part, and the machine they were made on."""

    machine: dict[str, Any]
    parts: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """The report as JSON."""
        return json.dumps(asdict(self), indent=1)

    def to_markdown(self) -> str:
        """The report as a table with the budget, or what the reference states, beside each number."""
        lines = [", ".join(f"{name} {value}" for name, value in self.machine.items()), ""]
        lines += ["| | measured | budget or stated |", "|---|---|---|"]
        writers = {
            "pipeline": _pipeline_lines,
            "triplane": triplane_lines,
            "unet": _unet_lines,
            "wavelets": _wavelet_lines,
            "app": _app_lines,
            "previews": _preview_lines,
        }
        for part, result in self.parts.items():
            lines += [f"| {name} | {value} | {budget} |" for name, value, budget in writers[part](result)]
        return "\n".join(lines) + "\n"

    def save(self, folder: Path) -> tuple[Path, Path]:
        """Writes bench.json and bench.md and gives their paths."""
        folder.mkdir(parents=True, exist_ok=True)
        paths = folder / "bench.json", folder / "bench.md"
        paths[0].write_text(self.to_json(), encoding="utf-8")
        paths[1].write_text(self.to_markdown(), encoding="utf-8")
        return paths


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


def bench_pipeline(source: str | None = None, device: str = "cpu", repeats: int = 3) -> dict[str, Any]:
    """Median seconds per stage of picture -> mesh with the shipped defaults, and peak memory, from a child process.

    Raises InputError with the child's last words when it fails.
    """
    return _measured_by("wavemesh.evaluation.bench_child", source, device, repeats)


def bench_previews(source: str | None = None, device: str = "cpu", repeats: int = 2) -> dict[str, Any]:
    """Median seconds of a run of the page with and without previews, and the share they add, from a child process.

    Raises InputError with the child's last words when it fails.
    """
    # By its name: the page lies above the evaluation.
    return _measured_by("wavemesh.ui.preview_cost", source, device, repeats)


def _measured_by(module: str, source: str | None, device: str, repeats: int) -> dict[str, Any]:
    """What a module that measures writes, run in a process of its own on a picture of a made-up object."""
    with tempfile.TemporaryDirectory() as folder:
        picture, out = Path(folder) / "picture.png", Path(folder) / "result.json"
        view = raycast_view(bench_mesh(), Camera(azimuth_deg=30.0, elevation_deg=20.0), 512)
        Image.fromarray(view.rgba, "RGBA").save(picture)
        options = {"source": source, "device": device, "repeats": repeats, "picture": str(picture), "out": str(out)}
        command = [sys.executable, "-m", module, json.dumps(options)]
        child = subprocess.run(command, env=_child_environment(), capture_output=True, text=True, check=False)
        if child.returncode != 0 or not out.exists():
            last = (child.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise InputError(f"The benchmark's pipeline failed: {last}")
        return json.loads(out.read_text("utf-8"))


def bench_app_start(app: Path | None = None) -> dict[str, Any] | None:
    """Seconds from starting `app.py` until its page answers; None (with a warning) where there is no app.py.

    Raises InputError when the app ends or does not answer within two minutes.
    """
    app = ROOT / "app.py" if app is None else app
    if not app.exists():
        log.warning("no %s: the start of the app is not measured", app.name)
        return None
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = _child_environment() | {"GRADIO_SERVER_PORT": str(port), "GRADIO_SERVER_NAME": "127.0.0.1"}
    start = time.perf_counter()
    child = subprocess.Popen(
        [sys.executable, str(app)],
        env=environment,
        cwd=app.parent,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while not _answers(f"http://127.0.0.1:{port}/"):
            if child.poll() is not None:
                raise InputError(f"The app ended with status {child.returncode} before it answered.")
            if time.perf_counter() - start > APP_TIMEOUT_S:
                raise InputError(f"The app did not answer within {APP_TIMEOUT_S:.0f} seconds.")
            time.sleep(0.05)
        return {"first_page_s": time.perf_counter() - start}
    finally:
        child.terminate()
        try:
            child.wait(timeout=10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5) as response:
            return response.status == 200 and bool(response.read(1))
    except (urllib.error.URLError, OSError):
        return False


def _child_environment() -> dict[str, str]:
    """This process's environment with the package findable, wherever the child starts."""
    path = os.environ.get("PYTHONPATH", "")
    return os.environ | {"PYTHONPATH": os.pathsep.join(part for part in (str(ROOT), path) if part)}


def describe_machine(device: str) -> dict[str, Any]:
    """Processor, cores, threads, versions and load: what the reader needs to judge the timings."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    machine = {
        "processor": model,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "load": round(os.getloadavg()[0], 1),
    }
    if device == "cuda":
        machine["gpu"] = torch.cuda.get_device_name()
    return machine


Line = tuple[str, str, str]


def _pipeline_lines(result: dict[str, Any]) -> list[Line]:
    stages = ", ".join(f"{name} {value:.2f}" for name, value in result["seconds"].items() if name != "total")
    on_gpu = "peak_device_mib" in result
    lines = [
        (
            f"image -> {result['resolution']}³ mesh, median of {result['repeats']}",
            f"{result['seconds']['total']:.2f} s ({stages})",
            "under 0.5 s" if on_gpu else "under 10 s",
        ),
        (
            "first run, import and loading",
            f"{result['first_s']:.2f} s, {result['import_s'] + result['load_s']:.2f} s",
            "",
        ),
        ("peak resident memory", f"{result['peak_resident_mib']:.0f} MiB", "under 2 GB"),
    ]
    if on_gpu:
        lines.append(("peak device memory", f"{result['peak_device_mib']:.0f} MiB", "under 2 GB"))
    return lines


def _unet_lines(result: dict[str, Any]) -> list[Line]:
    times = ", ".join(f"{name} {value * 1000:.0f} ms" for name, value in result["seconds"].items())
    growth = ", ".join(f"{name}: {value:.1f}x" for name, value in result["cost_per_doubling"].items())
    share = f"{100 * result['active_share']:.0f}% active, widths {result['widths']}, backend {result['backend']}"
    return [
        (
            f"sparse against dense U-Net at 64³ ({share})",
            f"{result['speedup']:.1f}x faster ({times})",
            "2x CPU, 4x GPU",
        ),
        ("sparse cost per doubling of resolution", growth, "near 4x, not 8x"),
    ]


def _wavelet_lines(result: dict[str, Any]) -> list[Line]:
    titles = {"3d": "3D transform and inverse, (1, 1, 128³)", "2d": "2D transform and inverse, (3, 32, 128, 128)"}
    lines = []
    for case, values in result.items():
        ratios = ", ".join(f"{ratio:.2f} of {other}'s time" for other, ratio in values["ratio"].items())
        lines.append((titles[case], f"{values['seconds']['wavemesh'] * 1000:.0f} ms: {ratios}", "at most 1"))
    return lines


def _app_lines(result: dict[str, Any]) -> list[Line]:
    return [("start of the app to the first page", f"{result['first_page_s']:.1f} s", "under 8 s")]


def _preview_lines(result: dict[str, Any]) -> list[Line]:
    seconds = result["seconds"]
    return [
        (
            f"preview streaming: share added to a run's time ({result['previews']} previews)",
            f"{100 * result['added_share']:.0f}% ({seconds['with']:.2f} s against {seconds['without']:.2f} s)",
            "at most 25%",
        )
    ]
