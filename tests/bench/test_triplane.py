"""The benchmark of the triplane system: its machinery, on tiny networks, and its rows."""

import json
from pathlib import Path

import pytest
import torch

from wavemesh.bench import run
from wavemesh.bench import triplane as bench_triplane
from wavemesh.errors import InputError


def test_the_ball_is_a_ball_whatever_the_channels() -> None:
    renderer, triplane = bench_triplane.ball(3, radius=0.5, resolution=64)
    points = torch.randn(1, 500, 3)
    points = points / points.norm(dim=2, keepdim=True)
    with torch.no_grad():
        for radius, sign in ((0.45, -1), (0.55, 1)):
            assert (renderer.sdf(triplane, radius * points).sign() == sign).all()
        picture = renderer.render_volume(triplane, 32, 24)[0]
    assert (picture[:, 0, 0] == 1.0).all()
    torch.testing.assert_close(picture[:, 12, 12], torch.sigmoid(torch.tensor([2.0, -1.0, -1.5])), atol=0.02, rtol=0)


def test_every_row_of_the_reference_is_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bench_triplane, "QUALITIES", {"fast preview": (8, 4), "high quality": (12, 8)})
    monkeypatch.setattr(
        bench_triplane, "_memory", lambda *given: {"peak_resident_mib": 512.0, "above_imports_mib": 99.0}
    )
    usual = bench_triplane.TriplaneConfig
    small = {"resolution": 8, "width": 8, "time_embed_dim": 8, "condition_dim": 8}
    monkeypatch.setattr(bench_triplane, "TriplaneConfig", lambda **given: usual(**given, **small))
    result = bench_triplane.bench_triplane(None, "cpu", 1, sizes={2: 16})
    assert result["2"]["rendered"] in ("a ball", "a sampled triplane")
    assert result["2"]["precision"] in ("float32", "bfloat16")
    assert min(*result["2"]["forward"].values(), result["2"]["training"], *result["2"]["rendering"].values()) > 0.0
    monkeypatch.setattr(run, "bench_triplane", lambda *given: result)
    text = run.run_bench(None, tmp_path, "cpu", 1, ["triplane"]).to_markdown()
    rows = {
        line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")[2:4]] for line in text.splitlines()[4:]
    }
    stated = {name.rsplit(": ", 1)[1]: cells[1] for name, cells in rows.items()}
    assert stated["forward, B=1"] == "2-3 s"
    assert stated["forward, B=4"] == "8-10 s"
    assert stated["memory of a forward pass, B=2, float32"] == "about 500 MB"
    assert any(cells[0] == "512 MiB resident, 99 above the imports" for cells in rows.values())
    assert len(rows) == 4 + 2
    with pytest.raises(InputError, match="'nowhere'"):
        bench_triplane.bench_triplane("nowhere", "cpu", 1)


def test_rows_of_a_gpu_have_its_stated_figures() -> None:
    result = {
        "parameters": 15_000_000,
        "precision": "bfloat16",
        "forward": {"1": 0.02, "4": 1.5},
        "training": 0.2,
        "training_mib": 3000.0,
        "memory": {"peak_resident_mib": 900.0, "above_imports_mib": 500.0, "peak_device_mib": 700.0},
        "rendering": dict.fromkeys(bench_triplane.QUALITIES, 0.01),
        "rendered": "a ball",
        "image_size": 256,
        "device": "cuda",
    }
    lines = bench_triplane.triplane_lines({"32": result})
    assert [line[1:] for line in lines[:5]] == [
        ("20 ms", "100-150 ms"),
        ("1.50 s", "300-400 ms"),
        ("200 ms", "500-700 ms"),
        ("700 MiB of device memory", "under 2 GB"),
        ("3000 MiB", "6-8 GB"),
    ]
    assert len(lines) == 5 + 3


@pytest.mark.whole
def test_memory_is_measured_in_a_process_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = bench_triplane.TriplaneConfig
    small = {"resolution": 8, "width": 8, "time_embed_dim": 8, "condition_dim": 8}
    monkeypatch.setattr(bench_triplane, "TriplaneConfig", lambda **given: usual(**given, **small))
    out = tmp_path / "memory.json"
    bench_triplane.main(json.dumps({"channels": 2, "image_size": 16, "out": str(out)}))
    measured = json.loads(out.read_text("utf-8"))
    assert measured["peak_resident_mib"] > 50
    assert measured["above_imports_mib"] >= 0
    with pytest.raises(InputError, match="failed"):
        bench_triplane._memory(0, 16, "cpu")
