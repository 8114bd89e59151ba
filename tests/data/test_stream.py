"""A split streamed from memory, disk and a fake Hub, against the same split unpacked and against `webdataset`."""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
import torch
from fsspec.implementations.memory import MemoryFileSystem
from huggingface_hub import HfFileSystem

from wavemesh.data import stream
from wavemesh.data.cache import MissingSplitError
from wavemesh.data.dataset import PreparedShapes
from wavemesh.data.stream import StreamedShapes, open_shapes
from wavemesh.errors import InputError
from wavemesh.training.numbered import NumberedBatches
from wavemesh.training.wavemesh import ShapeBatches, TaskOptions


@pytest.fixture
def bucket(streamed_set: Path) -> Iterator[str]:
    """The same in an object store."""
    files = fsspec.filesystem("memory")
    for path in streamed_set.iterdir():
        files.pipe_file(f"/bucket/{path.name}", path.read_bytes())
    yield "memory://bucket"
    files.rm("/bucket", recursive=True)


def parts(shapes: Any, index: int) -> tuple[torch.Tensor, ...]:
    views = [[4, 0, 2]]
    return shapes.sdf([index]), shapes.images([index], views), *shapes.view_cameras([index], views)


def test_a_stream_has_the_shapes_of_the_unpacked_set(streamed_set: Path, bucket: str) -> None:
    streamed, unpacked = open_shapes(bucket), open_shapes(streamed_set)
    assert isinstance(streamed, StreamedShapes)
    assert isinstance(unpacked, PreparedShapes)
    assert sorted(streamed.keys) == unpacked.keys
    for name in ("resolution", "num_views", "image_size"):
        assert getattr(streamed, name) == getattr(unpacked, name)
    for index, key in enumerate(streamed.keys):
        other = unpacked.keys.index(key)
        assert all(torch.equal(*pair) for pair in zip(parts(streamed, index), parts(unpacked, other), strict=True))
        assert streamed.categories[index] == key[:3]


def test_shards_are_web_data_sets(streamed_set: Path) -> None:
    from webdataset.tariterators import group_by_keys, tar_file_expander

    streamed = StreamedShapes(f"{streamed_set}/shard-{{000000..000005}}.tar")
    with contextlib.ExitStack() as opened:
        files = [opened.enter_context(path.open("rb")) for path in sorted(streamed_set.glob("shard-00000[0-5].tar"))]
        samples = list(group_by_keys(tar_file_expander([{"url": file.name, "stream": file} for file in files])))
    assert [sample["__key__"] for sample in samples] == streamed.keys
    for index, sample in enumerate(samples):
        np.testing.assert_array_equal(np.load(io.BytesIO(sample["sdf.npz"]))["sdf"], streamed.sdf_codes([index])[0])


def test_the_hub_is_read_by_its_own_file_system(streamed_set: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def give(self: HfFileSystem, path: str, **_: Any) -> bytes:
        asked.append(path)
        return (streamed_set / path.rpartition("/")[2]).read_bytes()

    monkeypatch.setattr(HfFileSystem, "cat_file", give)
    assert len(StreamedShapes("hf://datasets/me/chairs")) == 10
    assert asked == ["datasets/me/chairs/index.json", "datasets/me/chairs/shard-000000.tar"]


@pytest.mark.parametrize(
    ("pattern", "count"), [("shard-*.tar", 10), ("shard-{000001..000002}.tar", 3), ("shard-000000.tar", 2)]
)
def test_a_pattern_takes_some_shards(streamed_set: Path, pattern: str, count: int) -> None:
    assert len(open_shapes(streamed_set / pattern)) == count


def drawn(shapes: Any, numbers: range) -> list[list[str]]:
    batches = ShapeBatches(shapes, TaskOptions(batch_size=2, augment=False))
    return [[shapes.keys[index] for index in batches.indices(7, number)] for number in numbers]


def test_batches_are_shuffled_and_resumed_at_the_same_sample(bucket: str) -> None:
    unbroken = drawn(StreamedShapes(bucket, lanes=2), range(40))
    assert drawn(StreamedShapes(bucket, lanes=2), range(25, 40)) == unbroken[25:]
    flat = list(itertools.chain(*drawn(StreamedShapes(bucket, lanes=1), range(5))))
    assert len(set(flat)) == 10
    assert flat != sorted(flat)


def test_workers_and_processes_share_the_batches_of_one(bucket: str) -> None:
    def batches() -> Callable[[int, int], Iterator[Any]]:
        return ShapeBatches(StreamedShapes(bucket, lanes=2), TaskOptions(batch_size=2))

    alone = list(itertools.islice(batches()(3, 0), 8))
    for rank in range(2):
        for workers in (0, 2):
            numbered = NumberedBatches(batches(), 3, rank + 2, 2)
            made = numbered.made_ahead(workers) if workers else iter(numbered)
            for batch, expected in zip(itertools.islice(made, 3), alone[rank + 2 :: 2], strict=True):
                assert all(torch.equal(batch[name], expected[name]) for name in expected)
            del made


def test_a_process_fetches_its_own_shards_once_and_keeps_few(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[str] = []
    original = stream._fetch
    monkeypatch.setattr(stream, "_fetch", lambda address: fetched.append(address) or original(address))
    shapes = StreamedShapes(bucket, lanes=2)
    dealt = np.random.default_rng((7, 0)).permutation(6)[0::2]
    batches = ShapeBatches(shapes, TaskOptions(batch_size=2, augment=False, limit=10))
    for number in (0, 2):
        list(shapes.sdf(batches.indices(7, number)))
    own = {f"{bucket}/shard-{number:06d}.tar" for number in dealt}
    next_pass = {f"{bucket}/shard-{n:06d}.tar" for n in np.random.default_rng((7, 1)).permutation(6)[0::2]}
    assert set(fetched) <= own | next_pass | {f"{bucket}/index.json", f"{bucket}/shard-000000.tar"}
    assert len(fetched) == len(set(fetched))
    monkeypatch.setattr(stream, "WINDOW", 1)
    for index in range(10):
        shapes.sdf([index])
    assert len(shapes._loaded) == 4


def test_a_limit_takes_the_first_shapes(bucket: str) -> None:
    shapes = StreamedShapes(bucket, lanes=2)
    batches = ShapeBatches(shapes, TaskOptions(batch_size=3, augment=False, limit=3))
    taken = set(itertools.chain(*(batches.indices(0, number) for number in range(12))))
    assert taken == {0, 1, 2}


def test_a_store_that_fails_is_asked_again(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    original, failures = MemoryFileSystem.cat_file, iter([ConnectionError("reset"), OSError("timed out"), None])

    def shaky(self: MemoryFileSystem, path: str, **options: Any) -> bytes:
        error = next(failures, None)
        if error is not None:
            raise error
        return original(self, path, **options)

    monkeypatch.setattr(MemoryFileSystem, "cat_file", shaky)
    monkeypatch.setattr(stream.time, "sleep", lambda seconds: None)
    assert len(StreamedShapes(bucket)) == 10
    failures = itertools.repeat(ConnectionError("reset"))
    with pytest.raises(InputError, match=r"^memory://bucket/index\.json cannot be read: reset\.$"):
        StreamedShapes(bucket)


def test_what_cannot_be_streamed_is_one_sentence(
    bucket: str, streamed_set: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match=r"^There is no file memory://nowhere/index\.json\.$"):
        StreamedShapes("memory://nowhere")
    with pytest.raises(MissingSplitError, match=r"memory://bucket has no shapes in the split 'val'"):
        StreamedShapes(bucket, "val")
    with pytest.raises(InputError, match="cannot be read: Protocol not known: abc"):
        StreamedShapes("abc://bucket")
    with pytest.raises(InputError, match="at least one lane, not 0"):
        StreamedShapes(bucket, lanes=0)
    with pytest.raises(InputError, match=r'^This needs the package s3fs: pip install "wavemesh\[stream\]"\.$'):
        _without_s3fs(monkeypatch)
    files = fsspec.filesystem("memory")
    files.pipe_file("/bucket/shard-000000.tar", b"no archive at all" * 100)
    with pytest.raises(InputError, match=r"The shard memory://bucket/shard-000000\.tar is damaged"):
        StreamedShapes(bucket)
    with tarfile.open(streamed_set / "empty.tar", "w"):
        pass
    files.put_file(str(streamed_set / "empty.tar"), "/bucket/shard-000000.tar")
    with pytest.raises(InputError, match=r"The shard shard-000000\.tar of memory://bucket lacks the shape ball0-0\."):
        StreamedShapes(bucket)
    for text in (b"no JSON", b'{"a": 1}', b'[{"key": "a"}]', b'[{"key": 1, "split": "train", "shard": "x.tar"}]'):
        files.pipe_file("/bucket/index.json", text)
        with pytest.raises(InputError, match=r"index\.json is no list of the shapes of a prepared data set"):
            StreamedShapes(bucket)


def _without_s3fs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    StreamedShapes("s3://bucket/chairs")


def test_a_forked_process_has_a_stream_of_its_own(bucket: str) -> None:
    shapes = StreamedShapes(bucket)
    expected = shapes.sdf([5])
    shapes._loaded.clear()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, b"same" if torch.equal(shapes.sdf([5]), expected) else b"else")
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 4) == b"same"
