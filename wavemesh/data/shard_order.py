"""In which order a stream of shards gives its shapes: shuffled through a buffer, and known from seed and number alone.

The shards of a pass are shuffled and dealt to lanes. A lane reads `window` shards at a time and gives their shapes in
random order. Batch number n comes from lane n mod `lanes`, so a process that makes every k-th batch reads every k-th
lane alone where k divides the lanes; and any batch can be asked for without those before it.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

WINDOW = 4


@dataclass(frozen=True)
class _LanePass:
    """What a lane reads in one pass: its shards, and after how many shapes each window of them ends."""

    shards: np.ndarray
    ends: np.ndarray


class ShardOrder:
    """The order of the shapes of shards that hold `counts` shapes each; shapes are numbered through all shards."""

    def __init__(self, counts: Sequence[int], lanes: int, window: int = WINDOW) -> None:
        self._counts, self._window = np.asarray(counts), window
        self._first = np.cumsum([0, *counts[:-1]])
        self.lanes = min(lanes, len(counts))
        self._pass = functools.lru_cache(maxsize=2 * self.lanes)(self._deal)
        self._shuffled = functools.lru_cache(maxsize=2 * self.lanes)(self._shuffle)
        self._reached: dict[tuple[int, int], tuple[int, int]] = {}  # (seed, lane) -> a pass and where it begins

    def batch(self, seed: int, number: int, places: range) -> tuple[list[int], list[int]]:
        """The shapes of a batch, and the shards that it and the batches after it in its lane read.

        places: of the batch among the shapes of all batches. A lane that is through its shards begins its next pass.
        """
        lane = number % self.lanes
        start = max(0, (places.start - lane * len(places)) // self.lanes)
        shapes: list[int] = []
        shards: dict[int, None] = {}
        for place in range(start, start + len(places)):
            each, rest = self._pass_of(seed, lane, place)
            ends = self._pass(seed, each, lane).ends
            window = int(np.searchsorted(ends, rest, side="right"))
            shapes.append(int(self._shuffled(seed, each, lane, window)[rest - (ends[window - 1] if window else 0)]))
            after = (each, window + 1) if window + 1 < len(ends) else (each + 1, 0)
            for read in ((each, window), after):
                shards.update(dict.fromkeys(self._read(seed, read[0], lane, read[1]).tolist()))
        return shapes, list(shards)

    def _pass_of(self, seed: int, lane: int, place: int) -> tuple[int, int]:
        """The pass that a place of a lane falls into, and the place within it."""
        each, begin = self._reached.get((seed, lane), (0, 0))
        if begin > place:
            each, begin = 0, 0
        while place >= begin + (size := int(self._pass(seed, each, lane).ends[-1])):
            each, begin = each + 1, begin + size
        self._reached[seed, lane] = each, begin
        return each, place - begin

    def _deal(self, seed: int, each: int, lane: int) -> _LanePass:
        shards = np.random.default_rng((seed, each)).permutation(len(self._counts))[lane :: self.lanes]
        ends = np.cumsum(self._counts[shards])
        last = np.minimum(np.arange(self._window, len(shards) + self._window, self._window), len(shards)) - 1
        return _LanePass(shards, ends[last])

    def _read(self, seed: int, each: int, lane: int, window: int) -> np.ndarray:
        return self._pass(seed, each, lane).shards[window * self._window : (window + 1) * self._window]

    def _shuffle(self, seed: int, each: int, lane: int, window: int) -> np.ndarray:
        shards = self._read(seed, each, lane, window)
        shapes = np.concatenate([np.arange(self._counts[s]) + self._first[s] for s in shards])
        return np.random.default_rng((seed, each, lane, window)).permutation(shapes)
