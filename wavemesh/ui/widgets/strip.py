"""What the page shows of a run beside its newest preview: a strip of the shapes so far, curves, and counts.

All of it is HTML with pictures and drawings inside: small, themed by the page's own colours, and testable as text.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from wavemesh.geometry.frame import beside
from wavemesh.ui.widgets.line_plot import line_plot
from wavemesh.ui.widgets.painting import paint_field

if TYPE_CHECKING:
    from wavemesh.pipelines.record import RunRecord, StepRecord

FRAME_SIDE = 96
MAX_FRAMES = 12
_STAGE_WORDS = {"coarse": "coarse", "detail": "detail", "triplane": "planes"}


class Watch:
    """Collects a run's steps and previews, and tells them as HTML."""

    def __init__(self) -> None:
        self.steps: list[StepRecord] = []
        self._frames: list[tuple[str, str]] = []

    @classmethod
    def of_record(cls, record: RunRecord) -> Watch:
        """The steps of a finished run, drawn from its record: while it ran, previews gave way to the model."""
        watch, count = cls(), len(record.steps)
        look = beside(record.cameras[0].azimuth_deg, record.cameras[0].elevation_deg)
        drawn = set(np.linspace(0, count - 1, min(count, MAX_FRAMES)).round().astype(int).tolist())
        for index, step in enumerate(record.steps):
            watch.add(step, paint_field(record.field(index), *look, FRAME_SIDE) if index in drawn else None)
        return watch

    def add(self, step: StepRecord | None, preview: np.ndarray | None) -> None:
        """Take in what one update brought."""
        if step is None:
            return
        self.steps.append(step)
        if preview is not None:
            self._frames.append((f"{_STAGE_WORDS.get(step.stage, step.stage)} {step.step + 1}", data_uri(preview)))

    def html(self) -> str:
        """The strip, the curves and the counts of the newest step; empty before the first."""
        if not self.steps:
            return ""
        return f'<div class="wm-watch">{filmstrip(self._frames)}{curves(self.steps)}{counts(self.steps[-1])}</div>'


def data_uri(picture: np.ndarray, side: int = FRAME_SIDE) -> str:
    """A picture (s, s, 4) uint8 as a small WebP inside a URI."""
    image = Image.fromarray(picture)
    image.thumbnail((side, side))
    content = io.BytesIO()
    image.save(content, "WEBP", quality=80, method=2)
    return f"data:image/webp;base64,{base64.b64encode(content.getvalue()).decode()}"


def filmstrip(frames: Sequence[tuple[str, str]]) -> str:
    """A row of named pictures (name, URI); of many, some that lie evenly, the first and the last among them."""
    if not frames:
        return ""
    places = np.linspace(0, len(frames) - 1, min(len(frames), MAX_FRAMES)).round().astype(int)
    figures = "".join(
        f'<figure><img src="{uri}" alt="The shape after step {html.escape(name)}">'
        f"<figcaption>{html.escape(name)}</figcaption></figure>"
        for name, uri in (frames[place] for place in places)
    )
    return f'<div class="wm-film" role="group" aria-label="The shape after each step" tabindex="0">{figures}</div>'


def curves(steps: Sequence[StepRecord], marked: int | None = None, more: str = "") -> str:
    """Noise level and step change over the steps, each in a small drawing, a line for each stage.

    marked: a step to draw a line at. more: further drawings beside them.
    """
    noise = line_plot("Noise level", _by_stage(steps, "noise_level"), top=1.0, marked=marked)
    words = "how much a step changed the predicted field, root mean square"
    known = any(step.change is not None for step in steps)
    change = line_plot("Change by step", _by_stage(steps, "change"), marked=marked, words=words) if known else ""
    return f'<div class="wm-curves">{noise}{change}{more}</div>'


def _by_stage(steps: Sequence[StepRecord], name: str) -> list[tuple[str, list[float | None]]]:
    """A series for each stage, since every stage begins from noise again; named where there are several."""
    stages = list(dict.fromkeys(step.stage for step in steps))
    return [
        (
            _STAGE_WORDS.get(stage, stage) if len(stages) > 1 else "",
            [getattr(step, name) if step.stage == stage else None for step in steps],
        )
        for stage in stages
    ]


def counts(step: StepRecord) -> str:
    """One line about a step: its active coefficients and, where it was guided, how strongly."""
    parts = [f"<b>{step.active_sites:,}</b> active sites (7 fine coefficients each)"]
    if step.stage == "triplane":
        parts = [f"<b>{step.active_sites:,}</b> sites on the planes"]
    if step.guidance_norm is not None:
        parts.append(f"guidance moved the prediction by {step.guidance_norm:.3g}")
    return f'<p class="wm-note wm-counts">{", ".join(parts)}</p>'
