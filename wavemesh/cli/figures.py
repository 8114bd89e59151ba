"""Pictures that show what happens: held-out results, one generation in full, loss curves.

With --data: results.png, a sheet of held-out shapes (picture, prediction, truth), and generation.png, the first of them
with all its pictures. With --losses: loss.png from the log of a training run.
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from wavemesh.cli.arguments import add_device, integer
from wavemesh.cli.outputs import check_writable, write_bytes
from wavemesh.errors import InputError

if TYPE_CHECKING:
    from wavemesh.evaluation.figures import Figure

EXAMPLE = """example, under a minute on a CPU:
  python -m wavemesh figures --data data/furniture --count 2 -o figures
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="a prepared data set")
    parser.add_argument("--split", choices=("train", "val", "test"), default="test")
    parser.add_argument("--count", type=integer(1), default=8, metavar="N", help="shapes on the sheet (default 8)")
    parser.add_argument("--views", type=integer(1), default=1, metavar="N", help="pictures given of each (default 1)")
    parser.add_argument("--seed", type=integer(0), default=0, metavar="S")
    parser.add_argument("--losses", type=Path, metavar="RUN", help="folder of a training run")
    add_device(parser)


def run(args: argparse.Namespace) -> None:
    """Write the figures that the given sources allow."""
    if args.data is None and args.losses is None:
        raise InputError("Figures need --data, --losses or both.")
    check_writable(args.output / "results.png")
    if args.losses is not None:
        _losses(args.losses, args.output / "loss.png")
    if args.data is not None:
        _results(args)


def _losses(run_folder: Path, path: Path) -> None:
    from wavemesh.evaluation.figures import loss_curves, read_losses

    log = run_folder / "losses.jsonl"
    if not log.is_file():
        raise InputError(f"There is no log of losses {log}.")
    _save(loss_curves(read_losses(log)), path)


def _results(args: argparse.Namespace) -> None:
    from PIL import Image

    from wavemesh.evaluation.figures import results_sheet, visualize_generation
    from wavemesh.evaluation.samples import PreparedSamples, choose_keys, sdf_mesh
    from wavemesh.pipelines.wavemesh import WaveMeshPipeline

    samples = PreparedSamples(args.data, args.split)
    chosen = [samples[key] for key in choose_keys(samples.keys)[: args.count]]
    pipeline = WaveMeshPipeline.from_pretrained(args.weights, device=args.device)
    first = chosen[0]
    out = pipeline(first.as_views(args.views), seed=args.seed)
    truth = first.mesh if first.mesh is not None else sdf_mesh(first.sdf)
    pictures, cameras = list(first.pictures[: args.views]), list(first.cameras[: args.views])
    _save(visualize_generation(pictures, out.mesh, truth, cameras), args.output / "generation.png")

    sheet = io.BytesIO()
    Image.fromarray(results_sheet(chosen, pipeline, args.views, seed=args.seed)).save(sheet, format="PNG")
    _write(args.output / "results.png", sheet.getvalue())


def _save(figure: Figure, path: Path) -> None:
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=110)
    _write(path, content.getvalue())


def _write(path: Path, content: bytes) -> None:
    write_bytes(path, content)
    sys.stdout.write(f"{path}\n")
