"""What the detail bands of the triplane carry: held-out shapes decoded from LL alone and with the details.

The gate is passed if the details add 2 points of IoU or 1 dB of colour; otherwise the autoencoder must change before
the detail diffusion is worth training. The weights are those that `train --preset triplane-autoencoder` exports.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from wavemesh.cli.arguments import integer

EXAMPLE = """example, half a minute on a CPU (after `train --preset triplane-autoencoder --export runs/tri/weights`):
  python -m wavemesh gate --weights runs/tri/weights --data data/shapes --limit 8
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("--weights", type=Path, required=True, metavar="FOLDER", help="with the part autoencoder")
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="a prepared data set")
    parser.add_argument("--split", choices=("train", "val", "test"), default="val", help="which shapes (default val)")
    parser.add_argument("--limit", type=integer(1), metavar="N", help="only so many shapes, spread over the split")


def run(args: argparse.Namespace) -> None:
    """Write the scores and whether the gate is passed."""
    from wavemesh.data.colours import open_colours
    from wavemesh.data.dataset import PreparedShapes
    from wavemesh.training.triplane_autoencoder import load_parts
    from wavemesh.training.triplane_gate import run_gate

    parts = load_parts(args.weights)
    shapes = PreparedShapes(args.data, args.split)
    report = run_gate(parts.autoencoder, parts.system.renderer, shapes, open_colours(shapes), args.limit)
    for name, scores in (("LL alone", report.ll), ("LL and details", report.full)):
        sys.stdout.write(
            f"{name:<16}IoU {scores.iou:.4f}  distance {scores.distance:.5f}  colour {scores.colour_db:.2f} dB\n"
        )
    verdict = "passed" if report.passed else "not passed: the details carry too little"
    sys.stdout.write(f"gate over {report.shapes} shapes of {args.split}: {verdict}\n")
