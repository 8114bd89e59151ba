"""Ctrl-C on the command line, also while libraries load."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STOPPED = 130
"""The exit status of a stopped command: 128 plus the number of SIGINT, as shells have it."""


@contextmanager
def stops_while_importing() -> Iterator[None]:
    """While open, Ctrl-C during an import ends the process at once; at any other time it is a KeyboardInterrupt.

    Some libraries catch everything while they import their optional parts: they would swallow the interrupt, or turn
    it into an error of their own. A command imports before it writes, so there is nothing to tidy up.
    """
    # Python refuses handlers outside the main thread; another handler than Python's own is the caller's wish.
    ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if ours:
        signal.signal(signal.SIGINT, _stop)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def say_stopped() -> None:
    """Tell the person that their Ctrl-C was heard."""
    sys.stderr.write("Stopped.\n")
    sys.stderr.flush()


def _stop(number: int, frame: FrameType | None) -> None:
    if _is_importing(frame):
        say_stopped()
        os._exit(STOPPED)
    raise KeyboardInterrupt


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
