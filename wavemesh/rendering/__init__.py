"""Pictures of meshes: ray casting on Embree, OpenGL through pyrender, turntables and previews."""

from __future__ import annotations

from wavemesh.rendering.raycast import Light, RaycastRenderer, RenderedView, raycast_view

__all__ = ["Light", "RaycastRenderer", "RenderedView", "raycast_view"]
