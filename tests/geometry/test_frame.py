"""The sides of the world, and what people call them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from wavemesh.errors import InputError
from wavemesh.geometry.camera import Camera
from wavemesh.geometry.frame import SIDE_AZIMUTHS, SIDES, named_side


def test_sides_are_where_people_look_from() -> None:
    places = {side: Camera(azimuth).position() for side, azimuth in SIDE_AZIMUTHS.items()}
    assert {side: tuple(np.sign(np.round(place, 6))) for side, place in places.items()} == {
        "front": (0, 0, 1), "right": (1, 0, 0), "back": (0, 0, -1), "left": (-1, 0, 0),
    }  # fmt: skip


def test_sides_have_names() -> None:
    assert [named_side(side) for side in SIDES] == list(SIDES)
    assert named_side(None) is None


@pytest.mark.parametrize("word", ["north", "Front", "", 3, ["front"]])
def test_other_names_are_refused(word: Any) -> None:
    with pytest.raises(InputError, match=r"one of front, right, back, left, top, not "):
        named_side(word)
