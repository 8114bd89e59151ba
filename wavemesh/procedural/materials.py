"""Colours and patterns of what things are made of: wood, cloth, metal, paint, pottery, glass, leaves."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass, replace

import numpy as np

from wavemesh.procedural.paint import Pattern


@dataclass(frozen=True)
class Paint:
    """Two sRGB colours in [0, 1] and how they mix; frequency in cycles per world unit along the axis (0 to 2)."""

    first: tuple[float, float, float]
    second: tuple[float, float, float] = (0.0, 0.0, 0.0)
    kind: Pattern = Pattern.PLAIN
    axis: int = 0
    frequency: float = 1.0
    amount: float = 1.0

    @property
    def colours(self) -> np.ndarray:
        """Both, (2, 3)."""
        return np.array([self.first, self.second])

    @property
    def pattern(self) -> np.ndarray:
        """As `Solids` keeps it."""
        return np.array([float(self.kind), float(self.axis), self.frequency, self.amount])

    def along(self, axis: int) -> Paint:
        """The same pattern along another axis."""
        return replace(self, axis=axis)


def _shade(hue: float, saturation: float, value: float) -> tuple[float, float, float]:
    r, g, b = colorsys.hsv_to_rgb(hue % 1.0, min(max(saturation, 0.0), 1.0), min(max(value, 0.02), 0.98))
    return (r, g, b)


def _darker(colour: tuple[float, float, float], factor: float) -> tuple[float, float, float]:
    r, g, b = (min(channel * factor, 1.0) for channel in colour)
    return (r, g, b)


def wood(rng: np.random.Generator) -> Paint:
    """Light birch to dark walnut, with grain; sometimes painted white."""
    kind = rng.random()
    if kind < 0.12:
        return Paint(_shade(0.11, 0.05, rng.uniform(0.85, 0.95)))
    base = _shade(rng.uniform(0.055, 0.105), rng.uniform(0.35, 0.68), rng.choice([0.32, 0.48, 0.62, 0.78]))
    base = _darker(base, rng.uniform(0.85, 1.15))
    return Paint(
        base, _darker(base, rng.uniform(0.72, 0.88)), Pattern.GRAIN, int(rng.integers(3)), rng.uniform(3.0, 7.0)
    )


def paint(rng: np.random.Generator) -> Paint:
    """An even lacquer in any colour; whites, greys and blacks are as frequent as colours."""
    kind = rng.random()
    if kind < 0.3:
        return Paint(_shade(rng.random(), 0.04, rng.uniform(0.8, 0.96)))
    if kind < 0.45:
        return Paint(_shade(rng.random(), 0.06, rng.uniform(0.06, 0.4)))
    return Paint(_shade(rng.random(), rng.uniform(0.4, 0.9), rng.uniform(0.45, 0.95)))


def metal(rng: np.random.Generator) -> Paint:
    """Steel, black iron or brass."""
    kind = rng.random()
    if kind < 0.5:
        return Paint(_shade(0.6, 0.04, rng.uniform(0.55, 0.8)))
    if kind < 0.8:
        return Paint(_shade(0.6, 0.05, rng.uniform(0.08, 0.22)))
    return Paint(_shade(0.11, rng.uniform(0.45, 0.65), rng.uniform(0.65, 0.85)))


def cloth(rng: np.random.Generator) -> Paint:
    """Upholstery: plain, striped, checked or speckled."""
    base = _shade(rng.random(), rng.uniform(0.08, 0.7), rng.uniform(0.3, 0.9))
    if rng.random() < 0.3:
        base = _shade(0.1, rng.uniform(0.03, 0.25), rng.uniform(0.4, 0.92))
    other = _darker(base, rng.choice([0.6, 0.75, 1.3]))
    if rng.random() < 0.3:
        other = _shade(rng.random(), rng.uniform(0.1, 0.7), rng.uniform(0.3, 0.95))
    kind = Pattern(
        rng.choice([Pattern.PLAIN, Pattern.STRIPES, Pattern.CHECKS, Pattern.SPECKLE], p=[0.6, 0.17, 0.1, 0.13])
    )
    return Paint(base, other, kind, int(rng.integers(3)), rng.uniform(2.5, 8.0))


def pottery(rng: np.random.Generator) -> Paint:
    """Glazed or bare clay, plain, in bands, speckled or fading into another glaze."""
    base = _shade(rng.random(), rng.uniform(0.1, 0.75), rng.uniform(0.4, 0.95))
    if rng.random() < 0.3:
        base = _shade(rng.uniform(0.03, 0.07), rng.uniform(0.5, 0.7), rng.uniform(0.5, 0.8))
    if rng.random() < 0.25:
        base = _shade(0.1, 0.04, 0.93)
    other = _shade(rng.random(), rng.uniform(0.2, 0.8), rng.uniform(0.25, 0.9))
    kind = Pattern(
        rng.choice([Pattern.PLAIN, Pattern.STRIPES, Pattern.SPECKLE, Pattern.FADE], p=[0.5, 0.2, 0.12, 0.18])
    )
    return Paint(base, other, kind, 1, 0.5 if kind == Pattern.FADE else rng.uniform(2.0, 6.0))


def glass(rng: np.random.Generator) -> Paint:
    """Opaque here, in the pale blues, greens and browns of glass."""
    if rng.random() < 0.4:
        return Paint(_shade(rng.choice([0.33, 0.3, 0.09, 0.6]), rng.uniform(0.5, 0.8), rng.uniform(0.2, 0.5)))
    return Paint(_shade(rng.uniform(0.45, 0.6), rng.uniform(0.08, 0.25), rng.uniform(0.7, 0.9)))


def leaf(rng: np.random.Generator) -> Paint:
    """A green, fading along the leaf."""
    base = _shade(rng.uniform(0.22, 0.38), rng.uniform(0.45, 0.8), rng.uniform(0.3, 0.65))
    return Paint(base, _darker(base, rng.uniform(0.6, 1.3)), Pattern.FADE, 1, 1.5)


def plain(rng: np.random.Generator, hue: float, saturation: float, value: float) -> Paint:
    """That colour, a little varied."""
    return Paint(
        _shade(hue + rng.normal(0, 0.02), saturation * rng.uniform(0.85, 1.15), value * rng.uniform(0.85, 1.12))
    )


def furnishing(rng: np.random.Generator) -> Paint:
    """Wood mostly, else lacquer."""
    return wood(rng) if rng.random() < 0.65 else paint(rng)


def legs(rng: np.random.Generator) -> Paint:
    """Wood or metal."""
    return wood(rng) if rng.random() < 0.55 else metal(rng)


BLACK = Paint((0.07, 0.07, 0.08))
WHITE = Paint((0.94, 0.93, 0.91))
SOIL = Paint((0.2, 0.13, 0.09), (0.3, 0.2, 0.13), Pattern.SPECKLE, 0, 7.0)
