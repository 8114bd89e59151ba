"""A data set for training from meshes: signed distance grids and pictures of every model, in shards.

A source is a folder (or zip) of meshes - GLB, glTF, OBJ, PLY, STL, OFF - or of .sh3f furniture libraries, or one of the
field's data sets as it is handed out (--format). Several make one data set. Without one the Debian package
sweethome3d-furniture is used, or fetched with apt-get. Sub-folders are categories. A table metadata.csv in the folder
may give each file_name a name, category, licence, creator, source, up axis and split. A run that was stopped goes on
where it was; rejected.json lists what could not be used, and why.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from wavemesh.cli.arguments import integer
from wavemesh.cli.outputs import check_writable
from wavemesh.data.formats import FORMATS
from wavemesh.data.licences import LICENCES
from wavemesh.data.sources import SPLITS, UPRIGHT

EXAMPLE = """examples, about a minute on a CPU each:
  python -m wavemesh prepare -o data/tiny --limit 8 --views 6 --resolution 64
  python -m wavemesh prepare my-meshes --up z -o data/mine --split test
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("source", type=Path, nargs="*", help="folders or zips of meshes or .sh3f files")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER", help="where the data set goes")
    parser.add_argument("--format", choices=tuple(FORMATS), help="what the source is (default: seen from its layout)")
    parser.add_argument("--up", choices=tuple(UPRIGHT), help="the axis of the meshes that points up (default y)")
    parser.add_argument(
        "--split", choices=tuple(SPLITS), help="put all models into this one (default: 80 / 10 / 10 by their keys)"
    )
    parser.add_argument(
        "--licences",
        nargs="+",
        metavar="NAME",
        help=f"take only models under these: {', '.join(LICENCES)} (default: all)",
    )
    parser.add_argument(
        "--views", type=integer(1, 1000), default=24, metavar="N", help="pictures of each model (default 24)"
    )
    parser.add_argument(
        "--size", type=integer(8, 2048), default=128, metavar="PIXELS", help="side of a picture (default 128)"
    )
    parser.add_argument(
        "--resolution", type=integer(16, 512), default=128, metavar="N", help="cells along a side (default 128)"
    )
    parser.add_argument("--limit", type=integer(1), metavar="N", help="only so many models, spread over the source")
    parser.add_argument("--workers", type=integer(1, 1024), metavar="N", help="processes (default: one for each core)")
    parser.add_argument("--backend", choices=("processes", "threads", "ray", "dask"), default="processes")


def run(args: argparse.Namespace) -> None:
    """Write the data set and say what it holds."""
    check_writable(args.output / "index.json")

    from wavemesh.data.prepare import prepare

    report = prepare(
        args.source or None,
        args.output,
        num_views=args.views,
        image_size=args.size,
        workers=args.workers or os.cpu_count() or 1,
        limit=args.limit,
        resolution=args.resolution,
        backend=args.backend,
        progress=sys.stderr.isatty(),
        format_name=args.format,
        up=args.up,
        split=args.split,
        licences=args.licences,
    )
    counts = ", ".join(f"{count} {split}" for split, count in report.splits.items())
    sys.stdout.write(
        f"{args.output}: {counts}; {len(report.rejected)} rejected, {len(report.duplicates)} near duplicates\n"
    )
