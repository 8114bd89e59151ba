"""Training state on disk: everything an interrupted run needs to go on as if nothing had happened.

A snapshot is one file, `step-00001234.pt`, that appears whole or not at all. It is read with `weights_only=True`, so it
holds tensors, numbers and strings only. Exported weights for pipelines are another thing: see `wavemesh.checkpoint`.
"""

import logging
import os
import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch

from wavemesh.errors import InputError

logger = logging.getLogger(__name__)

_PATTERN = re.compile(r"step-(\d{8,})\.pt")


def save_snapshot(folder: Path, step: int, state: dict[str, Any], keep: int = 2) -> Path:
    """The file that now holds `state`; only the newest `keep` snapshots stay in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"step-{step:08d}.pt"
    temporary = folder / f".{path.name}.{os.getpid()}"
    try:
        torch.save(state, temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    for old in list_snapshots(folder)[:-keep]:
        old.unlink(missing_ok=True)
    return path


def list_snapshots(folder: Path) -> list[Path]:
    """Snapshot files of the folder, oldest first."""
    if not folder.is_dir():
        return []
    found = [(int(match[1]), path) for path in folder.iterdir() if (match := _PATTERN.fullmatch(path.name))]
    return [path for _, path in sorted(found)]


def load_latest(folder: Path) -> dict[str, Any] | None:
    """State of the newest snapshot that can be read, on the CPU; None where the folder holds none.

    A damaged file is passed over with a warning. Raises InputError when there are snapshots and all are damaged.
    """
    paths = list_snapshots(folder)
    for path in reversed(paths):
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        # A truncated or overwritten file fails in whichever way its bytes lead to.
        except Exception as error:
            logger.warning("The snapshot %s cannot be read (%s); trying the one before.", path, error)
    if paths:
        raise InputError(f"None of the {len(paths)} training snapshots in {folder} can be read.")
    return None


def random_state() -> dict[str, Any]:
    """States of the global random generators of Python, numpy and torch, as tensors and plain numbers."""
    _, keys, position, has_gauss, cached = np.random.get_state()  # noqa: NPY002 - libraries draw from it
    state: dict[str, Any] = {
        "python": random.getstate(),
        "numpy": (torch.from_numpy(np.asarray(keys).astype(np.int64)), int(position), int(has_gauss), float(cached)),
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state_all()
    return state


def restore_random_state(state: dict[str, Any]) -> None:
    """Put the global random generators where `random_state` found them."""
    random.setstate(state["python"])
    keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state(("MT19937", keys.numpy().astype(np.uint32), position, has_gauss, cached))  # noqa: NPY002
    torch.set_rng_state(state["torch"])
    if "cuda" in state and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])
