"""The figures of docs/trust.md, each by its command, in the folder of the repository.

python -m tools.trust bundles      run bundles that mean harm, to every endpoint that takes one
python -m tools.trust files        hostile pictures and meshes, to the page and to the command line
python -m tools.trust weights      mutated weights and configurations
python -m tools.trust visitors     50 visitors at once, each with an own picture and seed
python -m tools.trust pages        memory over 50 visits in Chromium that open every tab, then 20 users at once
python -m tools.trust gone         how long the accelerator is taken after a client vanished
python -m tools.trust calls        what refused calls leave in the server's memory
python -m tools.trust soak         memory, files and handles after 500 visits and --minutes of mixed calls
python -m tools.trust kills        a training that is killed twenty times, against one that is not
python -m tools.trust lines        odd command lines

--count makes fewer of them. Seconds are those of the clock and, where the machine does other things as well, those of
the processor. What needs a server starts one of its own with `python app.py`; the last two lines print the figures.
"""

from __future__ import annotations

import argparse
import importlib
import signal
import sys

from tools.trust.server import Server, say

COUNTS = {
    "bundles": 200, "files": 500, "weights": 200, "visitors": 50, "pages": 50, "gone": 5, "calls": 200, "soak": 500,
    "kills": 20, "lines": 2000,
}  # fmt: skip
ALONE = ("weights", "kills", "lines")
PLACES = {"gone": "visitors", "calls": "soak", "lines": "commands", "kills": "commands"}


def main() -> None:
    """Run one measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=COUNTS)
    parser.add_argument("--count", type=int, metavar="N", help="how many; those of docs/trust.md if left out")
    parser.add_argument("--minutes", type=float, default=60.0, metavar="M", help="of mixed calls (soak)")
    asked = parser.parse_args()
    measure = getattr(importlib.import_module(f"tools.trust.{PLACES.get(asked.what, asked.what)}"), asked.what)
    count = asked.count or COUNTS[asked.what]
    if asked.what in ALONE:
        say(measure(count))
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the server ends with it
    server = Server()
    try:
        say(measure(server, count, asked.minutes) if asked.what == "soak" else measure(server, count))
    finally:
        server.close()


if __name__ == "__main__":
    main()
