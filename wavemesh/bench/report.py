"""The measurements of a benchmark as JSON and as Markdown, each beside its budget."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from wavemesh.bench.triplane import Line, triplane_lines

APP_BUDGET, PREVIEW_BUDGET = "under 8 s", "at most 25%"


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
            "cutout": _cutout_lines,
            "triplane": triplane_lines,
            "unet": _unet_lines,
            "wavelets": _wavelet_lines,
            "app": _app_lines,
            "previews": _preview_lines,
        }
        for part, result in self.parts.items():
            lines += [_row(*line) for line in writers[part](result)]
        return "\n".join(lines) + "\n"

    def to_summary(self) -> str:
        """What a newcomer asks about, each where its part was measured: a mesh, its memory, the page, its previews."""
        lines = [f"On {self.machine.get('gpu', self.machine['processor'])}, {self.machine['cores']} cores:", ""]
        lines += ["| | measured | budget |", "|---|---|---|"]
        if (run := self.parts.get("pipeline")) is not None:
            lines.append(_row("picture to 128³ mesh", f"{run['seconds']['total']:.1f} s", _mesh_budget(run)))
            lines.append(_row("memory of that", f"{run['peak_resident_mib']:.0f} MiB", "under 2 GB"))
        if (start := self.parts.get("app")) is not None:
            lines.append(_row("start of the page", f"{start['first_page_s']:.1f} s", APP_BUDGET))
        if (previews := self.parts.get("previews")) is not None:
            share = f"{100 * previews['added_share']:.0f}% of the run"
            lines.append(_row("watching a run", share, PREVIEW_BUDGET))
        return "\n".join(lines) + "\n"

    def save(self, folder: Path) -> tuple[Path, Path]:
        """Writes bench.json and bench.md and gives their paths."""
        folder.mkdir(parents=True, exist_ok=True)
        paths = folder / "bench.json", folder / "bench.md"
        paths[0].write_text(self.to_json(), encoding="utf-8")
        paths[1].write_text(self.to_markdown(), encoding="utf-8")
        return paths


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _mesh_budget(run: dict[str, Any]) -> str:
    return "under 0.5 s" if "peak_device_mib" in run else "under 10 s"


def _pipeline_lines(result: dict[str, Any]) -> list[Line]:
    stages = ", ".join(f"{name} {value:.2f}" for name, value in result["seconds"].items() if name != "total")
    on_gpu = "peak_device_mib" in result
    lines = [
        (
            f"image -> {result['resolution']}³ mesh, median of {result['repeats']}",
            f"{result['seconds']['total']:.2f} s ({stages})",
            _mesh_budget(result),
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


def _cutout_lines(result: dict[str, Any]) -> list[Line]:
    stages = ", ".join(f"{name} {value:.2f}" for name, value in result["seconds"].items())
    title = f"cut-out of a JPEG of {result['megapixels']:.0f} megapixels ({result['by']})"
    return [(title, f"{result['total_s']:.2f} s ({stages})", "under 1.5 s")]


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
    return [("start of the app to the first page", f"{result['first_page_s']:.1f} s", APP_BUDGET)]


def _preview_lines(result: dict[str, Any]) -> list[Line]:
    seconds = result["seconds"]
    return [
        (
            f"preview streaming: share added to a run's time ({result['previews']} previews)",
            f"{100 * result['added_share']:.0f}% ({seconds['with']:.2f} s against {seconds['without']:.2f} s)",
            PREVIEW_BUDGET,
        )
    ]
