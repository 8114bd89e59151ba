"""A cut-out corrected by hand: a click says which object is meant, brushes say what belongs to it and what does not.

Every stroke is answered at once, by a cut by colour around it. What was painted is certain, what lies far from it
stays, and a brush only ever does what its name says: "keep" adds, "remove" takes away.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image

from wavemesh.errors import InputError
from wavemesh.imaging.cropping import FOREGROUND_ALPHA
from wavemesh.imaging.grabcut import colour_cut, full_size_alpha
from wavemesh.imaging.picking import found_at, grown, piece_at

TOOLS = ("object", "keep", "remove")
MAX_POINTS = 5000

_REACH = 4.0  # radii around a stroke in which colour decides what else it means
_CONTEXT = 2.0  # radii beyond, whose pixels stay and show what colours the object and its background have
_WORKING_SIDE = 288  # GrabCut's time grows with the pixels
_ROUNDS = 2  # of GrabCut: its guess is nearly right already
_ALIKE = 2.5  # deviations from a stroke's colour
_LEAST_PART = 0.3  # of the only piece: less than that is no better object than the piece
_USUAL_SHARE = 0.4  # of the picture: an only piece that is larger may well be mostly background


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
        piece = piece_at(mask, x, y)
        if piece is None:
            found = found_at(self.picture[..., :3], x, y)
            alone = mask[y, x] and mask.mean() < _USUAL_SHARE
            if alone and (found >= FOREGROUND_ALPHA).sum() < _LEAST_PART * mask.sum():
                raise InputError("The object is one piece already: brush over what does not belong to it with Remove.")
            return found
        # Soft edges belong to the nearest piece.
        near, rest = (grown(each, 3) for each in (piece, mask & ~piece))
        return np.where(piece | (near & ~rest), self.first, np.uint8(0))


def _painted(stroke: Stroke, shape: tuple[int, int]) -> Bool[np.ndarray, "h w"]:
    """Where the brush was; at least one pixel for each point in the picture."""
    fine = 16  # OpenCV draws at fractions of a pixel, given as whole numbers
    points = np.round((np.array(stroke.points) - 0.5) * fine).astype(np.int32)
    layer = np.zeros(shape, dtype=np.uint8)
    cv2.polylines(layer, [points[:, None]], False, 1, max(1, round(2 * stroke.radius)), cv2.LINE_8, 4)
    for point in (points[0], points[-1]):
        cv2.circle(layer, point.tolist(), round(stroke.radius * fine), 1, -1, cv2.LINE_8, 4)
    inside = [(int(y), int(x)) for x, y in stroke.points if 0 <= x < shape[1] and 0 <= y < shape[0]]
    layer[tuple(np.array(inside, dtype=int).reshape(-1, 2).T)] = 1
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
    moved = grown(moved > 0, 2)
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
