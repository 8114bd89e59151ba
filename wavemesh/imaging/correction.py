"""A cut-out corrected by hand: a click says which object is meant, brushes say what belongs to it and what does not.

Every stroke is answered at once, by a cut by colour around it. What was painted is certain, what lies far from it
stays, and a brush only ever does what its name says: "keep" adds, "remove" takes away.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image

from wavemesh.errors import InputError
from wavemesh.imaging.cropping import FOREGROUND_ALPHA
from wavemesh.imaging.grabcut import colour_cut, full_size_alpha, without_specks

TOOLS = ("object", "keep", "remove")
MAX_POINTS = 5000

_REACH = 4.0  # radii around a stroke in which colour decides what else it means
_CONTEXT = 2.0  # radii beyond, whose pixels stay and show what colours the object and its background have
_WORKING_SIDE = 288  # GrabCut's time grows with the pixels
_ROUNDS = 2  # of GrabCut: its guess is nearly right already
_ALIKE = 2.5  # deviations from a stroke's colour
_SMALL = 0.15  # of a piece that was clicked: smaller ones near it belong to it
_NEAR = 0.03  # of the longer side of that piece
_WINDOWS = (0.35, 0.7)  # of the picture's longer side: where the network looks around a click
_CLICK_SIDE = 320
_ROOM = 0.1  # around what may be the object, of its longer side
_DOUBT = 0.1  # likelihoods that colour may not overrule lie that near to 0 and 1
_LEAST_PART = 0.3  # of the only piece: less than that is no better object than the piece
_USUAL_SHARE = 0.4  # of the picture: an only piece that is larger may well be mostly background
_NOTHING_FOUND = "No object was found where you clicked: brush over it with Keep."


@dataclass(frozen=True)
class Stroke:
    """One movement of the hand over a picture.

    tool: "object", of which only the last point counts, or one of the brushes "keep" and "remove". points: (x, y) in
    pixels of the picture. radius: of the brush in pixels. Raises InputError for what is not such a stroke.
    """

    tool: str
    points: tuple[tuple[float, float], ...]
    radius: float

    def __post_init__(self) -> None:
        """Refuse what a page would not send."""
        if self.tool not in TOOLS:
            raise InputError(f"A stroke's tool is one of {', '.join(TOOLS)}, not {self.tool!r:.40}.")
        if not 1 <= len(self.points) <= MAX_POINTS:
            raise InputError(f"A stroke has 1 to {MAX_POINTS} points, not {len(self.points)}.")
        numbers = [self.radius, *(number for point in self.points for number in point)]
        if not (all(math.isfinite(each) and abs(each) < 1e6 for each in numbers) and self.radius > 0):
            raise InputError("A stroke's points and its radius are numbers, its radius above 0.")


@dataclass(frozen=True)
class Correction:
    """A cut-out on its way to being right; each stroke gives a new one.

    picture: (h, w, 4) uint8, as it came: what is clear there stays clear. first: the alpha (h, w) before any
    correction. alpha: (h, w) as it is now. certain: (h, w) uint8, 1 where a brush kept and 2 where it removed.
    """

    picture: UInt8[np.ndarray, "h w 4"]
    first: UInt8[np.ndarray, "h w"]
    alpha: UInt8[np.ndarray, "h w"]
    certain: UInt8[np.ndarray, "h w"]

    @classmethod
    def of(cls, picture: Image.Image, alpha: UInt8[np.ndarray, "h w"]) -> Correction:
        """Nothing corrected yet; the alpha has the picture's size."""
        pixels = np.array(picture.convert("RGBA"))
        return cls(pixels, alpha, alpha, np.zeros_like(alpha))

    def stroked(self, stroke: Stroke) -> Correction:
        """This correction after one more stroke; InputError where nothing was found at a click."""
        if stroke.tool == "object":
            alpha = np.minimum(self._object_at(stroke.points[-1]), self.picture[..., 3])
            return replace(self, alpha=alpha, certain=np.zeros_like(self.certain))
        painted = _painted(stroke, self.alpha.shape)
        certain = np.where(painted, np.uint8(1 if stroke.tool == "keep" else 2), self.certain)
        alpha = _brushed(replace(self, certain=certain), painted, stroke)
        return replace(self, alpha=alpha, certain=certain)

    def cutout(self) -> Image.Image:
        """The picture with the corrected alpha; InputError where nothing is left of it."""
        if not (self.alpha >= FOREGROUND_ALPHA).any():
            raise InputError("Nothing of the picture is kept: brush over what belongs to the object.")
        return Image.fromarray(np.dstack([self.picture[..., :3], self.alpha]), "RGBA")

    def _object_at(self, point: tuple[float, float]) -> UInt8[np.ndarray, "h w"]:
        """The alpha of what was clicked: a piece of the first cut-out, else what a new cut finds there."""
        height, width = self.first.shape
        x, y = (min(max(int(value), 0), side - 1) for value, side in zip(point, (width, height), strict=True))
        if self.picture[y, x, 3] < FOREGROUND_ALPHA:
            raise InputError("There is nothing where you clicked: the picture is clear there.")
        mask = self.first >= FOREGROUND_ALPHA
        piece = _piece_at(mask, x, y)
        if piece is None:
            found = _found_at(self.picture[..., :3], x, y)
            alone = mask[y, x] and mask.mean() < _USUAL_SHARE
            if alone and (found >= FOREGROUND_ALPHA).sum() < _LEAST_PART * mask.sum():
                raise InputError("The object is one piece already: brush over what does not belong to it with Remove.")
            return found
        # Soft edges belong to the nearest piece.
        near, rest = (_grown(each, 3) for each in (piece, mask & ~piece))
        return np.where(piece | (near & ~rest), self.first, np.uint8(0))


def _painted(stroke: Stroke, shape: tuple[int, int]) -> Bool[np.ndarray, "h w"]:
    """Where the brush was; at least one pixel for each point in the picture."""
    fine = 16  # OpenCV draws at fractions of a pixel, given as whole numbers
    points = np.round((np.array(stroke.points) - 0.5) * fine).astype(np.int32)
    layer = np.zeros(shape, dtype=np.uint8)
    cv2.polylines(layer, [points[:, None]], False, 1, max(1, round(2 * stroke.radius)), cv2.LINE_8, 4)
    for point in (points[0], points[-1]):
        cv2.circle(layer, point.tolist(), round(stroke.radius * fine), 1, -1, cv2.LINE_8, 4)
    return layer > 0


def _brushed(now: Correction, painted: Bool[np.ndarray, "h w"], stroke: Stroke) -> UInt8[np.ndarray, "h w"]:
    """The alpha after a brush: what was painted, and what around it has its colours and hangs together with it."""
    keeps = stroke.tool == "keep"
    bound = now.picture[..., 3]
    alpha = np.where(painted, bound if keeps else np.uint8(0), now.alpha)
    rows, columns = np.flatnonzero(painted.any(axis=1)), np.flatnonzero(painted.any(axis=0))
    if rows.size == 0:
        return now.alpha
    pad = round((_REACH + _CONTEXT) * stroke.radius) + 2
    part = np.s_[max(0, rows[0] - pad) : rows[-1] + pad + 1, max(0, columns[0] - pad) : columns[-1] + pad + 1]
    rgb = np.ascontiguousarray(now.picture[part][..., :3])
    found = _recut(rgb, now.alpha[part] >= FOREGROUND_ALPHA, now.certain[part], painted[part], stroke)
    if found is None:
        return alpha
    # Soft edges where the cut moved; all else keeps the edge that it had.
    cut, (small_before, small_after) = full_size_alpha(rgb, found[1]), found
    moved = cv2.resize(
        (small_before != small_after).astype(np.uint8), rgb.shape[1::-1], interpolation=cv2.INTER_NEAREST
    )
    moved = _grown(moved > 0, 2)
    part_alpha = alpha[part]
    better = np.maximum(part_alpha, cut) if keeps else np.minimum(part_alpha, cut)
    free = moved & (now.certain[part] == 0)
    alpha[part] = np.minimum(np.where(free, better, part_alpha), bound[part])
    return alpha


def _recut(
    rgb: UInt8[np.ndarray, "h w 3"],
    before: Bool[np.ndarray, "h w"],
    certain: UInt8[np.ndarray, "h w"],
    painted: Bool[np.ndarray, "h w"],
    stroke: Stroke,
) -> tuple[Bool[np.ndarray, "sh sw"], Bool[np.ndarray, "sh sw"]] | None:
    """The masks before and after a cut by colour around a stroke, at working size; None where it is too small."""
    height, width = rgb.shape[:2]
    scale = min(1.0, _WORKING_SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    if min(size) < 8:
        return None
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    mask, sure, brush = (
        cv2.resize(each.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) for each in (before, certain, painted)
    )
    if not brush.any():
        return None
    keeps = stroke.tool == "keep"
    distance = cv2.distanceTransform(1 - brush, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    reached = distance <= _REACH * stroke.radius * scale
    guess = np.where(mask > 0, cv2.GC_FGD, cv2.GC_BGD).astype(np.uint8)
    guess[reached] = np.where(mask > 0, cv2.GC_PR_FGD, cv2.GC_PR_BGD)[reached]
    # Of the stroke's own colour there may be more outside its reach, so GrabCut alone would not take its side.
    guess[_alike(small, brush > 0) & reached] = cv2.GC_FGD if keeps else cv2.GC_BGD
    guess[sure == 1], guess[sure == 2] = cv2.GC_FGD, cv2.GC_BGD
    cv2.setRNGSeed(0)  # k-means inside GrabCut starts at random
    found = colour_cut(small, guess, _ROUNDS)
    found = found | (mask > 0) if keeps else found & (mask > 0)
    # Only what hangs together with the stroke is meant.
    changed = ((found != (mask > 0)) | (brush > 0)).astype(np.uint8)
    _, labels = cv2.connectedComponents(changed, connectivity=8)
    meant = np.isin(labels, np.setdiff1d(labels[brush > 0], 0))
    return mask > 0, np.where(meant, keeps, mask > 0)


def _alike(rgb: UInt8[np.ndarray, "h w 3"], brush: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """What has a colour of what lies under the brush, and hangs together with that without an edge between."""
    lab = cv2.cvtColor(cv2.GaussianBlur(rgb, (3, 3), 0), cv2.COLOR_RGB2Lab).astype(np.float32)
    under = lab[brush]
    clusters = min(3, len(under))
    stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 10, 1.0)
    cv2.setRNGSeed(0)
    _, labels, centres = cv2.kmeans(under, clusters, None, stop, 1, cv2.KMEANS_PP_CENTERS)
    near = np.zeros(brush.shape, dtype=bool)
    for cluster in range(clusters):
        members = under[labels[:, 0] == cluster]
        if len(members) < 0.1 * len(under):
            continue
        deviation = np.maximum(members.std(axis=0), (6.0, 3.0, 3.0))
        near |= np.linalg.norm((lab - centres[cluster]) / deviation, axis=-1) < _ALIKE
    edges = cv2.Canny(cv2.GaussianBlur(rgb, (3, 3), 0), 40, 100) > 0
    _, labels = cv2.connectedComponents((brush | (near & ~edges)).astype(np.uint8), connectivity=4)
    return np.isin(labels, np.setdiff1d(labels[brush], 0))


def _piece_at(mask: Bool[np.ndarray, "h w"], x: int, y: int) -> Bool[np.ndarray, "h w"] | None:
    """The piece of the mask at a pixel with the small ones near it; None where there is none, or all belongs to it."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    label = int(labels[y, x])
    if label == 0:
        return None
    high, wide, area = (int(stats[label, each]) for each in (cv2.CC_STAT_HEIGHT, cv2.CC_STAT_WIDTH, cv2.CC_STAT_AREA))
    around = _grown(labels == label, max(1, round(_NEAR * max(high, wide))))
    near = np.setdiff1d(labels[around], (0, label))
    small = [each for each in near if stats[each, cv2.CC_STAT_AREA] < _SMALL * area]
    piece = np.isin(labels, [label, *small])
    return None if piece.sum() == mask.sum() else piece


def _found_at(rgb: UInt8[np.ndarray, "h w 3"], x: int, y: int) -> UInt8[np.ndarray, "h w"]:
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
    return filled[1:-1, 1:-1] * np.float32(0.85)


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


def _grown(mask: Bool[np.ndarray, "h w"], by: int) -> Bool[np.ndarray, "h w"]:
    """The mask wider by that many pixels."""
    return np.asarray(cv2.dilate(mask.astype(np.uint8), np.ones((2 * by + 1, 2 * by + 1), np.uint8)) > 0)
