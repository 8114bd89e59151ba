"""The pictures that a person handed in, on their way to the pipeline: cut out, shown, and given cameras.

An uploaded picture has no camera at first. As long as cameras are estimated it goes to the pipeline as it is; once the
person sets angles by hand it is framed the way training pictures are, because distance and offset stay unknown. After
a run with estimated cameras the estimate takes their place, and the sliders correct it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageChops, ImageDraw

from wavemesh import imaging
from wavemesh.errors import InputError
from wavemesh.gallery.format import Example
from wavemesh.geometry.camera import Camera
from wavemesh.geometry.frame import SIDE_AZIMUTHS, Side, named_side
from wavemesh.imaging import crop_foreground, pad_to_square, read_picture

Number = int | float  # gradio's sliders and numbers give either

MAX_VIEWS = 8
KEPT_SIDE = 768  # the network sees far fewer pixels; what a session holds stays small
VIEWER_SIDE = 512  # of the picture that the viewer lays beside the mesh
SHOWN_SIDE = 320
_UNKNOWN = Camera(elevation_deg=15.0)  # where the sliders of a picture without a camera begin
_TOP_ELEVATION_DEG = 80.0
_GAP = 8  # pixels between a picture and its cut-out
_FRAME_MARGIN = 0.3  # around the object, so that it fills the frame as at the default distance and field of view
_BOX_EDGES = [(a, b) for a in range(8) for b in range(8) if a < b and (a ^ b) in (1, 2, 4)]


@dataclass(frozen=True)
class Picture:
    """One picture without its background.

    cutout: RGBA, straight alpha. camera: the one that took the cut-out, None where nobody knows. found: what the last
    estimate said, as the crop it belongs to and that crop's camera. origin: the folder of the mesh
    that it was rendered from, if it was. example: the key of the example that it belongs to, if it does. whole: the
    picture as it came, RGBA, where something was cut away from it; with keeps_background it is used in the cut-out's
    place. cut_by: what made the cut-out, see `imaging.Cutout`, or "hand". notes: what may go wrong with it. side: which
    side of the object it shows, where somebody says. front_deg: how far the frame of `found` is turned against the one
    in which the network estimated it.
    """

    name: str
    cutout: Image.Image
    camera: Camera | None = None
    found: tuple[Image.Image, Camera] | None = None
    origin: str | None = None
    example: str | None = None
    whole: Image.Image | None = None
    keeps_background: bool = False
    cut_by: str = "none"
    notes: tuple[str, ...] = ()
    side: Side | None = None
    front_deg: float = 0.0

    @property
    def used(self) -> Image.Image:
        """What goes to the pipeline: the cut-out, or the whole picture where its background is to stay."""
        return self.whole if self.keeps_background and self.whole is not None else self.cutout

    @property
    def angles(self) -> tuple[float, float]:
        """Azimuth and elevation for the sliders."""
        camera = self.camera or (self.found[1] if self.found else self.presumed)
        return (camera.azimuth_deg + 180.0) % 360.0 - 180.0, camera.elevation_deg

    def placed(self) -> tuple[Image.Image, Camera]:
        """The picture and its camera as they go to the pipeline when cameras are not estimated."""
        if self.camera is not None:
            return self.used, self.camera
        if self.found is not None:
            return self.found
        return crop_foreground(self.used, _FRAME_MARGIN)[0], self.presumed

    @property
    def presumed(self) -> Camera:
        """The camera of a picture of which nothing but its side is known."""
        if self.side == "top":
            return replace(_UNKNOWN, elevation_deg=_TOP_ELEVATION_DEG)
        return _UNKNOWN if self.side is None else replace(_UNKNOWN, azimuth_deg=SIDE_AZIMUTHS[self.side])


def cut_out(
    path: str | Path,
    camera: Camera | None = None,
    name: str | None = None,
    background: str = "auto",
    mask: str | Path | None = None,
) -> Picture:
    """The picture of a file without its background; raises InputError if it cannot be used.

    background: how it is cut away; mask: a file that says what the object is, in its place; as in `imaging.cut_out`.
    """
    name = name or Path(path).name
    picture = read_picture(path, name)
    size = picture.size
    picture = _kept_size(picture)
    given = None if mask is None else read_picture(mask, f"The mask of {name}")
    cut = imaging.cut_out(picture, background, name, given, size)
    untouched = ImageChops.difference(picture.getchannel("A"), cut.picture.getchannel("A")).getbbox() is None
    return Picture(name, cut.picture, camera, whole=None if untouched else picture, cut_by=cut.method, notes=cut.notes)


def write_picture(picture: Image.Image, folder: Path) -> str:
    """The path of a small copy of a picture as it went to a network, for the viewer; written into the folder."""
    small = picture.copy()
    small.thumbnail((VIEWER_SIDE, VIEWER_SIDE))
    path = folder / "picture.webp"
    small.save(path, quality=85, method=2)
    return str(path)


def _kept_size(picture: Image.Image) -> Image.Image:
    if max(picture.size) > KEPT_SIDE:
        picture.thumbnail((KEPT_SIDE, KEPT_SIDE), Image.Resampling.LANCZOS)
    return picture


def parse_cameras(cameras: Any, count: int) -> list[Camera | None]:
    """Cameras as a program sends them: None or [] for none, else an object or null for each of `count` pictures.

    Raises InputError for anything else.
    """
    if cameras in (None, "", []):
        return [None] * count
    if not isinstance(cameras, list) or len(cameras) != count:
        given = len(cameras) if isinstance(cameras, list) else type(cameras).__name__
        raise InputError(f"Cameras must be a list with one entry for each of the {count} pictures, not {given}.")
    return [None if camera is None else _camera(camera) for camera in cameras]


def parse_sides(sides: Any, count: int) -> tuple[Side | None, ...]:
    """Sides as a program sends them: None or [] for none, else a side or null for each of `count` pictures.

    Raises InputError for anything else.
    """
    if not sides:
        return (None,) * count
    if not isinstance(sides, list | tuple) or len(sides) != count:
        given = len(sides) if isinstance(sides, list | tuple) else type(sides).__name__
        raise InputError(f"Sides must be a list with one entry for each of the {count} pictures, not {given}.")
    return tuple(named_side(side) for side in sides)


def _camera(entries: Any) -> Camera:
    """The camera of a JSON object."""
    names = [field.name for field in fields(Camera)]
    if isinstance(entries, dict) and entries.keys() - set(names):
        unknown = sorted(entries.keys() - set(names))
        raise InputError(f"A camera has only the entries {', '.join(names)}, not {unknown!r:.80}.")
    try:
        values: dict[str, Any] = {name: float(value) for name, value in entries.items() if name != "offset"}
        if "offset" in entries:
            x, y = entries["offset"]
            values["offset"] = (float(x), float(y))
    except (AttributeError, TypeError, ValueError):
        raise InputError(f"A camera is an object with the numbers {', '.join(names)}, not {entries!r:.80}.") from None
    return Camera(**values)


def with_background(pictures: Sequence[Picture], keeps: bool) -> list[Picture]:
    """The pictures with their backgrounds kept or cut away.

    Of a camera that was found or set by hand the angles stay; the rest belonged to what was there before.
    """
    return [
        picture if picture.whole is None or picture.keeps_background == keeps else _switched(picture, keeps)
        for picture in pictures
    ]


def _switched(picture: Picture, keeps: bool) -> Picture:
    switched = replace(picture, keeps_background=keeps, found=None)
    if picture.found is None:
        return switched
    before, (cutout, camera) = picture.found[1], switched.placed()
    kept = replace(camera, azimuth_deg=before.azimuth_deg, elevation_deg=before.elevation_deg)
    return replace(switched, found=(cutout, kept))


def with_angles(
    pictures: Sequence[Picture], azimuths: Sequence[Number | None], elevations: Sequence[Number | None]
) -> list[Picture]:
    """The pictures with the angles that the sliders show; untouched where a slider says what the picture says."""
    turned = []
    for picture, azimuth, elevation in zip(pictures, azimuths, elevations, strict=False):
        before = picture.angles
        after = (before[0] if azimuth is None else float(azimuth), before[1] if elevation is None else float(elevation))
        # Sliders round, so a difference within their step is no wish of the person's.
        if max(abs(after[0] - before[0]), abs(after[1] - before[1])) < 0.75:
            turned.append(picture)
            continue
        cutout, camera = picture.placed()
        moved = replace(camera, azimuth_deg=after[0], elevation_deg=after[1])
        if picture.camera is not None:
            turned.append(replace(picture, camera=moved))
        else:
            turned.append(replace(picture, found=(cutout, moved)))
    return turned


def with_side(pictures: Sequence[Picture], index: int, side: Side | None) -> list[Picture]:
    """The pictures, one of them with another side; what was found for it was found without."""
    changed = replace(pictures[index], side=side, found=None)
    return [changed if place == index else picture for place, picture in enumerate(pictures)]


def in_order(pictures: Sequence[Picture]) -> list[Picture]:
    """The pictures as front, right, back and left in their order; those behind them stay as they are."""
    sides: list[Side | None] = ["front", "right", "back", "left"]
    named = [replace(picture, side=side, found=None) for picture, side in zip(pictures, sides, strict=False)]
    return [*named, *pictures[len(named) :]]


def reordered(pictures: Sequence[Picture], source: int, target: int) -> list[Picture]:
    """The pictures with one of them at another place; unchanged where there is no such place."""
    result = list(pictures)
    if 0 <= source < len(result) and 0 <= target < len(result):
        result.insert(target, result.pop(source))
    return result


def shown(picture: Picture, estimate: bool) -> Image.Image:
    """What the page shows of a picture: what is used of it (a checkerboard lies behind) with the box of its camera.

    Where something was cut away, the picture as it came stands on the left.
    """
    used = _used(picture, estimate)
    if picture.whole is None:
        return used
    whole = pad_to_square(picture.whole)[0].resize(used.size, Image.Resampling.LANCZOS)
    both = Image.new("RGBA", (2 * used.width + _GAP, used.height))
    both.paste(whole, (0, 0))
    both.paste(used, (used.width + _GAP, 0))
    return both


def _used(picture: Picture, estimate: bool) -> Image.Image:
    if estimate and picture.found is None:
        image = pad_to_square(picture.used)[0]
        image.thumbnail((SHOWN_SIDE, SHOWN_SIDE))
        return image
    cutout, camera = picture.found if estimate and picture.found is not None else picture.placed()
    crop = pad_to_square(cutout)[1]
    if picture.camera is None:
        # A tight crop would cut off the box.
        margin = round(0.18 * crop.size)
        crop = replace(crop, left=crop.left - margin, top=crop.top - margin, size=crop.size + 2.0 * margin)
    square = crop.apply(cutout).resize((SHOWN_SIDE, SHOWN_SIDE), Image.Resampling.LANCZOS)
    return _with_box(square, camera, (crop.left, crop.top, crop.size, crop.width, crop.height))


def _with_box(image: Image.Image, camera: Camera, window: tuple[float, float, float, float, float]) -> Image.Image:
    """The picture with the cube that holds every object drawn over it; its front is drawn stronger."""
    corners = np.array([[x, y, z] for z in (-0.9, 0.9) for y in (-0.9, 0.9) for x in (-0.9, 0.9)])
    ndc, depth = camera.cropped(*window).project(corners)
    if depth.min() <= 0.0:
        return image
    scale = 2  # drawn larger and shrunk: PIL's lines are not smooth
    size = image.width * scale
    points = [((x + 1.0) / 2.0 * size, (1.0 - y) / 2.0 * size) for x, y in ndc]
    layer = Image.new("RGBA", (size, size), (90, 130, 190, 0))
    pen = ImageDraw.Draw(layer)
    for a, b in _BOX_EDGES:
        is_front = a >= 4 and b >= 4
        pen.line([points[a], points[b]], fill=(58, 110, 190, 230 if is_front else 110), width=5 if is_front else 3)
    result = image.copy()
    result.alpha_composite(layer.resize(image.size, Image.Resampling.BOX))
    return result


def example_of(pictures: Sequence[Picture], examples: Sequence[Example]) -> Example | None:
    """The example that pictures belong to; None where they are somebody's own."""
    keys = {picture.example for picture in pictures}
    return next((example for example in examples if example.key in keys), None)
