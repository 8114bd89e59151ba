"""Plants in pots. Lengths in metres."""

from __future__ import annotations

import numpy as np

from wavemesh.procedural.builder import Builder
from wavemesh.procedural.materials import SOIL, Paint, leaf, pottery, wood
from wavemesh.procedural.primitive import Number, Vector


def _pot(b: Builder, rng: np.random.Generator, radius: Number, height: Number) -> None:
    """A pot full of soil; its rim is at `height`."""
    look = pottery(rng)
    if rng.random() < 0.25:
        b.box((0, height / 2, 0), (radius * 2, height, radius * 2), look, rounding=0.01)
        b.box((0, height, 0), (radius * 1.75, 0.02, radius * 1.75), SOIL)
        return
    low = radius * rng.uniform(0.6, 0.95)
    rim = [(radius * 1.1, height * 0.8), (radius * 1.1, height)] if rng.random() < 0.5 else [(radius, height)]
    inner = [(radius * 0.86, height), (radius * 0.84, height * 0.9), (0, height * 0.9)]
    b.lathe((0, 0, 0), [(0, 0), (low, 0), (radius, height * 0.8), *rim, *inner], look, rounding=0.003)
    b.cylinder((0, height * 0.88, 0), height * 0.1, radius * 0.86, SOIL)


def plant(rng: np.random.Generator) -> Builder:
    """A plant in a pot: broad leaves, blades, a cactus, a small tree or a trimmed bush."""
    b = Builder()
    radius = rng.uniform(0.09, 0.15)
    height = radius * rng.uniform(1.2, 2.2)
    _pot(b, rng, radius, height)
    kind = rng.choice(["leaves", "blades", "cactus", "tree", "bush"], p=[0.34, 0.22, 0.12, 0.2, 0.12])
    green = leaf(rng)
    if kind == "leaves":
        _broad_leaves(b, rng, height, green)
    elif kind == "blades":
        _blades(b, rng, radius, height, green)
    elif kind == "cactus":
        _cactus(b, rng, height, green)
    else:
        _tree(b, rng, kind == "tree", height, green)
    return b


def _broad_leaves(b: Builder, rng: np.random.Generator, height: Number, green: Paint) -> None:
    """Leaves on stems that droop outwards, spread by the golden angle."""
    for number in range(int(rng.integers(7, 14))):
        turn, lean = number * 2.4 + rng.uniform(-0.3, 0.3), rng.uniform(0.15, 1.1)
        long, stem = rng.uniform(0.13, 0.24), rng.uniform(0.1, 0.36)
        out = np.array([np.sin(turn) * np.sin(lean), np.cos(lean), np.cos(turn) * np.sin(lean)])
        joint = np.array([0, height * 0.85, 0]) + out * stem
        b.rod((0, height * 0.85, 0), joint, 0.007, green)
        droop = lean + rng.uniform(0.1, 0.6)
        tip = np.array([np.sin(turn) * np.sin(droop), np.cos(droop), np.cos(turn) * np.sin(droop)])
        tilt = (float(np.degrees(droop)), 0.0, 0.0)
        _leaf(b, joint + tip * long * 0.42, (long * rng.uniform(0.4, 0.65), long, 0.016), green, tilt, turn)


def _blades(b: Builder, rng: np.random.Generator, radius: Number, height: Number, green: Paint) -> None:
    """Long upright leaves."""
    for number in range(int(rng.integers(8, 16))):
        turn, lean, long = number * 2.4, rng.uniform(0.05, 0.5), rng.uniform(0.25, 0.55)
        out = np.array([np.sin(turn) * np.sin(lean), np.cos(lean), np.cos(turn) * np.sin(lean)])
        base = np.array([0.35 * radius * np.sin(turn), height * 0.8, 0.35 * radius * np.cos(turn)])
        _leaf(
            b,
            base + out * long * 0.48,
            (rng.uniform(0.035, 0.06), long, 0.016),
            green,
            (float(np.degrees(lean)), 0, 0),
            turn,
        )


def _cactus(b: Builder, rng: np.random.Generator, height: Number, green: Paint) -> None:
    """A column with up to two arms."""
    tall, thick = rng.uniform(0.2, 0.45), rng.uniform(0.04, 0.07)
    b.rod((0, height * 0.8, 0), (0, height + tall, 0), thick, green)
    for side in (-1, 1)[: int(rng.integers(0, 3))]:
        level, out = height + tall * rng.uniform(0.3, 0.55), thick * rng.uniform(2, 2.8)
        b.tube(
            [(0, level, 0), (side * out, level, 0), (side * out, level + tall * rng.uniform(0.2, 0.4), 0)],
            thick * 0.6,
            green,
        )


def _tree(b: Builder, rng: np.random.Generator, tall: bool, height: Number, green: Paint) -> None:
    """A trunk with a crown of balls or a cone; without a tall trunk a bush."""
    trunk = rng.uniform(0.1, 0.5) if tall else 0.02
    b.rod((0, height * 0.8, 0), (0, height + trunk + 0.05, 0), 0.016, wood(rng))
    crown = rng.uniform(0.14, 0.24)
    if tall and rng.random() < 0.35:
        b.lathe((0, height + trunk, 0), [(0, 0), (crown, 0.02), (0, crown * 3)], green, rounding=0.01)
        return
    b.ellipsoid((0, height + trunk + crown * 0.9, 0), (crown * 2, crown * 2, crown * 2), green)
    for _ in range(int(rng.integers(2, 7))):
        way = rng.normal(size=3)
        way *= crown * 0.75 / np.linalg.norm(way)
        size = crown * rng.uniform(0.9, 1.4)
        b.ellipsoid(np.array([0, height + trunk + crown * 0.9, 0]) + way * (1, 0.8, 1), (size, size, size), green)


def _leaf(
    b: Builder,
    at: np.ndarray,
    sides: Vector,
    look: Paint,
    tilt: Vector,
    turn: Number,
) -> None:
    """A flat leaf along y that leans by tilt[0] towards +z and is then turned about y."""
    lean, (s, c) = np.radians(tilt[0]), (np.sin(turn), np.cos(turn))
    about_x = np.array([[1, 0, 0], [0, np.cos(lean), -np.sin(lean)], [0, np.sin(lean), np.cos(lean)]])
    about_y = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    b.ellipsoid(at, sides, look, tilt=about_y @ about_x)
