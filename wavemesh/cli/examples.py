"""The bundled examples: canonical pictures of held-out models with their cameras, and who made the models.

Writes one folder for each key, and the attribution of everything that ships.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

EXAMPLE = """example, some seconds on a CPU:
  python -m wavemesh examples scopia_chair --data data/furniture -o examples --attribution assets/ATTRIBUTION.md
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("keys", nargs="+", metavar="KEY", help="models of the split, as index.json names them")
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="a prepared data set")
    parser.add_argument("--split", choices=("val", "test"), default="test")
    parser.add_argument("-o", "--output", type=Path, default=Path("examples"), metavar="FOLDER")
    parser.add_argument("--attribution", type=Path, metavar="FILE", help="write the attribution here as well")


def run(args: argparse.Namespace) -> None:
    """Write the examples."""
    from wavemesh.config import write_text
    from wavemesh.data.dataset import PreparedShapes
    from wavemesh.data.examples import attribution, write_example

    shapes = PreparedShapes(args.data, args.split)
    for key in args.keys:
        sys.stdout.write(f"{write_example(shapes, key, args.output)}\n")
    if args.attribution is not None:
        args.attribution.parent.mkdir(parents=True, exist_ok=True)
        write_text(args.attribution, attribution(args.data, args.output))
