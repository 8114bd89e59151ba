"""What an evaluation consists of: units, each a way to predict every shape, and the rows of the table made of them."""

from __future__ import annotations

import functools
import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import trimesh

from wavemesh.data.cache import MissingSplitError
from wavemesh.errors import InputError
from wavemesh.evaluation import baselines as base
from wavemesh.evaluation.photographs import photographs
from wavemesh.evaluation.samples import EvaluationSample, PreparedSamples
from wavemesh.evaluation.table import METHOD, ORACLE, PHOTOGRAPHED, REGRESSION
from wavemesh.weights import fingerprint, resolve

log = logging.getLogger(__name__)


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


def make_plan(
    pipeline: Any,
    training: TrainingSplit | None,
    views: tuple[int, ...],
    seeds: int,
    baselines: bool,
    cameras: tuple[str, ...],
    options: dict[str, Any],
    further: Sequence[tuple[str, int | None, Unit]] = (),
) -> Plan:
    """Every unit and row of a report, baselines first, the ceiling last; cameras: 'known', 'estimated' or both.

    further: rows of other systems, each of one unit. Raises InputError for a row that there is already.
    """
    units: list[Unit] = []
    rows: list[TableRow] = []

    def add(name: str, count: int | None, *made: Unit) -> None:
        units.extend(unit for unit in made if unit.name not in {known.name for known in units})
        rows.append(TableRow(name, count, tuple(unit.name for unit in made)))

    if baselines:
        if training is not None:
            add("mean shape", None, Unit("mean", lambda sample: Prediction(training.mean), training.fingerprint))
        for count in views:
            add("visual hull", count, Unit(f"hull/{count}", functools.partial(_hull, count), "1"))
            if training is not None:
                nearest = functools.partial(_nearest_by_feature, training, count)
                unit = Unit(f"retrieval/{count}", nearest, training.fingerprint)
                add("nearest training shape (image feature)", count, unit)
        if training is not None:
            add(ORACLE, None, Unit("oracle", functools.partial(_oracle, training), training.fingerprint))
    if pipeline is not None:
        mark = pipeline.fingerprint
        sampled = mark + json.dumps(options)
        for count in views:
            if "known" in cameras:
                one_step = functools.partial(_regression, pipeline, count)
                add(REGRESSION, count, Unit(f"regression/{count}", one_step, mark))
                known = sampling_units(pipeline, count, seeds, True, sampled, options)
                add(METHOD, count, known[0])
                if seeds > 1:
                    add(f"WaveMesh, best of {seeds} seeds", count, *known)
            if "estimated" in cameras:
                guessed = sampling_units(pipeline, count, 1, False, sampled, options)
                add("WaveMesh, cameras estimated", count, *guessed)
                photographed = functools.partial(_photographed, pipeline, count, options)
                cut_by = sampled + fingerprint(resolve(None, "cutout"))
                add(PHOTOGRAPHED, count, Unit(f"wavemesh/{count}/photographs", photographed, cut_by, any_turn=True))
                if count > 1:
                    sided = sampling_units(pipeline, count, 1, False, sampled, options, sides=True)
                    add("WaveMesh, sides given, cameras estimated", count, *sided)
    for name, number, unit in further:
        if any((row.name, row.views) == (name, number) for row in rows):
            raise InputError(f"The table has a row {name!r} already; choose another name.")
        add(name, number, unit)
    if baselines:
        codec = _codec_options(pipeline)
        add("codec ceiling", None, Unit("codec", functools.partial(_ceiling, codec), json.dumps(codec)))
    return Plan(units, rows)


def sampling_units(
    pipeline: Any, count: int, seeds: int, known: bool, fingerprint: str, options: dict[str, Any], sides: bool = False
) -> list[Unit]:
    """The pipeline's samples for seeds 0, 1, ...; with estimated cameras the frame may be off by quarter turns.

    sides: of cameras that are estimated, the sides are given.
    """
    kind = "known" if known else "sides" if sides else "estimated"
    return [
        Unit(
            f"wavemesh/{count}/{kind}/seed{seed}",
            functools.partial(_sampled, pipeline, count, seed, known, sides, options),
            fingerprint,
            any_turn=not known,
        )
        for seed in range(seeds)
    ]


def _sampled(
    pipeline: Any, count: int, seed: int, known: bool, sides: bool, options: dict[str, Any], sample: EvaluationSample
) -> Prediction:
    return _guarded(lambda: pipeline(sample.as_views(count, known, sides), seed=seed, **options), sample)


def _photographed(pipeline: Any, count: int, options: dict[str, Any], sample: EvaluationSample) -> Prediction:
    views = [photograph.as_view() for photograph in photographs(sample, count)]
    return _guarded(lambda: pipeline(views, seed=0, **options), sample)


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


def _ceiling(codec: dict[str, Any], sample: EvaluationSample) -> Prediction:
    return Prediction(base.codec_ceiling(sample.sdf, **codec))


def _codec_options(pipeline: Any) -> dict[str, Any]:
    """The bank and the rule for active sites that a pipeline's model uses; the defaults without a pipeline."""
    if pipeline is None:
        return {}
    config = pipeline.model.config
    return {"bank": config.bank, "threshold": config.active_threshold}


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


def training_split(data_root: str | Path, out_dir: Path) -> TrainingSplit | None:
    """What the baselines need of the training split, kept in `out_dir` after the first reading; None without one."""
    try:
        samples = PreparedSamples(data_root, "train")
    except MissingSplitError:
        log.warning("%s has no training shapes: the baselines made of them are left out", data_root)
        return None
    fingerprint = hashlib.sha256("\n".join(samples.keys).encode()).hexdigest()[:16]
    features, mean = out_dir / f"training-{fingerprint}.npz", out_dir / f"mean-{fingerprint}.npy"
    if not (features.exists() and mean.exists()):
        log.info("reading %d training shapes", len(samples))
        out_dir.mkdir(parents=True, exist_ok=True)
        total: list[np.ndarray] = []

        def summed() -> Iterator[EvaluationSample]:
            # One reading serves both: the mean is summed up while retrieval takes its features.
            for sample in samples:
                total[:] = [sample.sdf.astype(np.float64) if not total else total[0] + sample.sdf]
                yield sample

        base.TrainingShapes.from_samples(summed()).save(features)
        np.save(mean, (total[0] / len(samples)).astype(np.float32))
    return TrainingSplit(samples, base.TrainingShapes.load(features), np.load(mean), fingerprint)
