"""Which of several things that stand out in a picture is meant: what is large, in the middle, and not cut off.

People frame what they mean. A window, a lamp or a house behind it stands out as well, and would be half of the mesh.
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool

from wavemesh.imaging.masks import groups, reduced

_MIDDLE = 0.35  # of the picture's sides: as far from the middle things count for 1 / e of what they would there
_CUT_OFF = 0.25  # what a thing counts that the upper, left or right border cuts; the lower one cuts what is meant too
_TOUCH = 0.02  # of that border
_AS_GOOD = 0.6  # of the weight of what is meant: what counts as much is meant too, such as the second shoe
_WORTH_TELLING = 0.15  # of the area of what is meant
_CENTRED = 0.1  # by so much nearer to the middle a whole lies than its part, such as the shade of a lamp
_BESIDE = 0.12  # of its longer side: nearer than that to a thing what is smaller is a part of it, such as a leg


def beside_the_subject(mask: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """What of a mask is something else than what the picture is of; nothing where all of it hangs together.

    Pieces that are near each other are one thing. The constants were chosen on 144 composites (docs/LOG.md).
    """
    small = reduced(mask)
    if not small.any():
        return np.zeros_like(mask)
    labels, areas = groups(small)
    things = [small & (labels == label) for label in range(1, len(areas))]
    weights = np.array([_weight(thing) for thing in things])
    main = things[int(weights.argmax())]
    away = cv2.distanceTransform((~main).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    near = _BESIDE * max(np.ptp(axis) + 1 for axis in np.nonzero(main))
    others = np.zeros_like(small)
    for thing, weight in zip(things, weights, strict=True):
        is_part = thing.sum() < main.sum() and away[thing].min() < near
        completes = _off_centre(main | thing) < _off_centre(main) - _CENTRED
        if not (weight >= _AS_GOOD * weights.max() or is_part or completes):
            others |= thing
    if not others.any():
        return np.zeros_like(mask)
    return mask & (cv2.resize(others.astype(np.uint8), mask.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0)


def worth_telling(others: Bool[np.ndarray, "h w"], mask: Bool[np.ndarray, "h w"]) -> bool:
    """Whether what stands beside the subject of a mask is more than a scrap against it."""
    return bool(others.sum() > _WORTH_TELLING * (mask & ~others).sum())


def _weight(thing: Bool[np.ndarray, "h w"]) -> float:
    rows, columns = np.nonzero(thing)
    height, width = thing.shape
    away = np.hypot(rows.mean() / height - 0.5, columns.mean() / width - 0.5)
    cut_off = max(thing[0].mean(), thing[:, 0].mean(), thing[:, -1].mean()) > _TOUCH
    return float(np.sqrt(len(rows)) * np.exp(-((away / _MIDDLE) ** 2)) * (_CUT_OFF if cut_off else 1.0))


def _off_centre(thing: Bool[np.ndarray, "h w"]) -> float:
    """How far the middle of its box is from the picture's, in sides of the picture."""
    rows, columns = np.flatnonzero(thing.any(axis=1)), np.flatnonzero(thing.any(axis=0))
    height, width = thing.shape
    return float(np.hypot((rows[0] + rows[-1]) / 2 / height - 0.5, (columns[0] + columns[-1]) / 2 / width - 0.5))
