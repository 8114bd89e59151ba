"""Lamps for tables, floors, ceilings and desks. Lengths in metres."""

from __future__ import annotations

import numpy as np

from wavemesh.procedural.builder import Builder
from wavemesh.procedural.household import smooth_profile
from wavemesh.procedural.materials import WHITE, Paint, cloth, metal, paint, pottery, wood
from wavemesh.procedural.primitive import Number


def _shade(b: Builder, rng: np.random.Generator, low: Number, width: Number, look: Paint, tilt: Number = 0.0) -> float:
    """A lamp shade whose lower rim is at `low`; its height comes back."""
    height, style = width * rng.uniform(0.5, 0.95), rng.random()
    if style < 0.55:
        profile = [(width / 2, low), (width * rng.uniform(0.22, 0.46), low + height)]
        b.lathe((0, 0, 0), profile, look, wall=0.014)
    elif style < 0.8:
        height = width * 0.55
        turns = np.radians(np.linspace(0, 82, 10))
        dome = np.stack([np.cos(turns) * width / 2, low + np.sin(turns) * height], axis=1)
        b.lathe((0, 0, 0), dome, look, wall=0.014)
    else:
        b.ellipsoid((0, low + height / 2, 0), (width * 0.8, height, width * 0.8), look)
    return height


def lamp(rng: np.random.Generator) -> Builder:
    """A table lamp, floor lamp, pendant or desk lamp with a jointed arm."""
    b, kind = Builder(), rng.choice(["table", "floor", "pendant", "desk"], p=[0.4, 0.25, 0.12, 0.23])
    body = pottery(rng) if rng.random() < 0.5 else metal(rng)
    look = WHITE if rng.random() < 0.3 else cloth(rng)
    if kind == "table":
        tall, wide = rng.uniform(0.2, 0.36), rng.uniform(0.26, 0.4)
        radius = rng.uniform(0.06, 0.11)
        if rng.random() < 0.6:
            knots = [
                (radius * rng.uniform(0.5, 1), 0.0),
                (radius, tall * 0.3),
                (radius * rng.uniform(0.4, 1.2), tall * 0.7),
                (0.02, tall),
            ]
            b.lathe((0, 0, 0), [(0, 0), *smooth_profile(knots), (0, tall)], body)
        else:
            b.lathe((0, 0, 0), [(0, 0), (radius, 0), (radius, 0.02), (0.016, 0.035), (0.016, tall), (0, tall)], body)
        height = _shade(b, rng, tall * rng.uniform(0.85, 1.0), wide, look)
        b.rod((0, tall * 0.9, 0), (0, tall + height * 0.6, 0), 0.012, metal(rng))
        b.ellipsoid((0, tall + height * 0.45, 0), (0.07, 0.09, 0.07), WHITE)
        b.cylinder((0, tall + height * 0.6, 0), 0.012, wide * 0.3, metal(rng))
        return b
    if kind == "floor":
        tall, radius = rng.uniform(1.2, 1.6), rng.uniform(0.13, 0.18)
        if rng.random() < 0.3:
            feet = wood(rng)
            for turn in np.radians((0.0, 120.0, 240.0)):
                b.rod((0, tall, 0), (0.28 * np.sin(turn), 0, 0.28 * np.cos(turn)), 0.016, feet)
        else:
            b.lathe(
                (0, 0, 0), [(0, 0), (radius, 0), (radius, 0.025), (0.016, 0.04), (0.016, tall), (0, tall)], metal(rng)
            )
        height = _shade(b, rng, tall - 0.1, rng.uniform(0.35, 0.5), look)
        b.cylinder((0, tall - 0.1 + height * 0.55, 0), 0.02, 0.14, metal(rng))
        b.rod((0, tall - 0.05, 0), (0, tall - 0.1 + height * 0.6, 0), 0.014, metal(rng))
        return b
    if kind == "pendant":
        wide = rng.uniform(0.3, 0.5)
        height = _shade(b, rng, 0.0, wide, paint(rng))
        top = height + rng.uniform(0.25, 0.6)
        b.rod((0, height * 0.5, 0), (0, top, 0), 0.009, metal(rng))
        b.cylinder((0, top, 0), 0.03, 0.055, metal(rng))
        b.cylinder((0, height * 0.92, 0), 0.03, wide * 0.22, metal(rng))
        return b
    return _desk_lamp(b, rng, metal(rng) if rng.random() < 0.5 else paint(rng))


def _desk_lamp(b: Builder, rng: np.random.Generator, look: Paint) -> Builder:
    radius, lower, upper = rng.uniform(0.08, 0.11), rng.uniform(0.2, 0.3), rng.uniform(0.18, 0.28)
    b.cylinder((0, 0.014, 0), 0.028, radius, look, rounding=0.008)
    lean, bend = np.radians(rng.uniform(-30, 5)), np.radians(rng.uniform(30, 75))
    elbow = np.array([0, 0.02 + lower * np.cos(lean), lower * np.sin(lean)])
    head = elbow + upper * np.array([0, np.cos(bend), np.sin(bend)])
    b.tube([(0, 0.02, 0), elbow, head], 0.011, look)
    b.ellipsoid(elbow, (0.035, 0.035, 0.035), metal(rng))
    tilt = rng.uniform(0, 40)
    out = np.array([0.0, -np.cos(np.radians(tilt)), np.sin(np.radians(tilt))])
    b.lathe(
        head + out * 0.04,
        [(0.085, -0.06), (0.075, -0.02), (0.04, 0.04), (0.0, 0.055)],
        look,
        wall=0.012,
        tilt=(-tilt, 0, 0),
    )
    b.ellipsoid(head + out * 0.05, (0.06, 0.07, 0.06), WHITE)
    return b
