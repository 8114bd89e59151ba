"""Tables, desks, shelves, cabinets and appliances. Lengths in metres; everything stands on y = 0."""

from __future__ import annotations

import itertools

import numpy as np

from wavemesh.procedural.builder import Builder
from wavemesh.procedural.materials import BLACK, Paint, furnishing, glass, legs, metal, paint, plain, wood
from wavemesh.procedural.primitive import Number, Vector
from wavemesh.procedural.seating import four_legs
from wavemesh.procedural.solids import Role


def table(rng: np.random.Generator) -> Builder:
    """A dining, coffee or side table: round, oval or rectangular, on legs, a pedestal, panels or crossed legs."""
    b, look = Builder(), furnishing(rng)
    top_look = glass(rng) if rng.random() < 0.12 else (furnishing(rng) if rng.random() < 0.25 else look)
    low = rng.random() < 0.35
    height = rng.uniform(0.34, 0.5) if low else rng.uniform(0.68, 0.78)
    width, depth = rng.uniform(0.6, 1.8), rng.uniform(0.5, 0.95)
    thick = rng.uniform(0.02, 0.06)
    shape = rng.choice(["rectangle", "round", "oval"], p=[0.6, 0.25, 0.15])
    middle = (0, height - thick / 2, 0)
    if shape == "rectangle":
        b.box(middle, (width, thick, depth), top_look, rounding=min(0.45 * thick, rng.uniform(0.002, 0.02)))
    elif shape == "round":
        width = depth = rng.uniform(0.45, 1.2)
        b.cylinder(middle, thick, width / 2, top_look, rounding=0.25 * thick)
    else:
        turns = np.linspace(0, 2 * np.pi, 26, endpoint=False)
        outline = np.stack([np.cos(turns) * width / 2, np.sin(turns) * depth / 2], axis=1)
        b.extrusion(middle, outline, thick, top_look, tilt=(90, 0, 0))
    under = height - thick
    if (shape != "rectangle" and rng.random() < 0.65) or rng.random() < 0.1:
        _pedestal(b, rng, under, 0.3 * min(width, depth), look)
        return b
    span = 0.7 if shape != "rectangle" else rng.uniform(0.88, 1.0)
    style = rng.choice(["legs", "panels", "crossed"], p=[0.72, 0.14, 0.14])
    x, z = width * span / 2, depth * span / 2
    if style == "panels":
        for side in (-1, 1):
            b.box((side * (x - 0.05), under / 2 + 0.003, 0), (0.04, under + 0.006, 1.7 * z), look)
        b.box((0, under * 0.75, 0), (2 * x - 0.1, under * 0.35, 0.03), look)
    elif style == "crossed":
        for share in (-0.75, 0.75):
            b.rod((share * x, 0, -z), (share * x, under - 0.012, z), 0.028, look, square=True)
            b.rod((share * x, 0, z), (share * x, under - 0.012, -z), 0.028, look, square=True)
        b.rod((-0.75 * x, under / 2, 0), (0.75 * x, under / 2, 0), 0.022, look)
    else:
        four_legs(b, rng, 2 * x, 2 * z, under, look if rng.random() < 0.7 else legs(rng), rng.uniform(0.035, 0.09))
        if shape == "rectangle" and rng.random() < 0.5:
            _apron(b, rng, 2 * x, 2 * z, under, look)
        if low and shape == "rectangle" and rng.random() < 0.4:
            b.box((0, under * 0.35, 0), (1.9 * x, 0.02, 1.9 * z), look)
    return b


def _pedestal(b: Builder, rng: np.random.Generator, height: Number, radius: Number, look: Paint) -> None:
    """A turned column on a foot plate, or on three bent feet."""
    neck, belly = rng.uniform(0.025, 0.05), rng.uniform(0.04, 0.1)
    if rng.random() < 0.5:
        foot = [(0, 0), (radius, 0), (radius, 0.02), (neck * 1.2, 0.06)]
    else:
        foot = [(0, 0.1), (neck * 1.4, 0.1)]
        for turn in np.radians((0.0, 120.0, 240.0)):
            out = np.array([np.sin(turn), 0.0, np.cos(turn)])
            b.tube([(0, 0.2, 0), out * radius * 0.6 + (0, 0.11, 0), out * radius * 1.1 + (0, 0.02, 0)], 0.024, look)
    column = [
        (belly, height * 0.3),
        (neck, height * 0.5),
        (neck * 1.3, height * 0.8),
        (belly * 1.4, height),
        (0, height),
    ]
    b.lathe((0, 0, 0), [*foot, *column], look, rounding=0.004)


def _apron(b: Builder, rng: np.random.Generator, width: Number, depth: Number, under: Number, look: Paint) -> None:
    """Rails under a table's top, sometimes with a drawer."""
    tall = rng.uniform(0.06, 0.12)
    for side in (-1, 1):
        b.box((0, under - tall / 2 + 0.004, side * (depth / 2 - 0.05)), (width - 0.1, tall, 0.022), look)
        b.box((side * (width / 2 - 0.05), under - tall / 2 + 0.004, 0), (0.022, tall, depth - 0.1), look)
    if rng.random() < 0.4:
        front = depth / 2 - 0.035
        b.box((0, under - tall / 2, front), (width * 0.4, tall * 0.75, 0.025), wood(rng))
        b.ellipsoid((0, under - tall / 2, front + 0.025), (0.03, 0.03, 0.03), metal(rng))


def front(
    b: Builder,
    rng: np.random.Generator,
    middle: Vector,
    sides: Vector,
    look: Paint,
    knob: Paint,
) -> None:
    """A door or drawer front with a knob, bar or grip; `middle` lies on the plane of the body's front."""
    x, y, z = middle
    width, height = sides
    b.box((x, y, z), (width - 0.012, height - 0.012, 0.04), look, rounding=0.004, role=Role.PART)
    style = rng.random()
    aside = 0.0 if height < width else rng.choice([-1, 1]) * (width / 2 - 0.05)
    if style < 0.45:
        b.ellipsoid((x + aside, y, z + 0.035), (0.035, 0.035, 0.035), knob, role=Role.PART)
    elif style < 0.85:
        long = (0.0, 0.16, 0.0) if aside else (min(0.3, 0.35 * width), 0.0, 0.0)
        sides3 = (max(long[0], 0.02), max(long[1], 0.02), 0.03)
        b.box((x + aside, y, z + 0.03), sides3, knob, role=Role.PART)


def drawers(
    b: Builder,
    rng: np.random.Generator,
    low: Vector,
    sides: Vector,
    z: Number,
    look: Paint,
    knob: Paint,
) -> None:
    """Fronts over a rectangle: a stack of drawers, doors, or both."""
    (x, y), (width, height) = low, sides
    columns = 1 if width < 0.55 else int(rng.integers(1, 4))
    each = width / columns
    for column in range(columns):
        middle = x + (column + 0.5) * each
        rows = 1 if rng.random() < 0.4 else int(np.clip(round(height / rng.uniform(0.16, 0.3)), 1, 6))
        tall = height / rows
        for row in range(rows):
            front(b, rng, (middle, y + (row + 0.5) * tall, z), (each, tall), look, knob)


def desk(rng: np.random.Generator) -> Builder:
    """A desk with drawers on one or both sides; sometimes a screen on it."""
    b, look, knob = Builder(), furnishing(rng), metal(rng)
    width, depth, height = rng.uniform(1.0, 1.7), rng.uniform(0.55, 0.8), rng.uniform(0.7, 0.76)
    face = furnishing(rng) if rng.random() < 0.4 else look
    b.box((0, height - 0.018, 0), (width, 0.036, depth), look, rounding=0.005)
    cabinet, floor = rng.uniform(0.36, 0.45), rng.choice([0.0, 0.06, 0.1])
    sides = [rng.choice([-1, 1])] if rng.random() < 0.65 else [-1, 1]
    for side in (-1, 1):
        if side in sides:
            x, tall = side * (width / 2 - cabinet / 2 - 0.02), height - 0.03 - floor
            b.box((x, floor + tall / 2, -0.01), (cabinet, tall, depth - 0.08), look)
            drawers(b, rng, (x - cabinet / 2, floor), (cabinet, tall - 0.01), depth / 2 - 0.05, face, knob)
            if floor:
                for z in (-1, 1):
                    b.box((x, floor / 2, z * (depth / 2 - 0.12)), (cabinet * 0.9, floor + 0.01, 0.04), knob)
        elif rng.random() < 0.5:
            b.box((side * (width / 2 - 0.04), height / 2 - 0.01, 0), (0.036, height - 0.02, depth - 0.06), look)
        else:
            for z in (-1, 1):
                x = side * (width / 2 - 0.05)
                b.rod(
                    (x, height - 0.03, z * (depth / 2 - 0.06)), (x, 0, z * (depth / 2 - 0.06)), 0.022, knob, square=True
                )
    if rng.random() < 0.6:
        b.box((0, height * 0.68, -depth / 2 + 0.05), (width - 0.1, height * 0.5, 0.024), look)
    if rng.random() < 0.35:
        _screen(b, rng, (rng.uniform(-0.1, 0.1) * width, height, -0.08), rng.uniform(0.45, 0.6))
    return b


def _screen(b: Builder, rng: np.random.Generator, foot: Vector, width: Number) -> None:
    x, y, z = foot
    tall = width * rng.uniform(0.55, 0.65)
    b.box((x, y + 0.09 + tall / 2, z), (width, tall, 0.035), BLACK, rounding=0.008)
    b.box(
        (x, y + 0.09 + tall / 2, z + 0.016),
        (width * 0.93, tall * 0.88, 0.012),
        plain(rng, 0.58, 0.4, 0.35),
        role=Role.PART,
    )
    b.box((x, y + 0.07, z - 0.02), (0.05, 0.16, 0.025), BLACK)
    b.box((x, y + 0.006, z), (width * 0.42, 0.018, 0.18), BLACK)


def television(rng: np.random.Generator) -> Builder:
    """A flat screen, alone or on a low cabinet."""
    b = Builder()
    width = rng.uniform(0.8, 1.3)
    level = 0.0
    if rng.random() < 0.6:
        look, level = furnishing(rng), rng.uniform(0.35, 0.5)
        b.box((0, level / 2 + 0.03, 0), (width * 1.2, level - 0.06, 0.42), look, rounding=0.005)
        b.box((0, 0.02, 0), (width * 1.1, 0.05, 0.36), BLACK)
        drawers(b, rng, (-width * 0.58, 0.08), (width * 1.16, level - 0.1), 0.205, furnishing(rng), metal(rng))
    _screen(b, rng, (0, level, 0), width)
    return b


def shelf(rng: np.random.Generator) -> Builder:
    """A bookcase, open or with a back, full or empty."""
    b, look = Builder(), furnishing(rng)
    width, height, depth = rng.uniform(0.4, 1.5), rng.uniform(0.8, 2.1), rng.uniform(0.24, 0.38)
    board = rng.uniform(0.02, 0.032)
    rows, columns = (
        int(np.clip(round(height / rng.uniform(0.28, 0.45)), 2, 6)),
        1 if width < 0.9 else int(rng.integers(1, 4)),
    )
    open_frame = rng.random() < 0.25
    frame = metal(rng) if open_frame else look
    levels = np.linspace(0.06, height - board / 2, rows + 1)
    for level in levels:
        b.box((0, level, 0), (width, board, depth), look)
    if open_frame:
        for sx in (-1, 1):
            for sz in (-1, 1):
                x, z = sx * (width / 2 - 0.012), sz * (depth / 2 - 0.012)
                b.rod((x, 0, z), (x, height, z), 0.014, frame, square=True)
    else:
        for x in np.linspace(-width / 2 + board / 2, width / 2 - board / 2, columns + 1):
            b.box((x, height / 2, 0), (board, height, depth), look)
        if rng.random() < 0.75:
            b.box((0, height / 2 + 0.02, -depth / 2 + 0.008), (width - 0.01, height - 0.05, 0.016), look)
    _contents(b, rng, levels, width - 2 * board, depth)
    return b


def _contents(b: Builder, rng: np.random.Generator, levels: np.ndarray, width: Number, depth: Number) -> None:
    """Rows of books, boxes and vases on some of the boards."""
    if rng.random() < 0.3:
        return
    for low, high in itertools.pairwise(levels):
        room, kind = high - low - 0.03, rng.random()
        if kind < 0.45:
            x, end = -width / 2 + 0.02, width / 2 * rng.uniform(-0.2, 0.95)
            while x < end:
                thick, tall = rng.uniform(0.04, 0.12), room * rng.uniform(0.6, 0.95)
                b.box((x + thick / 2, low + 0.01 + tall / 2, 0.01), (thick * 0.94, tall, depth * 0.75), paint(rng))
                x += thick
        elif kind < 0.65:
            wide = rng.uniform(0.3, 0.6) * width
            x = rng.uniform(-0.5, 0.5) * (width - wide)
            b.box((x, low + 0.01 + room * 0.35, 0), (wide, room * 0.7, depth * 0.8), paint(rng), rounding=0.01)
        elif kind < 0.8:
            x, radius = rng.uniform(-0.35, 0.35) * width, min(0.12, depth * 0.35)
            b.cylinder((x, low + 0.01 + room * 0.35, 0), room * 0.7, radius, paint(rng), top=radius * 0.6)


def cabinet(rng: np.random.Generator) -> Builder:
    """A sideboard, chest, wardrobe or bedside table; sometimes a compartment stays open."""
    b, look, knob = Builder(), furnishing(rng), metal(rng)
    face = furnishing(rng) if rng.random() < 0.4 else look
    kind = rng.choice(["sideboard", "chest", "wardrobe", "bedside"])
    ranges = {
        "sideboard": ((1.0, 1.8), (0.5, 0.8), (0.38, 0.5)),
        "chest": ((0.6, 1.0), (0.7, 1.2), (0.4, 0.52)),
        "wardrobe": ((0.8, 1.6), (1.7, 2.1), (0.5, 0.62)),
        "bedside": ((0.38, 0.52), (0.42, 0.6), (0.35, 0.45)),
    }[str(kind)]
    width, height, depth = (rng.uniform(*each) for each in ranges)
    foot = rng.choice([0.02, 0.07, rng.uniform(0.1, 0.2)])
    tall = height - foot
    b.box((0, foot + tall / 2, 0), (width, tall, depth), look, rounding=rng.uniform(0.002, 0.015))
    if foot > 0.05:
        four_legs(b, rng, width, depth, foot, legs(rng) if rng.random() < 0.6 else look, 0.05)
    else:
        b.box((0, 0.02, -0.02), (width - 0.06, 0.04, depth - 0.08), BLACK)
    if rng.random() < 0.5:
        b.box((0, height, 0.01), (width + 0.03, 0.025, depth + 0.03), look, rounding=0.005)
    low, room = foot + 0.015, tall - 0.03
    if rng.random() < 0.35 and kind != "wardrobe":
        share = rng.uniform(0.3, 0.45)
        gap = (width - 0.06, room * share, depth * 0.85)
        dark = Paint(tuple(0.6 * channel for channel in look.first))  # type: ignore[arg-type]
        b.box((0, low + room * (1 - share / 2) - 0.01, depth / 2 - gap[2] / 2 + 0.05), gap, dark, role=Role.CUT)
        room *= 1 - share - 0.04
    drawers(b, rng, (-width / 2 + 0.012, low), (width - 0.024, room), depth / 2 - 0.004, face, knob)
    return b


def appliance(rng: np.random.Generator) -> Builder:
    """A fridge, an oven, a washing machine or a microwave."""
    b = Builder()
    look = plain(rng, 0.6, 0.03, rng.choice([0.93, 0.7, 0.85, 0.3]))
    kind = rng.choice(["fridge", "oven", "washer", "microwave"])
    knob = metal(rng)
    if kind == "fridge":
        width, height, depth = rng.uniform(0.55, 0.75), rng.uniform(1.3, 1.9), rng.uniform(0.55, 0.65)
        b.box((0, height / 2, 0), (width, height, depth), look, rounding=0.015)
        split = height * rng.uniform(0.28, 0.7)
        for low, high in ((0.04, split), (split, height)):
            b.box(
                (0, (low + high) / 2, depth / 2), (width, high - low - 0.02, 0.07), look, rounding=0.02, role=Role.PART
            )
            b.box(
                (width * 0.4, (low + high) / 2, depth / 2 + 0.055),
                (0.03, (high - low) * 0.4, 0.05),
                knob,
                role=Role.PART,
            )
        return b
    if kind == "microwave":
        b.box((0, 0.15, 0), (0.5, 0.29, 0.36), look, rounding=0.012)
        b.box((-0.06, 0.15, 0.18), (0.34, 0.23, 0.03), BLACK, rounding=0.008, role=Role.PART)
        for y in (0.08, 0.15, 0.22):
            b.cylinder((0.18, y, 0.185), 0.03, 0.022, knob, tilt=(90, 0, 0), role=Role.PART)
        return b
    height, depth = rng.uniform(0.82, 0.92), rng.uniform(0.5, 0.62)
    b.box((0, height / 2, 0), (0.6, height, depth), look, rounding=0.012)
    z = depth / 2
    if kind == "washer":
        b.cylinder((0, height * 0.45, z), 0.09, 0.2, knob, tilt=(90, 0, 0), rounding=0.02, role=Role.PART)
        b.cylinder(
            (0, height * 0.45, z + 0.04), 0.06, 0.145, plain(rng, 0.58, 0.3, 0.25), tilt=(90, 0, 0), role=Role.PART
        )
    else:
        b.box((0, height * 0.42, z), (0.54, height * 0.6, 0.04), BLACK, rounding=0.008, role=Role.PART)
        b.rod((-0.24, height * 0.68, z + 0.05), (0.24, height * 0.68, z + 0.05), 0.014, knob)
        for x in (-0.15, 0.15):
            for back in (-0.13, 0.12):
                b.cylinder((x, height, back), 0.025, 0.085, BLACK, role=Role.PART)
    for x in np.linspace(-0.22, 0.22, int(rng.integers(2, 6))):
        b.cylinder((x, height * 0.92, z), 0.06, 0.025, knob, tilt=(90, 0, 0), role=Role.PART)
    return b
