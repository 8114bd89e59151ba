"""`--seed` covers the first weights: two tasks of one seed begin bit for bit alike, those of another seed do not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from PIL import Image

from tests.data.conftest import analytic_shapes, prepared_root, sample_files  # noqa: F401 - fixtures
from tests.data.test_scenes import BLUE, scene
from wavemesh.checkpoint import save_weights
from wavemesh.data import colours
from wavemesh.data.dataset import PreparedShapes
from wavemesh.training.presets import PRESETS, TINY_MODEL, Preset, TaskName, build_task
from wavemesh.training.triplane_autoencoder import AutoencoderTask
from wavemesh.training.triplane_batches import TriplaneOptions

SMALL: dict[str, dict[str, Any]] = {
    "coarse": dict(TINY_MODEL),
    "detail": dict(TINY_MODEL),
    "triplane-autoencoder": {"triplane_channels": 2, "image_size": 16, "width": 8, "condition_dim": 8},
}


# ruff: noqa: F811 - a fixture's name is its argument's name
@pytest.mark.parametrize("kind", get_args(TaskName))
def test_two_builds_of_one_seed_have_equal_first_weights(
    kind: str, prepared_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(colours, "NUM_POINTS", 64)
    row = next(preset for preset in PRESETS.values() if preset.task == kind)
    preset = replace(row, model=SMALL.get(kind, {}))
    data, init = prepared_root, None
    if kind == "cutout":
        picture, mask = scene(BLUE)
        Image.fromarray(picture).save(tmp_path / "0.jpg")
        Image.fromarray((255 * mask).astype(np.uint8)).save(tmp_path / "0.png")
        data = tmp_path
    elif kind == "symmetry":
        init = _seeing(prepared_root, tmp_path)
    elif row.after is not None:
        init = _stage_before(prepared_root, tmp_path)
    first, again, other = (_first_weights(preset, data, tmp_path, init, seed) for seed in (5, 5, 6))
    assert first.keys() == again.keys()
    assert len(first) > 4
    assert all(torch.equal(value, again[name]) for name, value in first.items())
    assert any(not torch.equal(value, other[name]) for name, value in first.items())


def _first_weights(preset: Preset, data: Path, out: Path, init: Path | None, seed: int) -> dict[str, torch.Tensor]:
    torch.rand(3)  # whatever was drawn before
    return build_task(preset, data, preset.loop_config(out, seed=seed, init_from=init)).model.state_dict()


def _stage_before(data: Path, folder: Path) -> Path:
    """Exported weights of an untrained autoencoder."""
    from wavemesh.config import from_dict
    from wavemesh.models.wavelet_triplane import TriplaneConfig

    shapes = PreparedShapes(data, "train")
    config = from_dict(TriplaneConfig, {**SMALL["triplane-autoencoder"], "resolution": 16}, fill_defaults=True)
    task = AutoencoderTask(shapes, config, TriplaneOptions(batch_size=2))
    return save_weights(folder / "weights", task.weights(task.model), task.config())


def _seeing(data: Path, folder: Path) -> Path:
    """Exported weights of untrained WaveMesh-Diff with a depth network."""
    from wavemesh.config import from_dict
    from wavemesh.models.depth_network import DepthConfig
    from wavemesh.models.wavemesh import WaveMeshConfig, WaveMeshModel

    changes = {"resolution": PreparedShapes(data, "train").resolution, **TINY_MODEL}
    depth = DepthConfig(widths=(8, 8, 8, 16), attention_blocks=1, heads=2)
    WaveMeshModel(replace(from_dict(WaveMeshConfig, changes, fill_defaults=True), depth=depth)).save(folder / "weights")
    return folder / "weights"
