"""Evaluates a pipeline and all baselines on held-out shapes, resumably, into a JSON and a Markdown table.

Every prediction of every shape is a *unit* with a name such as "wavemesh/4/known/seed0". Its scores are kept in
`<out_dir>/shapes/` beside a fingerprint of what made it (weights, settings or data), so that a stopped run goes on where
it was, and a new set of weights only repeats its own units. Predicting runs in this process, on the pipeline's device;
scoring is spread over processes by joblib.
"""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import torch
import trimesh

from wavemesh.errors import InputError
from wavemesh.evaluation import baselines as base
from wavemesh.evaluation.metrics import (
    NUM_POINTS,
    Scores,
    best_quarter_turn,
    evaluate_pair,
    quarter_turned_grid,
    quarter_turned_points,
    surface_points,
)
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

SCORING_VERSION = 1  # raise when a change of the metrics makes the kept scores wrong


@dataclass(frozen=True)
class Prediction:
    """An SDF and the mesh of it; None: to be extracted from the SDF."""

    sdf: np.ndarray
    mesh: trimesh.Trimesh | None = None


@dataclass(frozen=True)
class Unit:
    """One prediction for a shape: its name, what makes it, and whether the frame is only known up to quarter turns."""

    name: str
    predict: Callable[[EvaluationSample], Prediction]
    fingerprint: str
    any_turn: bool = False


@dataclass(frozen=True)
class TableRow:
    """A row of the report: the best (by F@0.05) of its units stands for each shape."""

    name: str
    views: int | None
    units: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """All units and the rows made of them."""

    units: list[Unit]
    rows: list[TableRow]


def evaluate(
    pipeline: Any,
    data_root: str | Path,
    split: str = "test",
    views: tuple[int, ...] = (1, 4),
    subset: str = "quick",
    seeds: int = 4,
    out_dir: str | Path = "runs/evaluation",
    baselines: bool = True,
    estimated_cameras: bool = True,
    per_category: bool = False,
    num_points: int = NUM_POINTS,
    num_inference_steps: int | None = None,
    guidance_scale: float | None = None,
    jobs: int | None = None,
) -> Report:
    """The report on `split`, also written to <out_dir>/report.json and report.md.

    pipeline: `pipe(views, num_inference_steps=, guidance_scale=, seed=)` with `.sdf` and `.mesh`; None: baselines only.
    views: numbers of canonical views. subset: 'quick' (24 fixed shapes) or 'full'. seeds: samples for the best-of row.
    jobs: processes for scoring (None: one for each core). Raises InputError for bad settings or an empty split.
    """
    if seeds < 1 or not views or min(views) < 1:
        raise InputError(f"Evaluation needs at least one seed and one view, not seeds={seeds}, views={views}.")
    samples, out_dir = PreparedSamples(data_root, split), Path(out_dir)
    keys = choose_keys(samples.keys, subset)
    training = _training_split(data_root, out_dir) if baselines else None
    options = {"num_inference_steps": num_inference_steps, "guidance_scale": guidance_scale}
    plan = make_plan(pipeline, training, tuple(views), seeds, baselines, estimated_cameras, options)
    jobs = (os.cpu_count() or 1) if jobs is None else jobs
    scores: dict[str, dict[str, Scores]] = {}
    categories: dict[str, str] = {}
    source = "sdf"
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
        categories[key], source = cached.category, cached.source
    header = _header(pipeline, split, subset, len(keys), seeds, num_points, source, options)
    report = _assemble(plan, scores, categories if per_category else None, header)
    report.save(out_dir)
    return report


def make_plan(
    pipeline: Any,
    training: TrainingSplit | None,
    views: tuple[int, ...],
    seeds: int,
    baselines: bool,
    estimated_cameras: bool,
    options: dict[str, Any],
) -> Plan:
    """Every unit and row of a report, baselines first, the ceiling last."""
    units: list[Unit] = []
    rows: list[TableRow] = []

    def add(name: str, count: int | None, *made: Unit) -> None:
        units.extend(unit for unit in made if unit.name not in {known.name for known in units})
        rows.append(TableRow(name, count, tuple(unit.name for unit in made)))

    if baselines and training is not None:
        mark = training.fingerprint
        add("mean shape", None, Unit("mean", lambda sample: Prediction(training.mean), mark))
        for count in views:
            add("visual hull", count, Unit(f"hull/{count}", functools.partial(_hull, count), "1"))
            nearest = functools.partial(_nearest_by_feature, training, count)
            add("nearest training shape (image feature)", count, Unit(f"retrieval/{count}", nearest, mark))
        add("oracle nearest training shape", None, Unit("oracle", functools.partial(_oracle, training), mark))
    if pipeline is not None:
        mark = pipeline_fingerprint(pipeline)
        for count in views:
            one_step = functools.partial(_regression, pipeline, count)
            add("regression (same network, one step)", count, Unit(f"regression/{count}", one_step, mark))
            sampled = mark + json.dumps(options)
            known = _sampling_units(pipeline, count, seeds, True, sampled, options)
            add("WaveMesh", count, known[0])
            if seeds > 1:
                add(f"WaveMesh, best of {seeds} seeds", count, *known)
            if estimated_cameras:
                guessed = _sampling_units(pipeline, count, 1, False, sampled, options)
                add("WaveMesh, cameras estimated", count, *guessed)
    if baselines:
        ceiling = functools.partial(_ceiling, getattr(pipeline, "bank", None))
        add("codec ceiling", None, Unit("codec", ceiling, str(getattr(pipeline, "bank", None))))
    return Plan(units, rows)


def _sampling_units(
    pipeline: Any, count: int, seeds: int, known: bool, fingerprint: str, options: dict[str, Any]
) -> list[Unit]:
    """The pipeline's samples for seeds 0, 1, ...; with estimated cameras the frame may be off by quarter turns."""
    kind = "known" if known else "estimated"
    return [
        Unit(
            f"wavemesh/{count}/{kind}/seed{seed}",
            functools.partial(_sampled, pipeline, count, seed, known, options),
            fingerprint,
            any_turn=not known,
        )
        for seed in range(seeds)
    ]


def _sampled(
    pipeline: Any, count: int, seed: int, known: bool, options: dict[str, Any], sample: EvaluationSample
) -> Prediction:
    return _guarded(lambda: pipeline(sample.as_views(count, known), seed=seed, **options), sample)


def _regression(pipeline: Any, count: int, sample: EvaluationSample) -> Prediction:
    return _guarded(lambda: base.regression(pipeline, sample.as_views(count)), sample)


def _guarded(predict: Callable[[], Any], sample: EvaluationSample) -> Prediction:
    """The pipeline's prediction; one that has no surface, which the pipeline refuses, counts as empty."""
    try:
        out = predict()
    except InputError as error:
        log.warning("%s: no prediction (%s)", sample.key, error)
        return Prediction(np.full(sample.sdf.shape, base.TRUNCATION, dtype=np.float32))
    return Prediction(np.asarray(out.sdf), out.mesh)


def _hull(count: int, sample: EvaluationSample) -> Prediction:
    return Prediction(base.visual_hull(sample.masks(count), sample.cameras[:count], sample.sdf.shape[0]))


def _nearest_by_feature(training: TrainingSplit, count: int, sample: EvaluationSample) -> Prediction:
    return Prediction(training.sdf(training.shapes.nearest_by_feature(sample.pictures[:count])))


def _oracle(training: TrainingSplit, sample: EvaluationSample) -> Prediction:
    return Prediction(training.sdf(training.shapes.oracle_nearest(sample.sdf)[0]))


def _ceiling(bank: Any, sample: EvaluationSample) -> Prediction:
    return Prediction(base.codec_ceiling(sample.sdf, **({} if bank is None else {"bank": bank})))


@dataclass
class TrainingSplit:
    """The training shapes for retrieval, the mean shape, and access to single SDFs."""

    samples: PreparedSamples
    shapes: base.TrainingShapes
    mean: np.ndarray
    fingerprint: str

    def sdf(self, index: int) -> np.ndarray:
        """The SDF of a training shape."""
        return self.samples[self.shapes.keys[index]].sdf


def _training_split(data_root: str | Path, out_dir: Path) -> TrainingSplit:
    """What the baselines need of the training split, kept in `out_dir` after the first reading."""
    samples = PreparedSamples(data_root, "train")
    fingerprint = hashlib.sha256("\n".join(samples.keys).encode()).hexdigest()[:16]
    features, mean = out_dir / f"training-{fingerprint}.npz", out_dir / f"mean-{fingerprint}.npy"
    if not (features.exists() and mean.exists()):
        log.info("reading %d training shapes", len(samples))
        out_dir.mkdir(parents=True, exist_ok=True)
        total: list[np.ndarray] = []

        def summed() -> Any:
            for sample in samples:
                if total:
                    total[0] += sample.sdf
                else:
                    total.append(sample.sdf.astype(np.float64))
                yield sample

        base.TrainingShapes.from_samples(summed()).save(features)
        np.save(mean, (total[0] / len(samples)).astype(np.float32))
    return TrainingSplit(samples, base.TrainingShapes.load(features), np.load(mean), fingerprint)


def score_prediction(prediction: Prediction, truth: GroundTruth, num_points: int, any_turn: bool = False) -> Scores:
    """The scores of a prediction, at its best quarter turn (by IoU) if `any_turn`."""
    mesh = prediction.mesh if prediction.mesh is not None else sdf_mesh(prediction.sdf)
    sdf = prediction.sdf
    points = None if mesh is None else surface_points(mesh, num_points, seed=1)
    if any_turn:
        turns = best_quarter_turn(sdf, truth.sdf)
        sdf = quarter_turned_grid(sdf, turns)
        points = None if points is None else quarter_turned_points(points, turns)
    return evaluate_pair(points, sdf, truth.points, truth.sdf)


def _evaluate_shape(
    sample: EvaluationSample, truth: GroundTruth, units: list[Unit], num_points: int, jobs: int
) -> list[Scores]:
    """The scores of the units, predicted one after the other and scored in parallel."""
    predictions = [unit.predict(sample) for unit in units]
    tasks = (
        joblib.delayed(score_prediction)(prediction, truth, num_points, unit.any_turn)
        for prediction, unit in zip(predictions, units, strict=True)
    )
    return joblib.Parallel(n_jobs=min(jobs, len(units)))(tasks)


class _ShapeCache:
    """The kept scores of one shape by unit, each with the fingerprint of what made it."""

    def __init__(self, folder: Path, key: str, num_points: int) -> None:
        self._path = folder / (hashlib.sha256(key.encode()).hexdigest()[:16] + ".json")
        self._salt = f"{SCORING_VERSION}/{num_points}/"
        empty = {"key": key, "category": "", "source": "sdf", "units": {}}
        self._data = json.loads(self._path.read_text("utf-8")) if self._path.exists() else empty

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


def pipeline_fingerprint(pipeline: Any) -> str:
    """A digest of the weights of all networks of a pipeline, which tells one checkpoint from another."""
    digest = hashlib.sha256()
    for name, value in sorted(vars(pipeline).items()):
        if isinstance(value, torch.nn.Module):
            for key, tensor in value.state_dict().items():
                digest.update(f"{name}.{key}".encode())
                digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def _assemble(
    plan: Plan, scores: dict[str, dict[str, Scores]], categories: dict[str, str] | None, header: dict[str, Any]
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
    return Report(header, rows, by_shape)


def _header(
    pipeline: Any,
    split: str,
    subset: str,
    count: int,
    seeds: int,
    num_points: int,
    source: str,
    options: dict[str, Any],
) -> dict[str, Any]:
    """What the reader of the table has to know."""
    truth = "the original meshes" if source == "mesh" else "the isosurface of the prepared 128³ SDF"
    chosen = ", ".join(f"{name}={value}" for name, value in options.items() if value is not None)
    return {
        "shapes": f"{count} of the {split} split ({subset})",
        "ground truth": f"visible surface of {truth}, {num_points:,} points of each shape; no alignment",
        "intervals": "95%, bootstrap over shapes",
        "best of seeds": f"{seeds}, by F@0.05 against the truth (an oracle's choice)",
        "estimated cameras": "best of the four quarter turns of the frame, by IoU",
        "settings": chosen or "shipped defaults",
        "weights": "none" if pipeline is None else pipeline_fingerprint(pipeline),
    }
