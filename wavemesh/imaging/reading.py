"""Pictures from people: whatever they hand in becomes 8-bit RGBA, or one plain sentence says why not.

This is the first step of the pipeline and the only place that decodes picture files. Files are untrusted: the format
list is short, the size is checked from the header before anything is decoded, and every failure of the decoder is
turned into an InputError that shows the file's name.
"""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
from jaxtyping import Shaped
from PIL import Image, ImageOps, UnidentifiedImageError

from wavemesh.errors import InputError

FORMATS = ("PNG", "JPEG", "WEBP")
MAX_MEGAPIXELS = 16
MAX_SIDE = 8192
MAX_FILE_MIB = 64

PictureSource = str | Path | bytes | Image.Image | np.ndarray


def read_picture(source: PictureSource, name: str | None = None) -> Image.Image:
    """The picture as PIL "RGBA", 8 bits, straight alpha, upright.

    source: a path, the bytes of a file, a PIL image, or an array (H, W), (H, W, 1|3|4) as bool, uint8, uint16 or float
    in [0, 1]. name: how messages call it; by default the file's name. Files may be PNG, JPEG or WebP; of an animation
    the first frame is taken, and the rotation that EXIF asks for is applied.
    Raises InputError for what is not such a picture, is damaged, is empty or is larger than MAX_SIDE or MAX_MEGAPIXELS.
    """
    if isinstance(source, Image.Image):
        name = name or _shown(getattr(source, "filename", "") or "") or "The picture"
        _check_size(source.size, name)
        return _decoded(source, name)
    if isinstance(source, np.ndarray):
        return _from_array(source, name or "The array")
    if isinstance(source, bytes):
        return _from_bytes(source, name or "The picture")
    if not isinstance(source, (str, Path)):
        raise TypeError(f"A picture is a path, bytes, an array or a PIL image, not {type(source).__name__}.")
    return _from_path(source, name)


def _from_path(source: str | Path, name: str | None) -> Image.Image:
    name = name or _shown(str(source)) or "The picture"
    try:
        path = Path(source)
        if not path.exists():
            raise InputError(f"{name} does not exist.")
        if not path.is_file():
            raise InputError(f"{name} is not a file.")
        size_mib = path.stat().st_size / 2**20
        if size_mib > MAX_FILE_MIB:
            raise InputError(f"{name} has {size_mib:.0f} MiB; at most {MAX_FILE_MIB} MiB are accepted.")
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{name} cannot be opened ({getattr(error, 'strerror', None) or error}).") from error
    return _from_bytes(data, name)


def _from_bytes(data: bytes, name: str) -> Image.Image:
    if not data:
        raise InputError(f"{name} is empty (0 bytes).")
    if len(data) > MAX_FILE_MIB * 2**20:
        raise InputError(f"{name} has {len(data) / 2**20:.0f} MiB; at most {MAX_FILE_MIB} MiB are accepted.")
    try:
        with warnings.catch_warnings():
            # Pillow only warns about a medium-sized bomb; our own limit lies far below its threshold.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture = Image.open(io.BytesIO(data), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InputError(f"{name} unpacks to far more than the accepted {MAX_MEGAPIXELS} megapixels.") from error
    except UnidentifiedImageError as error:
        raise InputError(f"{name} ({len(data)} bytes) is not a PNG, JPEG or WebP picture.") from error
    except Exception as error:  # a decoder fed with hostile bytes may raise anything
        raise InputError(f"{name} ({len(data)} bytes) is damaged and cannot be read ({_reason(error)}).") from error
    with picture:
        _check_size(picture.size, name)
        return _decoded(picture, name)


def _decoded(picture: Image.Image, name: str) -> Image.Image:
    """The picture as upright RGBA; the decoding itself happens here, after the size was checked."""
    try:
        if getattr(picture, "n_frames", 1) > 1:
            picture.seek(0)
        picture.load()
        upright = ImageOps.exif_transpose(picture)
        return _to_rgba(upright)
    except Exception as error:
        raise InputError(
            f"{name} ({picture.width} x {picture.height} pixels) is damaged and cannot be read ({_reason(error)})."
        ) from error


def _to_rgba(picture: Image.Image) -> Image.Image:
    if not (picture.mode.startswith("I") or picture.mode == "F"):
        # Pillow applies palettes, transparent colours and CMYK here; RGB of 16 bits was cut to 8 while decoding.
        return picture.convert("RGBA") if picture.mode != "RGBA" else picture.copy()
    # Pillow's own conversion of deep grey clips everything above 255 to white.
    deep = np.asarray(picture).astype(np.float64)
    peak = 65535.0 if picture.mode.startswith("I") else max(1.0, float(np.nanmax(deep)))
    grey = np.nan_to_num(deep / peak).clip(0.0, 1.0) * 255.0
    rgba = np.repeat(np.round(grey).astype(np.uint8)[..., None], 4, axis=-1)
    transparent = picture.info.get("transparency")
    rgba[..., 3] = np.where(deep == transparent, 0, 255) if isinstance(transparent, int) else 255
    return Image.fromarray(rgba, "RGBA")


def _from_array(array: Shaped[np.ndarray, "..."], name: str) -> Image.Image:
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))):
        raise InputError(f"{name} has shape {array.shape}; a picture is (H, W), (H, W, 3) or (H, W, 4).")
    _check_size((array.shape[1], array.shape[0]), name)
    if array.dtype == np.bool_:
        array = array.astype(np.uint8) * 255
    elif array.dtype == np.uint16:
        array = np.round(array / 257.0).astype(np.uint8)
    elif np.issubdtype(array.dtype, np.floating):
        low, high = float(array.min()), float(array.max())
        if not (low >= -1e-3 and high <= 1.0 + 1e-3):  # also false for NaN
            raise InputError(f"{name} has values from {low:g} to {high:g}; a picture of floats lies in [0, 1].")
        array = np.round(array.clip(0.0, 1.0) * 255.0).astype(np.uint8)
    elif array.dtype != np.uint8:
        raise InputError(f"{name} is of type {array.dtype}; a picture is bool, uint8, uint16 or float.")
    return Image.fromarray(np.ascontiguousarray(array)).convert("RGBA")


def _check_size(size: tuple[int, int], name: str) -> None:
    width, height = size
    if width < 1 or height < 1:
        raise InputError(f"{name} is empty ({width} x {height} pixels).")
    if max(width, height) > MAX_SIDE or width * height > MAX_MEGAPIXELS * 1_000_000:
        raise InputError(
            f"{name} has {width} x {height} pixels; at most {MAX_SIDE} pixels a side and {MAX_MEGAPIXELS} megapixels "
            "are accepted."
        )


def _shown(path: str) -> str:
    """The file's name as a message may show it: no folders, no control characters, not too long."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in Path(path).name)
    return shown if len(shown) <= 60 else f"{shown[:40]}...{shown[-16:]}"


def _reason(error: Exception) -> str:
    words = " ".join(str(error).split()) or type(error).__name__
    return words[:80].rstrip(".")
