"""The object told from its background by colour: GrabCut from a first guess.

GrabCut (Rother, Kolmogorov and Blake 2004, through OpenCV) wants a first guess. It comes from a network that says what
stands out, or else from a colour model of the picture's border: what looks like the border and hangs together with it
is background, the rest starts as foreground.
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

_WORKING_SIDE = 448  # GrabCut's time grows with the pixels; the mask is refined at full size afterwards
_PLAIN_SPREAD = 12.0  # deviation in Lab up to which a border colour is a studio background, a wall or a floor
_SURE_BACKGROUND, _SURE_OBJECT = 0.1, 0.9  # likelihoods that colour may not overrule
_NOTICEABLE = 3.0  # deviations from the border's colours at which a pixel stands out


def grabcut_alpha(rgb: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w"]:
    """The object's alpha by colour; all zero if nothing stands out."""
    height, width = rgb.shape[:2]
    scale = min(1.0, _WORKING_SIDE / max(height, width))
    small_size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(rgb, small_size, interpolation=cv2.INTER_AREA)
    if min(small_size) < 8:
        return np.zeros((height, width), dtype=np.uint8)
    cv2.setRNGSeed(0)  # k-means, here and inside GrabCut, starts at random
    strangeness, is_plain = _distance_from_border(small)
    guess = _first_guess(strangeness, is_plain)
    if guess is None:
        return np.zeros((height, width), dtype=np.uint8)
    mask = colour_cut(small, guess)
    return full_size_alpha(rgb, without_specks(mask, 0.0005 if is_plain else 0.05))


def refined_alpha(rgb: UInt8[np.ndarray, "h w 3"], likelihood: Float[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w"]:
    """The object's alpha where a network gave each pixel's likelihood in [0, 1]; all zero where none reaches a half.

    Colour decides where the network is in doubt, which is along the edge and at thin parts.
    """
    height, width = rgb.shape[:2]
    scale = min(1.0, _WORKING_SIDE / max(height, width))
    small_size = (max(1, round(width * scale)), max(1, round(height * scale)))
    likely = cv2.resize(likelihood, small_size, interpolation=cv2.INTER_AREA)
    if not (likely >= 0.5).any() or min(small_size) < 8:
        return np.zeros((height, width), dtype=np.uint8)
    guess = np.where(likely >= 0.5, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    guess[likely < _SURE_BACKGROUND] = cv2.GC_BGD
    guess[likely > _SURE_OBJECT] = cv2.GC_FGD
    cv2.setRNGSeed(0)  # k-means inside GrabCut starts at random
    small = cv2.resize(rgb, small_size, interpolation=cv2.INTER_AREA)
    return full_size_alpha(rgb, without_specks(colour_cut(small, guess), 0.0005))


def _distance_from_border(small: UInt8[np.ndarray, "h w 3"]) -> tuple[Float[np.ndarray, "h w"], bool]:
    """How far each pixel's colour is from the border's colours, in their own deviations; whether the border is plain.

    The border may have several colours (a wall and a floor): four k-means clusters in Lab, nearest one counts.
    """
    lab = cv2.cvtColor(cv2.GaussianBlur(small, (3, 3), 0), cv2.COLOR_RGB2Lab).astype(np.float32)
    ring = max(2, round(0.03 * min(lab.shape[:2])))
    border = np.concatenate(
        [
            lab[:ring].reshape(-1, 3),
            lab[-ring:].reshape(-1, 3),
            lab[:, :ring].reshape(-1, 3),
            lab[:, -ring:].reshape(-1, 3),
        ]
    )
    clusters = min(4, len(border))
    stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 20, 0.5)
    _, labels, centres = cv2.kmeans(border, clusters, None, stop, 2, cv2.KMEANS_PP_CENTERS)
    nearest = np.full(lab.shape[:2], np.inf, dtype=np.float32)
    spread = 0.0
    for cluster in range(clusters):
        members = border[labels[:, 0] == cluster]
        # A small share of the border is rather the object, which may touch it.
        if len(members) < 0.12 * len(border):
            continue
        spread = max(spread, float(members.std(axis=0).max()))
        # The floor keeps a perfectly even studio background from making every shadow stand out.
        deviation = np.maximum(members.std(axis=0), (6.0, 2.5, 2.5))
        nearest = np.minimum(nearest, np.linalg.norm((lab - centres[cluster]) / deviation, axis=-1))
    return nearest, spread < _PLAIN_SPREAD


def _first_guess(strangeness: Float[np.ndarray, "h w"], is_plain: bool) -> UInt8[np.ndarray, "h w"] | None:
    """GrabCut's starting mask: sure background outside a rectangle around what stands out; None if nothing does."""
    height, width = strangeness.shape
    stands_out = cv2.morphologyEx(
        (strangeness > _NOTICEABLE).astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)
    )
    _, labels, stats, _ = cv2.connectedComponentsWithStats(stands_out, connectivity=8)
    areas = stats[1:, cv2.CC_STAT_AREA]
    if areas.size == 0 or areas.max() < 0.002 * height * width:
        return None
    kept = np.isin(labels, 1 + np.flatnonzero(areas >= 0.05 * areas.max()))
    rows, columns = np.flatnonzero(kept.any(axis=1)), np.flatnonzero(kept.any(axis=0))
    margin = max(2, round(0.03 * max(height, width)))
    guess = np.full((height, width), cv2.GC_BGD, dtype=np.uint8)
    inside = (
        slice(max(0, rows[0] - margin), rows[-1] + margin + 1),
        slice(max(0, columns[0] - margin), columns[-1] + margin + 1),
    )
    guess[inside] = np.where(kept[inside], cv2.GC_PR_FGD, cv2.GC_PR_BGD)
    # Deep inside of what stands out clearly there is no doubt; this keeps dark or pale parts from being lost.
    core = cv2.erode((kept & (strangeness > 3.0 * _NOTICEABLE)).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    guess[core] = cv2.GC_FGD
    # Looks exactly like the border: background for certain. On a plain background that holds for the gaps between a
    # chair's legs too; on a busy one a part of the object may well look like some part of the border.
    alike = strangeness < 0.5
    if not is_plain:
        _, labels = cv2.connectedComponents(alike.astype(np.uint8))
        frame = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
        alike = np.isin(labels, np.setdiff1d(frame, 0))
    guess[alike] = cv2.GC_BGD
    return guess


def colour_cut(
    rgb: UInt8[np.ndarray, "h w 3"], guess: UInt8[np.ndarray, "h w"], rounds: int = 5
) -> Bool[np.ndarray, "h w"]:
    """GrabCut's answer to a guess of its four labels (`cv2.GC_*`); its time grows with pixels and rounds."""
    background, foreground = np.zeros((1, 65)), np.zeros((1, 65))
    mask = guess.copy()
    has_both = np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD)).any() and np.isin(mask, (cv2.GC_BGD, cv2.GC_PR_BGD)).any()
    if has_both:  # OpenCV asserts on a mask with one kind only
        bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
        cv2.grabCut(bgr, mask, None, background, foreground, rounds, cv2.GC_INIT_WITH_MASK)
    return np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD))


def without_specks(mask: Bool[np.ndarray, "h w"], largest_hole: float) -> Bool[np.ndarray, "h w"]:
    """The mask without islands far smaller than the object and without holes up to that share of the picture."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count < 2:
        return mask
    areas = stats[1:, cv2.CC_STAT_AREA]
    mask = np.isin(labels, 1 + np.flatnonzero(areas >= max(8, 0.02 * areas.max())))
    count, labels, stats, _ = cv2.connectedComponentsWithStats((~mask).astype(np.uint8), connectivity=4)
    holes = 1 + np.flatnonzero(stats[1:, cv2.CC_STAT_AREA] < largest_hole * mask.size)
    outside = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    return mask | np.isin(labels, np.setdiff1d(holes, outside))


def full_size_alpha(rgb: UInt8[np.ndarray, "h w 3"], mask: Bool[np.ndarray, "sh sw"]) -> UInt8[np.ndarray, "h w"]:
    """The small mask at full size, its edge moved to the picture's own edge by a guided filter (He et al. 2013)."""
    height, width = rgb.shape[:2]
    if not mask.any():
        return np.zeros((height, width), dtype=np.uint8)
    soft = cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    radius = max(2, round(0.006 * max(height, width)))
    guide = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255.0

    def mean(values: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "h w"]:
        return cv2.blur(values, (2 * radius + 1, 2 * radius + 1))

    mean_guide, mean_soft = mean(guide), mean(soft)
    slope = (mean(guide * soft) - mean_guide * mean_soft) / (mean(guide * guide) - mean_guide**2 + 1e-4)
    filtered = mean(slope) * guide + mean(mean_soft - slope * mean_guide)
    # Only the edge may move: well inside and outside, the cut decides.
    band = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3))) - cv2.erode(mask.astype(np.uint8), np.ones((3, 3)))
    near_edge = cv2.resize(band, (width, height), interpolation=cv2.INTER_NEAREST) > 0
    alpha = np.where(near_edge, filtered, soft)
    # Sharper than the filter leaves it: a wide soft edge would carry background colour into the object.
    return np.round(((alpha - 0.5) * 2.0 + 0.5).clip(0.0, 1.0) * 255.0).astype(np.uint8)
