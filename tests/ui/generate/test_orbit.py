"""The map of the cameras: where the marks stand, what they say, and which of them can be moved."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import pytest
from PIL import Image

from wavemesh.geometry.camera import Camera
from wavemesh.ui.generate.orbit import orbit_html
from wavemesh.ui.pictures import Picture

CUTOUT = Image.new("RGBA", (8, 8), (200, 20, 20, 255))


def known(azimuth: float, elevation: float) -> Picture:
    return Picture("a", CUTOUT, Camera(float(azimuth), float(elevation)))


def marks(pictures: list[Picture], estimate: bool) -> list[ElementTree.Element]:
    drawn = orbit_html(pictures, estimate)
    return [g for g in ElementTree.fromstring(drawn).iter("g") if "wm-mark" in g.get("class", "")] if drawn else []


@pytest.mark.parametrize("azimuth", [0, 30, 90, -135])
def test_a_mark_stands_where_its_camera_does(azimuth: int) -> None:
    """Seen from above with the front below: +x goes to the right and +z down, as y does in a drawing."""
    [mark] = marks([known(azimuth, 0.0)], False)
    found = re.fullmatch(r"rotate\((-?\d+)\)", mark.get("transform", ""))
    assert found is not None
    turn, radius = math.radians(float(found[1])), float(mark.find("circle").get("cy"))  # type: ignore[union-attr,arg-type]
    x, y = -math.sin(turn) * radius, math.cos(turn) * radius
    position = Camera(float(azimuth), 0.0).position()
    assert math.atan2(x, y) == pytest.approx(math.atan2(position[0], position[2]), abs=1e-6)


def test_higher_cameras_are_nearer_to_the_middle() -> None:
    radii = [float(mark.get("data-radius", "")) for mark in marks([known(0.0, e) for e in (0, 40, 89)], False)]
    assert radii == sorted(radii, reverse=True)
    assert radii[-1] > 18.0 * math.sqrt(2.0)  # beside the object


def test_what_is_not_known_is_not_drawn_and_a_side_alone_has_no_grip() -> None:
    new, found = Picture("b", CUTOUT), Picture("c", CUTOUT, found=(CUTOUT, Camera(77.0, 12.0)))
    assert orbit_html([new], True) == ""
    sided = Picture("d", CUTOUT, side="left")
    drawn = marks([new, found, sided], True)
    assert [mark.get("data-picture") for mark in drawn] == ["1", "2"]
    assert [mark.get("tabindex") for mark in drawn] == ["0", None]
    assert drawn[0].get("aria-label") == "Picture 2: azimuth 77°, elevation 12°"
    assert drawn[1].get("aria-label") == "Picture 3: the left, still to be estimated"
    assert drawn[1].get("transform") == "rotate(90)"
    assert len(marks([new, found, sided], False)) == 3
