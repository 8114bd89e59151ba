"""Pictures of a mesh from several directions, with cameras.json beside them.

The mesh is centred and scaled into the product's frame. The pictures have a transparent background and can be given to
`generate` with the angles that cameras.json lists.
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path

from wavemesh.cli.arguments import cameras_for, integer, number
from wavemesh.cli.outputs import check_outputs, write_bytes, write_json

EXAMPLE = """example, a second on a CPU:
  python -m wavemesh render chair.obj -o views --views 4 --size 128
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "mesh", type=Path, help="a .glb, .obj, .ply, .stl or .off file, or a .zip of one with its textures"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER")
    parser.add_argument(
        "--views", type=integer(1, 10_000), default=8, metavar="N", help="pictures on a circle (default 8)"
    )
    parser.add_argument("--azimuth", type=number, nargs="+", metavar="A", help="degrees; replaces the circle")
    parser.add_argument(
        "--elevation", type=number, nargs="+", metavar="E", help="degrees, one for all or one per azimuth"
    )
    parser.add_argument(
        "--size", type=integer(8, 8192), default=224, metavar="PIXELS", help="side of a picture (default 224)"
    )
    parser.add_argument("--backend", choices=("auto", "pyrender", "embree"), default="auto")


def run(args: argparse.Namespace) -> None:
    """Write view0.png, view1.png, ... and cameras.json, a list with the camera of each."""
    check_outputs([args.output / "cameras.json"], [args.mesh])
    if args.azimuth is None and args.elevation is not None and len(args.elevation) == 1:
        args.azimuth = [360.0 * index / args.views for index in range(args.views)]
    count = args.views if args.azimuth is None else len(args.azimuth)
    chosen = cameras_for(count, args.azimuth, args.elevation, None, None)
    cameras = [camera for camera in chosen if camera is not None]

    from PIL import Image

    from wavemesh.config import to_dict
    from wavemesh.rendering import render_multiview

    rendered = render_multiview(args.mesh, args.views, args.size, cameras or None, args.backend)
    for index, view in enumerate(rendered.views):
        picture = io.BytesIO()
        Image.fromarray(view.rgba).save(picture, format="PNG")
        write_bytes(args.output / f"view{index}.png", picture.getvalue())
    write_json(args.output / "cameras.json", [to_dict(camera) for camera in rendered.cameras])
    sys.stdout.write(f"{args.output}: {len(rendered.views)} pictures of {args.size} x {args.size} pixels\n")
