"""Pictures of slices and planes: turned the way a person looks, cells as squares, blue below zero and red above."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8

from wavemesh.ui.widgets.colours import diverging, legend

SLICE_SIDE = 256


def upright(values: Float[np.ndarray, "a b"], axis: int) -> Float[np.ndarray, "r c"]:
    """A slice across an axis (0 is x), whose rows and columns are the two other axes in order, as a picture lies.

    Across x: z to the right and y up. Across y: x to the right and z down, from above. Across z: x to the right and y
    up, from the front.
    """
    return (values[::-1], values.T, values.T[::-1])[axis]


def colour_limit(values: Float[np.ndarray, "..."]) -> float:
    """Where a colour scale for these values ends; the few largest would make all others grey."""
    return max(float(np.quantile(np.abs(values), 0.998)), 1e-6)


def cells_picture(values: Float[np.ndarray, "h w"], limit: float) -> UInt8[np.ndarray, "r c 3"]:
    """The values in colour, full at -limit and limit, every cell a square, about SLICE_SIDE pixels high."""
    return enlarged(diverging(values, limit))


def enlarged(picture: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "r c 3"]:
    """The picture with every pixel repeated until it is about SLICE_SIDE high: cells stay cells."""
    times = max(1, SLICE_SIDE // len(picture))
    return picture.repeat(times, axis=0).repeat(times, axis=1)


def limit_legend(title: str, limit: float) -> str:
    """The legend of pictures whose colours end at -limit and limit, as HTML."""
    return legend(title, f"−{limit:.3g}", "0", f"+{limit:.3g}")
