"""The object without its background: alpha where there is some, else rembg where installed, else GrabCut.

Both are loaded when they are needed.
"""

from __future__ import annotations

import functools
import importlib.util
import logging
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from wavemesh.errors import InputError
from wavemesh.imaging.cropping import FOREGROUND_ALPHA

METHODS = ("auto", "alpha", "rembg", "grabcut", "none")

_MIN_TRANSPARENT = 0.005  # share of clear pixels from which an alpha channel counts as a cut-out
_MIN_FOREGROUND = 0.001
_MAX_FOREGROUND = 0.995

_log = logging.getLogger(__name__)


def remove_background(rgba: Image.Image, method: str = "auto", name: str = "The picture") -> Image.Image:
    """The picture as RGBA of the same size whose alpha is the object's (straight, not premultiplied).

    method: "alpha" keeps the picture's own alpha, "rembg" asks that package, "grabcut" separates by colour, "none"
    changes nothing, "auto" takes the first of alpha, rembg and grabcut that is there. name: how messages call it.
    Raises InputError for an unknown method, for one that cannot work here, and if no foreground is left.
    """
    if method not in METHODS:
        raise InputError(f"Unknown background removal {method!r}; choose one of {', '.join(METHODS)}.")
    picture = rgba.convert("RGBA")
    pixels = np.array(picture)
    if method == "none":
        return picture
    has_alpha = float((pixels[..., 3] < FOREGROUND_ALPHA).mean()) >= _MIN_TRANSPARENT
    if method == "alpha" and not has_alpha:
        raise InputError(f"{name} ({_size(picture)}) has no transparent background; choose another removal than alpha.")
    if method == "alpha" or (method == "auto" and has_alpha):
        alpha = pixels[..., 3]
    elif method == "rembg" or (method == "auto" and _rembg_installed()):
        alpha = _rembg_alpha(picture, pixels, fall_back=method == "auto")
    else:
        alpha = _grabcut_alpha(pixels)
    share = float((alpha >= FOREGROUND_ALPHA).mean())
    if share < _MIN_FOREGROUND or not (alpha >= FOREGROUND_ALPHA).any():
        raise InputError(f"{name} ({_size(picture)}) has no foreground: nothing stands out from its background.")
    if not has_alpha and share > _MAX_FOREGROUND:
        raise InputError(f"{name} ({_size(picture)}) has no foreground: no background could be told from it.")
    pixels[..., 3] = alpha
    return Image.fromarray(pixels, "RGBA")


def _size(picture: Image.Image) -> str:
    return f"{picture.width} x {picture.height} pixels"


def _rembg_installed() -> bool:
    return importlib.util.find_spec("rembg") is not None


@functools.lru_cache(maxsize=1)
def _rembg_session() -> Any:
    import rembg

    return rembg.new_session()


def _rembg_alpha(picture: Image.Image, pixels: UInt8[np.ndarray, "h w 4"], fall_back: bool) -> UInt8[np.ndarray, "h w"]:
    if not _rembg_installed():
        raise InputError("Background removal 'rembg' needs the package rembg, which is not installed.")
    try:
        import rembg

        cut = rembg.remove(picture.convert("RGB"), session=_rembg_session(), only_mask=True)
        return np.asarray(cut.convert("L").resize(picture.size))
    except Exception as error:  # its model comes from the network at first use, in many ways unreachable
        if not fall_back:
            raise InputError(f"Background removal 'rembg' failed ({' '.join(str(error).split())[:80]}).") from error
        _log.warning("rembg failed, GrabCut takes over: %s", error)
        return _grabcut_alpha(pixels)


def _grabcut_alpha(pixels: UInt8[np.ndarray, "h w 4"]) -> UInt8[np.ndarray, "h w"]:
    from wavemesh.imaging.grabcut import grabcut_alpha

    return grabcut_alpha(pixels[..., :3])
