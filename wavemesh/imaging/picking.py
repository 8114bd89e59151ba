"""The object at a pixel that was clicked: a piece of a mask, or what a new cut finds around the pixel."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from wavemesh.errors import InputError
from wavemesh.imaging.grabcut import colour_cut, full_size_alpha, without_specks

_ROUNDS = 2  # of GrabCut: its guess is nearly right already
_SMALL = 0.15  # of a piece that was clicked: smaller ones near it belong to it
_NEAR = 0.03  # of the longer side of that piece
_WINDOWS = (0.35, 0.7)  # of the picture's longer side: where the network looks around a click
_CLICK_SIDE = 320
_ROOM = 0.1  # around what may be the object, of its longer side
_DOUBT = 0.1  # likelihoods that colour may not overrule lie that near to 0 and 1
_NOTHING_FOUND = "No object was found where you clicked: brush over it with Keep."


def piece_at(mask: Bool[np.ndarray, "h w"], x: int, y: int) -> Bool[np.ndarray, "h w"] | None:
    """The piece of the mask at a pixel with the small ones near it; None where there is none, or all belongs to it."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    label = int(labels[y, x])
    if label == 0:
        return None
    high, wide, area = (int(stats[label, each]) for each in (cv2.CC_STAT_HEIGHT, cv2.CC_STAT_WIDTH, cv2.CC_STAT_AREA))
    around = grown(labels == label, max(1, round(_NEAR * max(high, wide))))
    near = np.setdiff1d(labels[around], (0, label))
    small = [each for each in near if stats[each, cv2.CC_STAT_AREA] < _SMALL * area]
    piece = np.isin(labels, [label, *small])
    return None if piece.sum() == mask.sum() else piece


def found_at(rgb: UInt8[np.ndarray, "h w 3"], x: int, y: int) -> UInt8[np.ndarray, "h w"]:
    """The alpha of the object at a pixel by a new cut: what stands out around it, or what has its colour."""
    likely = _likelihood_at(rgb, x, y)
    part = _box(likely >= _DOUBT, _ROOM)
    around = np.ascontiguousarray(rgb[part])
    height, width = around.shape[:2]
    if min(height, width) < 8:
        raise InputError(_NOTHING_FOUND)
    scale = min(1.0, _CLICK_SIDE / max(height, width))
    size = max(8, round(width * scale)), max(8, round(height * scale))
    at = tuple(
        min(round((value - axis.start) * scale), side - 1)
        for value, axis, side in zip((x, y), (part[1], part[0]), size, strict=True)
    )
    small = cv2.resize(likely[part], size, interpolation=cv2.INTER_AREA)
    guess = np.where(small >= 0.5, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    guess[small < _DOUBT] = cv2.GC_BGD
    guess[small > 1.0 - _DOUBT] = cv2.GC_FGD
    cv2.circle(guess, at, 2, int(cv2.GC_FGD), -1)
    cv2.setRNGSeed(0)  # k-means inside GrabCut starts at random
    mask = colour_cut(cv2.resize(around, size, interpolation=cv2.INTER_AREA), guess, _ROUNDS)
    _, labels = cv2.connectedComponents(without_specks(mask, 0.0005).astype(np.uint8), connectivity=8)
    if labels[at[1], at[0]] == 0:
        raise InputError(_NOTHING_FOUND)
    alpha = np.zeros(rgb.shape[:2], dtype=np.uint8)
    alpha[part] = full_size_alpha(around, labels == labels[at[1], at[0]])
    return alpha


def _likelihood_at(rgb: UInt8[np.ndarray, "h w 3"], x: int, y: int) -> Float[np.ndarray, "h w"]:
    """How far each pixel belongs to the object at a pixel: what stands out in the window that shows it best."""
    from wavemesh.imaging.u2netp import look  # torch takes its time to load

    height, width = rgb.shape[:2]
    best, best_score = np.zeros((height, width), dtype=np.float32), 0.0
    try:
        for share in _WINDOWS:
            half = round(share * max(height, width) / 2)
            part = np.s_[max(0, y - half) : y + half + 1, max(0, x - half) : x + half + 1]
            seen = np.zeros((height, width), dtype=np.float32)
            seen[part] = look(np.ascontiguousarray(rgb[part]))
            score = _standing_out(seen, part, x, y)
            if score > best_score:
                best, best_score = seen, score
    except InputError:  # without its weights colour has to do
        pass
    if best_score > 0.0:
        return best
    filled = np.zeros((height + 2, width + 2), dtype=np.uint8)
    lab = cv2.cvtColor(cv2.GaussianBlur(rgb, (5, 5), 0), cv2.COLOR_RGB2Lab)
    cv2.floodFill(lab, filled, (x, y), 0, (12,) * 3, (12,) * 3, 4 | cv2.FLOODFILL_MASK_ONLY)
    # Filling stops at the first pixels of an edge; where that lies is left to the cut.
    return cv2.GaussianBlur(grown(filled[1:-1, 1:-1] > 0, 2).astype(np.float32), (0, 0), 2.0)


def _standing_out(seen: Float[np.ndarray, "h w"], part: tuple[slice, slice], x: int, y: int) -> float:
    """How well a window shows the object at a pixel, -1 to 1: surely, and not cut off by the window's border."""
    _, labels = cv2.connectedComponents((seen >= 0.5).astype(np.uint8), connectivity=8)
    if labels[y, x] == 0:
        return 0.0
    mask = labels == labels[y, x]
    inside = mask[part]
    height, width = seen.shape
    borders = {
        "top": (part[0].start > 0, inside[0]),
        "bottom": (part[0].stop < height, inside[-1]),
        "left": (part[1].start > 0, inside[:, 0]),
        "right": (part[1].stop < width, inside[:, -1]),
    }
    cut_off = sum(float(edge.mean()) for ends_before, edge in borders.values() if ends_before)
    return float(seen[mask].mean()) - cut_off


def _box(mask: Bool[np.ndarray, "h w"], room: float) -> tuple[slice, slice]:
    """The window around a mask that is not empty, with room around it in units of its longer side."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    pad = 4 + round(room * max(np.ptp(rows), np.ptp(columns)))
    first, last = (int(rows[0]), int(columns[0])), (int(rows[-1]), int(columns[-1]))
    return tuple(  # type: ignore[return-value]
        slice(max(0, low - pad), min(side, high + pad + 1))
        for low, high, side in zip(first, last, mask.shape, strict=True)
    )


def grown(mask: Bool[np.ndarray, "h w"], by: int) -> Bool[np.ndarray, "h w"]:
    """The mask wider by that many pixels."""
    return np.asarray(cv2.dilate(mask.astype(np.uint8), np.ones((2 * by + 1, 2 * by + 1), np.uint8)) > 0)
