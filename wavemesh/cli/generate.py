"""Pictures of an object become a mesh.

Several pictures show the same object. Each needs the direction it was taken from (--azimuth, --elevation); without any
azimuth the cameras are estimated, best with the side that each picture shows (--view front right back left). A folder
of pictures of different objects becomes a folder of .glb files; those that are there stay, so a stopped run goes on.
With --cluster several workers make them, processes here or a cluster of Ray or Dask that sees both folders.
The suffix of the output chooses the format: .glb .obj .ply .stl .3mf .usdz. A baked texture makes an .obj three files,
the mesh, its material (.mtl) and a picture (_texture.png), and a .zip one that holds these three.
"""

from __future__ import annotations

import argparse
import functools
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wavemesh.cli.arguments import (
    UNKNOWN,
    add_device,
    add_settings,
    cameras_for,
    integer,
    number,
    settings_from,
    sides_for,
)
from wavemesh.cli.outputs import (
    check_mesh_path,
    check_outputs,
    check_texture_path,
    write_bytes,
    write_json,
    write_mesh,
)
from wavemesh.errors import InputError
from wavemesh.geometry.frame import SIDES
from wavemesh.settings import METHODS, to_json

if TYPE_CHECKING:
    import trimesh

    from wavemesh.pipelines.record import Recorder

EXAMPLE = """example, a few seconds on a CPU:
  python -m wavemesh generate examples/teapot/view0.webp -o teapot.glb --azimuth 30 --elevation 20 --steps 1
"""
TEXTURES = ("vertex", "baked")
PICTURES = (".jpeg", ".jpg", ".png", ".webp")
BACKENDS = ("auto", "reference", "spconv")
CLUSTERS = ("processes", "ray", "dask")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "images", nargs="+", metavar="IMG", help="PNG, JPEG or WebP pictures of one object, or a folder"
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="OUT", help="the mesh to write, or a folder"
    )
    parser.add_argument("--method", choices=METHODS, default="wavemesh")
    parser.add_argument(
        "--azimuth", type=number, nargs="+", metavar="A", help="degrees, one per picture; 0 is the front"
    )
    parser.add_argument(
        "--elevation", type=number, nargs="+", metavar="E", help="degrees, one for all or one per picture"
    )
    parser.add_argument("--distance", type=number, metavar="D", help="of the camera from the object's centre")
    parser.add_argument(
        "--view",
        nargs="+",
        metavar="SIDE",
        help=f"the side that each picture shows: {', '.join(SIDES)} or {UNKNOWN}; right is what comes in front after "
        "walking round to the right. Cameras are estimated from it: for pictures without --azimuth",
    )
    parser.add_argument("--fov", type=number, metavar="F", help="vertical field of view in degrees")
    parser.add_argument(
        "--mask",
        nargs="+",
        metavar="FILE",
        help="what to cut out, one per picture: white, or opaque, where the object is; takes the place of --background",
    )
    add_settings(parser)
    parser.add_argument(
        "--texture",
        choices=TEXTURES,
        default="vertex",
        help="colours of the vertices, or a picture for programs that ignore those (.glb, .obj, .zip)",
    )
    parser.add_argument(
        "--size", type=number, metavar="MM", help="longest side in .stl and .3mf (default 100) and .usdz (default 500)"
    )
    add_device(parser)
    parser.add_argument(
        "--backend", choices=BACKENDS, help="what computes sparse convolutions; spconv has to be installed"
    )
    parser.add_argument("--cluster", choices=CLUSTERS, help="what makes the meshes of a folder, some at a time")
    parser.add_argument("--workers", type=integer(1, 10_000), default=2, metavar="N", help="of --cluster (default 2)")
    parser.add_argument("--report", type=Path, metavar="JSON", help="write settings, timings and sizes to this file")
    parser.add_argument("--bundle", type=Path, metavar="ZIP", help="write the whole run, which `replay` makes again")


def run(args: argparse.Namespace) -> None:
    """Write the mesh, and report and bundle if asked for; of a folder one mesh for each picture."""
    _pipeline.cache_clear()  # weights may have changed since
    if len(args.images) == 1 and Path(args.images[0]).is_dir():
        _generate_each(args)
    elif args.cluster is not None:
        raise InputError("--cluster is for a folder of pictures.")
    else:
        _generate(args)


@functools.lru_cache(maxsize=1)
def _pipeline(method: str, weights: str | None, device: str, backend: str | None) -> Any:
    from wavemesh.pipelines.registry import load_pipeline

    return load_pipeline(method, weights, device, **({} if backend is None else {"backend": backend}))


def _generate_each(args: argparse.Namespace) -> None:
    """Write a mesh for each picture of the folder that has none; raises InputError at the end for those that failed."""
    if args.output.suffix or args.mask or args.report or args.bundle:
        raise InputError("A folder of pictures takes a folder as its output, and no --mask, --report and --bundle.")
    folder = Path(args.images[0])
    pictures: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in PICTURES and (other := pictures.setdefault(path.stem, path)) != path:
            raise InputError(f"The meshes of {other.name} and {path.name} would have one name: rename a picture.")
    if not pictures:
        raise InputError(f"The folder {folder} holds no picture that ends in {', '.join(PICTURES)}.")
    targets = {picture: args.output / f"{stem}.glb" for stem, picture in pictures.items()}
    missing = [
        argparse.Namespace(**{**vars(args), "images": [str(picture)], "output": target})
        for picture, target in targets.items()
        if not target.is_file()
    ]
    if args.cluster is None:
        answers: Iterable[str] = map(_attempt, missing)
    else:
        from wavemesh.data.clusters import each_done

        answers = each_done(_attempt, ((each,) for each in missing), args.cluster, args.workers)
    failed = 0
    for answer in filter(None, answers):
        failed += 1
        sys.stderr.write(f"{answer}\n")
    if failed:
        raise InputError(f"{failed} of the {len(pictures)} pictures gave no mesh.")


def _attempt(args: argparse.Namespace) -> str:
    """Why a picture of a folder gave no mesh, in one sentence; empty where it gave one."""
    try:
        _generate(args)
    except InputError as error:
        return f"{args.images[0]}: {error}"
    return ""


def _generate(args: argparse.Namespace) -> None:
    """Write the mesh, and report and bundle if asked for."""
    check_mesh_path(args.output, args.size)
    settings = settings_from(args, args.method)
    if args.mask is not None and len(args.mask) != len(args.images):
        raise InputError(f"--mask needs one file for each of the {len(args.images)} pictures, not {len(args.mask)}.")
    if args.texture == "baked":
        check_texture_path(args.output, args.images)
    check_outputs([args.output, args.report, args.bundle], [*args.images, *(args.mask or [])])
    if args.backend is not None and args.method != "wavemesh":
        raise InputError(f"--backend is for the method wavemesh: {args.method} has no sparse convolutions.")
    cameras = cameras_for(len(args.images), args.azimuth, args.elevation, args.distance, args.fov)
    sides = sides_for(len(args.images), args.view, args.azimuth)

    from wavemesh.geometry.mesh import facing
    from wavemesh.pipelines.views import View

    recorder = None
    if args.bundle is not None:
        from wavemesh.pipelines.record import Recorder

        recorder = Recorder()
    started = time.perf_counter()
    out = _pipeline(args.method, args.weights, args.device, args.backend)(
        [
            View(image, camera, mask, side=side)
            for image, camera, mask, side in zip(
                args.images, cameras, args.mask or [None] * len(args.images), sides, strict=True
            )
        ],
        settings=settings,
        callback=_callback(recorder),
    )
    mesh = facing(out.baked() if args.texture == "baked" else out.mesh, out.front_deg)
    elapsed = time.perf_counter() - started
    write_mesh(args.output, mesh, args.size)
    sys.stderr.writelines(f"{note}\n" for note in out.notes)
    if args.report is not None:
        write_json(args.report, _report(args, out, mesh, elapsed))
    if recorder is not None:
        from wavemesh.geometry.export import mesh_bytes

        bundle = recorder.record(out).to_bytes({"mesh.glb": mesh_bytes(facing(out.mesh, out.front_deg), ".glb")})
        write_bytes(args.bundle, bundle)
    sys.stdout.write(f"{args.output}: {len(mesh.faces):,} faces in {elapsed:.1f} s\n")


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


def _report(args: argparse.Namespace, out: Any, mesh: trimesh.Trimesh, elapsed: float) -> dict[str, Any]:
    from wavemesh import __version__

    low, high = mesh.bounds
    return {
        "version": __version__,
        "method": args.method,
        "inputs": args.images,
        "output": str(args.output),
        "settings": to_json(out.settings),
        "provenance": out.provenance,
        "timings_s": {**out.timings, "total": elapsed},
        "mesh": {
            "vertices": len(mesh.vertices),
            "faces": len(mesh.faces),
            "watertight": bool(out.mesh.is_watertight),  # a texture cuts it open at its seams
            "bounds": [low, high],
            "texture": args.texture,
        },
    }
