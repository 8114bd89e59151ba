"""How many bytes visitors may send and the server keeps: each within an hour, all of them together, and how long."""

from __future__ import annotations

import shutil
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wavemesh.ui.workspace import KEPT_S

MAX_VISITOR_BYTES = 2**29
MAX_STORED_BYTES = 4 * 2**30
MAX_VISITORS = 10_000
SWEEP_S = 30.0


class Quota:
    """What each visitor has sent within the hour."""

    def __init__(self, limit: int = MAX_VISITOR_BYTES) -> None:
        self.limit = limit
        self._sent: dict[str, deque[tuple[float, int]]] = {}

    @property
    def words(self) -> str:
        """The limit, for a sentence."""
        return f"{self.limit // 2**20} MB"

    def has_room(self, visitor: str) -> bool:
        """Whether a visitor may send something."""
        sent = self._sent.get(visitor)
        if sent is None:
            return True
        while sent and time.monotonic() - sent[0][0] > KEPT_S:
            sent.popleft()
        if not sent:
            del self._sent[visitor]
        return sum(size for _, size in sent) < self.limit

    def take(self, visitor: str, size: int) -> None:
        """Count what came in. Where there are very many visitors, those who came first are forgotten."""
        sent = self._sent.setdefault(visitor, deque())
        now = time.monotonic()
        if sent and now - sent[-1][0] < 1.0:
            sent[-1] = (sent[-1][0], sent[-1][1] + size)
        else:
            sent.append((now, size))
        while len(self._sent) > MAX_VISITORS:
            del self._sent[next(iter(self._sent))]


def sweep(workspace: Path, limit: int = MAX_STORED_BYTES, kept_s: float = KEPT_S) -> int:
    """Remove uploads and results older than kept_s, then the oldest until the limit holds; the bytes that are left.

    gradio looks once an hour for what is older than one, so that its own sweeping takes up to two.
    """
    kept, now = [], time.time()
    for entry in _entries(workspace):
        try:
            made = entry.stat().st_mtime
            if now - made > kept_s:
                shutil.rmtree(entry, ignore_errors=True)
            else:
                kept.append((made, _size(entry), entry))
        except OSError:  # somebody else was quicker
            continue
    total = sum(size for _, size, _ in kept)
    for _, size, entry in sorted(kept):
        if total <= limit:
            break
        shutil.rmtree(entry, ignore_errors=True)
        total -= size
    return total


@contextmanager
def kept_swept(workspace: Path, pause_s: float = SWEEP_S) -> Iterator[None]:
    """A thread sweeps the workspace for as long as this lasts; it has ended afterwards."""
    over = threading.Event()

    def sweeping() -> None:
        while not over.wait(pause_s):
            sweep(workspace)

    thread = threading.Thread(target=sweeping, name="sweep", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _entries(workspace: Path) -> list[Path]:
    """The folders of results, and those of uploads, which gradio names by 64 hexadecimal digits."""
    results = workspace / "results"
    found = list(results.iterdir()) if results.is_dir() else []
    uploads = [path for path in workspace.iterdir() if len(path.name) == 64 and path.is_dir()]
    return [path for path in found + uploads if path.is_dir()]


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
