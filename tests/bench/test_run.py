"""The benchmark's machinery, on things whose cost is known."""

import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wavemesh import machine
from wavemesh.bench import pipeline, run, timing, unet
from wavemesh.bench.app import bench_app_start
from wavemesh.bench.cutout import bench_cutout, made_up_photograph
from wavemesh.bench.report import _cutout_lines, _unet_lines
from wavemesh.errors import InputError
from wavemesh.models.precision import fast_dtypes
from wavemesh.models.wavemesh import DenoiserConfig

TINY = DenoiserConfig((8, 8), (1, 1), hidden=8, condition_channels=8, time_dim=16)


def test_measure_takes_turns_and_gives_medians(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(timing.time, "perf_counter", lambda: now[0])
    order: list[str] = []

    def variant(name: str, seconds: list[float]) -> Callable[[], None]:
        def run() -> None:
            order.append(name)
            now[0] += seconds.pop(0)

        return run

    # The first call warms up; the median shrugs off the one that was disturbed.
    runs = {"slow": variant("slow", [99.0, 4.0, 5.0, 50.0]), "quick": variant("quick", [99.0, 1.0, 2.0, 3.0])}
    assert timing.measure(runs, repeats=3) == {"slow": 5.0, "quick": 2.0}
    assert order == ["slow", "quick"] * 4


def test_sites_of_a_surface_grow_with_the_square_of_the_resolution(monkeypatch: pytest.MonkeyPatch) -> None:
    axis = (np.arange(128) + 0.5) / 64 - 1
    points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1)
    ball = (np.linalg.norm(points, axis=-1) - 0.8).astype(np.float32)
    monkeypatch.setattr(unet, "mesh_to_sdf", lambda mesh, resolution: ball)
    counts = {n: int(mask.sum()) for n, mask in unet.surface_sites((32, 64, 128)).items()}
    assert 3.5 < counts[64] / counts[32] < 4.5
    assert 3.5 < counts[128] / counts[64] < 4.5


def test_sparse_and_dense_networks_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    masks = {}
    for n in (32, 64, 128):
        masks[n] = torch.zeros(1, n, n, n, dtype=torch.bool)
        masks[n][0, 4:8, 4:8, 4:8] = True
    monkeypatch.setattr(unet, "surface_sites", lambda resolutions, mesh: masks)
    # The dense network on all of 64^3 is too slow for a test: a corner of it says as much about the machinery.
    monkeypatch.setattr(unet.torch, "ones_like", lambda mask: torch.ones(1, 8, 8, 8, dtype=torch.bool))
    result = unet.bench_unet(TINY, repeats=1)
    assert result["active_sites"] == {32: 64, 64: 64, 128: 64}
    assert result["speedup"] > 0
    names = [str(dtype).removeprefix("torch.") for dtype in fast_dtypes("cpu")]
    assert set(result["seconds"]) == {f"{kind} {name}" for kind in ("sparse", "dense") for name in names}
    assert "faster" in _unet_lines(result)[0][1]


def test_a_photograph_is_cut_out_and_timed() -> None:
    result = bench_cutout(1, size=(400, 300))
    assert result["by"] == "u2netp"
    assert result["total_s"] == sum(result["seconds"].values()) > 0
    [(title, measured, budget)] = _cutout_lines({**result, "megapixels": 12.0, "total_s": 1.234})
    assert (title, budget) == ("cut-out of a JPEG of 12 megapixels (u2netp)", "under 1.5 s")
    assert measured.startswith("1.23 s (read 0.")
    with Image.open(io.BytesIO(made_up_photograph((400, 300)))) as photograph:
        assert (photograph.format, photograph.size) == ("JPEG", (400, 300))


def test_the_report_has_every_part(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stages = {"encode": 0.1, "coarse": 1.0, "total": 1.2}
    pipeline = {
        "import_s": 2.0,
        "load_s": 0.5,
        "first_s": 2.0,
        "seconds": stages,
        "repeats": 3,
        "peak_resident_mib": 900.0,
        "faces": 10,
        "resolution": 128,
        "threads": 2,
    }
    wavelets = {"3d": {"seconds": {"wavemesh": 0.05, "pywt": 0.1}, "ratio": {"pywt": 0.5}}}
    monkeypatch.setattr(run, "bench_pipeline", lambda *args: pipeline)
    monkeypatch.setattr(run, "bench_wavelets", lambda repeats: wavelets)
    monkeypatch.setattr(run, "bench_app_start", lambda: None)
    asked = []
    previews = {"seconds": {"with": 2.4, "without": 2.0}, "added_share": 0.2, "previews": 5, "repeats": 2}
    monkeypatch.setattr(run, "bench_previews", lambda *args: asked.append(args) or previews)
    report = run.run_bench(None, tmp_path, "cpu", 3, ["pipeline", "wavelets", "app", "previews"])
    assert set(report.parts) == {"pipeline", "wavelets", "previews"}
    assert asked == [(None, "cpu", 2)]
    text = (tmp_path / "bench.md").read_text("utf-8")
    assert "1.20 s (encode 0.10, coarse 1.00)" in text
    assert "0.50 of pywt's time" in text
    assert report.to_summary().splitlines()[2:] == [
        "| | measured | budget |",
        "|---|---|---|",
        "| picture to 128³ mesh | 1.2 s | under 10 s |",
        "| memory of that | 900 MiB | under 2 GB |",
        "| watching a run | 20% of the run | at most 25% |",
    ]
    assert "(5 previews) | 20% (2.40 s against 2.00 s) | at most 25% |" in text
    assert json.loads((tmp_path / "bench.json").read_text("utf-8"))["parts"]["pipeline"]["peak_resident_mib"] == 900.0


def test_the_readme_shows_figures_of_the_bench() -> None:
    """Where this fails, one of the two tables was written without the other: see `python -m wavemesh bench`."""
    root = Path(__file__).resolve().parents[2]
    short, whole = ((root / name).read_text(encoding="utf-8") for name in ("README.md", "docs/bench.md"))
    marked = re.search(r"<!-- table:speed -->\n(.*?)<!-- end -->", short, re.DOTALL)
    assert marked is not None

    def figure(text: str, row: str) -> float:
        found = re.search(rf"^\| {row}.*?\| ([\d.]+)", text, re.MULTILINE)
        assert found is not None, row
        return float(found[1])

    pairs = {
        "picture to 128³ mesh": "image -> 128³ mesh",
        "memory of that": "peak resident memory",
        "start of the page": "start of the app",
        "watching a run": "preview streaming",
    }
    for row, source in pairs.items():
        assert figure(marked[1], row) == pytest.approx(figure(whole, source), abs=0.0501)


def test_bad_choices_are_refused() -> None:
    with pytest.raises(InputError, match="'gpu'"):
        run.run_bench(parts=["gpu"])
    with pytest.raises(InputError, match="not 0"):
        run.run_bench(repeats=0)


def test_peak_memory_sees_a_large_array() -> None:
    before = machine.peak_resident_bytes()
    block = np.ones(64 * 2**20, dtype=np.uint8)
    assert machine.peak_resident_bytes() >= before
    assert machine.peak_resident_bytes() >= block.nbytes


def test_the_start_of_an_app_is_timed(tmp_path: Path) -> None:
    app = tmp_path / "app.py"
    app.write_text(
        "import http.server, os\n"
        "address = (os.environ['GRADIO_SERVER_NAME'], int(os.environ['GRADIO_SERVER_PORT']))\n"
        "class Page(http.server.BaseHTTPRequestHandler):\n"
        "    def do_GET(self):\n"
        "        self.send_response(200)\n        self.end_headers()\n        self.wfile.write(b'page')\n"
        "http.server.HTTPServer(address, Page).serve_forever()\n"
    )
    result = bench_app_start(app)
    assert result is not None
    assert 0 < result["first_page_s"] < 60
    app.write_text("raise SystemExit(3)")
    with pytest.raises(InputError, match="status 3"):
        bench_app_start(app)
    assert bench_app_start(tmp_path / "none.py") is None


def test_a_child_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'pipeline' failed"):
        pipeline.bench_pipeline(str(tmp_path / "no-weights"), "cpu", 1)
