"""A split of a prepared data set as memory-mapped arrays, built once beside the shards.

The shards are made for streaming and shipping; training draws shapes and views at random. Unpacked, a shape costs 2 MiB
of SDF and 64 KiB a view, read without any decoding. The cache names the shards it was made from and is built anew when
they change. Canonical pictures are large and rarely read: they stay compressed.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import shutil
import tarfile
import uuid
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int8, UInt8
from PIL import Image

from wavemesh.config import from_dict
from wavemesh.errors import InputError
from wavemesh.geometry.camera import Camera
from wavemesh.geometry.frame import TRUNCATION

SDF_SCALE = TRUNCATION / 127
FORMAT = 2

log = logging.getLogger(__name__)


class MissingSplitError(InputError):
    """A prepared data set has no shapes of the split that is asked for."""


@dataclass(frozen=True)
class _Member:
    """A file inside a shard."""

    shard: str
    offset: int
    size: int


class SplitCache:
    """The opened cache of one split: keys, meta, cameras, `sdf` (n, N, N, N) int8 and `views` (n, v, s, s, 4) uint8."""

    def __init__(self, folder: Path) -> None:
        index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        self._pictures = folder / "canonical.bin"
        self._canonical: list[list[tuple[int, int]]] = index["canonical"]
        self.keys: list[str] = index["keys"]
        self.meta: list[dict[str, Any]] = index["meta"]
        self.cameras = [[from_dict(Camera, camera) for camera in meta["cameras"]] for meta in self.meta]
        self.sdf: Int8[np.ndarray, "n x y z"] = np.load(folder / "sdf.npy", mmap_mode="r")
        self.views: UInt8[np.ndarray, "n v h w 4"] = np.load(folder / "views.npy", mmap_mode="r")

    def canonical(self, index: int) -> tuple[list[np.ndarray], list[Camera]]:
        """The canonical pictures of a shape, (s, s, 4) uint8, with their cameras; empty where the set has none."""
        pictures = []
        with self._pictures.open("rb") as file:
            for offset, size in self._canonical[index]:
                file.seek(offset)
                pictures.append(read_picture(file.read(size)))
        listed = self.meta[index].get("canonical_cameras", [])
        return pictures, [from_dict(Camera, camera) for camera in listed]


def open_cache(root: Path, split: str) -> SplitCache:
    """The cache of a split, built first where it is missing or stale.

    Raises InputError where the folder is no prepared data set, has no shape of the split, or a shard is damaged.
    """
    shards = sorted(root.glob("shard-*.tar"))
    folder = root / f"cache-{split}"
    ready = (folder / "index.json").is_file()
    if not shards and not ready:
        raise InputError(f"{root} is no prepared data set: it has no shards.")
    if shards:
        source = _fingerprint(shards)
        if not ready or json.loads((folder / "index.json").read_text(encoding="utf-8")).get("source") != source:
            _build(root, shards, split, folder, source)
    return SplitCache(folder)


def _fingerprint(shards: list[Path]) -> str:
    """Changes with the names, sizes and last bytes of the shards; reading them whole would cost more than it guards."""
    digest = hashlib.sha256(str(FORMAT).encode())
    for shard in shards:
        with shard.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 65536))
            digest.update(f"{shard.name} {size}".encode() + file.read())
    return digest.hexdigest()


def _build(root: Path, shards: list[Path], split: str, folder: Path, source: str) -> None:
    """Unpacks a split into a temporary folder and moves it into place; of two builders at once, one wins."""
    members = dict(_samples_of(shards, split, root))
    if not members:
        raise MissingSplitError(f"The data set in {root} has no shapes in the split {split!r}.")
    log.info("unpacking %d shapes of %s", len(members), split)
    temporary = root / f"cache-{split}.{uuid.uuid4().hex[:8]}.tmp"
    temporary.mkdir()
    try:
        index = _unpack(root, members, temporary)
        (temporary / "index.json").write_text(json.dumps({**index, "source": source}), encoding="utf-8")
        with suppress(FileNotFoundError):
            stale = folder.rename(root / f"cache-{split}.{uuid.uuid4().hex[:8]}.old")
            shutil.rmtree(stale, ignore_errors=True)
        try:
            temporary.rename(folder)
        except OSError:
            if not (folder / "index.json").is_file():  # otherwise another process was faster
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _samples_of(shards: list[Path], split: str, root: Path) -> Iterator[tuple[str, dict[str, _Member]]]:
    """Keys and files (suffix -> place) of a split's samples in order of their keys."""
    samples: dict[str, dict[str, _Member]] = defaultdict(dict)
    for shard in shards:
        try:
            with tarfile.open(shard, "r:") as archive:
                for info in archive:
                    key, *suffix = info.name.rsplit(".", 2)  # <key>.view00.webp
                    samples[key][".".join(suffix)] = _Member(shard.name, info.offset_data, info.size)
        except (tarfile.TarError, EOFError) as error:
            raise InputError(f"The shard {shard} is damaged: {error}.") from error
    for key in sorted(samples):
        files = samples[key]
        if "meta.json" in files and _read_json(root, files["meta.json"]).get("split") == split:
            yield key, files


def _unpack(root: Path, samples: dict[str, dict[str, _Member]], folder: Path) -> dict[str, Any]:
    """Writes sdf.npy, views.npy and canonical.bin; returns the rest of the index."""
    sdf_map = view_map = None
    meta: list[dict[str, Any]] = []
    canonical: list[list[tuple[int, int]]] = []
    pictures = io.BytesIO()
    for row, (key, files) in enumerate(samples.items()):
        meta.append(_read_json(root, files["meta.json"]))
        sdf = read_grid(_read_member(root, files["sdf.npz"]))
        names = sorted(name for name in files if name.startswith("view") and name.endswith(".webp"))
        views = np.stack([read_picture(_read_member(root, files[name])) for name in names])
        if sdf_map is None or view_map is None:
            sdf_map = _new_map(folder / "sdf.npy", (len(samples), *sdf.shape), np.int8)
            view_map = _new_map(folder / "views.npy", (len(samples), *views.shape), np.uint8)
        if sdf.shape != sdf_map.shape[1:] or sdf.dtype != np.int8 or views.shape != view_map.shape[1:]:
            raise InputError(f"Shape {key} has other sizes than the first: {sdf.dtype} {sdf.shape} and {views.shape}.")
        if len(meta[-1]["cameras"]) != len(views):
            raise InputError(f"Shape {key} has {len(views)} views and {len(meta[-1]['cameras'])} cameras.")
        sdf_map[row], view_map[row] = sdf, views
        names = sorted(name for name in files if name.startswith("canonical") and name.endswith(".webp"))
        if len(meta[-1].get("canonical_cameras", [])) != len(names):
            raise InputError(f"Shape {key} has {len(names)} canonical pictures and another number of cameras.")
        canonical.append([(pictures.tell(), pictures.write(_read_member(root, files[name]))) for name in names])
    (folder / "canonical.bin").write_bytes(pictures.getvalue())
    for array in (sdf_map, view_map):
        if array is not None:
            array.flush()
    return {"keys": list(samples), "meta": meta, "canonical": canonical}


def _new_map(path: Path, shape: tuple[int, ...], dtype: type) -> np.memmap:
    return np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)


def _read_member(root: Path, member: _Member) -> bytes:
    with (root / member.shard).open("rb") as file:
        file.seek(member.offset)
        return file.read(member.size)


def _read_json(root: Path, member: _Member) -> dict[str, Any]:
    return json.loads(_read_member(root, member))


def read_grid(data: bytes) -> np.ndarray:
    """The quantised SDF of a sample's sdf.npz, (n, n, n) int8 in all that `prepare` made."""
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return arrays["sdf"]


def read_picture(data: bytes) -> UInt8[np.ndarray, "h w 4"]:
    """The RGBA picture in a sample's file."""
    with Image.open(io.BytesIO(data), formats=("WEBP", "PNG")) as picture:
        return np.array(picture.convert("RGBA"))
