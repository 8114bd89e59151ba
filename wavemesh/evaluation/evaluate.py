"""Evaluates both systems and all baselines on held-out shapes, resumably, into a JSON and a Markdown table.

Every prediction of every shape is a *unit* with a name such as "wavemesh/4/known/seed0"; pictures from novel views are
units of their own. Their scores are kept in `<out_dir>/shapes/` and `<out_dir>/views/` (see `score_cache`), so that a
stopped run goes on where it was. Predicting runs in this process, on the pipelines' device; scoring is spread over
processes by joblib.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import joblib
import numpy as np

from wavemesh.data.co3d import CapturedObject
from wavemesh.errors import InputError
from wavemesh.evaluation.cameras import CameraErrors, held_out_errors
from wavemesh.evaluation.captured import captured_errors
from wavemesh.evaluation.given_meshes import GivenMeshes
from wavemesh.evaluation.metrics import (
    EMPTY_DISTANCE,
    Scores,
    best_quarter_turn,
    evaluate_pair,
    quarter_turned_grid,
    quarter_turned_points,
    surface_points,
)
from wavemesh.evaluation.novel_views import NUM_NOVEL, ViewScores, ViewUnit, novel_views, score_pictures
from wavemesh.evaluation.photographs import photograph_errors
from wavemesh.evaluation.plan import Plan, Prediction, TableRow, Unit, make_plan, training_split
from wavemesh.evaluation.report import Report
from wavemesh.evaluation.samples import (
    NUM_POINTS,
    EvaluationSample,
    GroundTruth,
    PreparedSamples,
    choose_keys,
    ground_truth,
    sdf_mesh,
)
from wavemesh.evaluation.score_cache import ScoreCache
from wavemesh.evaluation.shapenet import SUBSET, about, class_of
from wavemesh.evaluation.table import METHOD, ORACLE, REGRESSION, ReportRow, difference_row, make_row
from wavemesh.evaluation.triplane import FULL, LL_ONLY, TriplaneMethod, geometry_units, view_units

log = logging.getLogger(__name__)

CAMERAS = ("known", "estimated")
DETAILS_GAIN = f"{FULL} minus {LL_ONLY.removeprefix(f'{FULL}, ')}"
SCORING_VERSION = 1  # raise when a change of the metrics makes the kept scores wrong


def evaluate(
    pipeline: Any,
    data_root: str | Path,
    split: str = "test",
    views: tuple[int, ...] = (1, 4),
    subset: str = "quick",
    seeds: int = 4,
    out_dir: str | Path = "runs/evaluation",
    baselines: bool = True,
    cameras: tuple[str, ...] = CAMERAS,
    per_category: bool = False,
    num_points: int = NUM_POINTS,
    num_inference_steps: int | None = None,
    guidance_scale: float | None = None,
    sampler: str | None = None,
    jobs: int | None = None,
    triplane: TriplaneMethod | None = None,
    meshes: GivenMeshes | None = None,
    captured: Sequence[CapturedObject] = (),
) -> Report:
    """The report on `split`, also written to <out_dir>/report.json and report.md.

    pipeline: a `WaveMeshPipeline`; None: no such rows.
    views: numbers of canonical views. subset: 'quick' (24 fixed shapes), 'full', or
    'shapenet13', which adds the tables of ShapeNet's 13 classes. seeds: samples for the best-of row.
    cameras: 'known', 'estimated' or both; estimated ones come with the errors of the pipeline's camera head.
    jobs: processes for scoring (None: one for each core). triplane: adds the rows of the triplane system, and a table
    of pictures from novel views. meshes: adds the row of another system, to the tables of all `views`. captured: real
    objects on whose frames estimated cameras are compared as well.
    Raises InputError for bad settings, an empty split and where nothing is left to evaluate.
    """
    if seeds < 1 or not views or min(views) < 1:
        raise InputError(f"Evaluation needs at least one seed and one view, not seeds={seeds}, views={views}.")
    if not cameras or not set(cameras) <= set(CAMERAS):
        raise InputError(f"The cameras must be {' or '.join(CAMERAS)} or both, not {list(cameras)}.")
    samples, out_dir = PreparedSamples(data_root, split, with_meshes=True), Path(out_dir)
    keys = choose_keys(samples.keys, subset)
    training = training_split(data_root, out_dir) if baselines else None
    options = {"num_inference_steps": num_inference_steps, "guidance_scale": guidance_scale, "sampler": sampler}
    options = {name: value for name, value in options.items() if value is not None}
    further = [] if triplane is None else geometry_units(triplane, samples.shapes, views, cameras)
    if meshes is not None:
        further = [*further, *meshes.rows(keys, views)]
    plan = make_plan(pipeline, training, tuple(views), seeds, baselines, tuple(cameras), options, further)
    if not plan.rows:
        raise InputError("There is nothing to evaluate: no weights, no baselines and no meshes.")
    seen_by = ([], []) if triplane is None or "known" not in cameras else view_units(triplane, samples.shapes, views)
    run = _Run(samples, plan, seen_by[0], out_dir, num_points, (os.cpu_count() or 1) if jobs is None else jobs)
    for number, key in enumerate(keys):
        run.score(key, f"{number + 1}/{len(keys)}")
    header = _header(pipeline, triplane, split, subset, len(keys), seeds, num_points, run.sources, options)
    if meshes is not None:
        header[f"meshes of {meshes.name}"] = meshes.summary(keys)
    errors = None
    if "estimated" in cameras and pipeline is not None:
        errors = held_out_errors(pipeline.camera_head, samples.shapes, keys)
        header["camera head"] = str(errors)
        if captured:
            header["camera head, CO3Dv2"] = str(captured_errors(pipeline.camera_head, captured))
        header["photographs"] = str(photograph_errors(pipeline, (samples[key] for key in keys)))
    categories = run.categories if per_category else None
    if subset == SUBSET:
        header["protocol"], categories = about(views), {key: class_of(key) or "" for key in keys}
    report = _assemble(plan, run.scores, categories, header, errors)
    report.view_rows.extend(_view_rows(seen_by[1], run.view_scores))
    report.view_shapes.update(_by_shape(seen_by[1], run.view_scores))
    report.save(out_dir)
    return report


@dataclass
class _Run:
    """The shapes scored so far, from what was kept or anew."""

    samples: PreparedSamples
    plan: Plan
    view_units: list[ViewUnit]
    out_dir: Path
    num_points: int
    jobs: int
    scores: dict[str, dict[str, Scores]] = field(default_factory=dict)
    view_scores: dict[str, dict[str, ViewScores]] = field(default_factory=dict)
    categories: dict[str, str] = field(default_factory=dict)
    sources: list[str] = field(default_factory=list)

    def score(self, key: str, title: str) -> None:
        """Scores what is missing of a shape."""
        started = time.monotonic()
        kept = ScoreCache(self.out_dir / "shapes", key, f"{SCORING_VERSION}/{self.num_points}/", Scores)
        kept_views = ScoreCache(self.out_dir / "views", key, f"{SCORING_VERSION}/{NUM_NOVEL}/", ViewScores)
        missing, missing_views = kept.missing_units(self.plan.units), kept_views.missing_units(self.view_units)
        if missing or missing_views:
            sample = self.samples[key]
            if missing:
                truth = ground_truth(sample, self.num_points, self.out_dir / "truth")
                kept.store(_evaluate_shape(sample, truth, missing, self.num_points, self.jobs), missing)
                kept.describe(sample.category, truth.source)
            if missing_views:
                kept_views.store(_evaluate_views(sample, self.samples, missing_views, self.jobs), missing_views)
            count = len(missing) + len(missing_views)
            log.info("%s %s: %d units, %.1f s", title, key, count, time.monotonic() - started)
        self.scores[key], self.view_scores[key] = kept.scores(self.plan.units), kept_views.scores(self.view_units)
        self.categories[key] = kept.category
        self.sources.append(kept.source)


def score_prediction(prediction: Prediction, truth: GroundTruth, num_points: int, any_turn: bool = False) -> Scores:
    """The scores of a prediction, at its best quarter turn (by IoU) if `any_turn`."""
    mesh = prediction.mesh if prediction.mesh is not None else sdf_mesh(prediction.sdf)
    sdf = prediction.sdf
    try:
        points = None if mesh is None else surface_points(mesh, num_points, seed=1)
    except InputError:  # a surface of nothing but degenerate faces is none
        points = None
    if any_turn:
        turns = best_quarter_turn(sdf, truth.sdf)
        sdf = quarter_turned_grid(sdf, turns)
        points = None if points is None else quarter_turned_points(points, turns)
    return evaluate_pair(points, sdf, truth.points, truth.sdf)


def _evaluate_shape(
    sample: EvaluationSample, truth: GroundTruth, units: list[Unit], num_points: int, jobs: int
) -> list[Scores]:
    """The scores of the units, predicted one after the other and scored in parallel, equal predictions once."""
    tasks: dict[tuple[bytes, bool], tuple[Prediction, bool]] = {}
    names = []
    for unit in units:
        prediction = unit.predict(sample)
        names.append((_digest(prediction), unit.any_turn))
        tasks.setdefault(names[-1], (prediction, unit.any_turn))
    # Grids are a few MB: handing them over as files (joblib's way above 1 MB) would make them read-only.
    scores = joblib.Parallel(n_jobs=min(jobs, len(tasks)), max_nbytes=None)(
        joblib.delayed(score_prediction)(prediction, truth, num_points, any_turn)
        for prediction, any_turn in tasks.values()
    )
    by_name = dict(zip(tasks, scores, strict=True))
    return [by_name[name] for name in names]


def _evaluate_views(
    sample: EvaluationSample, samples: PreparedSamples, units: list[ViewUnit], jobs: int
) -> list[ViewScores]:
    """The scores of pictures from novel views, drawn one unit after the other and scored in parallel."""
    views = novel_views(samples.shapes, sample.key)
    drawn = [unit.draw(sample, views) for unit in units]
    return joblib.Parallel(n_jobs=min(jobs, len(units)))(
        joblib.delayed(score_pictures)(pictures, views.pictures) for pictures in drawn
    )


def _digest(prediction: Prediction) -> bytes:
    """Equal for equal predictions: both retrievals and the oracle often find the same training shape."""
    arrays = [prediction.sdf]
    if prediction.mesh is not None:
        arrays += [prediction.mesh.vertices, prediction.mesh.faces]
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    return digest.digest()


def _assemble(
    plan: Plan,
    scores: dict[str, dict[str, Scores]],
    categories: dict[str, str] | None,
    header: dict[str, Any],
    errors: CameraErrors | None,
) -> Report:
    """The report of the plan's rows, and after the method what it has more than its strongest baselines."""
    rows = []
    kept: dict[tuple[str, int | None], dict[str, Scores]] = {}
    by_shape: dict[str, dict[str, dict[str, float]]] = {key: {} for key in scores}
    empty = []
    for row in plan.rows:
        best = {
            key: max((found[name] for name in row.units), key=lambda score: score.f_score_005)
            for key, found in scores.items()
        }
        rows.append(make_row(row.name, row.views, best, categories))
        kept[row.name, row.views] = best
        if row.name == METHOD:
            for name, views in ((ORACLE, None), (REGRESSION, row.views)):
                if (name, views) in kept:
                    title = f"{METHOD} minus {name.split()[0]}"
                    rows.append(difference_row(title, row.views, best, kept[name, views]))
        for key, score in best.items():
            by_shape[key][_title(row)] = score.to_dict()
        without = sum(score.chamfer >= EMPTY_DISTANCE for score in best.values())
        empty += [f"{_title(row)}: {without}"] if without else []
    if empty:
        header["without a surface, scored 0"] = ", ".join(empty)
    return Report(header, rows, by_shape, errors)


def _view_rows(rows: list[TableRow], scores: dict[str, dict[str, ViewScores]]) -> list[ReportRow]:
    """The rows of the table of novel views, and after the method what its details are worth."""
    made = []
    for row in rows:
        own = {key: found[row.units[0]] for key, found in scores.items()}
        made.append(make_row(row.name, row.views, own))
        if row.name == FULL:
            lowpass = next(other.units[0] for other in rows if other.name == LL_ONLY and other.views == row.views)
            others = {key: found[lowpass] for key, found in scores.items()}
            made.append(difference_row(DETAILS_GAIN, row.views, own, others))
    return made


def _by_shape(rows: list[TableRow], scores: dict[str, dict[str, ViewScores]]) -> dict[str, dict[str, dict[str, float]]]:
    """The scores of pictures by shape and row; nothing where there are no rows."""
    return {key: {_title(row): found[row.units[0]].to_dict() for row in rows} for key, found in scores.items() if rows}


def _title(row: TableRow) -> str:
    return row.name if row.views is None else f"{row.name} / {row.views}"


def _header(
    pipeline: Any,
    triplane: TriplaneMethod | None,
    split: str,
    subset: str,
    count: int,
    seeds: int,
    num_points: int,
    sources: list[str],
    options: dict[str, Any],
) -> dict[str, Any]:
    """What the reader of the table has to know."""
    originals = sources.count("mesh")
    truth = f"the original mesh ({originals} shapes)" if originals else ""
    if originals < len(sources):
        truth += (" or " if truth else "") + f"the isosurface of the prepared SDF ({len(sources) - originals} shapes)"
    chosen = ", ".join(f"{name}={value}" for name, value in options.items())
    header = {
        "shapes": f"{count} of the {split} split ({subset})",
        "ground truth": f"visible surface of {truth}, {num_points:,} points; volume of the prepared SDF; no alignment",
        "intervals": "95%, bootstrap over shapes",
        "best of seeds": f"{seeds}, by F@0.05 against the truth (an oracle's choice)",
        "estimated cameras": "best of the four quarter turns of the frame, by IoU",
        "settings": chosen or "shipped defaults",
        "weights": "none" if pipeline is None else pipeline.fingerprint,
    }
    if triplane is not None:
        header["weights of the triplane system"] = triplane.pipeline.fingerprint
        header["novel views"] = (
            f"{NUM_NOVEL} of each shape, as large as the prepared views, on white, from cameras that were not given; "
            "PSNR counts up to 60 dB"
        )
        if triplane.autoencoder is None:
            header["triplane autoencoder"] = "left out: these weights have none"
        else:
            header["triplane autoencoder"] = "sees the true shape, and its colours from all prepared pictures"
    return header
