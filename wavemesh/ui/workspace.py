"""Where a running page keeps its files: one private folder per process, and leftovers of dead processes swept away.

Uploads, previews and meshes all live under GRADIO_TEMP_DIR, so gradio serves them without opening any other folder.
It must be set before gradio is imported, so nothing here imports gradio.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import tempfile
import time
from pathlib import Path

from wavemesh.machine import is_running

KEPT_S = 3600  # results and uploads older than this are removed


def open_workspace() -> Path:
    """The folder of this process, which becomes GRADIO_TEMP_DIR; leftovers of earlier processes are removed.

    A GRADIO_TEMP_DIR that is already set is used as it is and nothing in it is swept: it is somebody's choice.
    """
    chosen = os.environ.get("GRADIO_TEMP_DIR")
    if chosen:
        folder = Path(chosen)
        folder.mkdir(parents=True, exist_ok=True)
        return folder
    base = _base_folder()
    _sweep(base)
    folder = base / f"run-{os.getpid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    return folder


def new_result_folder(workspace: Path) -> Path:
    """An empty folder with a name that cannot be guessed, for the files of one run; those of old runs are removed."""
    results = workspace / "results"
    results.mkdir(mode=0o700, parents=True, exist_ok=True)
    for old in results.iterdir():
        try:
            if time.time() - old.stat().st_mtime > KEPT_S:
                shutil.rmtree(old, ignore_errors=True)
        except FileNotFoundError:  # another run was quicker
            continue
    folder = results / secrets.token_hex(8)
    folder.mkdir(mode=0o700)
    return folder


def _base_folder() -> Path:
    """The folder of all our processes, which belongs to this user and nobody else."""
    owner = os.getuid() if hasattr(os, "getuid") else "user"
    base = Path(tempfile.gettempdir()) / f"wavemesh-page-{owner}"
    base.mkdir(mode=0o700, exist_ok=True)
    # Somebody else may have made the name first, to read along.
    if base.is_symlink() or (hasattr(os, "getuid") and base.stat().st_uid != os.getuid()):
        return Path(tempfile.mkdtemp(prefix="wavemesh-page-"))
    return base


def _sweep(base: Path) -> None:
    for folder in base.iterdir():
        match = re.fullmatch(r"run-(\d+)", folder.name)
        if match and (int(match[1]) == os.getpid() or not is_running(int(match[1]))):
            shutil.rmtree(folder, ignore_errors=True)
