"""The gate command: scores of a tiny untrained system, and sentences for what it cannot use."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from tests.data.conftest import analytic_shapes, prepared_root, sample_files  # noqa: F401 - fixtures
from wavemesh import cli
from wavemesh.checkpoint import save_weights
from wavemesh.config import to_dict
from wavemesh.data import colours
from wavemesh.models.wavelet_triplane import PARTS, TriplaneConfig, WaveletTriplaneDiffusion
from wavemesh.training.triplane_autoencoder import TriplaneParts

TINY = TriplaneConfig(2, resolution=16, image_size=16, width=8, time_embed_dim=8, condition_dim=8, hidden_dim=8)


# ruff: noqa: F811 - a fixture's name is its argument's name
def test_gate_scores_held_out_shapes(
    prepared_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(colours, "NUM_POINTS", 200)
    torch.manual_seed(0)
    parts = TriplaneParts(TINY)
    weights = {name: parts.part(name).state_dict() for name in (*PARTS, "autoencoder")}
    save_weights(tmp_path / "weights", weights, to_dict(TINY))
    arguments = ["gate", "--data", str(prepared_root), "--split", "test"]
    assert cli.main([*arguments, "--weights", str(tmp_path / "weights")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert all(re.search(r"IoU [01]\.\d{4}  distance 0\.\d{5}  colour \d+\.\d\d dB$", line) for line in lines[:2])
    assert lines[2].startswith("gate over 1 shapes of test: not passed")
    WaveletTriplaneDiffusion(config=TINY).save(tmp_path / "system")
    assert cli.main([*arguments, "--weights", str(tmp_path / "system")]) == 2
    assert "'autoencoder'" in capsys.readouterr().err
