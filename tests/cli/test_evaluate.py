"""Which systems `evaluate` scores: what is asked for, and what there are weights of."""

import argparse
from pathlib import Path

import pytest

from tests.data.test_co3d import write_set
from tests.pipelines.triplane_model import tiny_triplane
from wavemesh import weights
from wavemesh.cli import evaluate
from wavemesh.errors import InputError
from wavemesh.evaluation.given_meshes import FRAMES
from wavemesh.models.camera_head import CameraHead, CameraHeadConfig


def parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    evaluate.add_arguments(parser)
    return parser.parse_args(["--data", "data", "--device", "cpu", *arguments])


def test_the_triplane_system_is_loaded_with_its_settings(tmp_path: Path) -> None:
    model = tiny_triplane()
    model.save(tmp_path / "weights")
    CameraHead(CameraHeadConfig(32, (8, 8, 16))).save(tmp_path / "weights" / "camera_head")
    method = evaluate._triplane(parsed("--triplane-weights", str(tmp_path / "weights"), "--guidance", "2"))
    assert method is not None
    assert method.options == {"guidance_scale": 2.0}
    assert method.autoencoder is None
    assert method.model.config == model.config


def test_missing_weights_are_a_note_unless_they_were_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def nothing(source: str | None, system: str = "wavemesh") -> Path:
        raise InputError(f"No weights of {system} at {source}.")

    monkeypatch.setattr(weights, "resolve", nothing)
    assert evaluate._triplane(parsed()) is None
    assert "left out. No weights of triplane" in capsys.readouterr().err
    for asked in (["--methods", "triplane"], ["--triplane-weights", "nowhere"]):
        with pytest.raises(InputError, match="No weights of triplane"):
            evaluate._triplane(parsed(*asked))


def test_meshes_of_another_system_are_named_by_their_folder(tmp_path: Path) -> None:
    given = evaluate._given_meshes(parsed("--meshes", str(tmp_path), "--frame", "boxed"))
    assert given is not None
    assert (given.name, given.frame) == (tmp_path.name, "boxed")
    for frame in FRAMES:
        assert parsed("--frame", frame).frame == frame
    assert evaluate._given_meshes(parsed()) is None
    with pytest.raises(InputError, match="speak of --meshes"):
        evaluate._given_meshes(parsed("--name", "Theirs"))


def test_real_frames_are_read_where_cameras_are_estimated(tmp_path: Path) -> None:
    assert evaluate._captured(parsed()) == []
    with pytest.raises(InputError, match="needs --cameras estimated"):
        evaluate._captured(parsed("--captured", str(tmp_path), "--cameras", "known"))
    write_set(tmp_path)
    assert [each.name for each in evaluate._captured(parsed("--captured", str(tmp_path)))] == ["110_1"]
