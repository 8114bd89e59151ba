"""What the C library does with freed memory: a training keeps it, a server gives it back.

glibc takes each large buffer from the kernel and gives it back when it is freed, so that the tensors of every training
step begin as fresh pages, which the kernel has to clear one after the other. On a machine where page faults are dear
this was a third of a step. Smaller ones stay in heaps, of which it has several where there are threads: what a server
once needed for a run it keeps for good.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any

# Numbers of malloc.h. The top pad is taken beyond what is asked for, so that the heap grows in few large pieces.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4
_NEVER, _NONE, _TOP_PAD_BYTES = -1, 0, 256 * 2**20


def keep_freed_memory() -> bool:
    """Whether malloc now keeps freed memory for this process instead of giving it back to the kernel.

    Works for the rest of the process's life, on Linux with glibc; elsewhere nothing happens and it says False. The
    process then stays as large as it once was.
    """
    mallopt = _of_glibc("mallopt")
    settings = ((_M_MMAP_MAX, _NONE), (_M_TRIM_THRESHOLD, _NEVER), (_M_TOP_PAD, _TOP_PAD_BYTES))
    return mallopt is not None and all(mallopt(name, value) == 1 for name, value in settings)


def give_freed_memory_back() -> bool:
    """Whether free pages of all heaps, those between pages in use too, have just gone back to the kernel.

    On Linux with glibc, where there were any; elsewhere nothing happens and it says False.
    """
    trim = _of_glibc("malloc_trim")
    return trim is not None and trim(ctypes.c_size_t(0)) == 1


def _of_glibc(name: str) -> Any:
    """A function of the GNU C library; None elsewhere."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        return getattr(ctypes.CDLL("libc.so.6"), name)
    except (OSError, AttributeError):  # another C library
        return None
