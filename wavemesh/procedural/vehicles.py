"""Cars, lorries, buses, engines, aeroplanes and boats. Lengths in metres; +z is the front."""

from __future__ import annotations

import numpy as np

from wavemesh.procedural.builder import Builder
from wavemesh.procedural.materials import BLACK, Paint, cloth, metal, paint, wood
from wavemesh.procedural.primitive import Number, Vector
from wavemesh.procedural.solids import Role

_TYRE = Paint((0.09, 0.09, 0.1))
_SIDE_ON = (0, -90, 0)  # turns an outline's x into the world's z
WINDOW = Paint((0.2, 0.26, 0.32))


def _wheels(
    b: Builder, rng: np.random.Generator, places: list[float], track: Number, radius: Number, wide: Number
) -> None:
    """A wheel on each side at each place along z, its axle at y = radius."""
    rim = metal(rng)
    for z in places:
        for side in (-1, 1):
            at = (side * track / 2, radius, z)
            b.cylinder(at, wide, radius, _TYRE, rounding=0.15 * radius, tilt=(0, 0, 90), role=Role.PART)
            b.cylinder(at, wide * 1.06, radius * 0.55, rim, tilt=(0, 0, 90), role=Role.PART)


def car(rng: np.random.Generator) -> Builder:
    """A saloon, hatchback, van or pick-up: an outline from the side, a narrower cabin, windows, wheels in arches."""
    b, look = Builder(), paint(rng)
    length, width = rng.uniform(3.6, 4.8), rng.uniform(1.6, 1.9)
    wheel = rng.uniform(0.3, 0.38)
    low, waist, roof = 0.22, rng.uniform(0.78, 0.95), rng.uniform(1.35, 1.6)
    kind = rng.choice(["saloon", "hatch", "van", "pickup"])
    nose = length / 2
    body = [
        (-nose, low),
        (-nose, waist - 0.08),
        (-nose + 0.25, waist),
        (nose - 1.0, waist),
        (nose - 0.15, waist - 0.18),
        (nose, low + 0.15),
        (nose, low),
    ]
    b.extrusion((0, 0, 0), body, width, look, rounding=0.06, tilt=_SIDE_ON)
    back = _cabin(b, str(kind), nose, width, (waist, roof), look)
    if kind == "pickup":
        b.box((0, waist, (back * nose - nose) / 2), (width * 0.82, 0.6, (1 + back) * nose - 0.2), look, role=Role.CUT)
    axles = [-nose * 0.62, nose * 0.62]
    for z in axles:
        b.cylinder((0, wheel, z), width * 1.2, wheel * 1.15, BLACK, tilt=(0, 0, 90), role=Role.CUT)
    b.box((0, wheel, 0), (width * 0.7, 0.25, length * 0.8), BLACK, role=Role.PART)
    _wheels(b, rng, axles, width - 0.2, wheel, 0.22)
    return b


def _cabin(
    b: Builder,
    kind: str,
    nose: Number,
    width: Number,
    levels: Vector,
    look: Paint,
) -> float:
    """Cabin, windows and lights; where the cabin begins at the back, as a share of `nose`, comes back."""
    waist, roof = levels
    back, front = {"saloon": (-0.72, 0.28), "hatch": (-0.9, 0.3), "van": (-0.95, 0.55), "pickup": (-0.2, 0.35)}[kind]
    high = roof + (0.35 if kind == "van" else 0.0)
    lean = {"saloon": 0.45, "hatch": 0.2, "van": 0.05, "pickup": 0.1}[kind]
    cabin = [
        (back * nose, waist - 0.05),
        (back * nose + lean, high),
        (front * nose - 0.5, high),
        (front * nose + 0.1, waist - 0.05),
    ]
    b.extrusion((0, 0, 0), cabin, width * 0.9, look, rounding=0.05, tilt=_SIDE_ON)
    pane = np.array(cabin)
    middle = pane.mean(axis=0)
    b.extrusion(
        (0, 0, 0),
        middle + (pane - middle) * (0.86, 0.72) + (0, 0.03),
        width * 0.945,
        WINDOW,
        tilt=_SIDE_ON,
        role=Role.PART,
    )
    b.box(
        (0, (waist + high) / 2 + 0.02, (front * nose - 0.2)),
        (width * 0.74, (high - waist) * 0.75, 0.02),
        WINDOW,
        tilt=(-np.degrees(np.arctan2(0.6, high - waist + 0.05)), 0, 0),
        role=Role.PART,
    )
    for side in (-1, 1):
        b.ellipsoid(
            (side * width * 0.36, waist - 0.25, nose - 0.0), (0.3, 0.16, 0.12), Paint((0.95, 0.93, 0.8)), role=Role.PART
        )
        b.box(
            (side * width * 0.38, waist - 0.2, -nose - 0.03),
            (0.24, 0.12, 0.08),
            Paint((0.75, 0.1, 0.08)),
            role=Role.PART,
        )
    return back


def truck(rng: np.random.Generator) -> Builder:
    """A lorry, a bus or a toy locomotive."""
    b, look, kind = Builder(), paint(rng), rng.choice(["lorry", "bus", "engine"])
    if kind == "bus":
        length, height = rng.uniform(7, 10), rng.uniform(2.5, 3.0)
        b.box((0, height / 2 + 0.35, 0), (2.4, height, length), look, rounding=0.2)
        for side in (-1, 1):
            for z in np.linspace(-length / 2 + 0.9, length / 2 - 0.9, int(length / 1.3)):
                b.box(
                    (side * 1.2, height * 0.72, z), (0.12, height * 0.34, 0.95), WINDOW, rounding=0.05, role=Role.PART
                )
        b.box((0, height * 0.7, length / 2), (2.1, height * 0.42, 0.12), WINDOW, rounding=0.05, role=Role.PART)
        _wheels(b, rng, [-length * 0.3, length * 0.3], 2.2, 0.5, 0.4)
        return b
    if kind == "engine":
        long, radius = rng.uniform(1.8, 2.6), rng.uniform(0.5, 0.65)
        b.cylinder((0, 1.2, 0.5), long, radius, look, tilt=(90, 0, 0), rounding=0.05)
        b.box((0, 1.35, -long / 2), (1.5, 1.7, 1.1), paint(rng), rounding=0.04)
        b.box((0, 2.25, -long / 2), (1.8, 0.12, 1.4), BLACK, rounding=0.04)
        for side in (-1, 1):
            b.box((side * 0.75, 1.65, -long / 2), (0.1, 0.6, 0.6), WINDOW, rounding=0.03, role=Role.PART)
        b.box((0, 0.62, 0), (1.3, 0.2, long + 1.6), metal(rng))
        b.cylinder((0, 2.0, 0.5 + long * 0.32), 0.7, 0.14, BLACK, top=0.24)
        b.ellipsoid((0, 1.75, 0.3), (0.4, 0.5, 0.4), metal(rng))
        _wheels(b, rng, [-long * 0.45, 0.1, long * 0.5], 1.2, 0.4, 0.2)
        return b
    length, height = rng.uniform(3.2, 5.0), rng.uniform(1.7, 2.3)
    b.box((0, 0.85, -0.6), (1.0, 0.25, length + 1.9), BLACK)
    load = paint(rng)
    if rng.random() < 0.3:
        b.cylinder((0, 1.0 + 0.95, -1.0), length, 0.95, load, tilt=(90, 0, 0), rounding=0.2)
    else:
        b.box((0, 0.95 + height / 2, -1.0), (2.2, height, length), load, rounding=0.04)
    z = -1.0 + length / 2 + 0.85
    b.box((0, 1.65, z), (2.1, 1.9, 1.4), look, rounding=0.15)
    b.box((0, 2.05, z + 0.68), (1.8, 0.75, 0.1), WINDOW, rounding=0.04, role=Role.PART)
    for side in (-1, 1):
        b.box((side * 1.04, 2.05, z + 0.1), (0.1, 0.65, 0.7), WINDOW, rounding=0.04, role=Role.PART)
    _wheels(b, rng, [-1.0 - length * 0.32, -1.0 - length * 0.05, z], 1.9, 0.5, 0.35)
    return b


def aircraft(rng: np.random.Generator) -> Builder:
    """An aeroplane with straight or swept wings."""
    b, look = Builder(), paint(rng)
    radius, span = rng.uniform(0.32, 0.5), rng.uniform(5, 7)
    b.ellipsoid((0, 0, 0), (2 * radius, 2.1 * radius, 6.0), look)
    sweep = rng.uniform(0, 1.2)
    for side in (-1, 1):
        wing = [(0, -0.5), (0, 0.6), (span / 2, 0.25 - sweep), (span / 2, -0.25 - sweep)]
        b.extrusion(
            (0, rng.uniform(-0.25, -0.15), 0.2),
            [(side * x, z) for x, z in wing],
            0.12,
            look,
            rounding=0.04,
            tilt=(90, 0, 0),
        )
        fin = [(0, -0.25), (0, 0.35), (1.1, 0.0 - sweep * 0.3), (1.1, -0.3 - sweep * 0.3)]
        b.extrusion((0, 0.08, -2.5), [(side * x, z) for x, z in fin], 0.1, look, rounding=0.03, tilt=(90, 0, 0))
        b.rod(
            (side * span * 0.22, -0.3, 0.1 - sweep * 0.4),
            (side * span * 0.22, -0.3, 0.9 - sweep * 0.4),
            0.17,
            metal(rng),
        )
    b.extrusion(
        (0, 0, -2.5),
        [(-0.35, 0.1), (0.4, 0.1), (-0.1, 1.2), (-0.45, 1.2)],
        0.1,
        paint(rng),
        rounding=0.03,
        tilt=(0, -90, 0),
    )
    b.ellipsoid((0, 0.22, 1.7), (0.6 * radius * 2, 0.5, 1.1), WINDOW)
    return b


def boat(rng: np.random.Generator) -> Builder:
    """A boat with a cabin or a sail."""
    b, look = Builder(), paint(rng)
    long, wide = rng.uniform(3.5, 5), rng.uniform(0.55, 0.75)
    outline = [
        (-wide, -long / 2),
        (wide, -long / 2),
        (wide * 1.1, 0),
        (wide * 0.7, long * 0.32),
        (0, long / 2),
        (-wide * 0.7, long * 0.32),
        (-wide * 1.1, 0),
    ]
    b.extrusion((0, 0.35, 0), outline, 0.6, look, rounding=0.08, tilt=(90, 0, 0))
    b.extrusion((0, 0.75, 0), np.array(outline) * 0.86, 0.5, wood(rng), tilt=(90, 0, 0), role=Role.CUT)
    if rng.random() < 0.5:
        tall = long * rng.uniform(0.9, 1.15)
        b.rod((0, 0.3, 0.2), (0, tall, 0.2), 0.05, wood(rng))
        sail = cloth(rng)
        b.extrusion(
            (0, 0, 0),
            [(0.12, 0.95), (0.12, tall * 0.97), (-long * 0.42, 1.0)],
            0.07,
            sail,
            tilt=(0, -90, 0),
            role=Role.PART,
        )
        b.extrusion(
            (0, 0, 0),
            [(0.3, 1.0), (0.28, tall * 0.8), (long * 0.42, 0.95)],
            0.07,
            sail,
            tilt=(0, -90, 0),
            role=Role.PART,
        )
    else:
        b.box((0, 0.85, -0.2), (wide * 1.3, 0.9, long * 0.3), Paint((0.92, 0.92, 0.9)), rounding=0.06, role=Role.PART)
        b.box((0, 1.0, -0.2), (wide * 1.36, 0.3, long * 0.22), WINDOW, rounding=0.04, role=Role.PART)
    return b
