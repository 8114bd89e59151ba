"""Variants of a system against a baseline, shape by shape: how they are scored, and the table of them.

Used by the ablation of training decisions (`training/ablation.py`) and by `sweep`, which samples the same weights with
other steps and guidance.
"""

from __future__ import annotations

import functools
import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from wavemesh.evaluation.evaluate import score_prediction
from wavemesh.evaluation.metrics import Scores
from wavemesh.evaluation.plan import sampling_units
from wavemesh.evaluation.samples import PreparedSamples, choose_keys, ground_truth
from wavemesh.evaluation.table import bootstrap
from wavemesh.files import read_json, write_text

log = logging.getLogger(__name__)

VIEWS = (1, 4)
POINTS = 10_000  # of each surface: enough for F@0.05


@dataclass(frozen=True)
class VariantScores:
    """A row of the table: its name, the heading that it stands under, and its scores by number of views and shape."""

    name: str
    group: str
    scores: Mapping[int, Mapping[str, Scores]]

    def mean(self, count: int, metric: str) -> float:
        """The mean of a metric over shapes, from `count` views."""
        return float(np.mean([getattr(score, metric) for score in self.scores[count].values()]))


@dataclass(frozen=True)
class HeldOut:
    """The shapes that every variant is scored on: the quick or the full set of the test split."""

    samples: PreparedSamples
    keys: Sequence[str]
    truth_dir: Path

    @classmethod
    def open(cls, data: str | Path, subset: str, out_dir: Path) -> HeldOut:
        """The set of a prepared data set; its true surfaces are kept in out_dir."""
        samples = PreparedSamples(data, "test", with_meshes=True)
        return cls(samples, choose_keys(samples.keys, subset), out_dir / "truth")

    def score(self, pipeline: Any, **sampling: Any) -> dict[int, dict[str, Scores]]:
        """The scores of a pipeline called with `sampling`, by number of views and shape, cameras known."""
        scores: dict[int, dict[str, Scores]] = {}
        for count in VIEWS:
            unit = sampling_units(pipeline, count, 1, True, "", sampling)[0]
            scores[count] = {}
            for key in self.keys:
                sample = self.samples[key]
                truth = ground_truth(sample, POINTS, self.truth_dir)
                scores[count][key] = score_prediction(unit.predict(sample), truth, POINTS)
        return scores


def kept_scores(
    path: Path, dependencies: Any, make: Callable[[], Mapping[int, Mapping[str, Scores]]]
) -> dict[int, dict[str, Scores]]:
    """The scores in the file if they were made with the same dependencies (of JSON values), else made and kept."""
    text = json.dumps([dependencies, POINTS, VIEWS], sort_keys=True, default=str)
    mark = hashlib.sha256(text.encode()).hexdigest()[:16]
    kept = read_json(path) if path.exists() else {}
    if kept.get("mark") != mark:
        scores = {str(count): {key: score.to_dict() for key, score in row.items()} for count, row in make().items()}
        kept = {"mark": mark, "scores": scores}
        write_text(path, json.dumps(kept) + "\n")
    return {int(count): {key: Scores(**score) for key, score in row.items()} for count, row in kept["scores"].items()}


def variants_table(rows: Sequence[VariantScores]) -> list[str]:
    """The lines of a Markdown table; the first row is the baseline, the others' IoU is compared with it."""
    base, lines, group = rows[0], [], ""
    lines = [
        "| | F@0.05 ↑ | Normals ↑ | IoU 64³ ↑ | IoU minus the first row's, 1 view | 4 views |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        if row.group != group:
            group = row.group
            lines.append(f"| **{group}** | | | | | |")
        means = [
            " / ".join(f"{row.mean(count, metric):.3f}" for count in VIEWS)
            for metric in ("f_score_005", "normal_consistency", "iou")
        ]
        gains = ["" if row is base else _difference(row.scores[count], base.scores[count]) for count in VIEWS]
        lines.append("| " + " | ".join([row.name, *means, *gains]) + " |")
    return lines


def _difference(scores: Mapping[str, Scores], others: Mapping[str, Scores]) -> str:
    gain = bootstrap([scores[key].iou - others[key].iou for key in scores])
    return f"{gain.mean:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]"


@dataclass(frozen=True)
class Sampling:
    """How the same weights are sampled: steps of the coarse and of the detail stage, guidance of the coarse one.

    frames: quarter-turned frames, None for what the weights came with.
    """

    coarse_steps: int
    detail_steps: int = 1
    guidance: float = 1.0
    frames: int | None = None
    group: str = field(default="", compare=False)

    @property
    def name(self) -> str:
        """What the table calls it."""
        told = "" if self.frames is None else f", {self.frames} frame{'s' if self.frames > 1 else ''}"
        return f"{self.coarse_steps} + {self.detail_steps} steps, guidance {self.guidance:g}{told}"

    @property
    def file_name(self) -> str:
        """Where its scores are kept."""
        told = "" if self.frames is None else f"-{self.frames}"
        return f"{self.coarse_steps}-{self.detail_steps}-{self.guidance:g}{told}.json"

    def arguments(self) -> dict[str, Any]:
        """What the pipeline is called with."""
        steps = (self.coarse_steps, self.detail_steps)
        return {"num_inference_steps": steps, "guidance_scale": self.guidance, "frames": self.frames}


def samplings(default: Sampling) -> list[Sampling]:
    """The default and what differs from it in one thing; guidance at one and five steps as well."""
    coarse, detail, guidance = default.coarse_steps, default.detail_steps, default.guidance
    found = [Sampling(coarse, detail, guidance, group="default")]
    found += [Sampling(steps, detail, guidance, group="steps of the coarse stage") for steps in (1, 2, 3, 5, 10)]
    found += [Sampling(coarse, steps, guidance, group="steps of the detail stage") for steps in (1, 2, 5)]
    guided = ((1, 1.5), (coarse, 1.3), (coarse, 2.0), (coarse, 3.0), (5, 2.0))
    found += [Sampling(steps, detail, scale, group="guidance") for steps, scale in guided]
    framed = ((1, 2), (2, 1), (2, 2), (3, 1), (5, 1))
    found += [Sampling(steps, detail, guidance, frames, "frames a quarter turn apart") for steps, frames in framed]
    return [each for number, each in enumerate(found) if each not in found[:number]]


def sweep(pipeline: Any, data: str | Path, out_dir: str | Path, subset: str = "quick") -> list[VariantScores]:
    """The scores of the pipeline's weights for all `samplings` about their default, which comes first.

    Kept in out_dir, so that a stopped run goes on where it was.
    """
    out_dir = Path(out_dir)
    test = HeldOut.open(data, subset, out_dir)
    shipped = pipeline.model.config.sampling
    rows = []
    for each in samplings(Sampling(shipped.coarse_steps, shipped.detail_steps, shipped.guidance_scale)):
        path = out_dir / "sampling" / each.file_name
        make = functools.partial(test.score, pipeline, **each.arguments())
        rows.append(VariantScores(each.name, each.group, kept_scores(path, [pipeline.fingerprint, subset], make)))
        log.info("%s: F@0.05 %s", each.name, ", ".join(f"{rows[-1].mean(count, 'f_score_005'):.3f}" for count in VIEWS))
    return rows


def sweep_table(rows: Sequence[VariantScores]) -> str:
    """The rows of `sweep` as Markdown."""
    shapes = len(rows[0].scores[VIEWS[0]])
    best = {count: max(rows, key=lambda row: row.mean(count, "f_score_005")) for count in VIEWS}
    losses = ", ".join(
        f"{100 * (1 - rows[0].mean(count, 'f_score_005') / best[count].mean(count, 'f_score_005')):.1f}%"
        f" below {best[count].name} from {count} view{'s' if count > 1 else ''}"
        for count in VIEWS
    )
    lines = [
        f"- scores: {shapes} test shapes, {POINTS:,} points, cameras known; 1 / 4 views",
        f"- the default's F@0.05 is {losses}",
        "",
        *variants_table(rows),
    ]
    return "\n".join(lines) + "\n"
