"""The figures of one generation on the command line."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.data.conftest import analytic_shapes, prepared_root, sample_files  # noqa: F401 - fixtures
from tests.pipelines.triplane_model import tiny_triplane
from wavemesh import cli
from wavemesh.evaluation import figures, triplane_panels
from wavemesh.models.camera_head import CameraHead, CameraHeadConfig
from wavemesh.pipelines import triplane


# ruff: noqa: F811 - a fixture's name is its argument's name
@pytest.fixture(scope="module")
def triplane_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("triplane") / "weights"
    tiny_triplane().save(folder)
    CameraHead(CameraHeadConfig(32, (8, 8, 16))).save(folder / "camera_head")
    return folder


def test_figures_of_both_systems(
    weights: Path,
    triplane_weights: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(triplane_panels, "RENDER_PX", 24)
    monkeypatch.setattr(triplane_panels, "MESH_CELLS", 16)
    monkeypatch.setattr(triplane, "MESH_RESOLUTION", 16)
    out = tmp_path / "figures"
    arguments = ["figures", "-o", str(out), "--weights", str(weights), "--triplane-weights", str(triplane_weights)]
    names = ["wavelet_decomposition", "visualize_generation"]
    assert cli.main([*arguments, "--device", "cpu", "--example", "horse", "--views", "2", "--only", *names]) == 0
    assert capsys.readouterr().out.splitlines() == [str(out / f"{name}.png") for name in names]
    assert sorted(path.stem for path in out.iterdir()) == sorted(names)
    for name in names:
        with Image.open(out / f"{name}.png") as picture:
            pixels = np.asarray(picture.convert("RGB").resize((64, 64))).reshape(-1, 3)
        assert len(np.unique(pixels, axis=0)) > 10


def test_pictures_may_be_given(weights: Path, pictures: list[str], tmp_path: Path) -> None:
    arguments = ["figures", *pictures, "-o", str(tmp_path), "--weights", str(weights), "--device", "cpu"]
    cameras = ["--azimuth", "0", "180", "--elevation", "20"]
    assert cli.main([*arguments, *cameras, "--only", "visualize_generation"]) == 0
    assert (tmp_path / "visualize_generation.png").is_file()


def test_without_weights_of_the_triplane_nothing_is_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["figures", "-o", str(tmp_path / "out"), "--triplane-weights", "nowhere"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "'nowhere'" in said
    assert "--only visualize_generation" in said
    assert not (tmp_path / "out").exists()


def test_a_sheet_of_procedural_shapes_needs_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["figures", "--procedural", "2", "--device", "cpu", "-o", str(tmp_path)]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "procedural.webp")
    with Image.open(tmp_path / "procedural.webp") as picture:
        assert picture.size == (290, 144)
    assert [path.name for path in tmp_path.iterdir()] == ["procedural.webp"]


@pytest.mark.whole
def test_photographs_become_a_sheet(weights: Path, pictures: list[str], tmp_path: Path, triplane_weights: Path) -> None:
    arguments = ["figures", "-o", str(tmp_path), "--weights", str(weights), "--triplane-weights", str(triplane_weights)]
    assert cli.main([*arguments, "--device", "cpu", "--photographs", *pictures]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["photographs.webp"]
    with Image.open(tmp_path / "photographs.webp") as sheet:
        assert sheet.size == (10 * 160 + 9 * 2, 2 * 160 + 2)


def test_cases_of_a_report_need_its_data(
    weights: Path, tmp_path: Path, prepared_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shapes = {f"ball.{number}": {"WaveMesh / 1": {"f_score_005": 0.1 * number}} for number in range(6)}
    report = tmp_path / "report.json"
    report.write_text(json.dumps({"shapes": shapes}), "utf-8")
    arguments = ["figures", "-o", str(tmp_path / "out"), "--weights", str(weights), "--report", str(report)]
    assert cli.main(arguments) == 2
    assert "give --data" in capsys.readouterr().err
    assert cli.main([*arguments, "--data", str(prepared_root)]) == 2
    assert "no shape 'ball.5'" in capsys.readouterr().err
    report.write_text(json.dumps({"shapes": {"ball.0": {"WaveMesh / 4": {"f_score_005": 1.0}}}}), "utf-8")
    assert cli.main([*arguments, "--data", str(prepared_root)]) == 2
    assert "its rows are WaveMesh / 4" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_cases_are_drawn_for_their_number_of_views(
    weights: Path, tmp_path: Path, prepared_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = tmp_path / "report.json"
    report.write_text("{}", "utf-8")
    asked = []

    def chosen(found: dict[str, object], row: str) -> list[str]:
        asked.append((found, row))
        return ["ball.2"]

    monkeypatch.setattr(figures, "chosen_cases", chosen)
    arguments = ["figures", "-o", str(tmp_path / "out"), "--weights", str(weights), "--data", str(prepared_root)]
    assert cli.main([*arguments, "--report", str(report), "--views", "2", "--device", "cpu"]) == 0
    assert asked == [({}, "WaveMesh / 2")]
    with Image.open(tmp_path / "out" / "cases-2.webp") as sheet:
        assert sheet.size == (3 * 160 + 2 * 2, 160)
