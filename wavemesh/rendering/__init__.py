"""Pictures of meshes (ray casting on Embree, OpenGL through pyrender, turntables, previews) and of density fields."""

from __future__ import annotations

from wavemesh.rendering.appearance import Appearance
from wavemesh.rendering.multiview import MultiView, orbit_cameras, render_multiview, render_view, renderer_for
from wavemesh.rendering.occupancy import OccupancyGrid
from wavemesh.rendering.pyrender_view import PyrenderRenderer, pyrender_problem
from wavemesh.rendering.raycast import Light, RaycastRenderer, RenderedView, raycast_view
from wavemesh.rendering.rays import Rays, camera_rays
from wavemesh.rendering.turntable import contact_sheet, shade_preview, turntable
from wavemesh.rendering.volume import RenderedImage, RenderedRays, render_image, render_rays

__all__ = [
    "Appearance",
    "Light",
    "MultiView",
    "OccupancyGrid",
    "PyrenderRenderer",
    "RaycastRenderer",
    "Rays",
    "RenderedImage",
    "RenderedRays",
    "RenderedView",
    "camera_rays",
    "contact_sheet",
    "orbit_cameras",
    "pyrender_problem",
    "raycast_view",
    "render_image",
    "render_multiview",
    "render_rays",
    "render_view",
    "renderer_for",
    "shade_preview",
    "turntable",
]
