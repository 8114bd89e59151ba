"""The bundled examples: canonical pictures of held-out models with their cameras, and who made the models.

Writes one folder for each key, and the attribution of everything that ships. With --outputs, the weights run over all
examples of the folder instead, and what they make of them is kept beside the pictures: run that after new weights.
With --meshes, examples get the mesh that their pictures show, to render views from and to compare results with.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from wavemesh.cli.arguments import add_device
from wavemesh.errors import InputError

EXAMPLE = """examples, some seconds on a CPU:
  python -m wavemesh examples scopia_chair --data data/furniture -o examples --attribution assets/ATTRIBUTION.md
  python -m wavemesh examples --outputs
  python -m wavemesh examples van table3 suitcase --meshes
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("keys", nargs="*", metavar="KEY", help="models of the split, as index.json names them")
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="a prepared data set")
    parser.add_argument("--split", choices=("val", "test"), default="test")
    parser.add_argument("-o", "--output", type=Path, default=Path("examples"), metavar="FOLDER")
    parser.add_argument("--attribution", type=Path, metavar="FILE", help="write the attribution here as well")
    parser.add_argument("--outputs", action="store_true", help="write what the weights make of the folder's examples")
    parser.add_argument("--meshes", action="store_true", help="write the true meshes of examples; KEY is their folder")
    parser.add_argument("--libraries", type=Path, metavar="PATH", help="of --meshes: a folder of .sh3f files, or one")
    add_device(parser)


def run(args: argparse.Namespace) -> None:
    """Write the examples, or what the weights make of them."""
    if args.outputs:
        if args.keys or args.data is not None:
            raise InputError("With --outputs go neither keys nor --data: it runs over the examples that are there.")
        _write_outputs(args)
        return
    if args.meshes:
        _write_meshes(args)
        return
    if not args.keys or args.data is None:
        raise InputError("Name at least one model and its --data folder, or give --outputs.")
    _write_pictures(args)


def _write_pictures(args: argparse.Namespace) -> None:
    from wavemesh.data.dataset import PreparedShapes
    from wavemesh.files import write_text
    from wavemesh.gallery.write import attribution, write_example

    shapes = PreparedShapes(args.data, args.split)
    for key in args.keys:
        sys.stdout.write(f"{write_example(shapes, key, args.output)}\n")
    if args.attribution is not None:
        args.attribution.parent.mkdir(parents=True, exist_ok=True)
        write_text(args.attribution, attribution(args.data, args.output))


def _write_meshes(args: argparse.Namespace) -> None:
    from wavemesh.gallery.write import write_true_mesh

    if not args.keys:
        raise InputError("Name at least one example whose mesh is wanted.")
    for key in args.keys:
        path = write_true_mesh(args.output / key, args.libraries)
        sys.stdout.write(f"{path}: {path.stat().st_size:,} bytes\n")


def _write_outputs(args: argparse.Namespace) -> None:
    from wavemesh.gallery.format import MESH, PREVIEW
    from wavemesh.gallery.read import load_examples
    from wavemesh.gallery.write import write_output
    from wavemesh.pipelines.registry import load_pipeline

    examples = load_examples(args.output)
    if not examples:
        raise InputError(f"There are no examples in {args.output}.")
    pipeline = load_pipeline("wavemesh", args.weights, args.device)
    for example in examples:
        facts = write_output(example, pipeline, pipeline.fingerprint)
        sys.stdout.write(f"{example.key}: {facts['faces']:,} faces\n")
    size = sum(path.stat().st_size for path in args.output.glob("*/*") if path.name in (MESH, PREVIEW))
    sys.stdout.write(f"{len(examples)} examples, {size / 2**20:.1f} MiB, weights {pipeline.fingerprint}\n")
