"""Animals, people and small houses. Lengths in metres; +z is the front."""

from __future__ import annotations

import numpy as np

from wavemesh.procedural.builder import Builder
from wavemesh.procedural.materials import BLACK, Paint, cloth, plain, wood
from wavemesh.procedural.solids import Role
from wavemesh.procedural.vehicles import WINDOW


def animal(rng: np.random.Generator) -> Builder:
    """A four-legged animal or a teddy bear made of ellipsoids."""
    b = Builder()
    coat = plain(rng, rng.uniform(0.03, 0.12), rng.uniform(0.1, 0.6), rng.uniform(0.25, 0.85))
    if rng.random() < 0.35:
        b.ellipsoid((0, 0.3, 0), (0.42, 0.5, 0.36), coat)
        b.ellipsoid((0, 0.66, 0.02), (0.36, 0.34, 0.34), coat)
        b.ellipsoid((0, 0.62, 0.17), (0.16, 0.13, 0.14), Paint((0.85, 0.75, 0.6)))
        b.ellipsoid((0, 0.65, 0.235), (0.05, 0.04, 0.04), BLACK)
        for side in (-1, 1):
            b.ellipsoid((side * 0.15, 0.82, 0), (0.14, 0.14, 0.08), coat)
            b.ellipsoid((side * 0.07, 0.71, 0.165), (0.035, 0.035, 0.03), BLACK)
            b.rod((side * 0.17, 0.45, 0.02), (side * 0.27, 0.24, 0.16), 0.075, coat)
            b.rod((side * 0.13, 0.12, 0.05), (side * 0.19, 0.1, 0.28), 0.09, coat)
        return b
    long, tall, thick = rng.uniform(0.6, 1.1), rng.uniform(0.3, 0.8), rng.uniform(0.26, 0.42)
    neck, muzzle = rng.uniform(0.1, 0.5), rng.uniform(0.12, 0.3)
    b.ellipsoid((0, tall, 0), (thick, thick * 1.1, long), coat)
    head = np.array([0, tall + thick * 0.3 + neck, long * 0.5 + 0.1 + neck * 0.3])
    b.rod((0, tall + thick * 0.1, long * 0.36), head, thick * 0.26, coat, top=thick * 0.2)
    b.ellipsoid(head, (thick * 0.6, thick * 0.6, thick * 0.75), coat)
    b.rod(head, head + np.array([0, -0.06, muzzle]), thick * 0.17, coat)
    b.rod(
        (0, tall + 0.05, -long * 0.45),
        (0, tall - rng.uniform(-0.15, 0.25), -long * 0.5 - rng.uniform(0.1, 0.25)),
        0.025,
        coat,
    )
    ear = rng.uniform(0.06, 0.14)
    for side in (-1, 1):
        b.ellipsoid(
            head + np.array([side * thick * 0.22, thick * 0.28, -0.03]),
            (0.05, ear * 1.8, 0.04),
            coat,
            tilt=(0, 0, -20 * side),
        )
        for z in (-0.36, 0.34):
            b.rod(
                (side * thick * 0.3, tall, z * long),
                (side * thick * 0.3, 0.0, z * long * rng.uniform(0.95, 1.1)),
                thick * 0.17,
                coat,
                top=thick * 0.1,
            )
    return b


def person(rng: np.random.Generator) -> Builder:
    """A standing figure with simple clothes."""
    b, skin = Builder(), plain(rng, 0.06, rng.uniform(0.3, 0.55), rng.uniform(0.4, 0.9))
    shirt, trousers, hair = cloth(rng), cloth(rng), plain(rng, 0.08, 0.5, rng.uniform(0.08, 0.6))
    b.ellipsoid((0, 1.62, 0.01), (0.19, 0.25, 0.22), skin)
    b.ellipsoid((0, 1.67, -0.025), (0.215, 0.2, 0.22), hair)
    b.cylinder((0, 1.47, 0), 0.14, 0.055, skin)
    b.box((0, 1.2, 0), (0.4, 0.5, 0.22), shirt, rounding=0.1)
    dress = rng.random() < 0.3
    if dress:
        b.cylinder((0, 0.75, 0), 0.6, rng.uniform(0.24, 0.34), shirt, top=0.15, rounding=0.02)
    else:
        b.box((0, 0.93, 0), (0.34, 0.22, 0.21), trousers, rounding=0.07)
    stance, raised = rng.uniform(0.0, 0.1), rng.uniform(0.0, 1.0)
    for side in (-1, 1):
        swing = side * rng.uniform(-0.12, 0.12)
        knee, ankle = (side * (0.1 + stance / 2), 0.5, swing), (side * (0.1 + stance), 0.07, swing * 1.2)
        b.rod((side * 0.09, 0.9, 0), knee, 0.085, trousers if not dress else skin, top=0.065)
        b.rod(knee, ankle, 0.06, trousers if not dress else skin)
        b.ellipsoid((ankle[0], 0.045, ankle[2] + 0.05), (0.1, 0.09, 0.26), BLACK)
        lift = raised if side > 0 and rng.random() < 0.4 else 0.0
        elbow = np.array([side * (0.27 + 0.1 * lift), 1.12 + 0.3 * lift, 0.0])
        hand = elbow + np.array([side * 0.06, -0.26 + 0.5 * lift, 0.06])
        b.rod((side * 0.19, 1.38, 0), elbow, 0.05, shirt)
        b.rod(elbow, hand, 0.04, skin)
    return b


def house(rng: np.random.Generator) -> Builder:
    """A small house or tower, as models of buildings are."""
    b, wall, roof = (
        Builder(),
        plain(rng, rng.uniform(0.02, 0.14), rng.uniform(0.05, 0.4), rng.uniform(0.7, 0.95)),
        plain(rng, 0.02, rng.uniform(0.2, 0.7), rng.uniform(0.3, 0.6)),
    )
    width, depth, height = rng.uniform(3, 6), rng.uniform(4, 8), rng.uniform(2.5, 5)
    rise = width * rng.uniform(0.25, 0.6)
    b.extrusion(
        (0, 0, 0),
        [(-width / 2, 0), (width / 2, 0), (width / 2, height), (0, height + rise - 0.2), (-width / 2, height)],
        depth,
        wall,
    )
    slope = np.degrees(np.arctan2(rise, width / 2))
    for side in (-1, 1):
        long = np.hypot(width / 2, rise) + 0.4
        at = (side * (width / 4 + 0.1), height + rise / 2 - 0.05, 0)
        b.box(at, (long, 0.16, depth + 0.7), roof, tilt=(0, 0, -side * slope))
        for z in np.linspace(-depth * 0.33, depth * 0.33, int(rng.integers(1, 4))):
            b.box((side * width / 2, height * 0.55, z), (0.16, 1.1, 0.9), WINDOW, role=Role.PART)
    b.box((rng.uniform(-0.2, 0.2) * width, 1.05, depth / 2), (1.0, 2.1, 0.18), wood(rng), role=Role.PART)
    b.box((width * 0.25, height + rise * 0.75, -depth * 0.25), (0.6, rise * 0.9, 0.6), plain(rng, 0.02, 0.5, 0.5))
    return b
