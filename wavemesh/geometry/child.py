"""Work in a process of its own: for what may not end, may take all memory, or holds Python's lock until it is done."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

# Where a process counts its own seconds the clock is for one that waits, not for a machine that is busy.
TIMEOUT_S = 60 if sys.platform == "win32" else 600


def run_alone(module: str, *arguments: str | Path) -> tuple[int, str]:
    """The exit status and the stderr of a module, run as a process with one thread; it sets its own limits.

    The status is that of a process that was killed where the clock ran out.
    """
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    root = str(Path(__file__).resolve().parents[2])
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [root, environment.get("PYTHONPATH")]))
    command = [sys.executable, "-m", module, *map(str, arguments)]
    try:
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return -9, ""
    return done.returncode, done.stderr.decode(errors="replace")
