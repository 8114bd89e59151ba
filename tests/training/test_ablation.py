"""The ablation: variants that differ from the baseline in one thing, trained and scored once, and their table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.data import conftest as data
from wavemesh.cli import main
from wavemesh.config import from_dict, to_dict
from wavemesh.errors import InputError
from wavemesh.evaluation import variants
from wavemesh.geometry.camera import Camera
from wavemesh.models.wavemesh import WaveMeshConfig, WaveMeshModel
from wavemesh.training import ablation
from wavemesh.training.ablation import BASELINE, VARIANTS, ablate, ablation_preset, ablation_table
from wavemesh.training.presets import get_preset
from wavemesh.training.wavemesh import TaskOptions

QUICK = {"total_steps": 1, "batch_size": 1, "warmup_steps": 1, "threads": 1, "amp": "no"}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four analytic shapes of 128^3 with four canonical views, one of them in the test split."""
    monkeypatch.setattr(data, "RESOLUTION", 128)
    monkeypatch.setattr(data, "CANONICAL", [Camera(30.0 + 90.0 * view, 20.0) for view in range(4)])
    split = {"ball.2": "test"}
    files = {key: data._files(key, split.get(key, "train"), sdf, mesh) for key, (sdf, mesh) in data._shapes().items()}
    (tmp_path / "data").mkdir()
    data.write_shard(tmp_path / "data" / "shard-000000.tar", files)
    return tmp_path / "data"


def _config(variant: ablation.Variant) -> dict[str, Any]:
    preset = ablation_preset(variant)
    config = from_dict(WaveMeshConfig, {"resolution": 128, **preset.model}, fill_defaults=True)
    return {**to_dict(config), "options": vars(TaskOptions(**preset.task_options))}


def test_every_variant_is_valid_and_differs_from_the_baseline() -> None:
    assert len({variant.name for variant in VARIANTS}) == len(VARIANTS)
    base = next(variant for variant in VARIANTS if variant.name == BASELINE)
    for variant in VARIANTS:
        config = _config(variant)
        own_training = variant.trained_as is None
        changed = config != _config(base) or variant.seed != base.seed
        assert changed == (own_training and variant is not base), variant.name
        assert own_training or variant.sampling or not variant.averaged, variant.name
        WaveMeshModel(from_dict(WaveMeshConfig, {key: value for key, value in config.items() if key != "options"}))


@pytest.mark.whole
def test_variants_are_trained_and_scored_once(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(variants, "POINTS", 500)
    names = ["attention over the views", "1 step", "last weights instead of averaged"]
    rows = ablate(root, tmp_path / "out", names, **QUICK)
    assert [row.name for row in rows] == [BASELINE, *sorted(names, key=[v.name for v in VARIANTS].index)]
    assert all(set(row.scores) == {1, 4} and set(row.scores[4]) == {"ball.2"} for row in rows)
    assert all(0.0 <= row.scores[4]["ball.2"].iou <= 1.0 for row in rows)
    settings = get_preset("ablation").loop_config(tmp_path / "out", **QUICK)
    table = ablation_table(rows, settings).splitlines()
    assert table[0].startswith("- training: 1 steps of 1 (1 samples) each")
    assert sum(line.startswith("| **") for line in table) == 4
    assert next(line for line in table if line.startswith(f"| {BASELINE} ")).endswith("|  |  |")

    def never(*args: object, **kwargs: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(ablation, "train", never)
    again = ablate(root, tmp_path / "out", names, **QUICK)
    assert [row.scores for row in again] == [row.scores for row in rows]
    with pytest.raises(AssertionError, match="trained again"):
        ablate(root, tmp_path / "out", names, **{**QUICK, "total_steps": 2})


def test_an_unknown_variant_is_named(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match=r"'2\.5'"):
        ablate(root, tmp_path / "out", ["2.5"])
    assert main(["ablate", "--data", str(root), "-o", str(tmp_path / "out"), "--only", "2.5"]) == 2
    assert "There is no variant '2.5'; there are baseline, " in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_hull_is_no_worse_a_start_for_x0_than_for_v() -> None:
    """At t = T both begin from the hull itself: x_0 = hull, and v = -hull."""
    shares = {}
    for kind in ("v", "x0"):
        variant = ablation.Variant("", "", {"diffusion": {"prediction_type": kind}})
        config = _config(variant)
        config.pop("options")
        model = WaveMeshModel(from_dict(WaveMeshConfig, config))
        t = torch.tensor([model.diffusion.timesteps - 1])
        noise = torch.zeros(1, 8, 32, 32, 32)
        output = torch.full_like(noise, model.coarse.hull_share)
        shares[kind] = float(model.diffusion.convert(output, noise, t).x_0.mean())
    assert shares == {"v": pytest.approx(1.0, abs=1e-5), "x0": pytest.approx(1.0, abs=1e-5)}
