"""A split of a prepared data set read from its shards where they lie: a disk, an object store, a web server, the Hub.

Nothing is unpacked: a shard is fetched whole through `fsspec`, the next ones while the present ones are used, and what
a batch needs of it is decoded. So a set may be larger than the disk. `dataset.PreparedShapes` has the same shapes in
arrays; it is the faster one for a small set that is read thousands of times.
"""

from __future__ import annotations

import fnmatch
import io
import itertools
import json
import os
import re
import tarfile
import time
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from wavemesh.config import from_dict
from wavemesh.data.cache import MissingSplitError, read_grid, read_picture
from wavemesh.data.dataset import PreparedShapes, Shapes
from wavemesh.data.shard_order import WINDOW, ShardOrder
from wavemesh.errors import InputError
from wavemesh.extras import EXTRAS, missing
from wavemesh.geometry.camera import Camera
from wavemesh.geometry.camera_tensors import stack_cameras

LANES = 4
_ATTEMPTS = 3
_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")

_Sample = dict[str, bytes]


def open_shapes(data: str | Path, split: str = "train", lanes: int = LANES) -> Shapes:
    """A split of a prepared set: streamed from an address or a pattern of shards, unpacked once from a folder."""
    return StreamedShapes(str(data), split, lanes) if is_stream(data) else PreparedShapes(data, split)


def is_stream(data: str | Path) -> bool:
    """Whether this is an address, or a pattern of shards, and no folder."""
    return "://" in str(data) or str(data).endswith(".tar")


class StreamedShapes(Shapes):
    """A split of a prepared data set, streamed.

    address: of the folder with `index.json` ("hf://datasets/OWNER/NAME", "s3://...", "https://..."), or of some of its
    shards, with `*` or a range such as `shard-{000000..000007}.tar`. lanes: see `ShardOrder`; best a multiple of the
    processes and of their workers. About 2 x 4 shards of each lane that a process reads stay in its memory. Raises
    InputError where the set or the split is not there, or a shard does not arrive or is damaged.
    """

    def __init__(self, address: str, split: str = "train", lanes: int = LANES) -> None:
        if lanes < 1:
            raise InputError(f"A stream has at least one lane, not {lanes}.")
        self.address, self.split, self.lanes = address, split, lanes
        self._folder, pattern = _folder_and_pattern(address)
        entries = [each for each in self._index() if each["split"] == split and pattern.fullmatch(each["shard"])]
        if not entries:
            raise MissingSplitError(f"The data set at {address} has no shapes in the split {split!r}.")
        entries.sort(key=lambda each: each["shard"])
        self.keys: list[str] = [each["key"] for each in entries]
        self.categories: list[str] = [str(each.get("category", "")) for each in entries]
        grouped = itertools.groupby(entries, key=lambda each: each["shard"])
        sizes = {name: len(list(group)) for name, group in grouped}
        self._names, self._counts = list(sizes), list(sizes.values())
        self._ends = np.cumsum(self._counts)
        self._orders: dict[int, ShardOrder] = {}
        self._loaded: OrderedDict[int, Future[dict[str, _Sample]]] = OrderedDict()
        self._process, self._pool = os.getpid(), ThreadPoolExecutor(2)
        first = self._sample(0)
        self.resolution = len(read_grid(first["sdf.npz"]))
        self.num_views = sum(name.startswith("view") for name in first)
        self.image_size = len(read_picture(first["view00.webp"]))

    def __len__(self) -> int:
        return len(self.keys)

    def drawn(self, seed: int, number: int, places: range, count: int) -> list[int]:
        """The shapes of a batch in the order of `ShardOrder`; their shards and the next ones begin to arrive."""
        if count not in self._orders:
            counts = np.diff(np.minimum(self._ends, count), prepend=0)
            self._orders[count] = ShardOrder([int(each) for each in counts if each], self.lanes)
        shapes, shards = self._orders[count].batch(seed, number, places)
        for shard in shards:
            self._load(shard)
        return shapes

    def at_random(self, rng: np.random.Generator, seed: int, number: int, count: int) -> list[int]:
        """The next ones in the order of `ShardOrder`: any others would cost a shard each.

        Where `count` changes from batch to batch, it is to be the same in every batch of a lane.
        """
        return self.drawn(seed, number, range(number * count, (number + 1) * count), len(self))

    def spread(self, count: int) -> list[int]:
        """The first ones: shards hold shapes in no order, and others would cost a shard each."""
        return list(range(min(count, len(self))))

    def sdf_codes(self, indices: Sequence[int]) -> Int[Tensor, "b n n n"]:
        """The quantised SDFs, int8."""
        return torch.from_numpy(np.stack([self._grid(index) for index in indices]))

    def pictures(self, indices: Sequence[int], views: Sequence[Sequence[int]]) -> UInt8[Tensor, "b v h w 4"]:
        """Training views as stored, RGBA with straight alpha."""
        rows = [
            np.stack([read_picture(self._sample(index)[f"view{number:02d}.webp"]) for number in numbers])
            for index, numbers in zip(indices, views, strict=True)
        ]
        return torch.from_numpy(np.stack(rows))

    def view_cameras(
        self, indices: Sequence[int], views: Sequence[Sequence[int]]
    ) -> tuple[Float[Tensor, "b v 3 4"], Float[Tensor, "b v 3"]]:
        """Poses and intrinsics of those views."""
        rows = []
        for index, numbers in zip(indices, views, strict=True):
            listed = self.all_cameras(index)
            rows.append(stack_cameras([listed[number] for number in numbers]))
        poses, intrinsics = zip(*rows, strict=True)
        return torch.stack(poses), torch.stack(intrinsics)

    def all_cameras(self, index: int) -> list[Camera]:
        """The cameras of all training views of a shape."""
        return [from_dict(Camera, each) for each in json.loads(self._sample(index)["meta.json"])["cameras"]]

    def _grid(self, index: int) -> np.ndarray:
        grid = read_grid(self._sample(index)["sdf.npz"])
        if grid.shape != (self.resolution,) * 3:
            raise InputError(f"Shape {self.keys[index]} has a grid of {grid.shape}, the first one {self.resolution}^3.")
        return grid

    def _index(self) -> list[dict[str, Any]]:
        address = f"{self._folder}/index.json"
        content = _fetch(address)
        try:
            entries = json.loads(content)
            named = all(isinstance(each[name], str) for each in entries for name in ("key", "split", "shard"))
        except (ValueError, KeyError, TypeError):
            named = False
        if not named:
            raise InputError(f"{address} is no list of the shapes of a prepared data set.")
        return entries

    def _sample(self, index: int) -> _Sample:
        shard = int(np.searchsorted(self._ends, index, side="right"))
        try:
            samples = self._load(shard).result()
        except InputError:
            self._loaded.pop(shard, None)  # it may arrive when it is asked for again
            raise
        if self.keys[index] not in samples:
            raise InputError(f"The shard {self._names[shard]} of {self.address} lacks the shape {self.keys[index]}.")
        return samples[self.keys[index]]

    def _load(self, shard: int) -> Future[dict[str, _Sample]]:
        """The shard's samples, here or on their way; those that were asked for longest ago go."""
        if self._process != os.getpid():  # a forked worker has neither the threads nor what they were about to bring
            self._process, self._pool, self._loaded = os.getpid(), ThreadPoolExecutor(2), OrderedDict()
        if shard not in self._loaded:
            self._loaded[shard] = self._pool.submit(_read_shard, f"{self._folder}/{self._names[shard]}")
        self._loaded.move_to_end(shard)
        while len(self._loaded) > 2 * WINDOW * self.lanes:
            self._loaded.popitem(last=False)
        return self._loaded[shard]


def _folder_and_pattern(address: str) -> tuple[str, re.Pattern[str]]:
    """The folder of an address, and what the names of its shards have to match."""
    name = "*.tar"
    if address.endswith(".tar"):
        address, _, name = address.rpartition("/")
    span = _RANGE.search(name)
    texts = [name]
    if span is not None:
        first, last = span.groups()
        numbers = range(int(first), int(last) + 1)
        texts = [f"{name[: span.start()]}{number:0{len(first)}d}{name[span.end() :]}" for number in numbers]
    return address.rstrip("/") or ".", re.compile("|".join(fnmatch.translate(text) for text in texts))


def _read_shard(address: str) -> dict[str, _Sample]:
    """Files by key and suffix."""
    samples: dict[str, _Sample] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(_fetch(address)), mode="r:") as archive:
            for info in archive:
                key, *suffix = info.name.rsplit(".", 2)  # <key>.view00.webp
                file = archive.extractfile(info)
                if file is not None:
                    samples.setdefault(key, {})[".".join(suffix)] = file.read()
    except (tarfile.TarError, EOFError) as error:
        raise InputError(f"The shard {address} is damaged: {error}.") from error
    return samples


def _fetch(address: str) -> bytes:
    """What lies at an address, asked for again where the way there fails. Raises InputError where nothing comes."""
    import fsspec

    attempt = 1
    while True:
        try:
            files, path = fsspec.core.url_to_fs(address)
            return files.cat_file(path)
        except (FileNotFoundError, IsADirectoryError):
            raise InputError(f"There is no file {address}.") from None
        except ImportError as error:  # fsspec says what to install, the error that it met says which package that is
            absent = error.__cause__ or error.__context__ or error
            if isinstance(absent, ModuleNotFoundError) and absent.name in EXTRAS:
                raise missing(absent) from error
            raise InputError(f"{address} cannot be read: {error}.") from error
        except Exception as error:  # each store has errors of its own
            if attempt == _ATTEMPTS or isinstance(error, PermissionError | ValueError):
                raise InputError(f"{address} cannot be read: {str(error) or type(error).__name__}.") from error
            time.sleep(0.5 * 2**attempt)
            attempt += 1
