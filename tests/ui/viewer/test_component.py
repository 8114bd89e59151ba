"""The viewer's bundle as the server sends it, and what is told to it."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
import urllib.request
from pathlib import Path

import pytest

from wavemesh.geometry.camera import Camera
from wavemesh.ui.viewer.component import BUNDLE, bundle_address, seen

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
    told = seen(tmp_path / "chair-mesh.glb", Camera(30.0, 10.0), "run")
    assert told["mesh"] == {"path": str(tmp_path / "chair-mesh.glb"), "meta": {"_type": "gradio.FileData"}}
    assert (told["name"], told["azimuth"], told["elevation"], told["subject"]) == ("chair-mesh", 30.0, 10.0, "run")
