"""Standard output and error of commands: closed, full, of another encoding, or with nobody at the other end."""

from __future__ import annotations

import os
import sys

NOBODY_READS = 141
"""The exit status where the reader has gone: 128 plus the number of SIGPIPE, as shells have it."""


def prepare_streams() -> None:
    """Make sure that there are both streams, and that they take any name of a file."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by whoever started us
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, for as long as we live
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def discard_output() -> None:
    """Let what is still to be written go nowhere, so that Python does not complain about it at the end."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
    except (OSError, ValueError):  # a stream without a file, as in tests
        pass
