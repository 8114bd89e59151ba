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
from jaxtyping import Bool

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
    order = np.argsort(keys, kind="stable")
    stack = np.stack([solids[index] for index in order]).astype(np.float32)
    sizes = stack.sum(axis=(1, 2, 3))
    flat = stack.reshape(len(stack), -1)
    best = np.zeros((len(stack), len(stack)), dtype=np.float32)
    for turns in range(4):
        turned = np.rot90(stack, turns, axes=(1, 3)).reshape(len(stack), -1)
        shared = flat @ turned.T
        best = np.maximum(best, shared / (sizes[:, None] + sizes[None, :] - shared))
    parent = list(range(len(order)))
    dropped: dict[int, Duplicate] = {}
    for second in range(len(order)):
        for first in np.flatnonzero(best[second, :second] > threshold):
            parent[_root(parent, second)] = _root(parent, int(first))
            if int(first) in dropped or second in dropped:
                continue
            if similar_names(names[order[first]], names[order[second]]):
                keys_pair = keys[order[second]], keys[order[first]]
                dropped[second] = Duplicate(*keys_pair, iou=round(float(best[second, first]), 4))
    group = {}
    for index in range(len(order)):
        if index not in dropped:
            members = [other for other in range(len(order)) if _root(parent, other) == _root(parent, index)]
            group[keys[order[index]]] = keys[order[min(members)]]
    return Grouping(list(dropped.values()), group)


def _root(parent: list[int], index: int) -> int:
    while parent[index] != index:
        index = parent[index]
    return index
