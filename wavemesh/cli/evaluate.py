"""Scores of the weights of both systems and of all baselines on held-out shapes.

Reads a data set made by `prepare`, writes report.json and report.md, and keeps the scores of every shape, so that a
stopped run goes on where it was. The quick subset is 24 fixed shapes, shapenet13 is ShapeNet's
13 classes with a table of each metric by class. The triplane system also draws views that it was
not given; the autoencoder of its training is its ceiling. Meshes of another system are scored in the same way.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from wavemesh.cli.arguments import add_device, add_sampling, add_tables, integer
from wavemesh.cli.outputs import check_table, check_writable, fill_table
from wavemesh.errors import InputError
from wavemesh.settings import METHODS

if TYPE_CHECKING:
    from wavemesh.data.co3d import CapturedObject
    from wavemesh.evaluation.given_meshes import GivenMeshes
    from wavemesh.evaluation.triplane import TriplaneMethod

EXAMPLE = """examples, some minutes on a CPU:
  python -m wavemesh evaluate --data data/furniture --subset quick --views 1 --seeds 1 --cameras known -o runs/quick
  python -m wavemesh evaluate --data data/furniture --views 1 --only-baselines --meshes their-meshes -o runs/theirs
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="a prepared data set")
    parser.add_argument("--split", choices=("train", "val", "test"), default="test")
    parser.add_argument("--subset", choices=("quick", "full", "shapenet13"), default="full")
    parser.add_argument(
        "--views", type=integer(1, 64), nargs="+", default=[1, 4], metavar="N", help="numbers of pictures"
    )
    parser.add_argument(
        "--seeds", type=integer(1, 1000), default=4, metavar="N", help="samples for the best-of row (default 4)"
    )
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/evaluation"), metavar="FOLDER")
    parser.add_argument("--no-baselines", action="store_true", help="no rows of baselines")
    parser.add_argument("--only-baselines", action="store_true", help="no weights")
    parser.add_argument(
        "--methods",
        choices=METHODS,
        nargs="+",
        default=list(METHODS),
        help="which systems (default: both; the triplane system only where there are weights of it)",
    )
    parser.add_argument(
        "--triplane-weights", metavar="SOURCE", help="of the triplane system: a folder or Hub id; else the bundled ones"
    )
    parser.add_argument(
        "--cameras",
        choices=("known", "estimated"),
        nargs="+",
        default=["known", "estimated"],
        help="where the pictures were taken from (default: both); estimated ones are scored at the frame's best turn",
    )
    parser.add_argument(
        "--captured", type=Path, metavar="FOLDER", help="CO3Dv2: compare estimated cameras on its real frames as well"
    )
    parser.add_argument(
        "--meshes",
        type=Path,
        metavar="FOLDER",
        help="meshes of another system to compare, each named by the shape's key",
    )
    parser.add_argument("--name", help="what the row of these meshes is called (default: as their folder)")
    parser.add_argument(
        "--frame",
        choices=("known", "turned", "boxed"),
        default="known",
        help="these meshes are compared as they stand, at the best quarter turn, or also moved and scaled into the box",
    )
    parser.add_argument("--per-category", action="store_true", help="a table by category as well")
    parser.add_argument(
        "--points", type=integer(1000, 1_000_000), metavar="N", help="points on each surface (default 40000)"
    )
    parser.add_argument(
        "--jobs", type=integer(1, 1024), metavar="N", help="processes for scoring (default: one for each core)"
    )
    add_tables(parser, "six rows of the scores")
    add_sampling(parser)
    add_device(parser)


def run(args: argparse.Namespace) -> None:
    """Write the report and show its table."""
    check_writable(args.output / "report.json")
    check_table(args.docs, "evaluation")
    check_table(args.readme, "scores")

    from wavemesh.evaluation.evaluate import evaluate
    from wavemesh.evaluation.samples import NUM_POINTS
    from wavemesh.pipelines.wavemesh import WaveMeshPipeline

    meshes, captured = _given_meshes(args), _captured(args)
    methods = () if args.only_baselines else args.methods
    pipeline = WaveMeshPipeline.from_pretrained(args.weights, device=args.device) if "wavemesh" in methods else None
    report = evaluate(
        pipeline,
        args.data,
        split=args.split,
        views=tuple(args.views),
        subset=args.subset,
        seeds=args.seeds,
        out_dir=args.output,
        baselines=not args.no_baselines,
        cameras=tuple(args.cameras),
        per_category=args.per_category,
        num_points=args.points or NUM_POINTS,
        num_inference_steps=args.steps,
        guidance_scale=args.guidance,
        jobs=args.jobs,
        triplane=_triplane(args) if "triplane" in methods else None,
        meshes=meshes,
        captured=captured,
    )
    table = report.to_markdown()
    if args.docs is not None:
        fill_table(args.docs, "evaluation", table)
    if args.readme is not None:
        fill_table(args.readme, "scores", report.to_summary())
    sys.stdout.write(table)


def _given_meshes(args: argparse.Namespace) -> GivenMeshes | None:
    """The meshes of another system; None where nobody names any."""
    if args.meshes is None:
        if args.name is not None or args.frame != "known":
            raise InputError("--name and --frame speak of --meshes, which is not given.")
        return None
    from wavemesh.evaluation.given_meshes import GivenMeshes

    return GivenMeshes(args.meshes, args.name or args.meshes.resolve().name, args.frame)


def _captured(args: argparse.Namespace) -> list[CapturedObject]:
    """The real objects whose cameras are compared; none where nobody names any."""
    if args.captured is None:
        return []
    if "estimated" not in args.cameras or args.only_baselines or "wavemesh" not in args.methods:
        raise InputError("--captured needs --cameras estimated and the method wavemesh, whose camera head it measures.")
    from wavemesh.data.co3d import read_co3d

    return read_co3d(args.captured)


def _triplane(args: argparse.Namespace) -> TriplaneMethod | None:
    """The triplane system; None, with a note, where nobody asked for it and there are no weights of it."""
    from wavemesh.evaluation.triplane import TriplaneMethod, load_autoencoder
    from wavemesh.weights import resolve

    try:
        folder = resolve(args.triplane_weights, "triplane")
    except InputError as error:
        if args.triplane_weights is not None or args.methods == ["triplane"]:
            raise
        sys.stderr.write(f"The rows of the triplane system are left out. {error}\n")
        return None
    from wavemesh.pipelines.triplane import TriplanePipeline

    options = {"num_inference_steps": args.steps, "guidance_scale": args.guidance}
    options = {name: value for name, value in options.items() if value is not None}
    pipeline = TriplanePipeline.from_pretrained(folder, device=args.device)
    return TriplaneMethod(pipeline, load_autoencoder(folder), **options)
