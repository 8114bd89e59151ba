"""Page faults before and after malloc is told to keep freed memory, counted by the kernel in a process of its own."""

from __future__ import annotations

import ctypes
import platform
import subprocess
import sys
from typing import Any

import pytest

from wavemesh import allocation

SCRIPT = """
import resource
import numpy as np
from wavemesh.allocation import keep_freed_memory

def faults(rounds):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(rounds):
        buffers = [np.ones(size << 17) for size in (3, 40, 5, 60)]  # 108 MiB
        del buffers
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults(2)
usual = faults(5)
said = keep_freed_memory()
faults(2)
print(int(said), usual, faults(5))
"""


def test_freed_buffers_are_used_again_without_page_faults() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=120, check=True)
    said, usual, kept = map(int, done.stdout.split())
    if platform.libc_ver()[0] == "glibc":
        assert said
        assert kept < 0.1 * usual
    else:
        assert not said


GIVEN_BACK = """
from pathlib import Path
from wavemesh.allocation import give_freed_memory_back

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

buffers = [b"x" * 100_000 for _ in range(2000)]  # each in a heap, 200 MB
kept = buffers[::50]  # none of which can shrink: there is something at its end
del buffers
before = resident()
said = give_freed_memory_back()
print(int(said), before, resident())
"""


def test_free_memory_between_what_is_in_use_goes_back() -> None:
    done = subprocess.run([sys.executable, "-c", GIVEN_BACK], capture_output=True, text=True, timeout=120, check=True)
    said, before, after = map(int, done.stdout.split())
    if platform.libc_ver()[0] == "glibc":
        assert said
        assert before - after > 150e6
    else:
        assert not said


def test_elsewhere_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise OSError(name)

    with monkeypatch.context() as patch:
        patch.setattr(ctypes, "CDLL", missing)
        assert not allocation.keep_freed_memory()
        assert not allocation.give_freed_memory_back()
    with monkeypatch.context() as patch:
        patch.setattr(ctypes, "CDLL", lambda name: object())
        assert not allocation.keep_freed_memory()
        assert not allocation.give_freed_memory_back()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "platform", "darwin")
        patch.setattr(ctypes, "CDLL", pytest.fail)
        assert not allocation.keep_freed_memory()
        assert not allocation.give_freed_memory_back()
