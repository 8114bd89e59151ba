"""The command line: `python -m wavemesh COMMAND ...`, one file per command.

A command has `add_arguments(parser)` and `run(args)`. Anything heavy is imported inside `run`, so that `--help` and
a wrong argument are answered at once. Exit status: 0, or 2 for bad input with one sentence on stderr, 130 when stopped,
141 when nobody reads what it says any more.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import sys
import warnings
from typing import NoReturn

from wavemesh import __version__
from wavemesh.cli.stopping import STOPPED, say_stopped, stops_while_importing
from wavemesh.cli.streams import NOBODY_READS, discard_output, prepare_streams
from wavemesh.errors import InputError
from wavemesh.extras import missing

COMMANDS = {
    "generate": "pictures of an object become a mesh",
    "replay": "a run from its bundle once more",
    "render": "pictures of a mesh, with their cameras",
    "prepare": "a data set for training from meshes or furniture libraries",
    "train": "weights, from a prepared data set",
    "gate": "what the detail bands of the triplane carry",
    "ablate": "what each decision of the coarse stage is worth",
    "evaluate": "scores of the weights and of all baselines on held-out shapes",
    "bench": "time and memory of the whole and of its parts",
    "app": "the web page",
    "deploy": "the web page as a Space on Hugging Face, weights as a model, or a data set",
    "examples": "the bundled examples, from held-out models",
    "screenshots": "pictures of every tab of the page",
    "figures": "pictures that show what happens inside",
    "shapes": "the shape of every tensor on the way from pictures to mesh",
}


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one plain sentence and exit status 2."""

    def error(self, message: str) -> NoReturn:
        """End the program with the sentence."""
        sentence = message[:1].upper() + message[1:].rstrip(".")
        self.exit(2, f"{sentence}. See {self.prog} --help.\n")


class Version(argparse.Action):
    """Print the version of the package and the fingerprints of the bundled weights, and end the program."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        """End the program with the lines."""
        from wavemesh.settings import METHODS
        from wavemesh.weights import bundled_fingerprints

        weights = bundled_fingerprints()
        sys.stdout.write(f"wavemesh {__version__}\n")
        sys.stdout.writelines(f"weights of {method}: {weights.get(method, 'missing')}\n" for method in METHODS)
        parser.exit()


def build_parser() -> Parser:
    """The parser of all commands."""
    parser = Parser(prog="wavemesh", description="Pictures become meshes through diffusion over wavelet coefficients.")
    parser.add_argument("--version", action=Version, nargs=0, help="print the version and what the weights are called")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        module = importlib.import_module(f"wavemesh.cli.{name}")
        command = commands.add_parser(
            name,
            help=summary,
            description=module.__doc__,
            epilog=module.EXAMPLE,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(command)
        command.add_argument("-v", "--verbose", action="store_true", help="more messages, and warnings of libraries")
        command.set_defaults(run=module.run)
    return parser


def _run(args: argparse.Namespace) -> None:
    try:
        args.run(args)
    except ModuleNotFoundError as error:
        raise missing(error) from error


def main(argv: list[str] | None = None) -> int:
    """The exit status of a command line (without the program's name; None: that of this process)."""
    try:
        prepare_streams()
        with stops_while_importing():
            args = build_parser().parse_args(argv)
            level = logging.DEBUG if args.verbose else logging.INFO
            logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
            logging.getLogger("wavemesh").setLevel(level)
            with warnings.catch_warnings():
                if not args.verbose and not sys.warnoptions:
                    warnings.simplefilter("ignore")
                _run(args)
            sys.stdout.flush()  # here, where it can still be said that it failed
    except InputError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except MemoryError:
        sys.stderr.write("There is not enough memory for this.\n")
        return 2
    except KeyboardInterrupt:
        say_stopped()
        return STOPPED
    except BrokenPipeError:
        discard_output()
        return NOBODY_READS
    except OSError as error:  # of the machine: a disk that is full, a folder that nobody may write, a name too long
        if error.filename is None:
            discard_output()
        what = "What the command says" if error.filename is None else f"The file {error.filename!s:.200}"
        sys.stderr.write(f"{what} cannot be read or written: {error.strerror or error}.\n")
        return 2
    return 0
