"""Square crops that remember where they were, so that a camera can follow them.

A picture with a known camera is only padded to a square; one without is cropped to its foreground and the camera of
that crop is estimated. Both return the window in pixels of the original, and `Camera.cropped(crop.left, crop.top,
crop.size, crop.width, crop.height)` moves a camera along.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from wavemesh.errors import InputError

FOREGROUND_ALPHA = 128  # a pixel counts as foreground from here on
CROP_MARGIN = 0.08  # around an object, in units of its longer side, in all that the networks see


@dataclass(frozen=True)
class Crop:
    """A square window of a picture of width x height pixels; it may reach beyond the picture.

    left, top: the window's corner in pixels of the original. size: its side. width, height: the original's.
    All are whole numbers, held as floats because `Camera.cropped` takes them so.
    """

    left: float
    top: float
    size: float
    width: float
    height: float

    def apply(self, picture: Image.Image) -> Image.Image:
        """The window of the picture as RGBA; transparent where it reaches beyond."""
        # Pillow fills what lies outside with zeros, that is transparent.
        left, top, size = round(self.left), round(self.top), round(self.size)
        box = (left, top, left + size, top + size)
        return picture.convert("RGBA").crop(box)


def pad_to_square(image: Image.Image) -> tuple[Image.Image, Crop]:
    """The picture in the middle of a transparent square as large as its longer side, and that window."""
    width, height = image.size
    side = max(width, height)
    left, top = -((side - width) // 2), -((side - height) // 2)
    crop = Crop(float(left), float(top), float(side), float(width), float(height))
    return crop.apply(image), crop


def crop_foreground(rgba: Image.Image, margin: float = 0.1) -> tuple[Image.Image, Crop]:
    """A square around the foreground with a margin on all sides, and that window.

    margin: in units of the foreground's longer side. Raises InputError if no pixel is opaque.
    """
    if not 0.0 <= margin <= 1.0:
        raise InputError(f"A crop's margin lies between 0 and 1, not {margin}.")
    foreground = np.asarray(rgba.convert("RGBA"))[..., 3] >= FOREGROUND_ALPHA
    columns, rows = np.flatnonzero(foreground.any(axis=0)), np.flatnonzero(foreground.any(axis=1))
    if columns.size == 0:
        raise InputError(f"The picture ({rgba.width} x {rgba.height} pixels) has no foreground: it is transparent.")
    left, right, top, bottom = int(columns[0]), int(columns[-1]) + 1, int(rows[0]), int(rows[-1]) + 1
    size = max(1, round(max(right - left, bottom - top) * (1.0 + 2.0 * margin)))
    corner = (left + right - size) // 2, (top + bottom - size) // 2
    crop = Crop(float(corner[0]), float(corner[1]), float(size), float(rgba.width), float(rgba.height))
    return crop.apply(rgba), crop
