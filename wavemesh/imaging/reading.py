"""Pictures from people: whatever they hand in becomes 8-bit RGBA, or one plain sentence says why not.

This is the first step of the pipeline and the only place that decodes picture files. Files are untrusted: the list of
formats is fixed, size and scans are checked before anything is decoded, and every failure of the decoder is turned into
an InputError that shows the file's name. JPEG is decoded at a half, a quarter or an eighth where it is large, which its
own transform offers for nothing; all else is decoded whole and must be smaller.
"""

from __future__ import annotations

import functools
import io
import warnings
from pathlib import Path

import numpy as np
from jaxtyping import Shaped
from PIL import Image, ImageOps, UnidentifiedImageError

from wavemesh.errors import InputError
from wavemesh.imaging.parts import check_parts, jpeg_scans

FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "AVIF", "TIFF", "BMP", "GIF")  # and HEIF, where pi-heif is installed
MAX_MEGAPIXELS = 16
MAX_SIDE = 8192
MAX_FILE_MIB = 64
MAX_JPEG_MEGAPIXELS = 170  # Pillow refuses what is larger than 178
MAX_HEIC_MEGAPIXELS = 50  # phones write 12, 24 and 48
MAX_SCANNED_MEGAPIXELS = 250  # megapixels times scans of a JPEG: each scan goes over the whole picture once more
_ENOUGH_MEGAPIXELS = 4  # a JPEG is decoded at the largest of 1, 1/2, 1/4, 1/8 that stays below
_HEIC_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")

PictureSource = str | Path | bytes | Image.Image | np.ndarray


def read_picture(source: PictureSource, name: str | None = None) -> Image.Image:
    """The picture as PIL "RGBA", 8 bits, straight alpha, upright.

    source: a path, the bytes of a file, a PIL image, or an array (H, W), (H, W, 1|3|4) as bool, uint8, uint16 or float
    in [0, 1]. name: how messages call it; by default the file's name. Files may be PNG, JPEG (MPO too), WebP, AVIF,
    TIFF, BMP, GIF, and HEIC where the package pi-heif is installed; of several frames the first is taken, and the
    rotation that EXIF asks for is applied. A JPEG of more than 4 megapixels comes back at a half, a quarter or an
    eighth of its size, up to MAX_JPEG_MEGAPIXELS, a large HEIC at a fraction as well.
    Raises InputError for what is not such a picture, is damaged, is empty, is larger than MAX_SIDE or MAX_MEGAPIXELS
    and not decoded reduced, and for a JPEG of so many scans that it would take long.
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
    if _is_heic(data) and not _heic_opens():
        raise InputError(f"{name} is a HEIC picture: install the package pi-heif to read it, or save it as JPEG.")
    scans = jpeg_scans(data, name)
    check_parts(data, name)
    try:
        with warnings.catch_warnings():
            # Pillow warns about pictures that our own limits, checked right below, may well let through.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(io.BytesIO(data), formats=_formats())
    except Image.DecompressionBombError as error:
        raise InputError(f"{name} unpacks to far more than the accepted {MAX_MEGAPIXELS} megapixels.") from error
    except UnidentifiedImageError as error:
        raise InputError(f"{name} ({len(data)} bytes) is not a PNG, JPEG or WebP picture.") from error
    except Exception as error:  # a decoder fed with hostile bytes may raise anything
        raise InputError(f"{name} ({len(data)} bytes) is damaged and cannot be read ({_reason(error)}).") from error
    with picture:
        if picture.format in ("JPEG", "MPO"):
            _draft(picture, scans, name)
        elif picture.format == "HEIF":
            _check_size(picture.size, name, MAX_HEIC_MEGAPIXELS, MAX_SIDE * 2)
        else:
            _check_size(picture.size, name)
        if picture.info.get("compression") == "jpeg":  # a TIFF of JPEGs
            _check_scans(data.count(b"\xff\xda"), picture.size, name)
        return _decoded(picture, name)


def _draft(picture: Image.Image, scans: int, name: str) -> None:
    """Have a JPEG decoded at the size that is enough; raises InputError where even that takes too long."""
    _check_size(picture.size, name, MAX_JPEG_MEGAPIXELS, 65_535)
    _check_scans(scans, picture.size, name)
    width, height = picture.size
    factor = 1
    while factor < 8 and (
        width * height > factor**2 * _ENOUGH_MEGAPIXELS * 1e6 or max(width, height) > factor * MAX_SIDE
    ):
        factor *= 2
    picture.draft(None, (width // factor, height // factor))
    _check_size(picture.size, name)


def _check_scans(count: int, size: tuple[int, int], name: str) -> None:
    if count * max(0.25, size[0] * size[1] / 1e6) > MAX_SCANNED_MEGAPIXELS:  # a scan of few pixels takes time too
        raise InputError(
            f"{name} has {size[0]} x {size[1]} pixels in {count} scans, which would take too long; save it as a plain "
            "JPEG."
        )


def _is_heic(data: bytes) -> bool:
    # AVIF has the brand mif1 among the compatible ones too, but its own as the major one.
    return data[4:8] == b"ftyp" and data[8:12] in _HEIC_BRANDS and b"avif" not in data[8:64]


@functools.cache
def _heic_opens() -> bool:
    try:
        import pi_heif
    except ImportError:
        return False
    pi_heif.register_heif_opener(thumbnails=False)
    return True


@functools.cache
def _formats() -> tuple[str, ...]:
    """The formats that this Pillow opens, as far as they are ours."""
    Image.init()
    ours = (*FORMATS, "HEIF") if _heic_opens() else FORMATS
    return tuple(each for each in ours if each in Image.OPEN)


def _decoded(picture: Image.Image, name: str) -> Image.Image:
    """The picture as upright RGBA; the decoding itself happens here, after the size was checked."""
    try:
        if picture.tell():
            picture.seek(0)
        picture.load()
        upright = _to_rgba(ImageOps.exif_transpose(picture))
    except Exception as error:
        raise InputError(
            f"{name} ({picture.width} x {picture.height} pixels) is damaged and cannot be read ({_reason(error)})."
        ) from error
    return _shrunk(upright)


def _shrunk(picture: Image.Image) -> Image.Image:
    """The picture at 1 / n of its size where it was let in although it exceeds the limits."""
    factor = 1
    while max(picture.size) > factor * MAX_SIDE or picture.width * picture.height > factor**2 * MAX_MEGAPIXELS * 1e6:
        factor += 1
    # Weighted by alpha, or the colours of what is transparent would bleed in.
    return picture if factor == 1 else picture.convert("RGBa").reduce(factor).convert("RGBA")


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


def _check_size(size: tuple[int, int], name: str, megapixels: int = MAX_MEGAPIXELS, side: int = MAX_SIDE) -> None:
    width, height = size
    if width < 1 or height < 1:
        raise InputError(f"{name} is empty ({width} x {height} pixels).")
    if max(width, height) > side or width * height > megapixels * 1_000_000:
        raise InputError(
            f"{name} has {width} x {height} pixels; at most {side} pixels a side and {megapixels} megapixels are "
            "accepted."
        )


def _shown(path: str) -> str:
    """The file's name as a message may show it: no folders, no control characters, not too long."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in Path(path).name)
    return shown if len(shown) <= 60 else f"{shown[:40]}...{shown[-16:]}"


def _reason(error: Exception) -> str:
    words = " ".join(str(error).split()) or type(error).__name__
    return words[:80].rstrip(".")
