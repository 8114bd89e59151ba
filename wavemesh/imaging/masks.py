"""A gate for masks, whoever made them: crumbs are dropped, what will go wrong is said, scraps are refused.

One opaque pixel in a corner is enough to ruin a mesh, since the picture is framed by what is opaque. So groups of
pixels that are far from the object and small against it are no part of it. Legs, leaves and cups beside a pot are near,
or not small.
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

from wavemesh.errors import InputError
from wavemesh.imaging.cropping import FOREGROUND_ALPHA

_FAR = 0.03  # of the longer side of what is opaque: pieces that are nearer than that belong together
_CRUMB = 0.02  # of the largest group: a smaller one is dropped
_LARGE = 0.15  # of the largest group: a larger one is an object of its own
_SCRAPS = 0.05  # of all that is kept: with a largest piece below that, there is no object
_LEAST_SHARE, _MOST_SHARE = 0.01, 0.9  # of the picture, without a remark
_TOUCH = 0.04  # of the object's side along a border, before it counts as cut off
_WORKING_SIDE = 1024


def gated(alpha: UInt8[np.ndarray, "h w"], name: str) -> tuple[UInt8[np.ndarray, "h w"], tuple[str, ...]]:
    """The alpha without crumbs, and sentences about what will go wrong with it.

    alpha: its foreground is FOREGROUND_ALPHA and above, and there is some. name: how the sentences call the picture.
    Raises InputError where the foreground is nothing but scraps.
    """
    small = reduced(alpha >= FOREGROUND_ALPHA)
    labels, areas = groups(small)
    kept = areas >= _CRUMB * areas.max()
    kept[0] = False
    object_mask = small & kept[labels]
    pieces, _, stats, _ = cv2.connectedComponentsWithStats(object_mask.astype(np.uint8), connectivity=8)
    largest = stats[1:, cv2.CC_STAT_AREA].max() / object_mask.sum()
    if largest < _SCRAPS:
        raise InputError(
            f"{name} falls into {pieces - 1} scraps, the largest {largest:.0%} of them: no object stands out; take one "
            "with a plainer background, or cut it out yourself."
        )
    if not kept[1:].all():
        dropped = cv2.resize(
            (~kept & (np.arange(len(kept)) > 0))[labels].astype(np.uint8),
            alpha.shape[::-1],
            interpolation=cv2.INTER_NEAREST,
        )
        alpha = np.where(dropped > 0, np.uint8(0), alpha)
    return alpha, _remarks(object_mask, int((areas >= _LARGE * areas.max()).sum()), name)


def reduced(mask: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "sh sw"]:
    """The mask at a size at which looking for pieces is quick; nothing that is opaque is lost."""
    factor = -(-max(mask.shape) // _WORKING_SIDE)
    if factor == 1:
        return mask
    padded = np.pad(mask, [(0, -side % factor) for side in mask.shape])
    blocks = padded.reshape(padded.shape[0] // factor, factor, -1, factor)
    return np.asarray(blocks.any(axis=(1, 3)))


def groups(mask: Bool[np.ndarray, "h w"]) -> tuple[np.ndarray, np.ndarray]:
    """Labels (h, w) of the groups of pieces that are near each other, reaching as far as "near" does; their areas.

    Label 0 is what no group reaches; its area is given as 0.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    # Measured on the largest piece, so that a stray pixel in a corner does not widen what counts as near.
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    main = stats[1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())]
    reach = max(1.0, _FAR * max(main[cv2.CC_STAT_WIDTH], main[cv2.CC_STAT_HEIGHT])) / 2.0
    pad = int(reach) + 2
    window = np.s_[max(0, rows[0] - pad) : rows[-1] + pad + 1, max(0, columns[0] - pad) : columns[-1] + pad + 1]
    distance = cv2.distanceTransform((~mask[window]).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    labels = np.zeros(mask.shape, dtype=np.int32)
    count, labels[window] = cv2.connectedComponents((distance <= reach).astype(np.uint8), connectivity=8)
    areas = np.bincount(labels[mask], minlength=count)
    areas[0] = 0
    return labels, areas


def _remarks(mask: Bool[np.ndarray, "h w"], large: int, name: str) -> tuple[str, ...]:
    remarks = []
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    high, wide = rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
    borders = {
        "left": (mask[:, 0], high),
        "right": (mask[:, -1], high),
        "upper": (mask[0], wide),
        "lower": (mask[-1], wide),
    }
    cut = [side for side, (edge, length) in borders.items() if edge.sum() > max(1.0, _TOUCH * length)]
    share = float(mask.mean())
    if share > _MOST_SHARE:
        remarks.append(
            f"{name}: the object fills {share:.0%} of the picture: if its background is still there, choose another "
            "way to remove it."
        )
    elif cut:
        remarks.append(
            f"{name}: the object touches the {_listed(cut)} border: what lies beyond is unknown; leave some room "
            "around it."
        )
    if share < _LEAST_SHARE:
        remarks.append(f"{name}: the object fills only {share:.1%} of the picture: go nearer, or crop it.")
    if large > 1:
        remarks.append(
            f"{name}: {large} separate things stand out, and all are taken as one object: crop it to the one that is "
            "meant."
        )
    return tuple(remarks)


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
