"""Training state on disk: everything an interrupted run needs to go on as if nothing had happened.

A snapshot is one file, `step-00001234.pt`, that appears whole or not at all. It is read with `weights_only=True`, so it
holds tensors, numbers and strings only. Exported weights for pipelines are another thing: see `wavemesh.checkpoint`.
"""

import logging
import os
import random
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from wavemesh.errors import InputError

logger = logging.getLogger(__name__)

_PATTERN = re.compile(r"step-(\d{8,})\.pt")


def save_snapshot(folder: Path, step: int, state: dict[str, Any], keep: int = 2) -> Path:
    """The file that now holds `state`; only the newest `keep` snapshots stay in the folder.

    Raises InputError where it cannot be written, such as on a full disk; then the snapshots before it stay.
    """
    path = folder / f"step-{step:08d}.pt"
    temporary = folder / f".{path.name}.{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _forget_halves(folder)
        with temporary.open("wb") as file:
            torch.save(state, file)
        temporary.replace(path)
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())[:120]
        before = list_snapshots(folder)
        last = f"the last good one is {before[-1].name}" if before else "there is none before it"
        raise InputError(f"The snapshot {path} cannot be written ({reason}); {last}.") from error
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


def load_latest(folder: Path, accept: Callable[[dict[str, Any]], None] | None = None) -> dict[str, Any] | None:
    """State of the newest snapshot that can be used, on the CPU; None where the folder holds none.

    accept: takes a state, or raises for one of another run. A file that is damaged, by a single bit too, or that is
    not accepted is named in a warning, and the one before it is taken. Raises InputError where all are unusable.
    """
    paths = list_snapshots(folder)
    refused: InputError | None = None
    for path in reversed(paths):
        try:
            state = _read(path)
            if accept is not None:
                accept(state)
        except InputError as error:
            refused = refused or error
            logger.warning("The snapshot %s is not used: %s", path, error)
        # A truncated or overwritten file fails in whichever way its bytes lead to.
        except Exception as error:
            said = " ".join(str(error).split())[:200] or type(error).__name__
            logger.warning("The snapshot %s cannot be read (%s); trying the one before.", path, said)
        else:
            return state
    if refused is not None:
        raise refused
    if paths:
        raise InputError(f"None of the {len(paths)} training snapshots in {folder} can be read.")
    return None


def _read(path: Path) -> dict[str, Any]:
    """The state in a file whose checksums agree; torch itself does not look at them."""
    with zipfile.ZipFile(path) as archive:
        damaged = archive.testzip()
    if damaged is not None:
        raise ValueError(f"{damaged} has another checksum than it was written with")
    return torch.load(path, map_location="cpu", weights_only=True)


def _forget_halves(folder: Path) -> None:
    """Remove what processes that were killed while they wrote have left."""
    for path in folder.glob(".step-*.pt.*"):
        path.unlink(missing_ok=True)


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
