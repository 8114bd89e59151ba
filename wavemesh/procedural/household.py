"""Bottles, vases, mugs, bowls and pots. Lengths in metres; everything stands on y = 0."""

from __future__ import annotations

import numpy as np

from wavemesh.procedural.builder import Builder
from wavemesh.procedural.materials import (
    WHITE,
    glass,
    leaf,
    metal,
    paint,
    plain,
    pottery,
)
from wavemesh.procedural.solids import Role

_CURVE_POINTS = 20


def smooth_profile(knots: list[tuple[float, float]], count: int = _CURVE_POINTS) -> np.ndarray:
    """Points (radius, height) on a smooth curve through knots, evenly spread over them (Catmull-Rom)."""
    points = np.array(knots, dtype=np.float64)
    padded = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    place = np.linspace(0, len(points) - 1, count)
    index = np.minimum(place.astype(int), len(points) - 2)
    t = (place - index)[:, None]
    p, q, r, s = (padded[index + shift] for shift in range(4))
    curve = 0.5 * (2 * q + (r - p) * t + (2 * p - 5 * q + 4 * r - s) * t**2 + (3 * q - p - 3 * r + s) * t**3)
    return np.maximum(curve, [0.0, -np.inf])


def bottle(rng: np.random.Generator) -> Builder:
    """A bottle or a jar with a neck, a cap and a label."""
    b, look = Builder(), glass(rng) if rng.random() < 0.6 else paint(rng)
    height, radius = rng.uniform(0.18, 0.32), rng.uniform(0.03, 0.05)
    neck, shoulder = radius * rng.uniform(0.28, 0.7), rng.uniform(0.5, 0.75)
    low = [(0, 0), (radius * 0.85, 0), (radius, radius * 0.2), (radius, height * shoulder)]
    slope = smooth_profile(
        [
            (radius, height * shoulder),
            (radius * 0.8, height * (shoulder + 0.07)),
            (neck, height * min(0.88, shoulder + 0.17)),
            (neck, height),
        ],
        12,
    )
    b.lathe((0, 0, 0), [*low[:3], *slope, (0, height)], look)
    if rng.random() < 0.75:
        cap = paint(rng)
        tall = height * rng.uniform(0.06, 0.13)
        b.cylinder((0, height, 0), tall, neck * rng.uniform(1.08, 1.4), cap, rounding=0.002)
    if rng.random() < 0.7:
        label = paint(rng)
        b.cylinder((0, height * shoulder * 0.5, 0), height * rng.uniform(0.15, 0.3), radius * 1.03, label)
    return b


def vase(rng: np.random.Generator) -> Builder:
    """A hollow vase, jug or amphora; sometimes with flowers."""
    b, look = Builder(), pottery(rng)
    height = rng.uniform(0.18, 0.4)
    knots = [(height * rng.uniform(0.1, 0.25), 0.008)]
    knots += [(height * rng.uniform(0.1, 0.42), height * share) for share in (0.33, 0.66)]
    knots.append((height * rng.uniform(0.07, 0.25), height))
    outline = smooth_profile(knots, 22)
    outline[:, 0] = np.maximum(outline[:, 0], 0.02)
    b.lathe((0, 0, 0), [(0, 0.008), *outline], look, wall=height * rng.uniform(0.035, 0.06))
    if rng.random() < 0.25:
        for side in (-1, 1)[: int(rng.integers(1, 3))]:
            level = height * 0.62
            radius = float(np.interp(level, outline[:, 1], outline[:, 0]))
            b.arc(
                (side * radius, level, 0), height * 0.17, height * 0.026, look, angle_deg=190, tilt=(0, 0, -90 * side)
            )
    if rng.random() < 0.3:
        for _ in range(int(rng.integers(2, 6))):
            turn, out = rng.uniform(0, 2 * np.pi), rng.uniform(0.05, 0.16)
            tip = np.array([out * np.sin(turn), height + rng.uniform(0.12, 0.3), out * np.cos(turn)])
            b.tube([(0, height * 0.3, 0), tip * (0.3, 1, 0.3) - (0, 0.1, 0), tip], 0.006, leaf(rng))
            b.ellipsoid(tip, (0.08, 0.055, 0.08), paint(rng), tilt=rng.uniform(-40, 40, 3))
    return b


def mug(rng: np.random.Generator) -> Builder:
    """A mug or cup with its handle, sometimes on a saucer."""
    b, look = Builder(), pottery(rng)
    height, radius = rng.uniform(0.07, 0.12), rng.uniform(0.035, 0.05)
    wall, flare = 0.0045, rng.uniform(0.75, 1.2)
    inside = WHITE if rng.random() < 0.5 else look
    if rng.random() < 0.7:
        b.cylinder((0, height / 2, 0), height, radius, look, top=radius * max(flare, 0.95), rounding=0.002)
        b.cylinder(
            (0, height / 2 + 0.008, 0),
            height,
            radius - wall,
            inside,
            top=radius * max(flare, 0.95) - wall,
            role=Role.CUT,
        )
        rim = radius
    else:
        outline = smooth_profile([(radius * 0.5, 0.003), (radius * 1.05, height * 0.4), (radius * 1.1, height)], 16)
        b.lathe((0, 0, 0), [(0, 0.003), *outline], look, wall=0.006)
        rim = radius * 1.05
    bow = height * rng.uniform(0.26, 0.34)
    place = (rim * rng.uniform(0.92, 1.0), height * 0.5, 0)
    b.arc(place, bow, 0.0055, look, angle_deg=205, tilt=(0, 0, -90), role=Role.PART)
    if rng.random() < 0.25:
        b.lathe((0, 0, 0), [(0, -0.004), (radius, -0.004), (radius * 1.7, 0.009)], look, wall=0.005)
    return b


def bowl(rng: np.random.Generator) -> Builder:
    """A bowl or plate, sometimes with fruit; or a pot with a lid and two handles."""
    b, look = Builder(), pottery(rng)
    if rng.random() < 0.4:
        look = metal(rng) if rng.random() < 0.5 else paint(rng)
        height, radius = rng.uniform(0.1, 0.2), rng.uniform(0.1, 0.14)
        b.cylinder((0, height / 2, 0), height, radius, look, rounding=0.01)
        b.lathe(
            (0, height, 0), [(0, 0), (radius * 1.03, 0), (radius * 1.0, 0.01), (radius * 0.5, 0.028), (0, 0.035)], look
        )
        b.ellipsoid((0, height + 0.048, 0), (0.035, 0.03, 0.035), plain(rng, 0.6, 0.1, 0.12))
        if rng.random() < 0.5:
            b.rod((radius, height * 0.8, 0), (radius + 0.16, height * 0.85, 0), 0.012, plain(rng, 0.6, 0.1, 0.12))
        else:
            for side in (-1, 1):
                b.arc(
                    (side * (radius - 0.004), height * 0.75, 0),
                    0.03,
                    0.007,
                    look,
                    angle_deg=180,
                    tilt=(90, 0, -90 * side),
                )
        return b
    radius = rng.uniform(0.08, 0.15)
    height = radius * rng.uniform(0.2, 0.9)
    outline = smooth_profile([(radius * 0.4, 0.004), (radius * 0.8, height * 0.35), (radius, height)], 14)
    b.lathe((0, 0, 0), [(0, 0.004), *outline], look, wall=0.008)
    if rng.random() < 0.4:
        fruit = plain(rng, rng.choice([0.0, 0.08, 0.15, 0.3]), 0.8, 0.75)
        for turn in np.radians(np.arange(4) * 90.0 + rng.uniform(0, 90)):
            place = (radius * 0.4 * np.sin(turn), height * 0.45 + radius * 0.3, radius * 0.4 * np.cos(turn))
            b.ellipsoid(place, radius * rng.uniform(0.5, 0.6, 3), fruit, tilt=rng.uniform(-30, 30, 3))
    return b
