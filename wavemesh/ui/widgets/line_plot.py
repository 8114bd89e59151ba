"""A small line drawing over the steps of a run, as SVG inside HTML, told in words as well."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 320, 110, 8, 16, 18
_RIGHT, _BASE = _WIDTH - _LEFT, _HEIGHT - _BOTTOM

Line = Sequence[float | None]


def line_plot(
    title: str,
    series: Sequence[tuple[str, Line]],
    top: float | None = None,
    marked: int | None = None,
    words: str = "",
    number: Callable[[float], str] = "{:.3g}".format,
    levels: Sequence[tuple[str, float]] = (),
) -> str:
    """The drawing of one or more series over the steps, from zero up.

    series: names (empty for a single one) and values; None leaves a gap. top: the largest value that is drawn, None for
    the largest there is. marked: a step to draw a line at. levels: named horizontal lines to compare with. The last
    value of each series is written out.
    """
    values = [value for _, line in series for value in line if value is not None] + [value for _, value in levels]
    top = max(values, default=0.0) if top is None else top
    count = max(max((len(line) for _, line in series), default=1), 2)
    scale = _Scale(count, top if top > 0 else 1.0)
    marks = [f'<line class="wm-axis" x1="{_LEFT}" y1="{_BASE}" x2="{_RIGHT}" y2="{_BASE}"/>']
    if marked is not None:
        marks.append(scale.marked_step(marked))
    marks += [scale.level(index, value) for index, (_, value) in enumerate(levels)]
    marks += [scale.line(index, line) for index, (_, line) in enumerate(series)]
    legend = [_entry(f"wm-key-{index}", name, _last(line), number) for index, (name, line) in enumerate(series)]
    legend += [_entry(f"wm-key-level-{index}", name, value, number) for index, (name, value) in enumerate(levels)]
    told = f"{title}: " + ", ".join(text for _, text in legend)
    hint = f' title="{html.escape(words)}"' if words else ""
    keys = "".join(key for key, _ in legend)
    return (
        f'<figure class="wm-plot"{hint}><figcaption><span>{html.escape(title)}</span>{keys}</figcaption>'
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{html.escape(told)}">{"".join(marks)}'
        f'<text class="wm-tick" x="{_LEFT}" y="{_TOP - 5}">{number(scale.top)}</text>'
        f'<text class="wm-tick" x="{_LEFT}" y="{_HEIGHT - 4}">step 1</text>'
        f'<text class="wm-tick" x="{_RIGHT}" y="{_HEIGHT - 4}" text-anchor="end">{count}</text></svg></figure>'
    )


@dataclass(frozen=True)
class _Scale:
    """Where a step and a value lie in the drawing, and what is drawn there. top: the value at the upper edge."""

    steps: int
    top: float

    def x(self, step: int) -> float:
        return _LEFT + (_RIGHT - _LEFT) * step / (self.steps - 1)

    def y(self, value: float) -> float:
        return _TOP + (_BASE - _TOP) * (1.0 - min(value, self.top) / self.top)

    def marked_step(self, step: int) -> str:
        x = self.x(step)
        return f'<line class="wm-marked" x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" y2="{_BASE}"/>'

    def level(self, index: int, value: float) -> str:
        y = self.y(value)
        return f'<line class="wm-level wm-level-{index}" x1="{_LEFT}" y1="{y:.1f}" x2="{_RIGHT}" y2="{y:.1f}"/>'

    def line(self, index: int, values: Line) -> str:
        points = [(self.x(step), self.y(value)) for step, value in enumerate(values) if value is not None]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        dots = "".join(f'<circle class="wm-dot wm-dot-{index}" cx="{x:.1f}" cy="{y:.1f}" r="2.6"/>' for x, y in points)
        return f'<polyline class="wm-line wm-line-{index}" points="{path}"/>{dots}'


def _entry(css: str, name: str, value: float | None, number: Callable[[float], str]) -> tuple[str, str]:
    """An entry of a legend as HTML and as plain words."""
    told = "no value" if value is None else number(value)
    words = f"{name} {told}".strip()
    swatch = f'<i class="{css}"></i>' if name else ""
    return f"<span>{swatch}{html.escape(words)}</span>", words


def _last(line: Line) -> float | None:
    return next((value for value in reversed(line) if value is not None), None)
