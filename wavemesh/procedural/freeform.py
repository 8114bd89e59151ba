"""Free-form shapes: unions and cuts of random primitives. Lengths in no unit."""

from __future__ import annotations

import numpy as np
import torch

from wavemesh.procedural.builder import Builder, pack
from wavemesh.procedural.field import signed_field
from wavemesh.procedural.materials import Paint, cloth, metal, paint, pottery, wood
from wavemesh.procedural.primitive import AXES
from wavemesh.procedural.solids import Role


def free_form(rng: np.random.Generator) -> Builder:
    """Unions and cuts of random primitives, from a single block to a small sculpture; often mirrored."""
    b, mirrored = Builder(), rng.random() < 0.4
    choices = [paint, pottery, wood, metal, cloth]
    looks = [choices[rng.integers(len(choices))](rng) for _ in range(int(rng.integers(1, 4)))]
    place = np.zeros(3)
    for number in range(int(rng.integers(1, 7))):
        if number:
            place = place + rng.normal(size=3) * rng.uniform(0.12, 0.3)
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
            b.cylinder(
                middle, sides[0], sides[1] / 2, look, top=sides[2] / 2 * rng.uniform(0.2, 1), tilt=turn, role=role
            )
        elif kind == 2:
            b.ellipsoid(middle, sides, look, tilt=turn, role=role)
        elif kind == 3:
            b.arc(
                middle,
                sides[0] * 0.6,
                sides[1] * 0.15,
                look,
                angle_deg=float(rng.choice([140.0, 220.0, 360.0])),
                tilt=turn,
                role=role,
            )
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
