"""The object without its background: alpha where there is some, else cut out by a network and by colour.

"auto" asks U-2-Net small what stands out and lets GrabCut find the edge by colour from there; without the network's
weights GrabCut makes its own guess. Every mask passes the gate of `masks`. Networks are loaded when they are needed.
"""

from __future__ import annotations

import functools
import importlib.util
import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from wavemesh.errors import InputError
from wavemesh.imaging.cropping import FOREGROUND_ALPHA

METHODS = ("auto", "alpha", "u2netp", "rembg", "grabcut", "none")

_MIN_TRANSPARENT = 0.005  # share of clear pixels from which an alpha channel counts as a cut-out
_MIN_FOREGROUND = 0.001
_MAX_FOREGROUND = 0.995
_MASK_STRETCH = 0.02  # by which a mask's sides may differ from the picture's, as decoding reduced rounds them

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Cutout:
    """An object without its background.

    picture: RGBA of the picture's size, straight alpha. method: what made the alpha, one of METHODS but "auto", or
    "mask". notes: one sentence for each thing that may go wrong with it.
    """

    picture: Image.Image
    method: str
    notes: tuple[str, ...] = ()


def cut_out(
    picture: Image.Image,
    method: str = "auto",
    name: str = "The picture",
    mask: Image.Image | None = None,
    size: tuple[int, int] | None = None,
) -> Cutout:
    """The object in a picture, without crumbs.

    method: "alpha" keeps the picture's own alpha, "u2netp" asks the bundled network and refines its answer by colour,
    "rembg" asks that package, "grabcut" separates by colour alone, "none" changes nothing, "auto" takes the first of
    alpha, u2netp and grabcut that is there. mask: white where the object is, or opaque where it has transparency; it
    takes the place of any method. name: how messages call the picture. size: that messages tell of it, where it is one
    that was made smaller.
    Raises InputError for an unknown method, for one that cannot work here, for a mask of other proportions, and if no
    foreground is left, or nothing but scraps.
    """
    from wavemesh.imaging.masks import gated  # OpenCV takes its time to load

    if method not in METHODS:
        raise InputError(f"Unknown background removal {method!r}; choose one of {', '.join(METHODS)}.")
    pixels = np.array(picture.convert("RGBA"))
    has_alpha = float((pixels[..., 3] < FOREGROUND_ALPHA).mean()) >= _MIN_TRANSPARENT
    if mask is not None:
        alpha, used, others = _alpha_of_mask(mask, picture, name), "mask", False
    elif method == "none":
        # As it came; but a cut-out made elsewhere deserves the same remarks.
        notes = gated(pixels[..., 3], name)[1] if has_alpha and (pixels[..., 3] >= FOREGROUND_ALPHA).any() else ()
        return Cutout(Image.fromarray(pixels, "RGBA"), method, notes)
    else:
        alpha, used, others = _found_alpha(pixels, method, has_alpha, name)
    share = float((alpha >= FOREGROUND_ALPHA).mean())
    if share < _MIN_FOREGROUND or not (alpha >= FOREGROUND_ALPHA).any():
        raise InputError(
            f"{name} ({_size(size or picture.size)}) has no foreground: nothing stands out from its background."
        )
    if not (has_alpha or used == "mask") and share > _MAX_FOREGROUND:
        raise InputError(
            f"{name} ({_size(size or picture.size)}) has no foreground: no background could be told from it."
        )
    pixels[..., 3], notes = gated(alpha, name)
    if others:
        notes += (f"{name}: something else stands out too, and was left out: crop the picture to it if that is meant.",)
    return Cutout(Image.fromarray(pixels, "RGBA"), used, notes)


def remove_background(rgba: Image.Image, method: str = "auto", name: str = "The picture") -> Image.Image:
    """The picture as RGBA whose alpha is the object's; see `cut_out`, which says more about it."""
    return cut_out(rgba, method, name).picture


def _found_alpha(
    pixels: UInt8[np.ndarray, "h w 4"], method: str, has_alpha: bool, name: str
) -> tuple[UInt8[np.ndarray, "h w"], str, bool]:
    """The object's alpha, the method that made it, and whether something else was left out."""
    if method == "alpha" and not has_alpha:
        size = f"{pixels.shape[1]} x {pixels.shape[0]} pixels"
        raise InputError(f"{name} ({size}) has no transparent background; choose another removal than alpha.")
    if method == "alpha" or (method == "auto" and has_alpha):
        return pixels[..., 3], "alpha", False
    if method == "rembg":
        return _subject(_rembg_alpha(pixels), "rembg")
    from wavemesh.imaging.grabcut import grabcut_alpha, refined_alpha

    if method == "grabcut":
        return _subject(grabcut_alpha(pixels[..., :3]), "grabcut")
    from wavemesh.imaging.u2netp import saliency  # so does torch

    try:
        seen = saliency(pixels[..., :3])
        return refined_alpha(pixels[..., :3], seen.likelihood), "u2netp", seen.others
    except InputError as error:
        if method == "u2netp":
            raise
        _log.warning("GrabCut takes over: %s", error)
        return _subject(grabcut_alpha(pixels[..., :3]), "grabcut")


def _subject(alpha: UInt8[np.ndarray, "h w"], method: str) -> tuple[UInt8[np.ndarray, "h w"], str, bool]:
    """What a method found, without what is something else."""
    from wavemesh.imaging.subject import beside_the_subject, worth_telling

    mask = alpha >= FOREGROUND_ALPHA
    others = beside_the_subject(mask)
    return np.where(others, np.uint8(0), alpha), method, worth_telling(others, mask)


def _alpha_of_mask(mask: Image.Image, picture: Image.Image, name: str) -> UInt8[np.ndarray, "h w"]:
    ratio = mask.width * picture.height / (mask.height * picture.width)
    if abs(ratio - 1.0) > _MASK_STRETCH:
        raise InputError(f"The mask of {name} ({_size(mask.size)}) does not fit the picture ({_size(picture.size)}).")
    rgba = mask.convert("RGBA")
    opacity = np.asarray(rgba.getchannel("A"))
    grey = rgba.getchannel("A") if opacity.min() < FOREGROUND_ALPHA else rgba.convert("L")
    return np.array(grey if grey.size == picture.size else grey.resize(picture.size, Image.Resampling.BILINEAR))


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]} pixels"


@functools.lru_cache(maxsize=1)
def _rembg_session() -> Any:
    import rembg

    return rembg.new_session()


def _rembg_alpha(pixels: UInt8[np.ndarray, "h w 4"]) -> UInt8[np.ndarray, "h w"]:
    if importlib.util.find_spec("rembg") is None:
        raise InputError("Background removal 'rembg' needs the package rembg, which is not installed.")
    try:
        import rembg

        picture = Image.fromarray(pixels[..., :3])
        cut = rembg.remove(picture, session=_rembg_session(), only_mask=True)
        return np.asarray(cut.convert("L").resize(picture.size))
    except Exception as error:  # its model comes from the network at first use, in many ways unreachable
        raise InputError(f"Background removal 'rembg' failed ({' '.join(str(error).split())[:80]}).") from error
