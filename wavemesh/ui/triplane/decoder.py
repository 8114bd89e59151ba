"""The calls of the triplane's small decoder: planes become a surface or a rendered volume.

They take their turn among the runs of the page, on the same accelerator. Planes go in and pictures come back in main
memory. Heavy imports stay inside the functions: the page is laid out before torch is there.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, UInt8

from wavemesh.ui.accelerator import Accelerator, on_gpu

if TYPE_CHECKING:
    import torch
    import trimesh

COARSE_SIDE, FINE_SIDE = 64, 256
_SAMPLES = {COARSE_SIDE: 48, FINE_SIDE: 96}


class PlaneDecoder:
    """The decoder of the triplane pipeline, shared by all sessions of a page.

    pipeline: called when something is first decoded. accelerator: where every call takes its turn.
    """

    def __init__(self, pipeline: Callable[[], Any], accelerator: Accelerator) -> None:
        self._accelerator = accelerator
        self._surface = on_gpu(partial(_surface, pipeline))
        self._volume = on_gpu(partial(_volume, pipeline))

    def surface(self, planes: Float[torch.Tensor, "3 c h w"], resolution: int) -> trimesh.Trimesh:
        """The coloured surface in the planes, sampled on a grid of that many cells; InputError where there is none."""
        return self._accelerator.call(self._surface, planes, resolution)

    def volume(
        self, planes: Float[torch.Tensor, "3 c h w"], azimuth_deg: float, elevation_deg: float, size: int
    ) -> UInt8[np.ndarray, "s s 4"]:
        """The volume from a camera, transparent around it; coarse pictures take fewer samples on each ray."""
        return self._accelerator.call(self._volume, planes, azimuth_deg, elevation_deg, size)


def _surface(pipeline: Callable[[], Any], planes: torch.Tensor, resolution: int) -> trimesh.Trimesh:
    import torch

    from wavemesh.geometry.isosurface import sdf_to_mesh
    from wavemesh.geometry.texture import vertex_colours
    from wavemesh.pipelines.outputs import triplane_colours
    from wavemesh.pipelines.triplane import surface_field

    renderer = pipeline().model.renderer
    with torch.inference_mode():
        planes = planes.to(next(renderer.parameters()).device)
        mesh = sdf_to_mesh(surface_field(renderer, planes[None], resolution=resolution))
        mesh.visual.vertex_colors = vertex_colours(mesh, triplane_colours(renderer, planes))
    return mesh


def _volume(
    pipeline: Callable[[], Any], planes: torch.Tensor, azimuth_deg: float, elevation_deg: float, size: int
) -> np.ndarray:
    import torch

    from wavemesh.geometry.camera import Camera

    renderer, camera = pipeline().model.renderer, Camera(azimuth_deg, elevation_deg)
    with torch.inference_mode():
        device = next(renderer.parameters()).device
        samples = _SAMPLES.get(size, 64)
        pixels = renderer.render_volume(planes[None].to(device), samples, size, camera, "transparent")[0]
        picture = (pixels.float().clamp(0.0, 1.0) * 255.0).round().to(torch.uint8)
    return picture.permute(1, 2, 0).cpu().numpy()
