"""The measures of the world's frame: its sides, how large objects are in it, how far a signed distance field looks.

Without any heavy import, so that a page can lay out its sliders before anything is loaded.
"""

from typing import Any, Literal, get_args

from wavemesh.errors import InputError

# What people call the sides of an object. "right" is what comes in front after walking round to the right: seen from
# above the camera goes anticlockwise, from +z to +x.
Side = Literal["front", "right", "back", "left", "top"]
SIDES: tuple[Side, ...] = get_args(Side)
SIDE_AZIMUTHS: dict[Side, float] = {"front": 0.0, "right": 90.0, "back": 180.0, "left": 270.0}

BOX_SIDE = 1.8  # longest side of an object's bounding box
TRUNCATION = 0.09  # largest distance that a field holds, in units of the world


def named_side(word: Any) -> Side | None:
    """The side of that name, None for None; InputError for anything else."""
    found = next((side for side in SIDES if side == word), None)
    if word is not None and found is None:
        raise InputError(f"A side is one of {', '.join(SIDES)}, not {word!r:.60}.")
    return found


def beside(azimuth_deg: float, elevation_deg: float) -> tuple[float, float]:
    """Azimuth and elevation of a look from a little to the side of a camera.

    Straight on, a person sees only what the picture shows already.
    """
    return azimuth_deg + 30.0, min(35.0, max(15.0, elevation_deg))
