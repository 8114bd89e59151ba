"""Every task over a prepared set also takes shards where they lie, and sees what the unpacked set would show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.data.conftest import analytic_shapes, sample_files, streamed_set  # noqa: F401 - fixtures
from wavemesh.data.colours import open_colours
from wavemesh.data.dataset import PreparedShapes
from wavemesh.data.depths import ViewDepths
from wavemesh.data.stream import StreamedShapes
from wavemesh.errors import InputError
from wavemesh.training.presets import build_task, get_preset

# ruff: noqa: F811 - a fixture's name is its argument's name


def test_what_is_computed_of_a_stream_is_what_is_stored_of_a_set(streamed_set: Path) -> None:
    stream, stored = StreamedShapes(f"{streamed_set}/shard-*.tar"), PreparedShapes(streamed_set)
    places = [stored.keys.index(key) for key in stream.keys]
    indices, views = [0, 5, 9], [[0, 3], [1, 1], [5, 2]]
    same = [places[index] for index in indices]
    for ours, theirs in zip(ViewDepths(stream).maps(indices, views), ViewDepths(stored).maps(same, views), strict=True):
        assert torch.equal(ours, theirs)
    ours, theirs = open_colours(stream, 50), open_colours(stored, 50)
    assert len(ours) == len(stream)
    assert torch.equal(ours.points(indices), theirs.points(same))
    assert torch.equal(ours.colours(indices), theirs.colours(same))


@pytest.mark.parametrize("name", ["depth", "camera", "triplane-autoencoder"])
def test_a_task_takes_a_stream(name: str, streamed_set: Path, tmp_path: Path) -> None:
    preset = get_preset(name)
    preset = preset.changed({"procedural": 0} if name == "camera" else {})
    loop = preset.loop_config(tmp_path / "run", batch_size=4)
    task = build_task(preset, f"{streamed_set}/shard-*.tar", loop)
    batch, again = next(task.batches(3, 5)), next(task.batches(3, 5))
    assert all(torch.equal(batch[key], again[key]) for key in batch)
    other = next(task.batches(3, 6))
    assert any(batch[key].shape != other[key].shape or not torch.equal(batch[key], other[key]) for key in batch)
    loss, _ = task.loss(batch, torch.Generator().manual_seed(0))
    loss.backward()
    assert torch.isfinite(loss)
    assert not list(streamed_set.glob("cache-*")) + list(streamed_set.glob("depths-*"))


def test_any_shapes_of_a_stream_come_once_in_a_pass(streamed_set: Path) -> None:
    stream = StreamedShapes(f"{streamed_set}/shard-*.tar", lanes=1)
    drawn = [stream.at_random(np.random.default_rng(0), 7, number, 2) for number in range(5)]
    assert sorted(index for batch in drawn for index in batch) == list(range(10))


def test_scenes_lie_in_a_folder(tmp_path: Path) -> None:
    preset = get_preset("cutout")
    with pytest.raises(InputError, match=r"cutout takes scenes in a folder, not s3://bucket/scenes"):
        build_task(preset, "s3://bucket/scenes", preset.loop_config(tmp_path))
