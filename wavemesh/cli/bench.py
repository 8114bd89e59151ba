"""Time and memory of the whole and of its parts, beside their budgets.

pipeline: picture to mesh, per stage, with peak memory. triplane: the triplane system beside the figures of its
reference. unet: sparse against dense. wavelets: against PyWavelets and ptwt (development dependencies). app: from
starting the page until it answers. previews: what watching a run on the page adds to it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from wavemesh.bench import PARTS
from wavemesh.cli.arguments import add_device, add_tables, integer
from wavemesh.cli.outputs import check_table, check_writable, fill_table

EXAMPLE = """example, under a minute on a CPU:
  python -m wavemesh bench --parts pipeline --repeats 1
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="what to measure (default: all)")
    parser.add_argument(
        "--repeats", type=integer(1), default=3, metavar="N", help="runs whose median counts (default 3)"
    )
    parser.add_argument("-o", "--output", type=Path, metavar="FOLDER", help="write bench.json and bench.md here")
    add_tables(parser, "its four most wanted rows")
    parser.add_argument(
        "--triplane-weights",
        metavar="SOURCE",
        help="whose triplane is rendered: a folder or Hub id; else the bundled ones",
    )
    add_device(parser)


def run(args: argparse.Namespace) -> None:
    """Measure and show the table."""
    if args.output is not None:
        check_writable(args.output / "bench.json")

    check_table(args.docs, "bench")
    check_table(args.readme, "speed")

    from wavemesh.bench.run import run_bench

    report = run_bench(
        args.weights, args.output, args.device, args.repeats, args.parts, triplane_source=args.triplane_weights
    )
    table = report.to_markdown()
    if args.docs is not None:
        fill_table(args.docs, "bench", table)
    if args.readme is not None:
        fill_table(args.readme, "speed", report.to_summary())
    sys.stdout.write(table)
