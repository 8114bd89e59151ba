"""What refining the cameras of several pictures brings: errors, quarter turns and scores before and after.

    python -m wavemesh.evaluation.refinement --data data/furniture [--split val] [--shapes 24] [--views 4]
        [--pictures canonical]

Rows: cameras known; estimated; estimated and refined; the last two once more with quarter turns known, as pictures in
named slots have them.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from wavemesh.data.dataset import PreparedShapes
from wavemesh.errors import InputError
from wavemesh.evaluation.evaluate import score_prediction
from wavemesh.evaluation.metrics import Scores
from wavemesh.evaluation.plan import Prediction
from wavemesh.evaluation.samples import (
    EvaluationSample,
    GroundTruth,
    PreparedSamples,
    choose_keys,
    ground_truth,
    sdf_mesh,
)
from wavemesh.geometry.camera import Camera
from wavemesh.pipelines.views import PreparedView, prepare_views
from wavemesh.pipelines.wavemesh import WaveMeshPipeline
from wavemesh.rendering import RaycastRenderer

POINTS = 10_000  # of each surface: enough for F@0.05
ROWS = ("known", "estimated", "refined", "estimated, quarter turns known", "refined, quarter turns known")
SPREAD_FROM = 4  # training views before are the canonical ones
PICTURES = {
    "canonical": "from the four sides",
    "spread": "random training views",
    "repeated": "the first canonical one again and again",
    "beside": "drawn from 15 degrees beside one another",
    "turntable": "drawn all around, in equal steps",
}
BESIDE_DEG, DRAWN_PX = 15.0, 256


@dataclass(frozen=True)
class CameraRow:
    """Cameras of one shape against the truth, and what the mesh made with them is worth.

    azimuth_deg, elevation_deg, scale, offset: mean errors over the pictures, the azimuth modulo quarter turns, scale as
    a logarithm, offset in NDC. turns: share of pairs of pictures that are set against each other rightly (within 45
    degrees). f_score: at 0.05, at the best quarter turn, and iou. seconds: of the refinement.
    """

    azimuth_deg: float
    elevation_deg: float
    scale: float
    offset: float
    turns: float
    f_score: float
    iou: float
    seconds: float = 0.0


def quarter_turns_known(cameras: Sequence[Camera], truth: Sequence[Camera]) -> list[Camera]:
    """The cameras, each turned by the multiple of 90 degrees that brings it nearest to the truth; the first stays."""
    frame = _quarter(cameras[0].azimuth_deg - truth[0].azimuth_deg)
    pairs = zip(cameras[1:], truth[1:], strict=True)
    return [cameras[0], *(c.turned(frame - _quarter(c.azimuth_deg - t.azimuth_deg)) for c, t in pairs)]


def camera_row(cameras: Sequence[Camera], truth: Sequence[Camera], scores: Scores, seconds: float = 0.0) -> CameraRow:
    """The errors of cameras beside the scores of their mesh."""
    turned = np.array([c.azimuth_deg - t.azimuth_deg for c, t in zip(cameras, truth, strict=True)])
    between = np.abs((turned[None] - turned[:, None] + 180.0) % 360.0 - 180.0)[np.triu_indices(len(turned), 1)]
    pairs = list(zip(cameras, truth, strict=True))
    return CameraRow(
        azimuth_deg=float(np.mean([abs(each - _quarter(each)) for each in turned])),
        elevation_deg=float(np.mean([abs(c.elevation_deg - t.elevation_deg) for c, t in pairs])),
        scale=float(np.mean([abs(np.log(c.focal / c.distance * t.distance / t.focal)) for c, t in pairs])),
        offset=float(np.mean([np.hypot(*np.subtract(c.offset, t.offset)) for c, t in pairs])),
        turns=float((between < 45.0).mean()) if len(between) else 1.0,
        f_score=scores.f_score_005,
        iou=scores.iou,
        seconds=seconds,
    )


def shape_rows(pipeline: WaveMeshPipeline, sample: EvaluationSample, count: int) -> dict[str, CameraRow]:
    """The rows of one shape, by name."""
    size = pipeline.model.config.encoder.image_size
    known, estimated = (
        prepare_views(sample.as_views(count, known), size, pipeline.estimate_cameras) for known in (True, False)
    )
    truth, scored = ground_truth(sample, POINTS), {}
    cameras = [view.camera for view in known]
    turned = quarter_turns_known([view.camera for view in estimated], cameras)
    slotted = [replace(view, camera=camera) for view, camera in zip(estimated, turned, strict=True)]
    starts = {ROWS[0]: known, ROWS[1]: estimated, ROWS[3]: slotted}
    for name, views in starts.items():
        scored[name] = camera_row([view.camera for view in views], cameras, _scores(pipeline, views, truth))
    for name, views, free in ((ROWS[2], estimated, None), (ROWS[4], slotted, [False] * count)):
        begin = time.perf_counter()
        refined = pipeline.refine(views, free)
        seconds = time.perf_counter() - begin
        scores = _scores(pipeline, refined, truth)
        scored[name] = camera_row([view.camera for view in refined], cameras, scores, seconds)
    return {name: scored[name] for name in ROWS}


def table(shapes: Sequence[dict[str, CameraRow]]) -> str:
    """Medians of the errors and means of the rest over shapes, as Markdown."""
    lines = [
        "| cameras | azimuth | elevation | scale | offset | pairs right | F@0.05 | lost | IoU | seconds |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    known = float(np.mean([shape[ROWS[0]].f_score for shape in shapes]))
    for name in ROWS:
        rows = [shape[name] for shape in shapes]
        azimuth, elevation, scale, offset = (
            float(np.median([getattr(row, field) for row in rows]))
            for field in ("azimuth_deg", "elevation_deg", "scale", "offset")
        )
        turns, score, iou, seconds = (
            float(np.mean([getattr(row, field) for row in rows])) for field in ("turns", "f_score", "iou", "seconds")
        )
        lines.append(
            f"| {name} | {azimuth:.1f}° | {elevation:.1f}° | {scale:.1%} | {offset:.3f} | {turns:.0%} | {score:.3f} | "
            f"{1.0 - score / max(known, 1e-9):.1%} | {iou:.3f} | {seconds:.1f} |"
        )
    return "\n".join(lines) + "\n"


def samples(data: str | Path, split: str, limit: int, kind: str, views: int) -> list[EvaluationSample]:
    """The first shapes of a split in hash order, with pictures of a kind in PICTURES. Raises InputError without any."""
    if kind == "spread":
        return _with_training_views(PreparedShapes(data, split), limit)
    prepared = PreparedSamples(data, split, with_meshes=True)
    return [pictured(prepared[key], kind, views) for key in choose_keys(prepared.keys)[:limit]]


def pictured(sample: EvaluationSample, kind: str, views: int) -> EvaluationSample:
    """The shape with as many pictures of a kind in PICTURES but "spread". Raises InputError without a surface."""
    if kind == "canonical":
        return sample
    first = sample.cameras[0]
    if kind == "repeated":
        return replace(sample, pictures=[sample.pictures[0]] * views, cameras=[first] * views)
    mesh = sdf_mesh(sample.sdf) if sample.mesh is None else sample.mesh
    if mesh is None:
        raise InputError(f"The true shape of {sample.key} has no surface.")
    step = BESIDE_DEG if kind == "beside" else 360.0 / views
    cameras = [first.turned(step * number) for number in range(views)]
    renderer = RaycastRenderer(mesh)
    return replace(sample, pictures=[renderer.view(each, DRAWN_PX).rgba for each in cameras], cameras=cameras)


def _with_training_views(shapes: PreparedShapes, limit: int) -> list[EvaluationSample]:
    found = []
    for key in choose_keys(shapes.keys)[:limit]:
        index = shapes.keys.index(key)
        shape, chosen = shapes[index], list(range(SPREAD_FROM, shapes.num_views))
        pictures = list(shapes.pictures([index], [chosen])[0].numpy())
        cameras = [shapes.cameras[index][number] for number in chosen]
        found.append(EvaluationSample(key, shape.category, shape.sdf, pictures, cameras))
    return found


def _quarter(angle_deg: float) -> float:
    return 90.0 * round(angle_deg / 90.0)


def _scores(pipeline: WaveMeshPipeline, views: list[PreparedView], truth: GroundTruth) -> Scores:
    try:
        out = pipeline(views)
    except InputError:  # no surface
        return score_prediction(Prediction(np.full(truth.sdf.shape, 0.09, np.float32)), truth, POINTS)
    return score_prediction(Prediction(out.sdf, out.mesh), truth, POINTS, any_turn=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="a prepared data set")
    parser.add_argument("--split", default="val")
    parser.add_argument("--shapes", type=int, default=24)
    parser.add_argument("--views", type=int, default=4)
    parser.add_argument(
        "--pictures",
        choices=PICTURES,
        default="canonical",
        help="; ".join(f"{name}: {words}" for name, words in PICTURES.items()),
    )
    parser.add_argument("--weights", help="a folder or Hub id instead of the bundled weights")
    asked = parser.parse_args(arguments)
    pipeline = WaveMeshPipeline.from_pretrained(asked.weights)
    rows = []
    for sample in samples(asked.data, asked.split, asked.shapes, asked.pictures, asked.views):
        rows.append(shape_rows(pipeline, sample, asked.views))
        sys.stderr.write(f"{sample.key}: " + ", ".join(f"{row.f_score:.3f}" for row in rows[-1].values()) + "\n")
    sys.stdout.write(table(rows))


if __name__ == "__main__":
    main()
