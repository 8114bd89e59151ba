"""Chairs, stools, benches, sofas and beds. Lengths in metres; the seat's middle stands over the origin."""

from __future__ import annotations

import numpy as np

from wavemesh.procedural.builder import Builder
from wavemesh.procedural.materials import WHITE, Paint, cloth, furnishing, legs, metal, paint, plain, wood
from wavemesh.procedural.primitive import Number, Vector
from wavemesh.procedural.solids import Role


def four_legs(
    b: Builder, rng: np.random.Generator, width: Number, depth: Number, height: Number, look: Paint, thick: Number
) -> None:
    """Legs from the floor to `height` under a top of that width and depth: square, round, splayed or skids."""
    style = rng.choice(["square", "round", "splayed", "skids"], p=[0.38, 0.22, 0.28, 0.12])
    inset = thick * rng.uniform(0.6, 1.4)
    x, z = width / 2 - inset, depth / 2 - inset
    spread = rng.uniform(0.02, 0.12) * min(height, 0.6) if style == "splayed" else 0.0
    top = height + 0.008
    foot = thick * rng.uniform(0.5, 0.9) if style != "square" else thick
    for sx in (-1, 1):
        for sz in (-1, 1):
            start = (sx * x * 0.92, top, sz * z * 0.92) if spread else (sx * x, top, sz * z)
            end = (sx * (x + spread), 0.0, sz * (z + spread))
            if style in ("square", "skids"):
                b.rod(start, end, thick / 2, look, square=True)
            else:
                b.rod(start, end, thick / 2, look, top=foot / 2)
        if style == "skids":
            b.rod((sx * x, thick / 2, -z), (sx * x, thick / 2, z), thick / 2, look, square=True)
    if style in ("square", "round") and rng.random() < 0.3:
        level = height * rng.uniform(0.25, 0.5)
        for sx in (-1, 1):
            b.rod((sx * x, level, -z), (sx * x, level, z), thick * 0.3, look)
        b.rod((-x, level, 0), (x, level, 0), thick * 0.3, look)


def star_base(b: Builder, rng: np.random.Generator, height: Number, radius: Number) -> None:
    """A column on a five-armed star with castors, or on a round plate."""
    look = metal(rng)
    b.cylinder((0, height / 2, 0), height + 0.01, 0.028, look)
    if rng.random() < 0.55:
        for turn in np.radians(np.arange(5) * 72.0):
            tip = np.array([radius * np.sin(turn), 0.055, radius * np.cos(turn)])
            b.rod((0, 0.1, 0), tip, 0.022, look)
            b.ellipsoid(tip - (0, 0.027, 0), (0.055, 0.055, 0.055), plain(rng, 0.6, 0.05, 0.1))
    else:
        b.lathe((0, 0, 0), [(0, 0), (radius, 0), (radius, 0.015), (0.05, 0.035), (0, 0.12)], look, rounding=0.004)


def _back(
    b: Builder, rng: np.random.Generator, width: Number, depth: Number, seat: Number, look: Paint, cover: Paint
) -> None:
    """The back of a chair above the seat, leaning backwards."""
    height, lean = rng.uniform(0.32, 0.6), rng.uniform(0.0, 0.16)
    thick, z = rng.uniform(0.022, 0.04), -depth / 2 + 0.025
    x = width / 2 - thick / 2

    def at(side: Number, share: Number) -> tuple[float, float, float]:
        return (side * x, seat - 0.02 + share * height, z - lean * share * height)

    style = rng.choice(["panel", "slats", "spindles", "ladder", "cushion", "shell"])
    tilt = (-float(np.degrees(np.arctan(lean))), 0.0, 0.0)
    middle = at(0, 0.55)
    if style == "panel":
        b.box(middle, (width, height * 0.94, thick), look, rounding=0.01, tilt=tilt)
        return
    if style == "cushion":
        b.box(middle, (width, height * 0.96, 0.07), cover, rounding=0.03, tilt=tilt)
        return
    if style == "shell":
        low = rng.uniform(0.12, 0.3)
        b.box(at(0, (1 + low) / 2), (width, height * (1 - low), 0.03), cover, rounding=0.015, tilt=tilt)
        for side in (-0.7, 0.7):
            b.rod(at(side, 0.0), at(side, 0.6), 0.013, look)
        return
    for side in (-1, 1):
        b.rod(at(side, -0.05), at(side, 1.0), thick / 2, look, square=bool(rng.random() < 0.6))
    if style == "ladder":
        count = int(rng.integers(2, 5))
        for share in np.linspace(0.35, 0.95, count):
            b.box(at(0, share), (2 * x, height * 0.42 / count, thick * 0.7), look, rounding=0.006, tilt=tilt)
        return
    b.box(at(0, 0.96), (width, 0.06, thick * 1.1), look, rounding=0.01, tilt=tilt)
    count = int(rng.integers(3, 7))
    for side in np.linspace(-0.75, 0.75, count):
        if style == "slats":
            b.box(at(side, 0.5), (width * 0.55 / count, height * 0.95, thick * 0.6), look, tilt=tilt)
        else:
            b.rod(at(side, 0.0), at(side, 0.94), 0.009, look)


def chair(rng: np.random.Generator) -> Builder:
    """A chair or an armchair, from kitchen to office."""
    b, look, cover = Builder(), legs(rng), cloth(rng) if rng.random() < 0.55 else furnishing(rng)
    width, depth, seat = rng.uniform(0.38, 0.54), rng.uniform(0.38, 0.5), rng.uniform(0.4, 0.5)
    thick = rng.uniform(0.025, 0.05) if rng.random() < 0.6 else rng.uniform(0.06, 0.1)
    b.box((0, seat, 0), (width, thick, depth), cover, rounding=min(0.45 * thick, rng.uniform(0.004, 0.04)))
    if rng.random() < 0.2:
        star_base(b, rng, seat, rng.uniform(0.24, 0.32))
    else:
        four_legs(b, rng, width, depth, seat - thick / 2, look, rng.uniform(0.026, 0.048))
    _back(b, rng, width, depth, seat, look, cover)
    if rng.random() < 0.3:
        level, reach = seat + rng.uniform(0.17, 0.24), depth * rng.uniform(0.35, 0.5)
        for side in (-1, 1):
            x = side * (width / 2 + 0.012)
            b.box((x, level, -depth / 2 + reach), (0.045, 0.03, 2 * reach), look, rounding=0.01)
            front = -depth / 2 + 1.85 * reach
            b.rod((x, seat - 0.02, front), (x, level, front), 0.016, look, square=bool(rng.random() < 0.5))
    return b


def stool(rng: np.random.Generator) -> Builder:
    """A stool or a bar stool, round or square."""
    b, look = Builder(), legs(rng)
    cover = cloth(rng) if rng.random() < 0.5 else furnishing(rng)
    height, width = rng.uniform(0.4, 0.8), rng.uniform(0.3, 0.42)
    thick = rng.uniform(0.03, 0.09)
    if rng.random() < 0.6:
        b.cylinder((0, height, 0), thick, width / 2, cover, rounding=0.4 * thick)
    else:
        b.box((0, height, 0), (width, thick, width), cover, rounding=0.3 * thick)
    if rng.random() < 0.25:
        star_base(b, rng, height - thick / 2, width * 0.55)
        b.arc((0, height * 0.35, 0), width * 0.34, 0.012, metal(rng), tilt=(90, 0, 0))
        return b
    count = 3 if rng.random() < 0.3 else 4
    radius, foot = width * 0.33, width * rng.uniform(0.36, 0.58)
    ring = height * rng.uniform(0.25, 0.45)
    for turn in np.radians(np.arange(count) * 360.0 / count + 45.0):
        direction = np.array([np.sin(turn), 0.0, np.cos(turn)])
        b.rod(direction * radius + (0, height - thick / 3, 0), direction * foot, 0.018, look, top=0.014)
    if rng.random() < 0.6:
        b.arc((0, ring, 0), foot + (radius - foot) * ring / height, 0.009, look, tilt=(90, 0, 0))
    return b


def bench(rng: np.random.Generator) -> Builder:
    """A bench of planks, with or without a back."""
    b, look = Builder(), wood(rng)
    frame = metal(rng) if rng.random() < 0.5 else look
    width, depth, seat, count = rng.uniform(1.0, 1.7), rng.uniform(0.35, 0.5), rng.uniform(0.4, 0.47), 4
    plank = depth / count
    for number in range(count):
        z = (number + 0.5) * plank - depth / 2
        b.box((0, seat, z), (width, 0.045, plank * 0.82), look, rounding=0.008)
    back = rng.random() < 0.55
    for side in (-1, 1):
        x = side * width * 0.4
        b.box((x, seat - 0.035, 0), (0.06, 0.05, depth), frame)
        for z in (-depth / 2 + 0.04, depth / 2 - 0.04):
            b.rod((x, seat - 0.03, z), (x, 0, z * 1.1), 0.028, frame, square=True)
        if back:
            b.rod((x, seat - 0.05, -depth / 2 + 0.03), (x, seat + 0.42, -depth / 2 - 0.08), 0.024, frame, square=True)
    for level in (0.14, 0.26, 0.38) if back else ():
        z = -depth / 2 + 0.045 - 0.11 * level / 0.42
        b.box((0, seat + level, z), (width, 0.09, 0.035), look, rounding=0.008, tilt=(-13, 0, 0))
    return b


def sofa(rng: np.random.Generator) -> Builder:
    """An armchair, a sofa or a corner sofa."""
    b, cover = Builder(), cloth(rng)
    cushions = int(rng.integers(1, 5))
    arm, each = rng.uniform(0.1, 0.24), rng.uniform(0.52, 0.75)
    width, depth = cushions * each + 2 * arm, rng.uniform(0.75, 0.98)
    foot, base, seat = rng.uniform(0.03, 0.16), rng.uniform(0.14, 0.24), rng.uniform(0.12, 0.2)
    back, soft = rng.uniform(0.28, 0.52), rng.uniform(0.02, 0.07)
    thick = rng.uniform(0.14, 0.24)
    b.box((0, foot + base / 2, 0), (width - 0.02, base, depth - 0.02), cover, rounding=0.02)
    level = foot + base
    b.box(
        (0, level + (seat + back) / 2 - 0.03, -depth / 2 + thick / 2),
        (width, seat + back + 0.06, thick),
        cover,
        rounding=soft,
    )
    high = rng.uniform(0.05, 0.3)
    for side in (-1, 1):
        x = side * (width / 2 - arm / 2)
        b.box(
            (x, (level + seat + high + foot) / 2, 0.01), (arm, level + seat + high - foot, depth), cover, rounding=soft
        )
    inside = cloth(rng) if rng.random() < 0.25 else cover
    for number in range(cushions):
        x = (number + 0.5) * each - cushions * each / 2
        b.box((x, level + seat / 2, thick / 2), (each * 0.985, seat + 0.02, depth - thick), inside, rounding=0.04)
        if rng.random() < 0.75:
            lean = (-rng.uniform(4, 14), 0, 0)
            tall = back * rng.uniform(0.8, 1.05)
            b.box(
                (x, level + seat + tall / 2, -depth / 2 + thick + 0.06),
                (each * 0.95, tall, 0.15),
                inside,
                rounding=0.06,
                tilt=lean,
            )
    if cushions >= 2 and rng.random() < 0.25:
        side = rng.choice([-1, 1])
        long = rng.uniform(0.5, 0.75)
        x = side * (width / 2 - arm - each / 2)
        b.box((x, foot + base / 2, depth / 2 + long / 2 - 0.05), (each, base, long + 0.1), cover, rounding=0.02)
        b.box(
            (x, level + seat / 2, depth / 2 + long / 2 - 0.05), (each * 0.985, seat, long + 0.1), inside, rounding=0.04
        )
    _pillows_and_feet(b, rng, (width, depth), arm, (foot, level + seat), thick)
    return b


def _pillows_and_feet(
    b: Builder,
    rng: np.random.Generator,
    sides: Vector,
    arm: Number,
    levels: Vector,
    thick: Number,
) -> None:
    """What a sofa stands on and what lies in its corners. levels: of its underside and of the seat."""
    pillow, look = cloth(rng), legs(rng)
    (width, depth), (foot, seat) = sides, levels
    for side in (-1, 1):
        if rng.random() < 0.35:
            place = (side * (width / 2 - arm - 0.2), seat + 0.17, -depth / 2 + thick + 0.19)
            b.box(place, (0.4, 0.38, 0.13), pillow, rounding=0.06, tilt=(-20, -20 * side, 5 * side))
        for z in (-1, 1):
            top = (side * (width / 2 - 0.09), foot + 0.02, z * (depth / 2 - 0.09))
            b.rod(top, (side * (width / 2 - 0.07), 0, z * (depth / 2 - 0.07)), 0.03, look, top=0.02)


def bed(rng: np.random.Generator) -> Builder:
    """A single, double or bunk bed."""
    b, look = Builder(), furnishing(rng)
    width, length = rng.choice([0.9, 1.2, 1.6, 1.8]), rng.uniform(1.9, 2.1)
    sheet = WHITE if rng.random() < 0.5 else cloth(rng)
    blanket = cloth(rng)
    bunk = width < 1.0 and rng.random() < 0.3
    levels = (0.32, 1.3) if bunk else (rng.uniform(0.2, 0.34),)
    head = rng.uniform(0.25, 0.8)
    for level in levels:
        _mattress(b, rng, level, (width, length), (look, sheet, blanket))
    top = levels[-1] + head if not bunk else levels[-1] + 0.45
    for sx in (-1, 1):
        for sz in (-1, 1):
            high = top if bunk else (levels[0] + 0.05)
            b.rod(
                (sx * width * 0.48, high, sz * length * 0.485),
                (sx * width * 0.48, 0, sz * length * 0.485),
                0.035,
                look,
                square=True,
            )
    if bunk:
        _bunk_rails(b, width, length, top, look)
        return b
    padded = rng.random() < 0.35
    board = cloth(rng) if padded else look
    b.box(
        (0, top / 2, -length / 2 - 0.02),
        (width * 1.04, top, 0.1 if padded else 0.05),
        board,
        rounding=0.04 if padded else 0.01,
    )
    if rng.random() < 0.4:
        foot = levels[0] + rng.uniform(0.15, 0.35)
        b.box((0, foot / 2, length / 2 + 0.02), (width * 1.02, foot, 0.045), look, rounding=0.01)
    return b


def _mattress(
    b: Builder, rng: np.random.Generator, level: Number, sides: Vector, looks: tuple[Paint, Paint, Paint]
) -> None:
    """Frame, mattress, blanket and pillows at a level; looks: of frame, sheet and blanket."""
    (width, length), (look, sheet, blanket) = sides, looks
    b.box((0, level, 0), (width, rng.uniform(0.1, 0.16), length), look, rounding=0.01)
    b.box((0, level + 0.14, 0), (width * 0.97, 0.2, length * 0.97), sheet, rounding=0.05)
    cover = rng.uniform(0.5, 0.8)
    b.box((0, level + 0.16, length * (0.49 - cover / 2)), (width * 1.0, 0.21, length * cover), blanket, rounding=0.06)
    count = 1 if width < 1.3 else 2
    for number in range(count):
        x = (number + 0.5) * width / count - width / 2
        b.box(
            (x, level + 0.27, -length / 2 + 0.28),
            (width / count * 0.78, 0.13, 0.42),
            sheet,
            rounding=0.055,
            tilt=(12, 0, 0),
        )


def _bunk_rails(b: Builder, width: Number, length: Number, top: Number, look: Paint) -> None:
    """The ends and the ladder of a bunk bed."""
    b.box((0, top - 0.1, length * 0.485), (width, 0.08, 0.03), look)
    b.box((0, top - 0.1, -length * 0.485), (width, 0.08, 0.03), look)
    for step in np.linspace(0.2, 1.35, 5):
        b.rod((width * 0.48, step, length * 0.2), (width * 0.48, step, length * 0.42), 0.018, look)
    for z in (0.2, 0.42):
        b.rod((width * 0.48, 0, length * z), (width * 0.48, 1.6, length * z), 0.02, look)


def pouf(rng: np.random.Generator) -> Builder:
    """A pouf or a tub chair: round, soft, low."""
    b, cover = Builder(), cloth(rng)
    radius, height = rng.uniform(0.25, 0.4), rng.uniform(0.3, 0.45)
    if rng.random() < 0.5:
        b.cylinder((0, height / 2, 0), height, radius, cover, top=radius * rng.uniform(0.85, 1.0), rounding=0.07)
        b.ellipsoid((0, height, 0), (0.06, 0.03, 0.06), paint(rng))
        return b
    profile = [(0, 0), (radius * 0.7, 0), (radius, height * 0.5), (radius, height), (radius * 0.8, height * 1.5)]
    b.lathe((0, 0, 0), profile, cover, wall=0.08)
    b.box(
        (0, height * 1.4, radius * 1.05), (radius * 2.4, height * 1.7, radius * 1.6), cover, role=Role.CUT, rounding=0.1
    )
    b.cylinder((0, height * 0.42, 0), 0.16, radius * 0.86, cloth(rng), rounding=0.07, role=Role.PART)
    return b
