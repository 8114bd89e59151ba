"""Pictures for people: a clay look that shows shape, turntables, and contact sheets."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import trimesh
from jaxtyping import UInt8

from wavemesh.budget import keep_within_budget
from wavemesh.errors import InputError
from wavemesh.geometry.camera import Camera
from wavemesh.rendering.multiview import orbit_cameras
from wavemesh.rendering.raycast import Light, RaycastRenderer

CLAY = (0.80, 0.76, 0.72)
PAPER = (1.0, 1.0, 1.0)
# A lamp over the viewer's left shoulder, so that no side of a turntable is ever in the dark.
STUDIO = Light(direction=(-0.5, 0.7, 0.9), diffuse=0.72, sky=0.22, ambient=0.12, follows_camera=True)


def shade_preview(
    mesh: trimesh.Trimesh | trimesh.Scene,
    camera: Camera | None = None,
    size: int = 256,
    background: tuple[float, float, float] = PAPER,
) -> UInt8[np.ndarray, "s s 3"]:
    """The mesh in neutral clay, whatever its colours, on a plain background (sRGB in [0, 1])."""
    camera = camera or Camera(azimuth_deg=30.0, elevation_deg=20.0)
    view = RaycastRenderer(mesh).view(camera, size, light=STUDIO, background=background, colour=CLAY)
    return view.rgba[..., :3]


def turntable(
    mesh: trimesh.Trimesh | trimesh.Scene,
    num_frames: int = 24,
    size: int = 256,
    *,
    elevation_deg: float = 20.0,
    clay: bool = False,
    background: tuple[float, float, float] | None = PAPER,
) -> list[UInt8[np.ndarray, "s s c"]]:
    """Frames of one full turn, in the mesh's own colours or in clay.

    Frames are (s, s, 3) uint8; (s, s, 4) with straight alpha when background is None. Raises InputError where a budget
    is used up meanwhile.
    """
    renderer = RaycastRenderer(mesh)
    colour = CLAY if clay else None
    frames = []
    for camera in orbit_cameras(num_frames, elevation_deg):
        keep_within_budget()
        rgba = renderer.view(camera, size, light=STUDIO, background=background, colour=colour).rgba
        frames.append(rgba if background is None else rgba[..., :3])
    return frames


def contact_sheet(
    images: Sequence[np.ndarray], columns: int, gap: int = 2, background: int = 255
) -> UInt8[np.ndarray, "hh ww 3"]:
    """The pictures side by side in rows of `columns`, alpha laid over the background grey.

    images: (h, w, 3 or 4) uint8 each, all of one size.
    Raises InputError without pictures, for fewer than one column, or for pictures of different sizes.
    """
    if not len(images) or columns < 1:
        raise InputError(f"A contact sheet needs pictures and columns, not {len(images)} and {columns}.")
    sizes = {image.shape[:2] for image in images}
    if len(sizes) > 1:
        raise InputError(f"The pictures of a contact sheet must have one size, not {sorted(sizes)}.")
    height, width = sizes.pop()
    columns = min(columns, len(images))
    rows = math.ceil(len(images) / columns)
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), background, dtype=np.uint8)
    for number, image in enumerate(images):
        top, left = number // columns * (height + gap), number % columns * (width + gap)
        rgb = image[..., :3]
        if image.shape[2] == 4:
            alpha = image[..., 3:] / 255.0
            rgb = np.rint(rgb * alpha + background * (1.0 - alpha)).astype(np.uint8)
        sheet[top : top + height, left : left + width] = rgb
    return sheet
