"""What is measured in a process of its own, so that peak memory and loading times are those of one thing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from wavemesh.errors import InputError

ROOT = Path(__file__).resolve().parents[2]


def measured_apart(module: str, options: dict[str, Any]) -> dict[str, Any]:
    """What `python -m MODULE OPTIONS` writes to the file that its options name under "out".

    Raises InputError with the child's last words when it fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "result.json"
        command = [sys.executable, "-m", module, json.dumps(options | {"out": str(out)})]
        child = subprocess.run(command, env=child_environment(), capture_output=True, text=True, check=False)
        if child.returncode != 0 or not out.exists():
            last = (child.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise InputError(f"The benchmark {module.rpartition('.')[2]!r} failed: {last}")
        return json.loads(out.read_text("utf-8"))


def child_environment() -> dict[str, str]:
    """This process's environment with the package findable, wherever the child starts."""
    path = os.environ.get("PYTHONPATH", "")
    return os.environ | {"PYTHONPATH": os.pathsep.join(part for part in (str(ROOT), path) if part)}
