"""What runs without the page: odd command lines, and trainings that are killed."""

from __future__ import annotations

import io
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.cli import test_fuzz
from tests.training import test_survival
from wavemesh.machine import peak_resident_bytes


def lines(count: int) -> str:
    """Command lines that hypothesis draws, in this process; what takes long is replaced by a refusal."""
    ended: Counter[int] = Counter()
    longest, plain = ("", 0.0), test_fuzz.status

    def timed(argv: list[str]) -> int:
        nonlocal longest
        begin = time.process_time()
        found = plain(argv)
        ended[found] += 1
        longest = max(longest, (" ".join(argv)[:80], time.process_time() - begin), key=lambda each: each[1])
        return found

    before, output = (sys.stdout, sys.stderr), io.TextIOWrapper(io.BytesIO(), "utf-8")
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        here = os.getcwd()
        patch.setenv("KMP_INIT_AT_FORK", "FALSE")  # a library's first import leaves it behind
        playground = test_fuzz.furnished(Path(folder), patch)
        patch.setattr(test_fuzz, "status", timed)
        try:
            test_fuzz.fuzzed(playground, _Said(output), count)  # type: ignore[arg-type]
        finally:
            sys.stdout, sys.stderr = before
            os.chdir(here)
    return (
        f"{sum(ended.values())} command lines: ended with {dict(ended)}, no traceback, no input overwritten; longest "
        f"{longest[1]:.1f} s of processor ({longest[0]!r}); peak {peak_resident_bytes() / 1e9:.2f} GB"
    )


class _Said:
    """What pytest's capsys is to the tests: the standard streams, and what was written to stderr since it was read."""

    def __init__(self, stream: io.TextIOWrapper) -> None:
        sys.stdout, sys.stderr = io.TextIOWrapper(io.BytesIO(), "utf-8"), stream
        self._stream = stream

    def readouterr(self) -> SimpleNamespace:
        """What was written; then it is forgotten."""
        self._stream.flush()
        content = self._stream.buffer
        said = content.getvalue().decode("utf-8", "replace")  # type: ignore[attr-defined]
        content.seek(0)
        content.truncate()
        return SimpleNamespace(err=said)


def kills(count: int) -> str:
    """A training that is killed at random moments, against one that is not; an AssertionError where they differ."""
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        test_survival.killed_again_and_again(Path(folder), count, 6 * count)
    return (
        f"killed {count} times in {6 * count} steps: weights, their mean and all losses are those of the run that was "
        f"not, to the bit; {time.perf_counter() - begin:.0f} s"
    )
