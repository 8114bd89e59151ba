"""How long a visitor's question may keep a processor: what is computed of strangers' files looks at it as it goes on.

Files within all limits of size can still be made so that a ray meets every one of their triangles. Seconds are those
of the processor in the thread that asks: what other visitors compute meanwhile does not count.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from wavemesh.errors import InputError

QUESTION_CPU_S = 25.0  # with reading the file before and writing the answer after it under 30

_asking = threading.local()


@contextmanager
def budget(cpu_s: float = QUESTION_CPU_S) -> Iterator[None]:
    """What `keep_within_budget` looks at inside, in this thread; within another budget the earlier end counts."""
    before = getattr(_asking, "ends", None)
    ends = time.thread_time() + cpu_s
    _asking.ends = ends if before is None else min(before, ends)
    try:
        yield
    finally:
        _asking.ends = before


def keep_within_budget() -> None:
    """Raise InputError where the budget of this thread is used up; nothing where it has none."""
    ends = getattr(_asking, "ends", None)
    if ends is not None and time.thread_time() > ends:
        raise InputError("This takes too long here; a mesh with fewer triangles, or fewer that overlap, is quicker.")
