"""What the page shows of a run beside its newest preview: a strip of the shapes so far, curves, and counts.

All of it is HTML with pictures and drawings inside: small, themed by the page's own colours, and testable as text.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from wavemesh.geometry.frame import beside
from wavemesh.ui.widgets.painting import paint_field

if TYPE_CHECKING:
    from wavemesh.pipelines.record import RunRecord, StepRecord

FRAME_SIDE = 96
MAX_FRAMES = 12
_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 320, 110, 8, 16, 18
_STAGE_WORDS = {"coarse": "coarse", "detail": "detail", "triplane": "planes"}


class Watch:
    """Collects a run's steps and previews, and tells them as HTML."""

    def __init__(self) -> None:
        self.steps: list[StepRecord] = []
        self._frames: list[tuple[str, str]] = []

    @classmethod
    def of(cls, record: RunRecord) -> Watch:
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
    noise = plot("Noise level", _by_stage(steps, "noise_level"), top=1.0, marked=marked)
    words = "how much a step changed the predicted field, root mean square"
    known = any(step.change is not None for step in steps)
    change = plot("Change by step", _by_stage(steps, "change"), marked=marked, words=words) if known else ""
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


def plot(
    title: str,
    series: Sequence[tuple[str, Sequence[float | None]]],
    top: float | None = None,
    marked: int | None = None,
    words: str = "",
    number: Callable[[float], str] = "{:.3g}".format,
    levels: Sequence[tuple[str, float]] = (),
) -> str:
    """A small line drawing (SVG) of one or more series over the steps, from zero up.

    series: names (empty for a single one) and values; None leaves a gap. top: the largest value that is drawn, None for
    the largest there is. levels: named horizontal lines to compare with. The last value of each series is written out.
    """
    values = [value for _, line in series for value in line if value is not None] + [value for _, value in levels]
    top = max(values, default=0.0) if top is None else top
    scale = top if top > 0 else 1.0
    count = max(max((len(line) for _, line in series), default=1), 2)
    width, height = _WIDTH - 2 * _LEFT, _HEIGHT - _TOP - _BOTTOM

    def place(index: int, value: float) -> tuple[float, float]:
        return _LEFT + width * index / (count - 1), _TOP + height * (1.0 - min(value, scale) / scale)

    base = _TOP + height
    marks = [f'<line class="wm-axis" x1="{_LEFT}" y1="{base}" x2="{_LEFT + width}" y2="{base}"/>']
    if marked is not None:
        x, _ = place(marked, 0.0)
        marks.append(f'<line class="wm-marked" x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" y2="{base}"/>')
    for index, (_, value) in enumerate(levels):
        _, y = place(0, value)
        marks.append(
            f'<line class="wm-level wm-level-{index}" x1="{_LEFT}" y1="{y:.1f}" x2="{_LEFT + width}" y2="{y:.1f}"/>'
        )
    for number_of_line, (_, line) in enumerate(series):
        points = [place(index, value) for index, value in enumerate(line) if value is not None]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        marks.append(f'<polyline class="wm-line wm-line-{number_of_line}" points="{path}"/>')
        marks += [
            f'<circle class="wm-dot wm-dot-{number_of_line}" cx="{x:.1f}" cy="{y:.1f}" r="2.6"/>' for x, y in points
        ]
    legend = [_entry(f"wm-key-{index}", name, _last(line), number) for index, (name, line) in enumerate(series)]
    legend += [_entry(f"wm-key-level-{index}", name, value, number) for index, (name, value) in enumerate(levels)]
    told = f"{title}: " + ", ".join(text for _, text in legend)
    hint = f' title="{html.escape(words)}"' if words else ""
    keys = "".join(key for key, _ in legend)
    return (
        f'<figure class="wm-plot"{hint}><figcaption><span>{html.escape(title)}</span>{keys}</figcaption>'
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{html.escape(told)}">{"".join(marks)}'
        f'<text class="wm-tick" x="{_LEFT}" y="{_TOP - 5}">{number(scale)}</text>'
        f'<text class="wm-tick" x="{_LEFT}" y="{_HEIGHT - 4}">step 1</text>'
        f'<text class="wm-tick" x="{_LEFT + width}" y="{_HEIGHT - 4}" text-anchor="end">{count}</text></svg></figure>'
    )


def _entry(css: str, name: str, value: float | None, number: Callable[[float], str]) -> tuple[str, str]:
    """An entry of a legend as HTML and as plain words."""
    told = "no value" if value is None else number(value)
    words = f"{name} {told}".strip()
    swatch = f'<i class="{css}"></i>' if name else ""
    return f"<span>{swatch}{html.escape(words)}</span>", words


def _last(line: Sequence[float | None]) -> float | None:
    return next((value for value in reversed(line) if value is not None), None)
