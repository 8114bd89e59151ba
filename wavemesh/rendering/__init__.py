"""Pictures of meshes: ray casting on Embree, OpenGL through pyrender, turntables and previews."""

from __future__ import annotations

from wavemesh.rendering.appearance import Appearance
from wavemesh.rendering.multiview import MultiView, orbit_cameras, render_multiview, render_view, renderer_for
from wavemesh.rendering.pyrender_view import PyrenderRenderer, pyrender_problem
from wavemesh.rendering.raycast import Light, RaycastRenderer, RenderedView, raycast_view
from wavemesh.rendering.turntable import contact_sheet, shade_preview, turntable

__all__ = [
    "Appearance",
    "Light",
    "MultiView",
    "PyrenderRenderer",
    "RaycastRenderer",
    "RenderedView",
    "contact_sheet",
    "orbit_cameras",
    "pyrender_problem",
    "raycast_view",
    "render_multiview",
    "render_view",
    "renderer_for",
    "shade_preview",
    "turntable",
]
