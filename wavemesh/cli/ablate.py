"""What each decision of WaveMesh-Diff's coarse stage is worth: a small network per variant, all trained alike.

Every variant changes one setting and is scored on held-out shapes at 64^3. With --sampling nothing is trained: the
weights are sampled with other numbers of steps and other guidance, at full resolution. Trainings and scores are kept in
the output folder, so that a stopped run goes on where it was.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from wavemesh.cli.arguments import add_device, integer
from wavemesh.cli.outputs import check_writable, fill_table

EXAMPLE = """example, a few minutes on a CPU (all variants: an hour and a half):
  python -m wavemesh ablate --data data/furniture -o runs/ablation --only "1 step" "guidance 2.5" --steps 60
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="a prepared data set")
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/ablation"), metavar="FOLDER")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these variants beside the baseline (default: all)")
    parser.add_argument("--sampling", action="store_true", help="steps and guidance of trained weights instead")
    parser.add_argument("--steps", type=integer(1), metavar="N", help="optimizer steps of every training")
    parser.add_argument("--subset", choices=("quick", "full"), default="quick", help="of the test split")
    parser.add_argument("--threads", type=integer(1, 1024), metavar="N", help="CPU threads")
    parser.add_argument("--table", type=Path, metavar="FILE", help="a Markdown file with a place for the table")
    add_device(parser)


def run(args: argparse.Namespace) -> None:
    """Train and score the variants and write the table."""
    check_writable(args.output / "scores" / "baseline.json")
    name, table = _sampling(args) if args.sampling else _trainings(args)
    if args.table is not None:
        fill_table(args.table, name, table)
    sys.stdout.write(table)


def _sampling(args: argparse.Namespace) -> tuple[str, str]:
    from wavemesh.evaluation.variants import sweep, sweep_table
    from wavemesh.pipelines.wavemesh import WaveMeshPipeline

    pipeline = WaveMeshPipeline.from_pretrained(args.weights, device=args.device)
    return "sampling", sweep_table(sweep(pipeline, args.data, args.output, args.subset))


def _trainings(args: argparse.Namespace) -> tuple[str, str]:
    from wavemesh.training.ablation import ablate, ablation_table
    from wavemesh.training.presets import get_preset

    settings = {"total_steps": args.steps, "threads": args.threads}
    rows = ablate(args.data, args.output, args.only, args.subset, **settings)
    return "ablation", ablation_table(rows, get_preset("ablation").loop_config(args.output, **settings))
