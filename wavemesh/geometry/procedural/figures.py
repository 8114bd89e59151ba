"""Vehicles, animals, people, buildings and free-form shapes. Lengths in metres or none; +z is the front."""

from __future__ import annotations

import numpy as np
import torch

from wavemesh.geometry.procedural.builder import AXES, Builder, pack
from wavemesh.geometry.procedural.field import signed_field
from wavemesh.geometry.procedural.materials import BLACK, Paint, cloth, metal, paint, plain, pottery, wood
from wavemesh.geometry.procedural.solids import Role

_TYRE = Paint((0.09, 0.09, 0.1))
_WINDOW = Paint((0.2, 0.26, 0.32))


def _wheels(b: Builder, rng: np.random.Generator, places: list[float], track: float, radius: float, wide: float) -> None:
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
    body = [(-nose, low), (-nose, waist - 0.08), (-nose + 0.25, waist), (nose - 1.0, waist), (nose - 0.15, waist - 0.18), (nose, low + 0.15), (nose, low)]
    side_on = (0, -90, 0)  # the outline's x becomes the world's z
    b.extrusion((0, 0, 0), body, width, look, rounding=0.06, tilt=side_on)
    back, front = {"saloon": (-0.72, 0.28), "hatch": (-0.9, 0.3), "van": (-0.95, 0.55), "pickup": (-0.2, 0.35)}[str(kind)]
    high = roof + (0.35 if kind == "van" else 0.0)
    lean = {"saloon": 0.45, "hatch": 0.2, "van": 0.05, "pickup": 0.1}[str(kind)]
    cabin = [(back * nose, waist - 0.05), (back * nose + lean, high), (front * nose - 0.5, high), (front * nose + 0.1, waist - 0.05)]
    b.extrusion((0, 0, 0), cabin, width * 0.9, look, rounding=0.05, tilt=side_on)
    pane = np.array(cabin) * (1, 1)
    middle = pane.mean(axis=0)
    b.extrusion((0, 0, 0), middle + (pane - middle) * (0.86, 0.72) + (0, 0.03), width * 0.945, _WINDOW, tilt=side_on, role=Role.PART)
    b.box((0, (waist + high) / 2 + 0.02, (front * nose - 0.2)), (width * 0.74, (high - waist) * 0.75, 0.02), _WINDOW, tilt=(-np.degrees(np.arctan2(0.6, high - waist + 0.05)), 0, 0), role=Role.PART)
    if kind == "pickup":
        b.box((0, waist, (back * nose - nose) / 2), (width * 0.82, 0.6, (1 + back) * nose - 0.2), look, role=Role.CUT)
    axles = [-nose * 0.62, nose * 0.62]
    for z in axles:
        b.cylinder((0, wheel, z), width * 1.2, wheel * 1.15, BLACK, tilt=(0, 0, 90), role=Role.CUT)
    b.box((0, wheel, 0), (width * 0.7, 0.25, length * 0.8), BLACK, role=Role.PART)
    _wheels(b, rng, axles, width - 0.2, wheel, 0.22)
    for side in (-1, 1):
        b.ellipsoid((side * width * 0.36, waist - 0.25, nose - 0.0), (0.3, 0.16, 0.12), Paint((0.95, 0.93, 0.8)), role=Role.PART)
        b.box((side * width * 0.38, waist - 0.2, -nose - 0.03), (0.24, 0.12, 0.08), Paint((0.75, 0.1, 0.08)), role=Role.PART)
    return b


def truck(rng: np.random.Generator) -> Builder:
    """A lorry, a bus or a toy locomotive."""
    b, look, kind = Builder(), paint(rng), rng.choice(["lorry", "bus", "engine"])
    if kind == "bus":
        length, height = rng.uniform(7, 10), rng.uniform(2.5, 3.0)
        b.box((0, height / 2 + 0.35, 0), (2.4, height, length), look, rounding=0.2)
        for side in (-1, 1):
            for z in np.linspace(-length / 2 + 0.9, length / 2 - 0.9, int(length / 1.3)):
                b.box((side * 1.2, height * 0.72, z), (0.12, height * 0.34, 0.95), _WINDOW, rounding=0.05, role=Role.PART)
        b.box((0, height * 0.7, length / 2), (2.1, height * 0.42, 0.12), _WINDOW, rounding=0.05, role=Role.PART)
        _wheels(b, rng, [-length * 0.3, length * 0.3], 2.2, 0.5, 0.4)
        return b
    if kind == "engine":
        long, radius = rng.uniform(1.8, 2.6), rng.uniform(0.5, 0.65)
        b.cylinder((0, 1.2, 0.5), long, radius, look, tilt=(90, 0, 0), rounding=0.05)
        b.box((0, 1.35, -long / 2), (1.5, 1.7, 1.1), paint(rng), rounding=0.04)
        b.box((0, 2.25, -long / 2), (1.8, 0.12, 1.4), BLACK, rounding=0.04)
        for side in (-1, 1):
            b.box((side * 0.75, 1.65, -long / 2), (0.1, 0.6, 0.6), _WINDOW, rounding=0.03, role=Role.PART)
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
    b.box((0, 2.05, z + 0.68), (1.8, 0.75, 0.1), _WINDOW, rounding=0.04, role=Role.PART)
    for side in (-1, 1):
        b.box((side * 1.04, 2.05, z + 0.1), (0.1, 0.65, 0.7), _WINDOW, rounding=0.04, role=Role.PART)
    _wheels(b, rng, [-1.0 - length * 0.32, -1.0 - length * 0.05, z], 1.9, 0.5, 0.35)
    return b


def aircraft_or_boat(rng: np.random.Generator) -> Builder:
    """An aeroplane, or a boat with a cabin or a sail."""
    b, look = Builder(), paint(rng)
    if rng.random() < 0.5:
        radius, span = rng.uniform(0.32, 0.5), rng.uniform(5, 7)
        b.ellipsoid((0, 0, 0), (2 * radius, 2.1 * radius, 6.0), look)
        sweep = rng.uniform(0, 1.2)
        for side in (-1, 1):
            wing = [(0, -0.5), (0, 0.6), (span / 2, 0.25 - sweep), (span / 2, -0.25 - sweep)]
            b.extrusion((0, rng.uniform(-0.25, -0.15), 0.2), [(side * x, z) for x, z in wing], 0.12, look, rounding=0.04, tilt=(90, 0, 0))
            fin = [(0, -0.25), (0, 0.35), (1.1, 0.0 - sweep * 0.3), (1.1, -0.3 - sweep * 0.3)]
            b.extrusion((0, 0.08, -2.5), [(side * x, z) for x, z in fin], 0.1, look, rounding=0.03, tilt=(90, 0, 0))
            b.rod((side * span * 0.22, -0.3, 0.1 - sweep * 0.4), (side * span * 0.22, -0.3, 0.9 - sweep * 0.4), 0.17, metal(rng))
        b.extrusion((0, 0, -2.5), [(-0.35, 0.1), (0.4, 0.1), (-0.1, 1.2), (-0.45, 1.2)], 0.1, paint(rng), rounding=0.03, tilt=(0, -90, 0))
        b.ellipsoid((0, 0.22, 1.7), (0.6 * radius * 2, 0.5, 1.1), _WINDOW)
        return b
    long, wide = rng.uniform(3.5, 5), rng.uniform(0.55, 0.75)
    outline = [(-wide, -long / 2), (wide, -long / 2), (wide * 1.1, 0), (wide * 0.7, long * 0.32), (0, long / 2), (-wide * 0.7, long * 0.32), (-wide * 1.1, 0)]
    b.extrusion((0, 0.35, 0), outline, 0.6, look, rounding=0.08, tilt=(90, 0, 0))
    b.extrusion((0, 0.75, 0), np.array(outline) * 0.86, 0.5, wood(rng), tilt=(90, 0, 0), role=Role.CUT)
    if rng.random() < 0.5:
        tall = long * rng.uniform(0.9, 1.15)
        b.rod((0, 0.3, 0.2), (0, tall, 0.2), 0.05, wood(rng))
        sail = cloth(rng)
        b.extrusion((0, 0, 0), [(0.12, 0.95), (0.12, tall * 0.97), (-long * 0.42, 1.0)], 0.07, sail, tilt=(0, -90, 0), role=Role.PART)
        b.extrusion((0, 0, 0), [(0.3, 1.0), (0.28, tall * 0.8), (long * 0.42, 0.95)], 0.07, sail, tilt=(0, -90, 0), role=Role.PART)
    else:
        b.box((0, 0.85, -0.2), (wide * 1.3, 0.9, long * 0.3), Paint((0.92, 0.92, 0.9)), rounding=0.06, role=Role.PART)
        b.box((0, 1.0, -0.2), (wide * 1.36, 0.3, long * 0.22), _WINDOW, rounding=0.04, role=Role.PART)
    return b


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
    b.rod(head, head + (0, -0.06, muzzle), thick * 0.17, coat)
    b.rod((0, tall + 0.05, -long * 0.45), (0, tall - rng.uniform(-0.15, 0.25), -long * 0.5 - rng.uniform(0.1, 0.25)), 0.025, coat)
    ear = rng.uniform(0.06, 0.14)
    for side in (-1, 1):
        b.ellipsoid(head + (side * thick * 0.22, thick * 0.28, -0.03), (0.05, ear * 1.8, 0.04), coat, tilt=(0, 0, -20 * side))
        for z in (-0.36, 0.34):
            b.rod((side * thick * 0.3, tall, z * long), (side * thick * 0.3, 0.0, z * long * rng.uniform(0.95, 1.1)), thick * 0.17, coat, top=thick * 0.1)
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
        hand = elbow + (side * 0.06, -0.26 + 0.5 * lift, 0.06)
        b.rod((side * 0.19, 1.38, 0), elbow, 0.05, shirt)
        b.rod(elbow, hand, 0.04, skin)
    return b


def house(rng: np.random.Generator) -> Builder:
    """A small house or tower, as models of buildings are."""
    b, wall, roof = Builder(), plain(rng, rng.uniform(0.02, 0.14), rng.uniform(0.05, 0.4), rng.uniform(0.7, 0.95)), plain(rng, 0.02, rng.uniform(0.2, 0.7), rng.uniform(0.3, 0.6))
    width, depth, height = rng.uniform(3, 6), rng.uniform(4, 8), rng.uniform(2.5, 5)
    rise = width * rng.uniform(0.25, 0.6)
    b.extrusion((0, 0, 0), [(-width / 2, 0), (width / 2, 0), (width / 2, height), (0, height + rise - 0.2), (-width / 2, height)], depth, wall)
    slope = np.degrees(np.arctan2(rise, width / 2))
    for side in (-1, 1):
        long = np.hypot(width / 2, rise) + 0.4
        at = (side * (width / 4 + 0.1), height + rise / 2 - 0.05, 0)
        b.box(at, (long, 0.16, depth + 0.7), roof, tilt=(0, 0, -side * slope))
        for z in np.linspace(-depth * 0.33, depth * 0.33, int(rng.integers(1, 4))):
            b.box((side * width / 2, height * 0.55, z), (0.16, 1.1, 0.9), _WINDOW, role=Role.PART)
    b.box((rng.uniform(-0.2, 0.2) * width, 1.05, depth / 2), (1.0, 2.1, 0.18), wood(rng), role=Role.PART)
    b.box((width * 0.25, height + rise * 0.75, -depth * 0.25), (0.6, rise * 0.9, 0.6), plain(rng, 0.02, 0.5, 0.5))
    return b


def free_form(rng: np.random.Generator) -> Builder:
    """Unions and cuts of random primitives, from a single block to a small sculpture; often mirrored."""
    b, mirrored = Builder(), rng.random() < 0.4
    choices = [paint, pottery, wood, metal, cloth]
    looks = [choices[rng.integers(len(choices))](rng) for _ in range(int(rng.integers(1, 4)))]
    place = np.zeros(3)
    for number in range(int(rng.integers(1, 7))):
        if number:
            place = place + rng.normal(size=3) * rng.uniform(0.2, 0.45)
        _random_primitive(b, rng, place, looks[rng.integers(len(looks))], Role.BODY, mirrored)
    solid = list(b.primitives)
    for _ in range(int(rng.integers(0, 4))):
        middle = solid[rng.integers(len(solid))].position + rng.normal(size=3) * 0.2
        _random_primitive(b, rng, middle, looks[rng.integers(len(looks))], Role.CUT, mirrored)
    if _cuts_move_the_bounds(b):
        b.primitives = solid
    return b


def _random_primitive(
    b: Builder, rng: np.random.Generator, at: np.ndarray, look: Paint, role: Role, mirrored: bool
) -> None:
    tilt = rng.uniform(-90, 90, 3) if rng.random() < 0.5 else rng.choice([0.0, 90.0], 3)
    kind, sides = rng.integers(6), rng.uniform(0.2, 0.9, 3)
    if role == Role.CUT:
        sides = sides * 0.6
    for side in (1, -1) if mirrored and abs(at[0]) > 0.1 else (1,):
        middle, turn = at * (side, 1, 1), tilt * (1, side, side)
        if kind == 0:
            b.box(middle, sides, look, rounding=rng.choice([0.0, 0.03, 0.08]), tilt=turn, role=role)
        elif kind == 1:
            b.cylinder(middle, sides[0], sides[1] / 2, look, top=sides[2] / 2 * rng.uniform(0.2, 1), tilt=turn, role=role)
        elif kind == 2:
            b.ellipsoid(middle, sides, look, tilt=turn, role=role)
        elif kind == 3:
            b.arc(middle, sides[0] * 0.6, sides[1] * 0.15, look, angle_deg=rng.choice([140, 220, 360]), tilt=turn, role=role)
        elif kind == 4:
            radii = rng.uniform(0.08, 0.4, 6)
            profile = [(0, -0.4), *zip(radii, np.linspace(-0.4, 0.4, 6), strict=True), (0, 0.4)]
            b.lathe(middle, profile, look, rounding=0.02, tilt=turn, role=role)
        else:
            turns = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 8))))
            reach = rng.uniform(0.2, 0.5, len(turns))
            outline = np.stack([np.cos(turns) * reach, np.sin(turns) * reach], axis=1)
            b.extrusion(middle, outline, sides[0], look, rounding=0.02, tilt=turn, role=role)


def _cuts_move_the_bounds(b: Builder) -> bool:
    """Whether a cut takes away one of the points at which the solid is widest."""
    cuts = [each for each in b.primitives if each.role == Role.CUT]
    if not cuts:
        return False
    solid = [each for each in b.primitives if each.role != Role.CUT]
    points = np.stack([each.support(AXES) for each in solid])
    reach = (points * AXES).sum(axis=2)
    widest = points[reach.argmax(axis=0), np.arange(6)]
    tool = Builder()
    tool.primitives = [*cuts]
    solids = pack([tool], bounded=False)
    distance = -signed_field(solids, torch.from_numpy(widest[None].astype(np.float32)))
    return bool((distance > -0.02).any())
