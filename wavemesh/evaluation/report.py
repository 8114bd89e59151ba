"""Evaluates a pipeline and all baselines on held-out shapes, resumably, into a JSON and a Markdown table.

Every prediction of every shape is a *unit* with a name such as "wavemesh/4/known/seed0". Its scores are kept in
`<out_dir>/shapes/` beside a fingerprint of what made it (weights, settings or data), so that a stopped run goes on
where it was, and a new set of weights only repeats its own units. Predicting runs in this process, on the pipeline's
device; scoring is spread over processes by joblib.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from pathlib import Path
from typing import Any

import joblib
import numpy as np

from wavemesh.errors import InputError
from wavemesh.evaluation.cameras import CameraErrors, held_out_errors
from wavemesh.evaluation.metrics import (
    NUM_POINTS,
    Scores,
    best_quarter_turn,
    evaluate_pair,
    quarter_turned_grid,
    quarter_turned_points,
    surface_points,
)
from wavemesh.evaluation.plan import Plan, Prediction, Unit, make_plan, pipeline_fingerprint, training_split
from wavemesh.evaluation.samples import (
    EvaluationSample,
    GroundTruth,
    PreparedSamples,
    choose_keys,
    ground_truth,
    sdf_mesh,
)
from wavemesh.evaluation.table import Report, make_row

log = logging.getLogger(__name__)

CAMERAS = ("known", "estimated")
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
) -> Report:
    """The report on `split`, also written to <out_dir>/report.json and report.md.

    pipeline: `pipe(views, num_inference_steps=, guidance_scale=, seed=)` with `.sdf` and `.mesh`; None: baselines only.
    views: numbers of canonical views. subset: 'quick' (24 fixed shapes) or 'full'. seeds: samples for the best-of row.
    cameras: 'known', 'estimated' or both; estimated ones come with the errors of the pipeline's camera head.
    jobs: processes for scoring (None: one for each core). Raises InputError for bad settings or an empty split.
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
    plan = make_plan(pipeline, training, tuple(views), seeds, baselines, tuple(cameras), options)
    jobs = (os.cpu_count() or 1) if jobs is None else jobs
    scores: dict[str, dict[str, Scores]] = {}
    categories: dict[str, str] = {}
    sources: list[str] = []
    for number, key in enumerate(keys):
        started = time.monotonic()
        cached = _ShapeCache(out_dir / "shapes", key, num_points)
        missing = cached.missing(plan.units)
        if missing:
            sample = samples[key]
            truth = ground_truth(sample, num_points, out_dir / "truth")
            cached.store(_evaluate_shape(sample, truth, missing, num_points, jobs), missing)
            cached.describe(sample.category, truth.source)
            log.info("%d/%d %s: %d units, %.1f s", number + 1, len(keys), key, len(missing), time.monotonic() - started)
        scores[key] = cached.scores(plan.units)
        categories[key] = cached.category
        sources.append(cached.source)
    header = _header(pipeline, split, subset, len(keys), seeds, num_points, sources, options)
    errors = None
    if "estimated" in cameras and hasattr(pipeline, "camera_head"):
        errors = held_out_errors(pipeline.camera_head, samples.shapes, keys)
        header["camera head"] = str(errors)
    report = _assemble(plan, scores, categories if per_category else None, header, errors)
    report.save(out_dir)
    return report


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


def _digest(prediction: Prediction) -> bytes:
    """Equal for equal predictions: both retrievals and the oracle often find the same training shape."""
    arrays = [prediction.sdf]
    if prediction.mesh is not None:
        arrays += [prediction.mesh.vertices, prediction.mesh.faces]
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    return digest.digest()


class _ShapeCache:
    """The kept scores of one shape by unit, each with the fingerprint of what made it."""

    def __init__(self, folder: Path, key: str, num_points: int) -> None:
        self._path = folder / (hashlib.sha256(key.encode()).hexdigest()[:16] + ".json")
        self._salt = f"{SCORING_VERSION}/{num_points}/"
        empty: dict[str, Any] = {"key": key, "category": "", "source": "sdf", "units": {}}
        self._data: dict[str, Any] = json.loads(self._path.read_text("utf-8")) if self._path.exists() else empty

    @property
    def category(self) -> str:
        return str(self._data["category"])

    @property
    def source(self) -> str:
        return str(self._data["source"])

    def missing(self, units: list[Unit]) -> list[Unit]:
        """The units that have no valid score yet."""
        kept = self._data["units"]
        return [unit for unit in units if kept.get(unit.name, {}).get("made_by") != self._salt + unit.fingerprint]

    def scores(self, units: list[Unit]) -> dict[str, Scores]:
        """The scores by unit."""
        return {unit.name: Scores(**self._data["units"][unit.name]["scores"]) for unit in units}

    def store(self, scores: list[Scores], units: list[Unit]) -> None:
        """Keeps new scores."""
        for score, unit in zip(scores, units, strict=True):
            self._data["units"][unit.name] = {"made_by": self._salt + unit.fingerprint, "scores": score.to_dict()}
        self._write()

    def describe(self, category: str, source: str) -> None:
        """Keeps what the report says about the shape."""
        self._data |= {"category": category, "source": source}
        self._write()

    def _write(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_suffix(".tmp")
        temporary.write_text(json.dumps(self._data, indent=1), "utf-8")
        temporary.replace(self._path)


def _assemble(
    plan: Plan,
    scores: dict[str, dict[str, Scores]],
    categories: dict[str, str] | None,
    header: dict[str, Any],
    errors: CameraErrors | None,
) -> Report:
    """The report of the plan's rows."""
    rows = []
    by_shape: dict[str, dict[str, dict[str, float]]] = {key: {} for key in scores}
    for row in plan.rows:
        best = {
            key: max((found[name] for name in row.units), key=lambda score: score.f_score_005)
            for key, found in scores.items()
        }
        rows.append(make_row(row.name, row.views, best, categories))
        for key, score in best.items():
            title = row.name if row.views is None else f"{row.name} / {row.views}"
            by_shape[key][title] = score.to_dict()
    return Report(header, rows, by_shape, errors)


def _header(
    pipeline: Any,
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
    return {
        "shapes": f"{count} of the {split} split ({subset})",
        "ground truth": f"visible surface of {truth}, {num_points:,} points; volume of the prepared SDF; no alignment",
        "intervals": "95%, bootstrap over shapes",
        "best of seeds": f"{seeds}, by F@0.05 against the truth (an oracle's choice)",
        "estimated cameras": "best of the four quarter turns of the frame, by IoU",
        "settings": chosen or "shipped defaults",
        "weights": "none" if pipeline is None else pipeline_fingerprint(pipeline),
    }
