"""Seconds from starting the page until it answers."""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from wavemesh.bench.processes import ROOT, child_environment
from wavemesh.errors import InputError

log = logging.getLogger(__name__)

APP_TIMEOUT_S = 120.0


def bench_app_start(app: Path | None = None) -> dict[str, Any] | None:
    """Seconds from starting `app.py` until its page answers; None (with a warning) where there is no app.py.

    Raises InputError when the app ends or does not answer within two minutes.
    """
    app = ROOT / "app.py" if app is None else app
    if not app.exists():
        log.warning("no %s: the start of the app is not measured", app.name)
        return None
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = child_environment() | {"GRADIO_SERVER_PORT": str(port), "GRADIO_SERVER_NAME": "127.0.0.1"}
    start = time.perf_counter()
    child = subprocess.Popen(
        [sys.executable, str(app)],
        env=environment,
        cwd=app.parent,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while not _answers(f"http://127.0.0.1:{port}/"):
            if child.poll() is not None:
                raise InputError(f"The app ended with status {child.returncode} before it answered.")
            if time.perf_counter() - start > APP_TIMEOUT_S:
                raise InputError(f"The app did not answer within {APP_TIMEOUT_S:.0f} seconds.")
            time.sleep(0.05)
        return {"first_page_s": time.perf_counter() - start}
    finally:
        child.terminate()
        try:
            child.wait(timeout=10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5) as response:
            return response.status == 200 and bool(response.read(1))
    except (urllib.error.URLError, OSError):
        return False
