"""A run from its bundle once more.

A bundle (.zip, from the page or `generate --bundle`) holds the pictures, cameras, settings and the mesh of a run. This
makes the run again and says whether the mesh is the same. Exit status 1 if it is not.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from wavemesh.cli.arguments import add_device
from wavemesh.cli.outputs import check_mesh_path, check_outputs, write_mesh

EXAMPLE = """example, a few seconds on a CPU:
  python -m wavemesh replay teapot.zip -o again.glb
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="the .zip file of a run")
    parser.add_argument("-o", "--output", type=Path, metavar="OUT", help="write the new mesh")
    add_device(parser)


def run(args: argparse.Namespace) -> None:
    """Make the run again, write its mesh if asked for, and say whether it is the same."""
    if args.output is not None:
        check_mesh_path(args.output)
        check_outputs([args.output], [args.bundle])

    from wavemesh.geometry.mesh import facing
    from wavemesh.pipelines.bundle import read_bundle, replay
    from wavemesh.pipelines.registry import load_pipeline

    record = read_bundle(args.bundle)
    # Another device computes other roundings: that of the run is the one to use.
    device = str(record.provenance.get("device", "auto")) if args.device == "auto" else args.device
    started = time.perf_counter()
    result = replay(record, load_pipeline(record.method, args.weights, device))
    if args.output is not None:
        write_mesh(args.output, facing(result.mesh, record.front_deg))
    seconds = time.perf_counter() - started
    sys.stdout.write(f"{args.bundle}: {record.method}, seed {record.settings.seed}, {seconds:.1f} s. ")
    sys.stdout.write(f"{result.message}\n")
    if not result.identical:
        raise SystemExit(1)
