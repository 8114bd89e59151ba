"""What each decision of WaveMesh-Diff's coarse stage is worth: one small network per variant, the same short training.

Every variant changes one setting of the `ablation` preset, of its model, its data, or how it is sampled. All are scored
at 64^3 on the quick set of test shapes. Trained variants and scores are kept in the output folder, so that a stopped
run goes on where it was.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from wavemesh.config import from_dict
from wavemesh.errors import InputError
from wavemesh.evaluation.variants import POINTS, VIEWS, HeldOut, VariantScores, kept_scores, variants_table
from wavemesh.models.camera_head import CameraHead, CameraHeadConfig
from wavemesh.models.wavemesh import WaveMeshConfig, WaveMeshModel
from wavemesh.pipelines import WaveMeshPipeline
from wavemesh.training.loop import SNAPSHOTS, train
from wavemesh.training.presets import Preset, build_task, get_preset
from wavemesh.training.settings import LoopConfig
from wavemesh.training.snapshots import load_latest

log = logging.getLogger(__name__)

BASELINE = "baseline"


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


def ablate(
    data: str | Path, out_dir: str | Path, names: Sequence[str] | None = None, subset: str = "quick", **loop: Any
) -> list[VariantScores]:
    """Train and score the variants of these names (None: all), the baseline first in any case.

    loop: settings of the training that replace the preset's. Raises InputError for an unknown name.
    """
    known = {variant.name: variant for variant in VARIANTS}
    unknown = sorted(set(names or ()) - set(known))
    if unknown:
        raise InputError(f"There is no variant {unknown[0]!r}; there are {', '.join(known)}.")
    out_dir = Path(out_dir)
    test = HeldOut.open(data, subset, out_dir)
    rows = []
    for variant in VARIANTS:
        if names is not None and variant.name not in (BASELINE, *names):
            continue
        trained = known[variant.training]
        settings = ablation_loop(trained, out_dir, loop)

        def make(variant: Variant = variant, trained: Variant = trained, settings: LoopConfig = settings) -> Any:
            model = _trained(trained, settings, data, variant.averaged)
            pipeline = WaveMeshPipeline(model, CameraHead(CameraHeadConfig()), "cpu")
            return test.score(pipeline, resolution=model.config.resolution // 2, **variant.sampling)

        path = out_dir / "scores" / f"{_slug(variant.name)}.json"
        row = VariantScores(
            variant.name, variant.group, kept_scores(path, _dependencies(variant, trained, settings, subset), make)
        )
        log.info("%s: IoU %s", row.name, ", ".join(f"{row.mean(count, 'iou'):.3f}" for count in VIEWS))
        rows.append(row)
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


def _trained(variant: Variant, settings: LoopConfig, data: str | Path, averaged: bool) -> WaveMeshModel:
    """The variant's networks, trained as far as they are not yet."""
    torch.manual_seed(variant.seed)
    task = build_task(ablation_preset(variant), data, settings)
    result = train(task, settings)
    if result.step < settings.total_steps:
        raise InputError(f"The training of {variant.name!r} ended at step {result.step}: {result.stopped_by}.")
    state = load_latest(Path(settings.out_dir) / SNAPSHOTS)
    assert state is not None  # train has just written it
    model = WaveMeshModel(from_dict(WaveMeshConfig, task.config()))
    model.load_state_dict(state["ema" if averaged else "model"])
    return model.eval()


def ablation_table(rows: Sequence[VariantScores], settings: LoopConfig) -> str:
    """The rows as Markdown, with differences of IoU to the baseline."""
    minutes = [seconds / 60 for row in rows if (seconds := _trained_s(row.name, settings)) is not None]
    lines = [
        f"- training: {settings.total_steps} steps of {settings.batch_size}"
        f" ({settings.total_steps * settings.batch_size:,} samples) each, median {np.median(minutes):.1f} minutes",
        f"- scores: {len(rows[0].scores[VIEWS[0]])} test shapes at 64^3, {POINTS:,} points, cameras known; 1 / 4 views",
        "- intervals: 95%, bootstrap over shapes, which leaves out that another training comes out otherwise",
        "",
        *variants_table(rows),
    ]
    return "\n".join(lines) + "\n"


def _trained_s(name: str, settings: LoopConfig) -> float | None:
    """How long the training of a variant took; None for one that has none of its own."""
    state = load_latest(Path(settings.out_dir) / _slug(name) / SNAPSHOTS)
    return None if state is None else float(state["trained_s"])


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The base with single values of nested mappings replaced."""
    merged = dict(base)
    for name, value in changes.items():
        merged[name] = _merged(merged.get(name, {}), value) if isinstance(value, Mapping) else value
    return merged


def _slug(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name.lower())


def _dependencies(variant: Variant, trained: Variant, settings: LoopConfig, subset: str) -> list[Any]:
    """What a kept score depends on, besides the code."""
    loop = {name: str(value) for name, value in asdict(settings).items() if name not in ("out_dir", "threads")}
    return [asdict(variant), asdict(ablation_preset(trained)), loop, subset]
