"""`generate --bundle` and `replay`: the same mesh again, or how it differs and exit status 1."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pytest
import trimesh

from tests.cli.test_generate import refuse
from wavemesh.cli import main


@pytest.fixture
def bundle(weights: Path, pictures: list[str], tmp_path: Path) -> Path:
    path = tmp_path / "run.zip"
    arguments = ["generate", *pictures, "-o", str(tmp_path / "mesh.ply"), "--steps", "2", "--bundle", str(path)]
    assert main([*arguments, "--azimuth", "0", "180", "--weights", str(weights), "--device", "cpu"]) == 0
    return path


def test_a_run_is_made_again(bundle: Path, weights: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = tmp_path / "again.ply"
    assert main(["replay", str(bundle), "-o", str(out), "--weights", str(weights)]) == 0
    assert "The mesh is identical." in capsys.readouterr().out
    assert out.read_bytes() == (tmp_path / "mesh.ply").read_bytes()


def test_a_difference_has_its_own_status(bundle: Path, weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with zipfile.ZipFile(bundle) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    facts = json.loads(members["bundle.json"])
    facts["settings"]["seed"] += 1
    members["bundle.json"] = json.dumps(facts).encode()
    with zipfile.ZipFile(bundle, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(SystemExit) as stop:
        main(["replay", str(bundle), "--weights", str(weights)])
    assert stop.value.code == 1
    assert "The mesh differs" in capsys.readouterr().out


def test_refusals(bundle: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert "There is no file" in refuse(["replay", str(tmp_path / "none.zip")], capsys)
    assert ".glb" in refuse(["replay", str(bundle), "-o", str(tmp_path / "out.txt")], capsys)
    assert len(trimesh.load_mesh(tmp_path / "mesh.ply").faces) > 0
    damaged = tmp_path / "damaged"
    shutil.copytree(weights, damaged)
    (damaged / "manifest.json").unlink()
    assert "manifest.json" in refuse(["replay", str(bundle), "--weights", str(damaged)], capsys)


def test_a_run_of_the_triplane_is_made_again(
    triplane_weights: Path,
    pictures: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("wavemesh.pipelines.triplane.MESH_RESOLUTION", 32)
    path, options = tmp_path / "run.zip", ["--weights", str(triplane_weights)]
    arguments = ["generate", pictures[0], "-o", str(tmp_path / "mesh.ply"), "--method", "triplane", "--steps", "2"]
    arguments += ["--colours", "mixed", "--seed", "3", "--bundle", str(path)]
    assert main([*arguments, *options]) == 0
    assert main(["replay", str(path), *options]) == 0
    assert "The mesh is identical." in capsys.readouterr().out
