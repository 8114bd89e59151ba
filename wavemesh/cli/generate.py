"""Pictures of an object become a mesh.

Several pictures show the same object. Each needs the direction it was taken from (--azimuth, --elevation); without any
azimuth the cameras are estimated. The suffix of the output chooses the format: .glb .obj .ply .stl.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wavemesh.cli.arguments import add_device, add_sampling, cameras_for, integer, number
from wavemesh.cli.outputs import check_mesh_path, check_writable, write_bytes, write_json, write_mesh

if TYPE_CHECKING:
    from wavemesh.pipelines.record import Recorder

EXAMPLE = """example, a few seconds on a CPU:
  python -m wavemesh generate examples/teapot/view0.webp -o teapot.glb --azimuth 30 --elevation 20 --steps 1
"""
METHODS = ("wavemesh",)
SAMPLERS = ("ddpm", "ddim", "dpmpp_2m")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("images", nargs="+", metavar="IMG", help="PNG, JPEG or WebP pictures of one object")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="the mesh to write")
    parser.add_argument("--method", choices=METHODS, default="wavemesh")
    parser.add_argument(
        "--azimuth", type=number, nargs="+", metavar="A", help="degrees, one per picture; 0 is the front"
    )
    parser.add_argument(
        "--elevation", type=number, nargs="+", metavar="E", help="degrees, one for all or one per picture"
    )
    parser.add_argument("--distance", type=number, metavar="D", help="of the camera from the object's centre")
    parser.add_argument("--fov", type=number, metavar="F", help="vertical field of view in degrees")
    add_sampling(parser)
    parser.add_argument("--sampler", choices=SAMPLERS)
    parser.add_argument("--seed", type=integer(0), default=0, metavar="S", help="the same seed gives the same mesh")
    add_device(parser)
    parser.add_argument("--report", type=Path, metavar="JSON", help="write settings, timings and sizes to this file")
    parser.add_argument("--bundle", type=Path, metavar="ZIP", help="write the whole run, which `replay` makes again")


def run(args: argparse.Namespace) -> None:
    """Write the mesh, and the report if asked for."""
    check_mesh_path(args.output)
    for path in (args.report, args.bundle):
        if path is not None:
            check_writable(path)
    cameras = cameras_for(len(args.images), args.azimuth, args.elevation, args.distance, args.fov)

    from wavemesh.pipelines.wavemesh import View, WaveMeshPipeline

    recorder = None
    if args.bundle is not None:
        from wavemesh.pipelines.record import Recorder

        recorder = Recorder()
    started = time.perf_counter()
    pipe = WaveMeshPipeline.from_pretrained(args.weights, device=args.device)
    out = pipe(
        [View(image, camera) for image, camera in zip(args.images, cameras, strict=True)],
        num_inference_steps=args.steps,
        guidance_scale=args.guidance,
        seed=args.seed,
        sampler=args.sampler,
        callback=_callback(recorder),
    )
    elapsed = time.perf_counter() - started
    write_mesh(args.output, out.mesh)
    if args.report is not None:
        write_json(args.report, _report(args, out, elapsed))
    if recorder is not None:
        from wavemesh.geometry.export import mesh_bytes

        bundle = recorder.record(out).to_bytes({"mesh.glb": mesh_bytes(out.mesh, ".glb")})
        write_bytes(args.bundle, bundle)
    sys.stdout.write(f"{args.output}: {len(out.mesh.faces):,} faces in {elapsed:.1f} s\n")


def _callback(recorder: Recorder | None) -> Callable[[Any], None] | None:
    """What is called after each step: the recorder, the line on a terminal, both, or nothing."""
    watchers = [watch for watch in (recorder, _progress if sys.stderr.isatty() else None) if watch is not None]
    if not watchers:
        return None

    def tell(report: Any) -> None:
        for watch in watchers:
            watch(report)

    return tell


def _progress(report: Any) -> None:
    end = "\n" if report.step + 1 >= report.num_steps else ""
    sys.stderr.write(f"\r{report.stage}: step {report.step + 1} of {report.num_steps}{end}")
    sys.stderr.flush()


def _report(args: argparse.Namespace, out: Any, elapsed: float) -> dict[str, Any]:
    from wavemesh import __version__

    low, high = out.mesh.bounds
    return {
        "version": __version__,
        "method": args.method,
        "inputs": args.images,
        "output": str(args.output),
        "settings": out.settings,
        "timings_s": {**out.timings, "total": elapsed},
        "mesh": {
            "vertices": len(out.mesh.vertices),
            "faces": len(out.mesh.faces),
            "watertight": bool(out.mesh.is_watertight),
            "bounds": [low, high],
        },
    }
