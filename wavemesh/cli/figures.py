"""Pictures that show what happens: a generation by both systems, held-out results, loss curves.

For a bundled example or the given pictures: wavelet_decomposition, triplane_structure, pipeline_outputs,
frequency_separation and resolution_comparison of the triplane system, and visualize_generation of WaveMesh-Diff.
With --data: results.png, a sheet of held-out shapes (picture, prediction, truth), and generation.png, the first of them
with all its pictures; with --report, from an evaluation, cases-N.webp instead, from N views, of the best, median and
worst shapes. With --losses: loss.png from the log of a training run. With --procedural: procedural.webp, a sheet of
procedural training shapes. With --photographs: photographs.webp, what both systems make of one photograph each.
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from wavemesh.cli.arguments import add_device, cameras_for, integer, number
from wavemesh.cli.outputs import check_writable, write_bytes
from wavemesh.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from wavemesh.evaluation.figures import Figure
    from wavemesh.pipelines.views import View

GENERATION = "visualize_generation"
OF_TRIPLANE = (
    "wavelet_decomposition",
    "triplane_structure",
    "pipeline_outputs",
    "frequency_separation",
    "resolution_comparison",
)
DEFAULT_EXAMPLE = "teapot"
PROCEDURAL_PX, PROCEDURAL_COLUMNS = 144, 8
CASE_PX = 160
EXAMPLE = """example, under a minute on a CPU:
  python -m wavemesh figures --only visualize_generation --example horse --views 4 -o figures
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("pictures", nargs="*", metavar="IMG", help="pictures of one object; else an example's")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER")
    parser.add_argument(
        "--only", nargs="+", choices=(*OF_TRIPLANE, GENERATION), metavar="NAME", help="of a generation, only these"
    )
    parser.add_argument("--example", metavar="NAME", help=f"a folder of examples/ (default {DEFAULT_EXAMPLE})")
    parser.add_argument("--azimuth", type=number, nargs="+", metavar="A", help="degrees, one for each picture")
    parser.add_argument("--elevation", type=number, nargs="+", metavar="E", help="degrees, one for all or for each")
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="a prepared data set")
    parser.add_argument("--split", choices=("train", "val", "test"), default="test")
    parser.add_argument("--count", type=integer(1, 400), default=8, metavar="N", help="shapes on the sheet (default 8)")
    parser.add_argument(
        "--views", type=integer(1, 64), default=1, metavar="N", help="pictures given of each (default 1)"
    )
    parser.add_argument("--seed", type=integer(0), default=0, metavar="S")
    parser.add_argument("--report", type=Path, metavar="FILE", help="report.json of an evaluation of the same split")
    parser.add_argument("--photographs", type=Path, nargs="+", metavar="IMG", help="one of an object each, no cameras")
    parser.add_argument("--procedural", type=integer(1, 400), metavar="N", help="a sheet of N procedural shapes")
    parser.add_argument("--losses", type=Path, metavar="RUN", help="folder of a training run")
    parser.add_argument(
        "--triplane-weights", metavar="SOURCE", help="of the triplane system: a folder or Hub id; else the bundled ones"
    )
    add_device(parser)


def run(args: argparse.Namespace) -> None:
    """Write the figures that the given sources allow; those of a generation if there is no other source."""
    check_writable(args.output / "results.png")
    if args.report is not None and args.data is None:
        raise InputError(f"The shapes of {args.report} need the data set they are from: give --data.")
    asked = args.only or args.pictures or args.example is not None
    others = (args.data, args.losses, args.procedural, args.photographs)
    if asked or all(source is None for source in others):
        _generation(args)
    if args.photographs is not None:
        _photographs(args)
    if args.procedural is not None:
        _procedural(args)
    if args.losses is not None:
        _losses(args.losses, args.output / "loss.png")
    if args.report is not None:
        _cases(args)
    elif args.data is not None:
        _results(args)


def _generation(args: argparse.Namespace) -> None:
    """The figures of one object, those of the triplane system first."""
    names = args.only or [*OF_TRIPLANE, GENERATION]
    views = _views(args)
    of_triplane = [name for name in names if name in OF_TRIPLANE]
    if of_triplane:
        _triplane(args, views, of_triplane)
    if GENERATION in names:
        import numpy as np

        from wavemesh.evaluation.figures import visualize_generation
        from wavemesh.pipelines.wavemesh import WaveMeshPipeline

        out = WaveMeshPipeline.from_pretrained(args.weights, device=args.device)(views, seed=args.seed)
        pictures = [np.asarray(view.picture) for view in out.views]
        figure = visualize_generation(pictures, out.mesh, None, [view.camera for view in out.views])
        _save(figure, args.output / f"{GENERATION}.png")


def _triplane(args: argparse.Namespace, views: list[View], names: list[str]) -> None:
    """The figures of the triplane system; one sentence where there are no weights of it."""
    import numpy as np

    from wavemesh.weights import resolve

    try:
        folder = resolve(args.triplane_weights, "triplane")
    except InputError as error:
        hint = f"; --only {GENERATION} needs none of them"
        raise InputError(f"No figures of the triplane system: {str(error).rstrip('.')}{hint}.") from None
    from wavemesh.evaluation.figures import as_picture
    from wavemesh.evaluation.triplane_figures import TRIPLANE_FIGURES
    from wavemesh.evaluation.triplane_panels import triplane_panels
    from wavemesh.pipelines.triplane import TriplanePipeline

    pipeline = TriplanePipeline.from_pretrained(folder, device=args.device)
    out = pipeline(views, seed=args.seed)
    first = out.views[0]
    panels = triplane_panels(pipeline.model, out.triplane_highres, as_picture(np.asarray(first.picture)), first.camera)
    for name in names:
        _save(TRIPLANE_FIGURES[name](panels), args.output / f"{name}.png")


def _views(args: argparse.Namespace) -> list[View]:
    """The given pictures with their cameras if any, or the first pictures of an example.

    Raises InputError for both at once, and for an example that is not there.
    """
    from wavemesh.gallery.read import load_examples
    from wavemesh.geometry.camera import Camera
    from wavemesh.pipelines.views import View

    if args.pictures:
        if args.example is not None:
            raise InputError(f"Give pictures or --example {args.example}, not both.")
        cameras = cameras_for(len(args.pictures), args.azimuth, args.elevation, None, None)
        return [View(picture, camera) for picture, camera in zip(args.pictures, cameras, strict=True)]
    examples = {example.key: example for example in load_examples()}
    key = DEFAULT_EXAMPLE if args.example is None else args.example
    if key not in examples:
        raise InputError(f"There is no example {key!r}; there are {', '.join(examples) or 'none'}.")
    pairs = list(zip(examples[key].pictures, examples[key].cameras, strict=True))[: args.views]
    return [View(picture, Camera(**camera)) for picture, camera in pairs]


def _losses(run_folder: Path, path: Path) -> None:
    from wavemesh.evaluation.figures import loss_curves, read_losses

    log = run_folder / "losses.jsonl"
    if not log.is_file():
        raise InputError(f"There is no log of losses {log}.")
    _save(loss_curves(read_losses(log)), path)


def _procedural(args: argparse.Namespace) -> None:
    from wavemesh.data.procedural import ProceduralShapes
    from wavemesh.rendering import contact_sheet

    device = "auto" if args.device == "auto" else str(args.device)
    shapes = ProceduralShapes(args.seed, image_size=PROCEDURAL_PX, device=device)
    rendered = shapes.render(range(args.procedural), [[0]] * args.procedural)
    sheet = contact_sheet(list(rendered.pictures[:, 0].numpy()), columns=PROCEDURAL_COLUMNS)
    _write_sheet(args.output / "procedural.webp", sheet)


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


def _cases(args: argparse.Namespace) -> None:
    from wavemesh.evaluation.figures import chosen_cases, results_sheet
    from wavemesh.evaluation.samples import PreparedSamples
    from wavemesh.files import read_json
    from wavemesh.pipelines.wavemesh import WaveMeshPipeline

    keys = chosen_cases(read_json(args.report), f"WaveMesh / {args.views}")
    samples = PreparedSamples(args.data, args.split, with_meshes=True)
    missing = [key for key in keys if key not in samples.keys]
    if missing:
        raise InputError(f"The {args.split} split of {args.data} has no shape {missing[0]!r} of {args.report}.")
    pipeline = WaveMeshPipeline.from_pretrained(args.weights, device=args.device)
    chosen = [samples[key] for key in keys]
    _write_sheet(
        args.output / f"cases-{args.views}.webp",
        results_sheet(chosen, pipeline, args.views, size=CASE_PX, seed=args.seed),
    )


def _photographs(args: argparse.Namespace) -> None:
    from wavemesh.evaluation.figures import photographs_sheet
    from wavemesh.pipelines.triplane import TriplanePipeline
    from wavemesh.pipelines.wavemesh import WaveMeshPipeline

    pipelines = [
        WaveMeshPipeline.from_pretrained(args.weights, device=args.device),
        TriplanePipeline.from_pretrained(args.triplane_weights, device=args.device),
    ]
    _write_sheet(args.output / "photographs.webp", photographs_sheet(args.photographs, pipelines, seed=args.seed))


def _write_sheet(path: Path, sheet: np.ndarray) -> None:
    from PIL import Image

    content = io.BytesIO()
    Image.fromarray(sheet).save(content, format="WEBP", quality=86, method=6)
    _write(path, content.getvalue())


def _save(figure: Figure, path: Path) -> None:
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=110)
    _write(path, content.getvalue())


def _write(path: Path, content: bytes) -> None:
    write_bytes(path, content)
    sys.stdout.write(f"{path}\n")
