"""Clay pictures of shapes on nothing, so that the page's own background shows, light or dark."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wavemesh.errors import InputError

if TYPE_CHECKING:
    import trimesh

    from wavemesh.rendering import Light

PREVIEW_SIDE = 320


def paint_field(
    sdf: np.ndarray, azimuth_deg: float, elevation_deg: float, side: int = PREVIEW_SIDE, smooth: bool = True
) -> np.ndarray | None:
    """A picture (s, s, 4) uint8 of the surface of a field (n, n, n); None if it has none. smooth: as for a mesh."""
    from wavemesh.geometry.isosurface import sdf_to_mesh

    try:
        return paint_mesh(sdf_to_mesh(sdf), azimuth_deg, elevation_deg, side, smooth=smooth)
    except InputError:
        return None


def paint_mesh(
    mesh: trimesh.Trimesh,
    azimuth_deg: float,
    elevation_deg: float,
    side: int = PREVIEW_SIDE,
    in_clay: bool = True,
    smooth: bool = True,
) -> np.ndarray:
    """A picture (s, s, 4) uint8 of the mesh, in clay or in its own colours.

    smooth: outlines without stairs, at four times the cost.
    """
    from wavemesh.geometry.camera import Camera
    from wavemesh.rendering import RaycastRenderer

    camera, rays = Camera(azimuth_deg, elevation_deg), 2 if smooth else 1
    return RaycastRenderer(mesh).view(camera, side, lamp(), rays, colour=clay() if in_clay else None).rgba


def lamp() -> Light:
    """The light of all pictures of the page: over the viewer's left shoulder."""
    from wavemesh.rendering.turntable import STUDIO

    return STUDIO


def clay() -> tuple[float, float, float]:
    """The colour of shapes without colours, sRGB in [0, 1]."""
    from wavemesh.rendering.turntable import CLAY

    return CLAY
