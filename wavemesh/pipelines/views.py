"""What goes into a pipeline: pictures with or without cameras, made ready for the encoder.

Every picture is masked and cropped to its object at the encoder's size; a given camera moves along with the crop, so
nothing about the geometry is lost. Where the object touches the picture's border the crop ends there, because nothing
is known beyond it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from wavemesh.errors import InputError
from wavemesh.geometry.camera import Camera
from wavemesh.geometry.camera_tensors import stack_cameras
from wavemesh.geometry.frame import Side, named_side
from wavemesh.imaging import (
    CROP_MARGIN,
    FOREGROUND_ALPHA,
    Crop,
    PictureSource,
    cut_out,
    read_picture,
)
from wavemesh.models.symmetry import HALF_TURN, Mirror, cameras_around, mirrored_camera

MAX_VIEWS = 8

# From crops and the sides that they show, None where nobody says.
CameraEstimator = Callable[[list[Image.Image], list[Side | None]], list[Camera]]
CameraRefiner = Callable[[list["PreparedView"]], list["PreparedView"]]


@dataclass(frozen=True)
class View:
    """A picture (path, bytes, PIL image or array) and the camera that took it; None has it estimated.

    mask: a picture of the same proportions, white where the object is (or opaque, where it has transparency); None has
    the object cut out. cut_by: what has made the picture's alpha, where that is known, to be told from then on.
    side: which side of the object it shows, where that is known: it fixes the quarter turn of a camera that is
    estimated, and the frame, in which the front is around azimuth 0. Raises InputError for another side.
    """

    image: PictureSource
    camera: Camera | None = None
    mask: PictureSource | None = None
    cut_by: str | None = None
    side: Side | None = None

    def __post_init__(self) -> None:
        named_side(self.side)


@dataclass(frozen=True)
class PreparedView:
    """A masked, cropped RGBA picture of the encoder's size with the camera of that crop.

    full: the masked picture before the crop. crop: the window in it. estimated: whether the camera is an estimate.
    notes: a sentence for each thing that may go wrong with the mask. cut_by: what made the mask, see `imaging.Cutout`.
    side: as in `View`. binds: whether the shape is made to agree with the silhouette; None where nobody compared it
    with the others.
    """

    picture: Image.Image
    camera: Camera
    full: Image.Image
    crop: Crop
    estimated: bool
    notes: tuple[str, ...] = ()
    cut_by: str = "none"
    side: Side | None = None
    binds: bool | None = None


def prepare_views(
    views: Sequence[View | PreparedView | PictureSource],
    image_size: int,
    estimate_cameras: CameraEstimator,
    background: str = "auto",
    refine: CameraRefiner | None = None,
) -> list[PreparedView]:
    """The views, masked and cropped, each with a camera; a view that is prepared already stays as it is.

    background: how objects are cut out where there is no mask, see `imaging.cut_out`. refine: moves the cameras until
    the pictures fit together; it is not called where a view is prepared already.
    Raises InputError for no view or more than eight, an unreadable picture, one without foreground, a mask that does
    not fit, and a prepared picture of another size.
    """
    if not 1 <= len(views) <= MAX_VIEWS:
        raise InputError(f"Between 1 and {MAX_VIEWS} pictures are needed, not {len(views)}.")
    names = ["The picture"] if len(views) == 1 else [f"Picture {number}" for number in range(1, len(views) + 1)]
    cut = [_cut(view, image_size, background, name) for view, name in zip(views, names, strict=True)]
    prepared = [view for view, _ in cut]
    if not all(placed for _, placed in cut):
        guessed = estimate_cameras([view.picture for view in prepared], [view.side for view in prepared])
        pairs = zip(cut, guessed, strict=True)
        prepared = [view if placed else replace(view, camera=guess) for (view, placed), guess in pairs]
    if refine is None or any(isinstance(view, PreparedView) for view in views):
        return prepared
    return refine(prepared)


def _cut(
    view: View | PreparedView | PictureSource, image_size: int, background: str, name: str
) -> tuple[PreparedView, bool]:
    """A view masked and cropped, and whether its camera is known; where not, a default one stands in its place."""
    if isinstance(view, PreparedView):
        if view.picture.size != (image_size, image_size):
            width, height = view.picture.size
            raise InputError(
                f"A prepared picture must have {image_size} x {image_size} pixels, not {width} x {height}."
            )
        return view, True
    asked = view if isinstance(view, View) else View(view)
    mask = None if asked.mask is None else read_picture(asked.mask)
    cutout = cut_out(read_picture(asked.image), background, name, mask)
    crop = object_window(cutout.picture)
    picture = resize_premultiplied(crop.apply(cutout.picture), image_size)
    known = asked.camera is not None
    camera = (asked.camera or Camera()).cropped(crop.left, crop.top, crop.size, crop.width, crop.height)
    cut_by = asked.cut_by or cutout.method
    prepared = PreparedView(picture, camera, cutout.picture, crop, not known, cutout.notes, cut_by, asked.side)
    return prepared, known


def object_window(picture: Image.Image, margin: float = CROP_MARGIN) -> Crop:
    """The square window around the object that the encoder sees.

    A margin surrounds the object, except on sides where it touches the picture's border: there the window ends with the
    picture, so that everything beyond counts as unknown rather than as background.
    """
    foreground = np.asarray(picture)[..., 3] >= FOREGROUND_ALPHA
    if not foreground.any():
        raise InputError(
            f"The picture ({picture.width} x {picture.height} pixels) has no foreground: it is transparent."
        )
    columns, rows = np.flatnonzero(foreground.any(axis=0)), np.flatnonzero(foreground.any(axis=1))
    spans = [(int(columns[0]), int(columns[-1]) + 1, picture.width), (int(rows[0]), int(rows[-1]) + 1, picture.height)]
    pad = margin * max(high - low for low, high, _ in spans)
    size = max(1, round(max((high - low) + pad * ((low > 0) + (high < end)) for low, high, end in spans)))
    left, top = (_window_start(low, high, end, size) for low, high, end in spans)
    return Crop(float(left), float(top), float(size), float(picture.width), float(picture.height))


def _window_start(low: int, high: int, end: int, size: int) -> int:
    """Where a window of this size begins: flush with a border that the object touches, else centred on the object."""
    if low == 0:
        return 0
    if high == end:
        return end - size
    return round((low + high - size) / 2)


def resize_premultiplied(picture: Image.Image, size: int) -> Image.Image:
    """The picture at size x size; colours are weighted by alpha so that nothing bleeds in from transparent pixels."""
    pixels = np.asarray(picture.convert("RGBA"), dtype=np.float32) / 255.0
    pixels[..., :3] *= pixels[..., 3:]
    channels = [
        np.asarray(
            Image.fromarray(pixels[..., c]).resize(
                (size, size), Image.Resampling.BOX if size < picture.width else Image.Resampling.BILINEAR
            )
        )
        for c in range(4)
    ]
    resized = np.stack(channels, axis=-1)
    alpha = resized[..., 3:]
    resized[..., :3] = np.divide(resized[..., :3], alpha, out=np.zeros_like(resized[..., :3]), where=alpha > 1e-4)
    return Image.fromarray((resized.clip(0.0, 1.0) * 255.0 + 0.5).astype(np.uint8), "RGBA")


def network_tensors(views: Sequence[PreparedView]) -> tuple[Tensor, Tensor, Tensor]:
    """Images (1, N, 4, H, W) premultiplied in [0, 1], poses (1, N, 3, 4) and intrinsics (1, N, 3)."""
    pixels = (
        torch.from_numpy(np.stack([np.asarray(view.picture) for view in views])).permute(0, 3, 1, 2).float() / 255.0
    )
    images = torch.cat([pixels[:, :3] * pixels[:, 3:], pixels[:, 3:]], dim=1)
    poses, intrinsics = stack_cameras([view.camera for view in views])
    return images[None], poses[None], intrinsics[None]


def binding_views(views: Sequence[PreparedView]) -> list[int]:
    """The views whose silhouettes the shape is made to agree with.

    Where nobody compared them: all, but none of several with an estimate that no side was named for: it may be quarter
    turns apart.
    """
    usual = len(views) == 1 or all(view.side is not None for view in views if view.estimated)
    return [index for index, view in enumerate(views) if (usual if view.binds is None else view.binds)]


def mirror_images(views: Sequence[PreparedView], mirrors: Sequence[Mirror]) -> list[PreparedView]:
    """The images of the views in each of the mirrors, as views that bind."""
    return [_in_mirror(view, mirror) for mirror in mirrors for view in views]


def views_around(view: PreparedView) -> list[PreparedView]:
    """The view of something round and how it looks from all around, as views that bind.

    An estimated camera is moved to where the object's axis is in the middle of its crop.
    """
    camera = replace(view.camera, offset=(0.0, view.camera.offset[1])) if view.estimated else view.camera
    return [replace(view, camera=each, binds=True) for each in (camera, *cameras_around(camera))]


def _in_mirror(view: PreparedView, mirror: Mirror) -> PreparedView:
    camera = mirrored_camera(view.camera, mirror)
    if mirror == HALF_TURN:
        return replace(view, camera=camera, binds=True)
    picture, full = (each.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for each in (view.picture, view.full))
    crop = replace(view.crop, left=view.crop.width - view.crop.left - view.crop.size)
    return replace(view, picture=picture, camera=camera, full=full, crop=crop, binds=True)


def as_views(images: Sequence[Any], cameras: Sequence[Camera | None] | None) -> list[View]:
    """Views from pictures and cameras; raises InputError where their numbers differ."""
    if cameras is not None and len(cameras) != len(images):
        raise InputError(
            f"{len(images)} pictures were given with {len(cameras)} cameras; give one camera for each picture."
        )
    return [View(image, None if cameras is None else cameras[index]) for index, image in enumerate(images)]
