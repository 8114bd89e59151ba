"""How the C library keeps freed memory: the setting that spares a run on the CPU its page faults.

glibc takes each large buffer from the kernel and gives it back when it is freed, so that the tensors of every training
step begin as fresh pages, which the kernel has to clear one after the other. On a machine where page faults are dear
this was a third of a step.
"""

from __future__ import annotations

import ctypes
import sys

# Numbers of malloc.h. The top pad is taken beyond what is asked for, so that the heap grows in few large pieces.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4
_NEVER, _NONE, _TOP_PAD_BYTES = -1, 0, 256 * 2**20


def keep_freed_memory() -> bool:
    """Whether malloc now keeps freed memory for this process instead of giving it back to the kernel.

    Works for the rest of the process's life, on Linux with glibc; elsewhere nothing happens and it says False. The
    process then stays as large as it once was.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):  # another C library
        return False
    settings = ((_M_MMAP_MAX, _NONE), (_M_TRIM_THRESHOLD, _NEVER), (_M_TOP_PAD, _TOP_PAD_BYTES))
    return all(mallopt(name, value) == 1 for name, value in settings)
