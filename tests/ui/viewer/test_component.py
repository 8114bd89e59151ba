"""The viewer's bundle as the server sends it, and what is told to it."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wavemesh.geometry.camera import Camera
from wavemesh.ui.viewer.component import BUNDLE, Before, bundle_address, seen
from wavemesh.ui.viewer.measure import Measure
from wavemesh.ui.widgets.colours import sequential, stops

ROOT = Path(__file__).resolve().parents[3]
TOOLS = ROOT / "tools" / "viewer"


def test_the_bundle_is_small_and_names_no_host() -> None:
    content = gzip.decompress(BUNDLE.read_bytes()).decode()
    assert BUNDLE.stat().st_size < 150_000
    assert len(content) < 600_000
    assert "MIT licence" in content[:100]
    # What it loads comes from the page's own server; other addresses in it are names of namespaces.
    assert not re.search(r"""(fetch|import|src=)\s*\(?\s*["'`]https?://""", content)


def test_versions_are_pinned_and_the_licence_is_told() -> None:
    needed = json.loads((TOOLS / "package.json").read_text())["devDependencies"]
    locked = json.loads((TOOLS / "package-lock.json").read_text())["packages"]
    for name, version in needed.items():
        assert re.fullmatch(r"\d+\.\d+\.\d+", version)
        assert locked[f"node_modules/{name}"]["version"] == version
    assert "resolved" not in (TOOLS / "package-lock.json").read_text()
    assert f"three.js {needed['three']}" in (ROOT / "assets" / "ATTRIBUTION.md").read_text()


@pytest.mark.skipif(not (TOOLS / "node_modules").is_dir() or not shutil.which("node"), reason="npm ci was not run")
def test_the_bundle_is_what_the_sources_make(tmp_path: Path) -> None:
    before = gzip.decompress(BUNDLE.read_bytes())
    kept = BUNDLE.read_bytes()
    try:
        subprocess.run(["node", "build.mjs"], cwd=TOOLS, check=True, capture_output=True)
        assert gzip.decompress(BUNDLE.read_bytes()) == before
    finally:
        BUNDLE.write_bytes(kept)


def test_the_server_sends_it_for_good(served: str) -> None:
    with urllib.request.urlopen(served.rstrip("/") + bundle_address(), timeout=20) as answer:
        assert answer.headers["Content-Type"].startswith("text/javascript")
        assert "immutable" in answer.headers["Cache-Control"]
        assert gzip.decompress(answer.read()) == gzip.decompress(BUNDLE.read_bytes())


def test_what_is_told_to_it(tmp_path: Path) -> None:
    def file(name: str) -> dict[str, Any]:
        return {"path": str(tmp_path / name), "meta": {"_type": "gradio.FileData"}}

    told = seen(tmp_path / "chair-mesh.glb", Camera(30.0, 10.0), "run")
    assert told["file"] == file("chair-mesh.glb")
    assert (told["name"], told["azimuth"], told["elevation"], told["subject"]) == ("chair-mesh", 30.0, 10.0, "run")
    assert (told["picture"], told["before"], told["measures"]) == (None, None, [])


def test_what_a_mesh_is_compared_with(tmp_path: Path) -> None:
    camera = Camera(30.0, 10.0, 3.0, 90.0, (0.25, -0.5))
    told = seen("mesh.glb", camera, "run", picture="picture.webp", before=Before("as-left.glb"))
    assert told["picture"]["file"]["path"] == "picture.webp"
    lens = {"azimuth": 30.0, "elevation": 10.0, "distance": 3.0, "focal": pytest.approx(1.0), "offset": [0.25, -0.5]}
    assert {name: told["picture"][name] for name in lens} == lens
    assert told["before"]["file"]["path"] == "as-left.glb"
    assert (told["before"]["what"], told["before"]["names"]) == ("the shape before", ["Before", "After"])


def test_a_measure_is_told_with_its_colours() -> None:
    error = Measure("error", "Error", "Distance", 0.0, 0.1, ("0", "0.05", "0.1"))
    (told,) = seen("mesh.glb", Camera(), "run", measures=[error])["measures"]
    assert (told["key"], told["low"], told["high"], told["ends"]) == ("error", 0.0, 0.1, ("0", "0.05", "0.1"))
    painted = sequential(np.linspace(0.0, 0.1, len(told["stops"])), 0.0, 0.1)
    assert painted.tolist() == told["stops"]
    assert max(len(stops(scale)) for scale in ("sequential", "diverging")) <= 8  # as many as the viewer holds
