"""Lamps, bottles, vases, mugs, bowls and plants. Lengths in metres; everything stands on y = 0."""

from __future__ import annotations

import numpy as np

from wavemesh.geometry.procedural.builder import Builder
from wavemesh.geometry.procedural.materials import SOIL, WHITE, Paint, cloth, glass, leaf, metal, paint, plain, pottery, wood
from wavemesh.geometry.procedural.solids import Role

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


def _shade(b: Builder, rng: np.random.Generator, low: float, width: float, look: Paint, tilt: float = 0.0) -> float:
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
            knots = [(radius * rng.uniform(0.5, 1), 0.0), (radius, tall * 0.3), (radius * rng.uniform(0.4, 1.2), tall * 0.7), (0.02, tall)]
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
            for turn in np.radians((0.0, 120.0, 240.0)):
                b.rod((0, tall, 0), (0.28 * np.sin(turn), 0, 0.28 * np.cos(turn)), 0.016, wood(rng))
        else:
            b.lathe((0, 0, 0), [(0, 0), (radius, 0), (radius, 0.025), (0.016, 0.04), (0.016, tall), (0, tall)], metal(rng))
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
    b.lathe(head + out * 0.04, [(0.085, -0.06), (0.075, -0.02), (0.04, 0.04), (0.0, 0.055)], look, wall=0.012, tilt=(-tilt, 0, 0))
    b.ellipsoid(head + out * 0.05, (0.06, 0.07, 0.06), WHITE)
    return b


def bottle(rng: np.random.Generator) -> Builder:
    """A bottle or a jar with a neck, a cap and a label."""
    b, look = Builder(), glass(rng) if rng.random() < 0.6 else paint(rng)
    height, radius = rng.uniform(0.18, 0.32), rng.uniform(0.03, 0.05)
    neck, shoulder = radius * rng.uniform(0.28, 0.7), rng.uniform(0.5, 0.75)
    low = [(0, 0), (radius * 0.85, 0), (radius, radius * 0.2), (radius, height * shoulder)]
    slope = smooth_profile([(radius, height * shoulder), (radius * 0.8, height * (shoulder + 0.07)), (neck, height * min(0.88, shoulder + 0.17)), (neck, height)], 12)
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
    for share in (0.33, 0.66):
        knots.append((height * rng.uniform(0.1, 0.42), height * share))
    knots.append((height * rng.uniform(0.07, 0.25), height))
    outline = smooth_profile(knots, 22)
    outline[:, 0] = np.maximum(outline[:, 0], 0.02)
    b.lathe((0, 0, 0), [(0, 0.008), *outline], look, wall=height * rng.uniform(0.035, 0.06))
    if rng.random() < 0.25:
        for side in (-1, 1)[: int(rng.integers(1, 3))]:
            level = height * 0.62
            radius = float(np.interp(level, outline[:, 1], outline[:, 0]))
            b.arc((side * radius, level, 0), height * 0.17, height * 0.026, look, angle_deg=190, tilt=(0, 0, -90 * side))
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
        b.cylinder((0, height / 2 + 0.008, 0), height, radius - wall, inside, top=radius * max(flare, 0.95) - wall, role=Role.CUT)
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
        b.lathe((0, height, 0), [(0, 0), (radius * 1.03, 0), (radius * 1.0, 0.01), (radius * 0.5, 0.028), (0, 0.035)], look)
        b.ellipsoid((0, height + 0.048, 0), (0.035, 0.03, 0.035), plain(rng, 0.6, 0.1, 0.12))
        if rng.random() < 0.5:
            b.rod((radius, height * 0.8, 0), (radius + 0.16, height * 0.85, 0), 0.012, plain(rng, 0.6, 0.1, 0.12))
        else:
            for side in (-1, 1):
                b.arc((side * (radius - 0.004), height * 0.75, 0), 0.03, 0.007, look, angle_deg=180, tilt=(90, 0, -90 * side))
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


def _pot(b: Builder, rng: np.random.Generator, radius: float, height: float) -> None:
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
    elif kind == "blades":
        for number in range(int(rng.integers(8, 16))):
            turn, lean, long = number * 2.4, rng.uniform(0.05, 0.5), rng.uniform(0.25, 0.55)
            out = np.array([np.sin(turn) * np.sin(lean), np.cos(lean), np.cos(turn) * np.sin(lean)])
            base = np.array([0.35 * radius * np.sin(turn), height * 0.8, 0.35 * radius * np.cos(turn)])
            _leaf(b, base + out * long * 0.48, (rng.uniform(0.035, 0.06), long, 0.016), green, (float(np.degrees(lean)), 0, 0), turn)
    elif kind == "cactus":
        tall, thick = rng.uniform(0.2, 0.45), rng.uniform(0.04, 0.07)
        b.rod((0, height * 0.8, 0), (0, height + tall, 0), thick, green)
        for side in (-1, 1)[: int(rng.integers(0, 3))]:
            level, out = height + tall * rng.uniform(0.3, 0.55), thick * rng.uniform(2, 2.8)
            b.tube([(0, level, 0), (side * out, level, 0), (side * out, level + tall * rng.uniform(0.2, 0.4), 0)], thick * 0.6, green)
    else:
        trunk = rng.uniform(0.1, 0.5) if kind == "tree" else 0.02
        b.rod((0, height * 0.8, 0), (0, height + trunk + 0.05, 0), 0.016, wood(rng))
        crown = rng.uniform(0.14, 0.24)
        if kind == "tree" and rng.random() < 0.35:
            b.lathe((0, height + trunk, 0), [(0, 0), (crown, 0.02), (0, crown * 3)], green, rounding=0.01)
            return b
        b.ellipsoid((0, height + trunk + crown * 0.9, 0), (crown * 2, crown * 2, crown * 2), green)
        for _ in range(int(rng.integers(2, 7))):
            way = rng.normal(size=3)
            way *= crown * 0.75 / np.linalg.norm(way)
            size = crown * rng.uniform(0.9, 1.4)
            b.ellipsoid(np.array([0, height + trunk + crown * 0.9, 0]) + way * (1, 0.8, 1), (size, size, size), green)
    return b


def _leaf(
    b: Builder, at: np.ndarray, sides: tuple[float, float, float], look: Paint, tilt: tuple[float, float, float], turn: float
) -> None:
    """A flat leaf along y that leans by tilt[0] towards +z and is then turned about y."""
    lean, (s, c) = np.radians(tilt[0]), (np.sin(turn), np.cos(turn))
    about_x = np.array([[1, 0, 0], [0, np.cos(lean), -np.sin(lean)], [0, np.sin(lean), np.cos(lean)]])
    about_y = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    b.ellipsoid(at, sides, look, tilt=about_y @ about_x)
