"""Cached results of examples: the command that makes them, the bundled ones, and that they are not stale."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from wavemesh import cli
from wavemesh.bundled import EXAMPLES
from wavemesh.gallery.read import load_examples
from wavemesh.geometry.mesh import load_mesh
from wavemesh.weights import bundled_fingerprints

WEIGHTS = Path(__file__).resolve().parents[2] / "assets" / "weights" / "wavemesh"
OUTPUTS = ("mesh.glb", "preview.webp", "result.json")
BUNDLED = load_examples()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One bundled example without its cached result."""
    shutil.copytree(EXAMPLES / "teapot", tmp_path / "teapot", ignore=lambda *_: OUTPUTS)
    return tmp_path


@pytest.mark.whole
def test_the_command_writes_what_the_pipeline_makes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert load_examples(folder)[0].result is None
    assert cli.main(["examples", "--outputs", "-o", str(folder), "--device", "cpu"]) == 0
    assert f"1 examples, 0.2 MiB, weights {bundled_fingerprints()['wavemesh']}" in capsys.readouterr().out
    (example,) = load_examples(folder)
    assert example.result is not None
    assert example.result.manifest == bundled_fingerprints()["wavemesh"]
    mesh = load_mesh(example.result.mesh)
    assert 7_500 < len(mesh.faces) == example.result.faces <= 10_000
    # The same as what the pipeline gives for these pictures, up to the fewer faces.
    from wavemesh import Camera, View, WaveMeshPipeline

    views = [View(path, Camera(**camera)) for path, camera in zip(example.pictures, example.cameras, strict=True)]
    whole = WaveMeshPipeline.from_pretrained(device="cpu")(views, seed=0).mesh
    assert len(whole.faces) > len(mesh.faces)
    distances = trimesh.proximity.closest_point_naive(mesh, whole.vertices[::997])[1]
    assert np.max(distances) < 0.02
    preview = np.asarray(Image.open(example.result.preview).convert("RGBA"))
    assert preview.shape == (320, 320, 4)
    assert 0.05 < (preview[..., 3] > 128).mean() < 0.9


@pytest.mark.parametrize("example", BUNDLED, ids=lambda example: example.key)
def test_bundled_results_are_those_of_the_bundled_weights(example: object) -> None:
    """Where this fails, new weights were bundled: run `python -m wavemesh examples --outputs`."""
    result = example.result  # type: ignore[attr-defined]
    assert result is not None
    assert result.manifest == bundled_fingerprints()["wavemesh"]
    mesh = trimesh.load(result.mesh, force="mesh")
    assert len(mesh.faces) == result.faces <= 20_000
    assert np.abs(mesh.bounds).max() <= 1.0


def test_the_gallery_is_wide_and_small() -> None:
    assert len(BUNDLED) >= 12
    keys = {example.key for example in BUNDLED}
    for kind in ({"osaka-chair", "winchester-sofa"}, {"van", "scooter"}, {"acacia", "blue-pine-snow"}, {"horse"}):
        assert kind <= keys  # furniture, vehicles, plants, animals
    assert all(example.licence and example.creator for example in BUNDLED)
    named = (WEIGHTS.parents[1] / "ATTRIBUTION.md").read_text(encoding="utf-8")
    for example in BUNDLED:
        assert f"| {example.key} | {example.name} | {example.creator} | {example.licence} |" in named
    size = sum(path.stat().st_size for path in EXAMPLES.glob("*/*"))
    assert size < 8 * 2**20


def test_a_damaged_result_leaves_its_example_out(folder: Path) -> None:
    for name in OUTPUTS:
        shutil.copyfile(EXAMPLES / "teapot" / name, folder / "teapot" / name)
    assert load_examples(folder)[0].result is not None
    (folder / "teapot" / "result.json").write_text(json.dumps({"faces": 3}))
    assert load_examples(folder) == []


def test_refusals(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    for arguments, words in (
        (["--outputs", "teapot"], "With --outputs go neither keys nor --data"),
        ([], "Name at least one model"),
        (["--outputs", "-o", str(tmp_path / "empty")], "There are no examples in"),
        (["--outputs", "-o", str(folder), "--weights", str(folder)], "manifest.json is missing"),
    ):
        assert cli.main(["examples", *arguments]) == 2
        assert words in capsys.readouterr().err
