"""What operating systems do differently: limits of a process, its memory, and whether another one runs.

Windows has no `resource`, no load average, and `os.kill(pid, 0)` is Ctrl-C there. Nothing else in the package asks for
what only Unix has, so that it starts anywhere.
"""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path

_SYNCHRONIZE, _ACCESS_DENIED, _STILL_RUNS = 0x00100000, 5, 0x102  # of the Windows API


def limit_process(memory_bytes: int, cpu_s: int, file_bytes: int) -> bool:
    """Whether this process now has limits on its memory, its CPU seconds and the files that it writes.

    False on Windows: there, what started the process has to watch the clock and to look at sizes before.
    """
    try:
        import resource
    except ModuleNotFoundError:
        return False
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    return True


def peak_resident_bytes() -> float:
    """The largest resident set of this process so far; NaN where the system does not tell.

    Linux's VmHWM starts anew with the program, while getrusage's maximum is inherited from the process that forked us.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return float(line.split()[1]) * 1024
    try:
        import resource
    except ModuleNotFoundError:
        return math.nan
    peak = float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    return peak if sys.platform == "darwin" else peak * 1024


def load_average() -> float | None:
    """Processes that wanted to run over the last minute; None where nobody counts them."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def is_running(pid: int) -> bool:
    """Whether there is a process with this number, be it somebody else's."""
    if sys.platform == "win32":
        return _is_running_on_windows(pid)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's process
        return True
    return True


def _is_running_on_windows(pid: int) -> bool:
    import ctypes

    kernel = ctypes.WinDLL("kernel32", use_last_error=True)  # type: ignore[attr-defined, unused-ignore]
    handle = kernel.OpenProcess(_SYNCHRONIZE, False, pid)
    if not handle:
        return ctypes.get_last_error() == _ACCESS_DENIED  # type: ignore[attr-defined, unused-ignore]
    runs = kernel.WaitForSingleObject(handle, 0) == _STILL_RUNS
    kernel.CloseHandle(handle)
    return runs
