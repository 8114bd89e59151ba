"""The one way to the models: every call of a network takes its turn at the accelerator.

Where Hugging Face lends GPUs, a call gets one for as long as it lasts, in a process forked for it. What goes in and
what comes back is pickled, so that is plain data; the function itself may hold on to anything.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from wavemesh.errors import InputError

MAX_WAIT_S = 60.0
_WAIT_S = 0.5

Result = TypeVar("Result")


def on_gpu(function: Callable[..., Result]) -> Callable[..., Result]:
    """The function or generator, given a GPU for each call where Hugging Face lends one; unchanged elsewhere."""
    try:
        import spaces
    except ImportError:
        return function
    return spaces.GPU(duration=60)(function)


class Accelerator:
    """What all model calls of a page share: a lock that is held until a call's work has really ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    @contextmanager
    def turn(self) -> Iterator[Iterator[None]]:
        """Gives an iterator that ends when it is our turn, and says every half second that it is not yet.

        The turn is over when the context is left, which may be before it came.
        """
        ours = False

        def wait() -> Iterator[None]:
            nonlocal ours
            while not self._lock.acquire(timeout=_WAIT_S):
                yield
            ours = True

        try:
            yield wait()
        finally:
            if ours:
                self._lock.release()

    def call(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """What a short model call gives when its turn has come; InputError where that does not come in time."""
        if not self._lock.acquire(timeout=MAX_WAIT_S):
            raise InputError("The model is busy with other runs; try again in a moment.")
        try:
            return function(*arguments)
        finally:
            self._lock.release()
