"""The whole way on the command line: a library becomes a data set, weights, a mesh, scores and figures."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from wavemesh.cli import main

pytestmark = pytest.mark.slow

MODELS = {
    "Box": trimesh.creation.box((2.0, 1.2, 1.0)),
    "Ball": trimesh.creation.icosphere(3, 1.0),
    "Drum": trimesh.creation.cylinder(0.8, 1.0),
    "Cone": trimesh.creation.cone(0.9, 1.6),
    "Pill": trimesh.creation.capsule(1.0, 0.6),
    "Ring": trimesh.creation.annulus(0.5, 1.0, 0.8),
    "Slab": trimesh.creation.box((2.0, 0.5, 1.6)),
    "Post": trimesh.creation.box((0.6, 2.0, 0.6)),
}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A furniture library of simple solids and one model that has no faces."""
    path = tmp_path_factory.mktemp("library") / "Solids.sh3f"
    lines = ["license=CC0"]
    with zipfile.ZipFile(path, "w") as bundle:
        for number, (name, mesh) in enumerate(MODELS.items(), start=1):
            bundle.writestr(f"models/{name}.obj", mesh.export(file_type="obj"))
            lines += [f"model\\#{number}=/models/{name}.obj", f"name\\#{number}={name}", f"category\\#{number}=Solids"]
        bundle.writestr("models/None.obj", "v 0 0 0\n")
        lines += ["model\\#99=/models/None.obj", "name\\#99=None", "category\\#99=Solids"]
        bundle.writestr("PluginFurnitureCatalog.properties", "\n".join(lines))
    return path


@pytest.fixture(scope="module")
def data(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library, prepared by the command."""
    folder = tmp_path_factory.mktemp("data") / "solids"
    arguments = ["prepare", str(library), "-o", str(folder), "--views", "5", "--size", "48", "--resolution", "64"]
    assert main([*arguments, "--workers", "1", "--backend", "threads"]) == 0
    return folder


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of the three networks after a few steps of the three commands that the README lists."""
    runs = tmp_path_factory.mktemp("runs")
    weights = runs / "weights"
    for preset, target, extra in (
        ("tiny", weights, []),
        ("cpu-detail", weights, ["--init", str(weights)]),
        ("camera", weights / "camera_head", []),
    ):
        arguments = [
            "train",
            "--preset",
            preset,
            "--data",
            str(data),
            "-o",
            str(runs / preset),
            "--export",
            str(target),
        ]
        assert main([*arguments, "--steps", "4", "--batch-size", "2", "--amp", "no", "--threads", "1", *extra]) == 0
    return weights


def test_the_data_set_lists_what_it_holds_and_what_it_refused(data: Path) -> None:
    names = {entry["name"] for entry in json.loads((data / "index.json").read_text())}
    assert names <= set(MODELS)
    assert len(names) >= 6
    assert [entry["name"] for entry in json.loads((data / "rejected.json").read_text())] == ["None"]


def test_trained_weights_evaluate_and_draw(
    data: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results, readme = tmp_path / "results.md", tmp_path / "README.md"
    results.write_text("<!-- table:evaluation -->\n<!-- end -->\n")
    readme.write_text("<!-- table:scores -->\n<!-- end -->\n")
    common = ["--data", str(data), "--split", "train", "--weights", str(trained), "--device", "cpu"]
    arguments = ["evaluate", *common, "--subset", "quick", "--views", "1", "--seeds", "1", "--points", "2000"]
    arguments += ["--methods", "wavemesh", "--docs", str(results), "--readme", str(readme)]
    assert main([*arguments, "--jobs", "1", "-o", str(tmp_path / "report")]) == 0
    table = capsys.readouterr().out
    assert "| oracle nearest training shape |" in table
    assert "| WaveMesh |" in table
    assert "| WaveMesh, cameras estimated |" in table
    assert "- camera head: median error" in table
    assert table.strip() in results.read_text()
    assert "| **WaveMesh** |" in readme.read_text()
    assert json.loads((tmp_path / "report" / "report.json").read_text())["rows"]

    out = tmp_path / "figures"
    run = trained.parent / "tiny"
    assert main(["figures", *common, "--count", "1", "-o", str(out), "--losses", str(run)]) == 0
    assert sorted(path.name for path in out.iterdir()) == ["generation.png", "loss.png", "results.png"]
    for path in out.iterdir():
        pixels = np.asarray(Image.open(path).convert("RGB").resize((64, 64))).reshape(-1, 3)
        assert len(np.unique(pixels, axis=0)) > 10


def test_training_again_goes_on_where_it_was(data: Path, trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = trained.parent / "tiny"
    arguments = [
        "train",
        "--preset",
        "tiny",
        "--data",
        str(data),
        "-o",
        str(run),
        "--batch-size",
        "2",
        "--amp",
        "no",
    ]
    assert main([*arguments, "--steps", "6"]) == 0
    assert "step 6 of 6" in capsys.readouterr().out
    steps = [json.loads(line)["step"] for line in (run / "losses.jsonl").read_text().splitlines()]
    assert steps == sorted(set(steps))
    assert steps[-1] == 6
