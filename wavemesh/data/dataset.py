"""Prepared shapes for training and evaluation: fast random access, and the roadmap's PyTorch data set.

`prepare` writes tar shards (streamable, compressed). Training reads the same shapes thousands of times, so a split is
unpacked once into memory-mapped arrays beside the shards (`PreparedShapes`); `MeshDataset` hands out items with the
names of the roadmap, downsampled, transformed and augmented.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset

from wavemesh.data import augment as augmentation
from wavemesh.data.cache import SDF_SCALE, SplitCache, open_cache
from wavemesh.errors import InputError
from wavemesh.geometry.camera import Camera
from wavemesh.geometry.camera_tensors import stack_cameras
from wavemesh.wavelets import get_bank, sdf_to_sparse_wavelet

MIN_RESOLUTION = 16


@dataclass(frozen=True)
class PreparedShape:
    """One shape as evaluation sees it.

    sdf: (n, n, n) float32, truncated at 0.09. pictures, cameras: the canonical views, (s, s, 4) uint8 RGBA, straight
    alpha; the training views where the data set has no others. meta: name, licence, creator, library and so on.
    """

    key: str
    category: str
    sdf: Float[np.ndarray, "n n n"]
    pictures: list[np.ndarray]
    cameras: list[Camera]
    meta: dict[str, Any]


class Shapes(ABC):
    """What training asks of a split, unpacked (`PreparedShapes`) or streamed (`stream.StreamedShapes`).

    keys, categories: per shape. resolution, num_views, image_size: of what is stored. `len()` as of a list.
    """

    keys: list[str]
    categories: list[str]
    resolution: int
    num_views: int
    image_size: int

    def __len__(self) -> int:
        return len(self.keys)

    @abstractmethod
    def drawn(self, seed: int, number: int, places: range, count: int) -> list[int]:
        """The shapes of batch `number`, determined by the seed: each of the first `count` comes once in every pass.

        places: those of the batch in the sequence of all batches' shapes.
        """

    def at_random(self, rng: np.random.Generator, seed: int, number: int, count: int) -> list[int]:
        """Any `count` shapes for batch `number`, some of them perhaps twice; a stream gives those that are at hand."""
        return rng.integers(len(self), size=count).tolist()

    @abstractmethod
    def spread(self, count: int) -> list[int]:
        """So many shapes, or all, that stand for the whole split."""

    @abstractmethod
    def sdf_codes(self, indices: Sequence[int]) -> Int[Tensor, "b n n n"]:
        """The quantised SDFs as stored, int8; times `SDF_SCALE` they are world units. For a GPU to unpack itself."""

    @abstractmethod
    def pictures(self, indices: Sequence[int], views: Sequence[Sequence[int]]) -> UInt8[Tensor, "b v h w 4"]:
        """Training views as stored, RGBA with straight alpha; views: which views of each of the shapes."""

    @abstractmethod
    def view_cameras(
        self, indices: Sequence[int], views: Sequence[Sequence[int]]
    ) -> tuple[Float[Tensor, "b v 3 4"], Float[Tensor, "b v 3"]]:
        """Poses and intrinsics of those views."""

    @abstractmethod
    def all_cameras(self, index: int) -> list[Camera]:
        """The cameras of all training views of a shape."""

    def sdf(self, indices: Sequence[int]) -> Float[Tensor, "b n n n"]:
        """Truncated SDFs, float32 world units."""
        return self.sdf_codes(indices).float() * SDF_SCALE

    def images(self, indices: Sequence[int], views: Sequence[Sequence[int]]) -> Float[Tensor, "b v 4 h w"]:
        """Training views as the networks take them."""
        return to_network_image(self.pictures(indices, views))


class PreparedShapes(Shapes):
    """Random access to one split of a prepared data set; raises InputError where there is none.

    keys, categories, meta, cameras: per shape. poses (n, v, 3, 4) and intrinsics (n, v, 3): of those cameras.
    resolution, num_views, image_size: of what is stored. `len()` and indexing as in a list.
    """

    def __init__(self, root: str | Path, split: str = "train") -> None:
        self.root, self.split = Path(root), split
        self._cache: SplitCache = open_cache(self.root, split)
        self.keys: list[str] = self._cache.keys
        self.meta: list[dict[str, Any]] = self._cache.meta
        self.categories: list[str] = [str(meta.get("category", "")) for meta in self.meta]
        self.cameras: list[list[Camera]] = self._cache.cameras
        stacked = [stack_cameras(cameras) for cameras in self.cameras]
        self.poses: Float[Tensor, "n v 3 4"] = torch.stack([poses for poses, _ in stacked])
        self.intrinsics: Float[Tensor, "n v 3"] = torch.stack([intrinsics for _, intrinsics in stacked])
        self.resolution = int(self._cache.sdf.shape[1])
        self.num_views, self.image_size = int(self._cache.views.shape[1]), int(self._cache.views.shape[2])

    def drawn(self, seed: int, number: int, places: range, count: int) -> list[int]:
        """Consecutive places in a sequence of shuffled passes over the set, whichever batch has them."""
        orders = {
            each: np.random.default_rng((seed, each)).permutation(count)
            for each in {place // count for place in places}
        }
        return [int(orders[place // count][place % count]) for place in places]

    def spread(self, count: int) -> list[int]:
        """Evenly spaced ones."""
        return [int(index) for index in np.linspace(0, len(self) - 1, min(count, len(self)))]

    def __getitem__(self, index: int) -> PreparedShape:
        pictures, cameras = self._cache.canonical(index)
        if not pictures:
            pictures, cameras = list(np.array(self._cache.views[index])), self.cameras[index]
        return PreparedShape(
            key=self.keys[index],
            category=self.categories[index],
            sdf=self.sdf([index])[0].numpy(),
            pictures=pictures,
            cameras=cameras,
            meta=self.meta[index],
        )

    def sdf_codes(self, indices: Sequence[int]) -> Int[Tensor, "b n n n"]:
        """The quantised SDFs, int8."""
        return torch.from_numpy(np.stack([self._cache.sdf[index] for index in indices]))

    def pictures(self, indices: Sequence[int], views: Sequence[Sequence[int]]) -> UInt8[Tensor, "b v h w 4"]:
        """Training views as stored, RGBA with straight alpha."""
        chosen = [self._cache.views[index][list(numbers)] for index, numbers in zip(indices, views, strict=True)]
        return torch.from_numpy(np.stack(chosen))

    def view_cameras(
        self, indices: Sequence[int], views: Sequence[Sequence[int]]
    ) -> tuple[Float[Tensor, "b v 3 4"], Float[Tensor, "b v 3"]]:
        """Poses and intrinsics of those views."""
        rows = torch.tensor(indices)[:, None]
        columns = torch.tensor([list(numbers) for numbers in views])
        return self.poses[rows, columns], self.intrinsics[rows, columns]

    def all_cameras(self, index: int) -> list[Camera]:
        """The cameras of all training views of a shape."""
        return self.cameras[index]


class MeshDataset(Dataset[dict[str, Any]]):
    """The roadmap's data set over a prepared folder.

    Items: 'coeffs' (m, 1) and 'coords' (m, 4) as `wavelets.sdf_to_sparse_wavelet` gives them, 'images' (num_views,
    channels, h, w) float32 in [0, 1] (see `to_network_image`), 'poses' (num_views, 3, 4), 'intrinsics' (num_views, 3),
    'sdf' (r, r, r) float32, 'mesh_path' (where the shape came from), 'category'. Batches: a DataLoader stacks them as
    it is, since all of a batch are filled up to equally many sites ('padded' (m,) says which); with `collate` the sites
    stand in one row instead, without any added.

    resolution: of the SDF, a multiple of 4 from 16 to that of the stored ones. category: only shapes of this one.
    augment: random views, quarter turns, mirroring and colours, drawn anew after `set_epoch`; without it every
    item is fixed and shows the first views. Raises InputError for a folder, split, category or number that cannot be
    served.
    """

    def __init__(
        self,
        root_dir: str | Path,
        split: str = "train",
        resolution: int = 128,
        num_views: int = 4,
        category: str | None = None,
        augment: bool = False,
        bank: str = "bior2.2",
        seed: int = 0,
        channels: int = 4,
    ) -> None:
        self.shapes = PreparedShapes(root_dir, split)
        if resolution % 4 or not MIN_RESOLUTION <= resolution <= self.shapes.resolution:
            allowed = f"a multiple of 4 from {MIN_RESOLUTION} to {self.shapes.resolution}"
            raise InputError(f"The resolution must be {allowed}, not {resolution}.")
        if not 1 <= num_views <= self.shapes.num_views:
            raise InputError(f"The data set has 1 to {self.shapes.num_views} views of each shape, not {num_views}.")
        if channels not in (3, 4):
            raise InputError(f"Pictures have 3 or 4 channels, not {channels}.")
        self.resolution, self.num_views, self.channels = resolution, num_views, channels
        self.augment, self.bank, self.seed = augment, get_bank(bank).name, seed
        self.epoch = 0
        known = sorted(set(self.shapes.categories))
        if category is not None and category not in known:
            raise InputError(f"There is no category {category!r} in {split}; there are {', '.join(known)}.")
        self._indices = [i for i, name in enumerate(self.shapes.categories) if category in (None, name)]

    def __len__(self) -> int:
        return len(self._indices)

    def set_epoch(self, epoch: int) -> None:
        """Draw other augmentations from now on; call it before the DataLoader starts its workers."""
        self.epoch = epoch

    def __getitem__(self, item: int) -> dict[str, Any]:
        index = self._indices[item]
        sdf, views = self.shapes.sdf([index])[0], [list(range(self.num_views))]
        generator = torch.Generator().manual_seed(((self.seed * 100_003 + self.epoch) * 1_000_003 + index) % 2**63)
        if self.augment:
            views = [torch.randperm(self.shapes.num_views, generator=generator)[: self.num_views].tolist()]
        images = self.shapes.images([index], views)
        poses, intrinsics = self.shapes.view_cameras([index], views)
        if self.augment:
            sdf, images, poses, intrinsics = _augmented(sdf, images, poses, intrinsics, generator)
        sdf = downsample_sdf(sdf, self.resolution)
        coeffs, coords = sdf_to_sparse_wavelet(sdf, self.bank)
        meta = self.shapes.meta[index]
        return {
            "coeffs": coeffs,
            "coords": coords,
            "images": images[0, :, : self.channels],
            "poses": poses[0],
            "intrinsics": intrinsics[0],
            "sdf": sdf,
            "mesh_path": "/".join(str(meta[name]) for name in ("library", "path") if name in meta),
            "category": self.shapes.categories[index],
        }

    def __getitems__(self, items: list[int]) -> list[dict[str, Any]]:
        """The items of one batch, with as many sites each: those that are added are not active, so they are zero."""
        found = [self[item] for item in items]
        most = max(len(item["coeffs"]) for item in found)
        return [_filled_up(item, most, self.resolution) for item in found]

    @staticmethod
    def collate(items: list[dict[str, Any]]) -> dict[str, Any]:
        """A batch: dense entries stacked, all coefficients in one row, the number of their shape in coords[:, 0]."""
        items = [_without_added(item) for item in items]
        coords = [item["coords"].clone() for item in items]
        for number, sites in enumerate(coords):
            sites[:, 0] = number
        stacked = {
            name: torch.stack([item[name] for item in items]) for name in ("images", "poses", "intrinsics", "sdf")
        }
        listed = {name: [item[name] for item in items] for name in ("mesh_path", "category")}
        coeffs = torch.cat([item["coeffs"] for item in items])
        return {"coeffs": coeffs, "coords": torch.cat(coords), **stacked, **listed}


def _filled_up(item: dict[str, Any], count: int, resolution: int) -> dict[str, Any]:
    """The item with `count` sites in lexicographic order; those that it had not have a coefficient of zero."""
    coeffs, coords = item["coeffs"], item["coords"]
    free = torch.ones((resolution,) * 3, dtype=torch.bool)
    free[tuple(coords[:, 1:].unbind(1))] = False
    added = functional.pad(free.nonzero()[: count - len(coords)], (1, 0))
    coords, coeffs = torch.cat([coords, added]), torch.cat([coeffs, coeffs.new_zeros(len(added), 1)])
    padded = torch.arange(count) >= count - len(added)
    order = torch.argsort((coords[:, 1] * resolution + coords[:, 2]) * resolution + coords[:, 3])
    return {**item, "coeffs": coeffs[order], "coords": coords[order], "padded": padded[order]}


def _without_added(item: dict[str, Any]) -> dict[str, Any]:
    if "padded" not in item:
        return item
    return {**item, **{name: item[name][~item["padded"]] for name in ("coeffs", "coords")}}


def to_network_image(rgba: UInt8[Tensor, "*b h w 4"] | UInt8[np.ndarray, "*b h w 4"]) -> Float[Tensor, "*b 4 h w"]:
    """Pictures as the networks take them: float32 in [0, 1], RGB premultiplied by alpha, alpha the fourth channel.

    RGB over transparent pixels is undefined in a file; premultiplied it is zero.
    """
    image = torch.as_tensor(rgba).movedim(-1, -3).float() / 255.0
    rgb, alpha = image[..., :3, :, :], image[..., 3:, :, :]
    return torch.cat([rgb * alpha, alpha], dim=-3)


def downsample_sdf(sdf: Float[Tensor, "n n n"], resolution: int) -> Float[Tensor, "r r r"]:
    """The field at the cell centres of a coarser grid: block averages as far as they divide, then trilinear."""
    field = sdf[None, None]
    factor = sdf.shape[0] // resolution
    if factor > 1:
        field = functional.avg_pool3d(field, factor) if sdf.shape[0] % factor == 0 else field
    if field.shape[-1] != resolution:
        field = functional.interpolate(field, size=(resolution,) * 3, mode="trilinear", align_corners=False)
    return field[0, 0]


def _augmented(
    sdf: Float[Tensor, "n n n"],
    images: Float[Tensor, "1 v 4 h w"],
    poses: Float[Tensor, "1 v 3 4"],
    intrinsics: Float[Tensor, "1 v 3"],
    generator: torch.Generator,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    turns = int(torch.randint(4, (), generator=generator))
    sdf, poses = augmentation.turn_quarter(sdf, turns), augmentation.turn_poses(poses, turns)
    if torch.rand((), generator=generator) < 0.5:
        sdf = augmentation.mirror(sdf)
        images, poses, intrinsics = augmentation.mirror_views(images, poses, intrinsics)
    images = augmentation.colour_jitter(images, generator)
    return sdf.contiguous(), augmentation.imperfect_masks(images, generator), poses, intrinsics
