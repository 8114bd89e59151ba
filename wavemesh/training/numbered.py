"""Every k-th batch of a task, for a run of several processes; made ahead by workers where there are any.

A batch is known from the seed and its number alone, so it is the same whoever makes it.
"""

from __future__ import annotations

import itertools
import multiprocessing
from collections.abc import Callable, Iterator
from typing import Any

from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from wavemesh.errors import InputError


class NumberedBatches(IterableDataset[Any]):
    """The batches first, first + stride, first + 2 stride, ... of a task's `batches(seed, start)`, without end.

    Of k workers of a DataLoader each makes every k-th of these.
    """

    def __init__(
        self, batches: Callable[[int, int], Iterator[Any]], seed: int, first: int = 0, stride: int = 1
    ) -> None:
        self._batches, self._seed, self._first, self._stride = batches, seed, first, stride

    def __iter__(self) -> Iterator[Any]:
        worker = get_worker_info()
        number, count = (0, 1) if worker is None else (worker.id, worker.num_workers)
        for each in itertools.count(self._first + number * self._stride, count * self._stride):
            yield next(self._batches(self._seed, each))

    def made_ahead(self, workers: int) -> Iterator[Any]:
        """The same batches in the same order, made by so many processes. Raises InputError where none can be forked."""
        if "fork" not in multiprocessing.get_all_start_methods():
            raise InputError("Workers need a system that can fork; set workers to 0 on this one.")
        return iter(DataLoader(self, batch_size=None, num_workers=workers, multiprocessing_context="fork"))
