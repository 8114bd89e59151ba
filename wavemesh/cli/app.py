"""The web page, served on this machine.

GRADIO_SERVER_NAME and GRADIO_SERVER_PORT choose the address as well.
"""

from __future__ import annotations

import argparse

from wavemesh.cli.arguments import add_device, integer
from wavemesh.errors import InputError

EXAMPLE = """example, works on a CPU:
  python -m wavemesh app --port 7860
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("--host", metavar="NAME", help="address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", type=integer(1, 65535), metavar="N", help="port (default 7860 or the next free one)")
    add_device(parser)


def run(args: argparse.Namespace) -> None:
    """Serve until stopped."""
    from wavemesh.ui.app import launch

    try:
        launch(args.weights, args.device, args.host, args.port)
    except OSError as error:  # a port that is taken, a name that is no address of this machine
        reason = (" ".join(str(error).split()) or type(error).__name__).rstrip(".")
        raise InputError(f"The page cannot be served: {reason[:200]}.") from error
