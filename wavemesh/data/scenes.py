"""Pictures of objects in their surroundings with their masks, as `tools/photographed_scenes.py` makes them."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from wavemesh.errors import InputError

# Shares of the pictures that look closer at the object, whose border cuts a part of it off, and that are mirrored,
# grey, unsharp, compressed again; of those whose object is moved, and of the moved ones those to a photograph.
CLOSER, CUT, MIRRORED, GREY, UNSHARP, COMPRESSED = 0.5, 0.35, 0.5, 0.04, 0.4, 0.5
MOVED, PHOTOGRAPHED = 0.5, 0.6
_LEAST_GROUND_PX = 64
_MARGIN = (0.0, 0.5)  # around the object in a closer look, of its longer side
_CUT_OFF = (0.05, 0.45)  # of the object's side, where the border cuts it


class Scenes:
    """A folder of N.jpg and N.png, picture and mask of a scene. Raises InputError where there are none.

    Photographs of surroundings may lie in its folder `grounds`, for objects to stand before.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.grounds = sorted((self.folder / "grounds").glob("*.jpg"))
        self.names = sorted(mask.stem for mask in self.folder.glob("*.png") if mask.with_suffix(".jpg").is_file())
        if not self.names:
            raise InputError(f"There are no scenes in {self.folder}: pictures N.jpg with masks N.png.")

    def __len__(self) -> int:
        return len(self.names)

    def scene(self, index: int) -> tuple[UInt8[np.ndarray, "h w 3"], Float[np.ndarray, "h w"]]:
        """Picture and opacity in [0, 1]. Raises InputError for a file that cannot be read, and for two sizes."""
        path = self.folder / f"{self.names[index]}.jpg"
        try:
            picture = np.array(Image.open(path).convert("RGB"))
            mask = np.array(Image.open(path.with_suffix(".png")).convert("L"))
        except OSError as error:
            raise InputError(f"The scene {path} cannot be read ({error}).") from error
        if picture.shape[:2] != mask.shape:
            raise InputError(f"The mask of {path} has {mask.shape[::-1]} pixels, the picture {picture.shape[1::-1]}.")
        return picture, mask.astype(np.float32) / 255.0

    def ground(self, rng: np.random.Generator) -> UInt8[np.ndarray, "h w 3"]:
        """A part of a photograph of surroundings, or the widest part of a scene that shows nothing of its object."""
        if self.grounds and rng.random() < PHOTOGRAPHED:
            whole = np.array(Image.open(self.grounds[rng.integers(len(self.grounds))]).convert("RGB"))
            high, wide = (
                round(side * share) for side, share in zip(whole.shape, rng.uniform(0.3, 0.8, 2), strict=False)
            )
            top, left = (int(rng.integers(0, room + 1)) for room in (whole.shape[0] - high, whole.shape[1] - wide))
            return whole[top : top + high, left : left + wide]
        picture, mask = self.scene(int(rng.integers(len(self))))
        rows, columns = _box(mask)
        parts = (np.s_[: rows.start], np.s_[rows.stop :], np.s_[:, : columns.start], np.s_[:, columns.stop :])
        return max((picture[part] for part in parts), key=lambda part: min(part.shape[:2]))


def moved(
    picture: UInt8[np.ndarray, "h w 3"],
    mask: Float[np.ndarray, "h w"],
    behind: UInt8[np.ndarray, "gh gw 3"],
    rng: np.random.Generator,
) -> tuple[UInt8[np.ndarray, "nh nw 3"], Float[np.ndarray, "nh nw"]]:
    """The scene's object before another ground; the scene as it is, where it has no object or the ground is tiny."""
    rows, columns = _box(mask)
    if min(behind.shape[:2]) < _LEAST_GROUND_PX or rows.start == rows.stop:
        return picture, mask
    thing, opacity = picture[rows, columns], mask[rows, columns]
    opacity = (2.0 * opacity - 1.0).clip(0.0, 1.0)  # what is half ground has its colour
    fills = rng.uniform(0.4, 0.85) * min(behind.shape[:2]) / max(thing.shape[:2])
    scale = 1.0 / fills  # the ground takes the object's size, which keeps its sharpness
    width, height = round(behind.shape[1] * scale), round(behind.shape[0] * scale)
    ground = cv2.resize(behind, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    ground = ground.astype(np.float32)
    top = round((height - thing.shape[0]) * rng.random())
    left = round((width - thing.shape[1]) * rng.random())
    place = np.s_[top : top + thing.shape[0], left : left + thing.shape[1]]
    ground[place] += (thing * rng.uniform(0.8, 1.15) - ground[place]) * opacity[..., None]
    result = np.zeros((height, width), dtype=np.float32)
    result[place] = opacity
    return ground.clip(0, 255).astype(np.uint8), result


def photographed_anew(
    picture: UInt8[np.ndarray, "h w 3"], mask: Float[np.ndarray, "h w"], rng: np.random.Generator
) -> tuple[UInt8[np.ndarray, "ch cw 3"], Float[np.ndarray, "ch cw"]]:
    """A part of the scene around its object as another camera might have kept it: light, sharpness, noise, JPEG."""
    part = _window(mask, rng)
    pixels, opacity = picture[part].astype(np.float32), mask[part]
    if rng.random() < MIRRORED:
        pixels, opacity = pixels[:, ::-1], opacity[:, ::-1]
    pixels = 255.0 * (pixels / 255.0).clip(0.0, 1.0) ** np.exp(rng.normal(0.0, 0.25))
    pixels = (pixels - 128.0) * rng.uniform(0.7, 1.2) + 128.0 + rng.uniform(-25.0, 25.0)
    grey = pixels.mean(axis=-1, keepdims=True)
    pixels = grey + (pixels - grey) * (0.0 if rng.random() < GREY else rng.uniform(0.5, 1.3))
    pixels *= rng.uniform(0.9, 1.1, 3)
    if rng.random() < UNSHARP:
        pixels = cv2.GaussianBlur(pixels, (0, 0), rng.uniform(0.3, 1.8))
    pixels += rng.normal(0.0, rng.uniform(0.0, 6.0), pixels.shape)
    changed = pixels.clip(0, 255).astype(np.uint8)
    if rng.random() < COMPRESSED:
        file = io.BytesIO()
        Image.fromarray(changed).save(file, "JPEG", quality=int(rng.integers(35, 96)))
        changed = np.array(Image.open(file))
    return changed, np.ascontiguousarray(opacity)


def _window(mask: Float[np.ndarray, "h w"], rng: np.random.Generator) -> tuple[slice, slice]:
    """Rows and columns of a part that shows the object, or about its box in a closer look."""
    closer, margins = rng.random() < CLOSER, rng.uniform(*_MARGIN, 4)
    cut = int(rng.integers(4)) if rng.random() < CUT else None
    rows, columns = _box(mask)
    if rows.start == rows.stop:
        return slice(0, mask.shape[0]), slice(0, mask.shape[1])
    longer = max(rows.stop - rows.start, columns.stop - columns.start)
    edges = []
    for number, (inside, size) in enumerate(zip((rows, columns), mask.shape, strict=True)):
        around = rng.uniform(0.0, 1.0, 2) * (inside.start, size - inside.stop)
        if closer:
            around = margins[2 * number : 2 * number + 2] * longer
        if cut is not None and cut // 2 == number:
            around[cut % 2] = -rng.uniform(*_CUT_OFF) * (inside.stop - inside.start)
        low, high = max(0, round(inside.start - around[0])), min(size, round(inside.stop + around[1]))
        edges.append(slice(low, max(high, low + 2)))
    return edges[0], edges[1]


def _box(mask: Float[np.ndarray, "h w"]) -> tuple[slice, slice]:
    """Rows and columns of the object, both empty where there is none."""
    inside = mask >= 0.5
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    if rows.size == 0:
        return slice(0, 0), slice(0, 0)
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
