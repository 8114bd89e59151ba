"""`python -m wavemesh` and the program `wavemesh`: the command line, which may be interrupted from its first moment."""

from __future__ import annotations

import sys


def main() -> int:
    """The exit status of this process's command line."""
    try:
        from wavemesh.cli import main as run

        return run()
    except KeyboardInterrupt:  # before the command line could see to it
        sys.stderr.write("Stopped.\n")
        return 130


if __name__ == "__main__":
    sys.exit(main())
