"""Estimated cameras of pictures whose sides people named: front, right, back, left, top.

A side fixes the quarter turn, which an estimate knows least. What is left of the azimuth is a deviation from the side
between -45 and 45 degrees; pictures of different sides are mostly taken a quarter turn apart, so their deviations
support each other.
"""

from __future__ import annotations

import cmath
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from wavemesh.geometry.camera import Camera
from wavemesh.geometry.frame import SIDE_AZIMUTHS, Side

OWN_WEIGHT = 4.0  # of a picture's own answer beside one of every picture; docs/LOG.md has what others come to
# Estimates are trained on lower cameras than people take pictures of a top with.
TOP_MINIMUM_DEG, TOP_USUAL_DEG = 60.0, 80.0


def at_sides(cameras: Sequence[Camera], sides: Sequence[Side | None]) -> list[Camera]:
    """The cameras in the frame of the sides: the front around azimuth 0, the right around 90.

    Azimuths of cameras with a side count modulo a quarter turn. Those without one keep their angles to most of the
    others; without any side all stay as they are. A camera from the top has at least 60 degrees of elevation.
    """
    placed = [index for index, side in enumerate(sides) if side in SIDE_AZIMUTHS]
    tops = [index for index, side in enumerate(sides) if side == "top"]
    found = list(cameras)
    for index, deviation in zip(placed, shared_deviations([cameras[i].azimuth_deg for i in placed]), strict=True):
        found[index] = replace(cameras[index], azimuth_deg=SIDE_AZIMUTHS[sides[index]] + deviation)  # type: ignore[index]
    front = next((found[index].azimuth_deg for index in placed if sides[index] == "front"), 0.0)
    for index in tops:
        elevation = cameras[index].elevation_deg
        elevation = elevation if elevation >= TOP_MINIMUM_DEG else TOP_USUAL_DEG
        found[index] = replace(cameras[index], azimuth_deg=front, elevation_deg=elevation)
    turns = Counter(_quarters(found[index].azimuth_deg - cameras[index].azimuth_deg) for index in placed)
    quarter = 90.0 * turns.most_common(1)[0][0] if turns else 0.0
    return [
        camera.turned(quarter) if side is None and quarter else camera
        for camera, side in zip(found, sides, strict=True)
    ]


def shared_deviations(azimuths_deg: Sequence[float]) -> list[float]:
    """Deviations in [-45, 45) of azimuths from quarter turns, each drawn towards the mean of all of them."""
    unit = [cmath.rect(1.0, math.radians(4.0 * azimuth)) for azimuth in azimuths_deg]
    return [_fourth(sum(unit) + OWN_WEIGHT * each) for each in unit]


def _fourth(turned: complex) -> float:
    """A quarter of the angle of a number, in degrees in [-45, 45)."""
    return (math.degrees(cmath.phase(turned)) / 4.0 + 45.0) % 90.0 - 45.0


def _quarters(degrees: float) -> int:
    return round(degrees / 90.0) % 4
