"""Near duplicates among prepared models, and the split that keeps look-alikes together.

The furniture libraries repeat each other: the same model under two names, or once more in another colour. A model whose
double is in the training split would be scored on memory, so doubles go before the split, and models that merely fill
the same space (two rugs, two doors) share a split.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import SequenceMatcher

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.spatial import cKDTree

COARSE = 32


@dataclass(frozen=True)
class Duplicate:
    """A dropped model, the one that stays, and the IoU of their coarse solids in the best of the four quarter turns."""

    key: str
    kept: str
    iou: float


@dataclass(frozen=True)
class Grouping:
    """duplicates: models to drop. group: for every other key, the smallest key among its look-alikes."""

    duplicates: list[Duplicate]
    group: dict[str, str]


def coarse_solid(occupied: Bool[np.ndarray, "n n n"]) -> Bool[np.ndarray, "m m m"]:
    """The solid on a grid of 32^3 cells, or the next finer that divides the given one: cells that hold any of it."""
    size = occupied.shape[0]
    factor = next(factor for factor in range(max(1, size // COARSE), 0, -1) if size % factor == 0)
    return np.asarray(occupied.reshape((size // factor, factor) * 3).any(axis=(1, 3, 5)))


def similar_names(first: str, second: str) -> bool:
    """True where two names share a word of four letters or more, or most of their letters."""
    first, second = first.lower(), second.lower()
    words = [set(re.findall(r"[^\W\d_]{4,}", name)) for name in (first, second)]
    return bool(words[0] & words[1]) or SequenceMatcher(None, first, second).ratio() > 0.7


def group_look_alikes(
    keys: list[str], names: list[str], solids: list[Bool[np.ndarray, "m m m"]], threshold: float = 0.95
) -> Grouping:
    """Which models to drop as near duplicates (same space up to a quarter turn, similar names), and the groups."""
    order = [int(index) for index in np.argsort(keys, kind="stable")]
    parent = list(range(len(order)))
    dropped: dict[int, Duplicate] = {}
    for second, found in enumerate(look_alikes([solids[index] for index in order], threshold)):
        for first, iou in found.items():
            parent[_root(parent, second)] = _root(parent, first)
            if first in dropped or second in dropped:
                continue
            if similar_names(names[order[first]], names[order[second]]):
                keys_pair = keys[order[second]], keys[order[first]]
                dropped[second] = Duplicate(*keys_pair, iou=round(iou, 4))
    smallest: dict[int, str] = {}
    for index, place in enumerate(order):
        smallest.setdefault(_root(parent, index), keys[place])
    group = {keys[order[i]]: smallest[_root(parent, i)] for i in range(len(order)) if i not in dropped}
    return Grouping(list(dropped.values()), group)


def look_alikes(solids: list[Bool[np.ndarray, "m m m"]], threshold: float) -> list[dict[int, float]]:
    """For each solid those before it that overlap with it by more than the threshold, with the IoU, at the best turn.

    Few pairs are compared whole. How many cells there are in each ring of each layer about the vertical axis is the
    same at every quarter turn, and such counts a and b bound the IoU: sum(min(a, b)) / sum(max(a, b)) is no less. So
    for an IoU above t their sum of differences is less than (1 - t) / t times the size: neighbours in a tree, found by
    a few sums of the counts, then by all of them.
    """
    size = len(solids[0])
    places = np.abs(np.arange(size) - (size - 1) / 2)
    ring = np.maximum(places[:, None], places[None, :]).astype(np.int64)  # of x and z
    cell = (ring[:, None, :] * size + np.arange(size)[None, :, None]).ravel()
    length = (size // 2 + 1) * size
    counts = np.stack([np.bincount(cell[solid.ravel()], minlength=length) for solid in solids]).astype(np.int32)
    sizes = counts.sum(axis=1)
    sums = _few_sums(counts.reshape(len(solids), -1, size))
    tree, reach = cKDTree(sums), sizes * (1.0 - threshold) / threshold + 1e-6
    found: list[dict[int, float]] = []
    for second, solid in enumerate(solids):
        near = np.array(sorted(tree.query_ball_point(sums[second], reach[second], p=1.0)), dtype=np.int64)
        near = near[near < second]
        apart = np.abs(counts[near] - counts[second]).sum(axis=1)
        near = near[apart <= (sizes[near] + sizes[second]) * (1.0 - threshold) / (1.0 + threshold) + 1e-6]
        turned = [np.rot90(solid, turns, axes=(0, 2)) for turns in range(4)] if len(near) else []
        overlaps = {int(first): max(_iou(solids[first], each) for each in turned) for first in near}
        found.append({first: iou for first, iou in overlaps.items() if iou > threshold})
    return found


def _few_sums(counts: Int[np.ndarray, "n r m"]) -> Float[np.ndarray, "n k"]:
    """The counts summed up over an inner and an outer half of the rings and four parts of the layers."""
    halves = np.array_split(counts, 2, axis=1)
    parts = [part.sum(axis=(1, 2)) for half in halves for part in np.array_split(half, 4, axis=2)]
    return np.stack(parts, axis=1).astype(np.float64)


def _iou(first: Bool[np.ndarray, "m m m"], second: Bool[np.ndarray, "m m m"]) -> float:
    return float(np.count_nonzero(first & second) / np.count_nonzero(first | second))


def _root(parent: list[int], index: int) -> int:
    while parent[index] != index:
        parent[index] = parent[parent[index]]
        index = parent[index]
    return index
