"""Colour scales for pictures of numbers, and their legends; small tables instead of a plotting library."""

from __future__ import annotations

import html

import numpy as np
from jaxtyping import Float, UInt8

# Blue, light grey, red: equal lightness at both ends, light in the middle (after Moreland 2009).
_DIVERGING = np.array(
    [[42, 82, 166], [92, 133, 208], [160, 186, 227], [233, 233, 233], [232, 176, 152], [210, 107, 83], [165, 30, 46]]
)
# Dark violet over teal to yellow, lightness growing evenly (anchors of viridis).
_SEQUENTIAL = np.array([[68, 1, 84], [65, 68, 135], [42, 120, 142], [34, 168, 132], [122, 209, 81], [253, 231, 37]])


def diverging(values: Float[np.ndarray, "*s"], limit: float) -> UInt8[np.ndarray, "*s 3"]:
    """Blue below zero, light grey at zero, red above; full colour at -limit and limit. sRGB."""
    return _looked_up(np.asarray(values, dtype=np.float64) / (2.0 * max(limit, 1e-12)) + 0.5, _DIVERGING)


def sequential(values: Float[np.ndarray, "*s"], low: float, high: float) -> UInt8[np.ndarray, "*s 3"]:
    """Dark at `low` and below, bright at `high` and above. sRGB."""
    return _looked_up((np.asarray(values, dtype=np.float64) - low) / max(high - low, 1e-12), _SEQUENTIAL)


def legend(title: str, low: str, middle: str, high: str, scale: str = "diverging") -> str:
    """The legend of a scale ("diverging" or "sequential") as HTML, with words for both ends and the middle."""
    table = _DIVERGING if scale == "diverging" else _SEQUENTIAL
    stops = ", ".join(f"rgb({r},{g},{b})" for r, g, b in table)
    title, low, middle, high = (html.escape(text) for text in (title, low, middle, high))
    return (
        f'<div class="wm-legend" role="img" aria-label="{title}: from {low} over {middle} to {high}">'
        f'<div class="wm-legend-title">{title}</div>'
        f'<div class="wm-legend-bar" style="background:linear-gradient(90deg, {stops})"></div>'
        f'<div class="wm-legend-ends"><span>{low}</span><span>{middle}</span><span>{high}</span></div></div>'
    )


def stops(scale: str = "sequential") -> list[list[int]]:
    """The colours of a scale from its low end to its high one, evenly spaced, sRGB from 0 to 255."""
    return [[int(channel) for channel in stop] for stop in (_DIVERGING if scale == "diverging" else _SEQUENTIAL)]


def plotly_scale(scale: str = "sequential") -> list[list[float | str]]:
    """The scale as plotly takes it."""
    table = _DIVERGING if scale == "diverging" else _SEQUENTIAL
    shares = np.linspace(0.0, 1.0, len(table))
    return [[float(share), f"rgb({r},{g},{b})"] for share, (r, g, b) in zip(shares, table, strict=True)]


def _looked_up(share: np.ndarray, table: np.ndarray) -> np.ndarray:
    position = np.clip(np.nan_to_num(share), 0.0, 1.0) * (len(table) - 1)
    at = np.linspace(0, len(table) - 1, len(table))
    channels = [np.interp(position, at, table[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)
