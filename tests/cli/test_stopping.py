"""Ctrl-C at any moment of a command."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from wavemesh.cli.stopping import stops_while_importing

# A library as there are some: it tries an optional part and takes any failure for its absence.
LIBRARY = """
try:
    import optional_part
except BaseException:
    pass
"""
OPTIONAL_PART = "import signal\nsignal.raise_signal(signal.SIGINT)\n"
PROGRAM = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.path.insert(0, sys.argv[1])
from wavemesh import cli
from wavemesh.cli import shapes
def run(args):
    import library
    print("went on")
shapes.run = run
sys.exit(cli.main(["shapes"]))
"""


def test_an_interrupt_that_a_library_would_swallow_stops_the_command(tmp_path: Path) -> None:
    (tmp_path / "library.py").write_text(LIBRARY)
    (tmp_path / "optional_part.py").write_text(OPTIONAL_PART)
    done = subprocess.run([sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "Stopped.\n")


@pytest.fixture
def own_handler() -> Iterator[None]:
    """Python's own handler of SIGINT, whatever the shell that started the tests set."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield before
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("own_handler")
def test_outside_of_imports_an_interrupt_is_an_exception() -> None:
    with pytest.raises(KeyboardInterrupt), stops_while_importing():
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures("own_handler")
def test_a_handler_of_the_caller_stays() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with stops_while_importing():
        signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_in_another_thread_nothing_is_set() -> None:
    seen: list[object] = []

    def work() -> None:
        with stops_while_importing():
            seen.append(signal.getsignal(signal.SIGINT))

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
