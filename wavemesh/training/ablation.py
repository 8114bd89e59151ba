"""What each decision of WaveMesh-Diff's coarse stage is worth: one small network per variant, the same short training.

Every variant changes one setting of the `ablation` preset, of its model, its data, or how it is sampled. All are scored
at 64^3 on the quick set of test shapes. Trained variants and scores are kept in the output folder, so that a stopped
run goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from wavemesh.config import from_dict, read_json, write_text
from wavemesh.errors import InputError
from wavemesh.evaluation.metrics import Scores
from wavemesh.evaluation.plan import sampling_units
from wavemesh.evaluation.report import score_prediction
from wavemesh.evaluation.samples import PreparedSamples, choose_keys, ground_truth
from wavemesh.evaluation.table import bootstrap
from wavemesh.models.camera_head import CameraHead, CameraHeadConfig
from wavemesh.models.wavemesh import WaveMeshConfig, WaveMeshModel
from wavemesh.pipelines import WaveMeshPipeline
from wavemesh.training.loop import SNAPSHOTS, train
from wavemesh.training.presets import Preset, build_task, get_preset
from wavemesh.training.settings import LoopConfig
from wavemesh.training.snapshots import load_latest

log = logging.getLogger(__name__)

BASELINE = "baseline"
VIEWS = (1, 4)
POINTS = 10_000  # of each surface: enough for F@0.05


@dataclass(frozen=True)
class Variant:
    """One row: a name, and what differs from the baseline.

    group: heading of the rows that answer the same question. model, options: changes of the preset's model and task
    options. seed: of the training. sampling: arguments of the pipeline. trained_as: the variant whose networks
    it samples from, itself by default. averaged: sample from the averaged weights (EMA) or from the last ones.
    """

    name: str
    group: str
    model: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    sampling: Mapping[str, Any] = field(default_factory=dict)
    trained_as: str | None = None
    averaged: bool = True

    @property
    def training(self) -> str:
        """The name of the variant whose training this one uses."""
        return self.trained_as or self.name


def _sampled(name: str, group: str, **sampling: Any) -> Variant:
    return Variant(name, group, sampling=sampling, trained_as=BASELINE)


VARIANTS = (
    Variant(BASELINE, "as shipped, but small"),
    Variant("another seed", "as shipped, but small", seed=1),
    Variant("global instead of projective", "conditioning", {"conditioning": "global"}),
    Variant("pictures at three sizes", "conditioning", {"encoder": {"scales": (128, 64, 32)}}),
    Variant("attention over the views", "conditioning", {"coarse": {"pooling": "attention"}}),
    Variant("no adaptive norm", "conditioning", {"coarse": {"adaptive_norm": False}}),
    Variant("haar", "wavelet bank", {"bank": "haar"}),
    Variant("bior4.4", "wavelet bank", {"bank": "bior4.4"}),
    Variant("epsilon", "prediction", {"diffusion": {"prediction_type": "epsilon", "zero_terminal_snr": False}}),
    Variant("x0", "prediction", {"diffusion": {"prediction_type": "x0"}}),
    Variant("no surface loss", "loss", options={"surface_weight": 0.0}),
    Variant("no overlap loss", "loss", options={"overlap_weight": 0.0}),
    Variant("conditions never dropped", "dropout and guidance", options={"drop_prob": 0.0}),
    _sampled("guidance 1.5", "dropout and guidance", guidance_scale=1.5),
    _sampled("guidance 2.5", "dropout and guidance", guidance_scale=2.5),
    Variant("last weights instead of averaged", "weights", trained_as=BASELINE, averaged=False),
    _sampled("1 step", "steps of the coarse stage", num_inference_steps=1),
    _sampled("2 steps", "steps of the coarse stage", num_inference_steps=2),
    _sampled("5 steps", "steps of the coarse stage", num_inference_steps=5),
    _sampled("10 steps", "steps of the coarse stage", num_inference_steps=10),
    Variant("pictures as rendered", "data", options={"photographs": 0.0, "mask_chance": 0.0}),
    Variant("a quarter procedural", "data", options={"procedural_share": 0.25}),
    Variant("procedural alone", "data", options={"procedural_share": 1.0}),
)


@dataclass(frozen=True)
class AblationRow:
    """A variant's scores by number of views and shape, and how long its training took."""

    variant: Variant
    scores: dict[int, dict[str, Scores]]
    trained_s: float


def ablate(
    data: str | Path, out_dir: str | Path, names: Sequence[str] | None = None, subset: str = "quick", **loop: Any
) -> list[AblationRow]:
    """Train and score the variants of these names (None: all), the baseline first in any case.

    loop: settings of the training that replace the preset's. Raises InputError for an unknown name.
    """
    known = {variant.name: variant for variant in VARIANTS}
    unknown = sorted(set(names or ()) - set(known))
    if unknown:
        raise InputError(f"There is no variant {unknown[0]!r}; there are {', '.join(known)}.")
    chosen = [variant for variant in VARIANTS if names is None or variant.name in (BASELINE, *names)]
    samples, out_dir = PreparedSamples(data, "test", with_meshes=True), Path(out_dir)
    rows = []
    for variant in chosen:
        trained = known[variant.training]
        settings = ablation_loop(trained, out_dir, loop)
        path = out_dir / "scores" / f"{_slug(variant.name)}.json"
        mark = _fingerprint(variant, trained, settings, subset)
        kept = read_json(path) if path.exists() else {}
        if kept.get("mark") != mark:
            model, seconds = _trained(trained, settings, data, variant.averaged)
            scores = _scores(model, variant, samples, choose_keys(samples.keys, subset), out_dir / "truth")
            found = {str(count): {key: each.to_dict() for key, each in row.items()} for count, row in scores.items()}
            kept = {"mark": mark, "trained_s": seconds, "scores": found}
            write_text(path, json.dumps(kept) + "\n")
            log.info("%s: %s", variant.name, ", ".join(f"IoU {_mean(row, 'iou'):.3f}" for row in scores.values()))
        read = {int(count): {key: Scores(**s) for key, s in row.items()} for count, row in kept["scores"].items()}
        rows.append(AblationRow(variant, read, kept["trained_s"]))
    return rows


def ablation_loop(variant: Variant, out_dir: Path, replaced: Mapping[str, Any]) -> LoopConfig:
    """The settings of a variant's training."""
    return get_preset("ablation").loop_config(out_dir / _slug(variant.name), seed=variant.seed, **replaced)


def ablation_preset(variant: Variant) -> Preset:
    """The preset with the variant's changes to model and task options."""
    preset = get_preset("ablation")
    return replace(
        preset, model=_merged(preset.model, variant.model), task_options={**preset.task_options, **variant.options}
    )


def _trained(variant: Variant, settings: LoopConfig, data: str | Path, averaged: bool) -> tuple[WaveMeshModel, float]:
    """The variant's networks, trained as far as they are not yet, and the seconds that took."""
    torch.manual_seed(variant.seed)
    task = build_task(ablation_preset(variant), data, settings)
    result = train(task, settings)
    if result.step < settings.total_steps:
        raise InputError(f"The training of {variant.name!r} ended at step {result.step}: {result.stopped_by}.")
    state = load_latest(Path(settings.out_dir) / SNAPSHOTS)
    assert state is not None  # train has just written it
    model = WaveMeshModel(from_dict(WaveMeshConfig, task.config()))
    model.load_state_dict(state["ema" if averaged else "model"])
    return model.eval(), float(state["trained_s"])


def _scores(
    model: WaveMeshModel, variant: Variant, samples: PreparedSamples, keys: Sequence[str], truth_dir: Path
) -> dict[int, dict[str, Scores]]:
    """The scores by number of views and shape of what the coarse stage makes, cameras known."""
    pipeline = WaveMeshPipeline(model, CameraHead(CameraHeadConfig()), "cpu")
    options = {"resolution": model.config.resolution // 2, **variant.sampling}
    scores: dict[int, dict[str, Scores]] = {}
    for count in VIEWS:
        unit = sampling_units(pipeline, count, 1, True, "", options)[0]
        scores[count] = {}
        for key in keys:
            sample = samples[key]
            truth = ground_truth(sample, POINTS, truth_dir)
            scores[count][key] = score_prediction(unit.predict(sample), truth, POINTS)
    return scores


def ablation_table(rows: Sequence[AblationRow], settings: LoopConfig) -> str:
    """The rows as Markdown, differences of IoU to the baseline with 95% intervals over shapes."""
    base = next(row for row in rows if row.variant.name == BASELINE)
    shapes = len(base.scores[VIEWS[0]])
    minutes = float(np.median([row.trained_s for row in rows])) / 60
    samples = settings.total_steps * settings.batch_size
    lines = [
        f"- training: {settings.total_steps} steps of {settings.batch_size} ({samples:,} samples) each, median"
        f" {minutes:.1f} minutes",
        f"- scores: {shapes} test shapes at 64^3, {POINTS:,} points, cameras known; 1 / 4 views",
        "- difference: IoU minus the baseline's, 95% bootstrap interval over shapes",
        "",
        "| | F@0.05 ↑ | Normals ↑ | IoU 64³ ↑ | difference, 1 view | difference, 4 views |",
        "|---|---|---|---|---|---|",
    ]
    group = ""
    for row in rows:
        if row.variant.group != group:
            group = row.variant.group
            lines.append(f"| **{group}** | | | | | |")
        means = [
            " / ".join(f"{_mean(row.scores[count], metric):.3f}" for count in VIEWS)
            for metric in ("f_score_005", "normal_consistency", "iou")
        ]
        gains = ["", ""] if row is base else [_difference(row.scores[count], base.scores[count]) for count in VIEWS]
        lines.append("| " + " | ".join([row.variant.name, *means, *gains]) + " |")
    return "\n".join(lines) + "\n"


def _difference(scores: Mapping[str, Scores], others: Mapping[str, Scores]) -> str:
    gain = bootstrap([scores[key].iou - others[key].iou for key in scores])
    return f"{gain.mean:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]"


def _mean(scores: Mapping[str, Scores], metric: str) -> float:
    return float(np.mean([getattr(score, metric) for score in scores.values()]))


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The base with single values of nested mappings replaced."""
    merged = dict(base)
    for name, value in changes.items():
        merged[name] = _merged(merged.get(name, {}), value) if isinstance(value, Mapping) else value
    return merged


def _slug(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name.lower())


def _fingerprint(variant: Variant, trained: Variant, settings: LoopConfig, subset: str) -> str:
    """What a kept score depends on, besides the code."""
    loop = {name: str(value) for name, value in asdict(settings).items() if name not in ("out_dir", "threads")}
    parts = [asdict(variant), asdict(ablation_preset(trained)), loop, subset, POINTS]
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]
