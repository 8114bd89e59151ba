"""Procedural shapes as training reads prepared ones: distance grids, pictures and cameras, made on demand.

Cameras and lamps are drawn exactly as `prepare` draws them, by a key that names the seed and the shape; of a shape's
cameras only those asked for are rendered. Everything runs on the given device, many shapes at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from wavemesh.data.cameras import training_cameras
from wavemesh.data.prepare_model import sample_lights
from wavemesh.errors import InputError
from wavemesh.geometry.camera import Camera
from wavemesh.geometry.camera_tensors import stack_cameras
from wavemesh.procedural.catalogue import make_solids
from wavemesh.procedural.field import signed_field
from wavemesh.procedural.grid import SolidGrids, solids_to_sdf
from wavemesh.rendering.sphere_tracing import trace_views

_CPU_BATCH = 2  # shapes evaluated together on a CPU, where more only cost memory
_SAMPLES = 2000  # of a shape's surface points, for crops
_ON_SURFACE = 2e-3


@dataclass(frozen=True)
class RenderedShapes:
    """sdf: (b, n, n, n) float32, truncated. pictures: (b, v, s, s, 4) uint8 RGBA, straight alpha. poses: (b, v, 3, 4).

    intrinsics: (b, v, 3). All on the CPU.
    """

    sdf: Float[Tensor, "b n n n"]
    pictures: UInt8[Tensor, "b v s s 4"]
    poses: Float[Tensor, "b v 3 4"]
    intrinsics: Float[Tensor, "b v 3"]


class ProceduralShapes:
    """Endless shapes by their number, those of one seed.

    resolution: of the grids, 16 times a power of two. num_views, image_size: of each shape. device: where they are
    made, "auto" for CUDA where there is one. category: of every shape, None for the usual mixture.
    """

    def __init__(
        self,
        seed: int = 0,
        resolution: int = 128,
        num_views: int = 20,
        image_size: int = 128,
        device: str = "auto",
        category: str | None = None,
    ) -> None:
        if min(num_views, image_size) < 1:
            raise InputError(f"Views and their size must be positive, not {num_views} and {image_size}.")
        self.seed, self.resolution, self.num_views, self.image_size = seed, resolution, num_views, image_size
        self.category = category
        self.device = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device

    @torch.inference_mode()
    def render(self, numbers: Sequence[int], views: Sequence[Sequence[int]]) -> RenderedShapes:
        """The shapes of these numbers; views: which of its `num_views` views of each.

        The same numbers give the same shapes and pictures whatever else is asked for with them (on one device).
        """
        step = _CPU_BATCH if self.device == "cpu" else max(1, len(numbers))
        parts = [
            self._rendered(numbers[begin : begin + step], views[begin : begin + step])
            for begin in range(0, len(numbers), step)
        ]
        names = RenderedShapes.__dataclass_fields__
        return RenderedShapes(**{name: torch.cat([getattr(part, name) for part in parts]) for name in names})

    def _rendered(self, numbers: Sequence[int], views: Sequence[Sequence[int]]) -> RenderedShapes:
        solids = make_solids(self.seed, numbers, self.category).to(self.device)
        grids = solids_to_sdf(solids, self.resolution)
        keys = [f"procedural-{self.seed}-{number}" for number in numbers]
        cameras = [
            [every[view] for view in chosen] for every, chosen in zip(self._cameras(grids, keys), views, strict=True)
        ]
        lights = [
            [sample_lights(key, self.num_views)[view] for view in chosen]
            for key, chosen in zip(keys, views, strict=True)
        ]
        pictures = trace_views(grids, cameras, lights, self.image_size)
        stacked = [stack_cameras(row) for row in cameras]
        poses, intrinsics = (torch.stack([pair[each] for pair in stacked]) for each in (0, 1))
        return RenderedShapes(grids.sdf.cpu(), pictures.cpu(), poses, intrinsics)

    def _cameras(self, grids: SolidGrids, keys: Sequence[str]) -> list[list[Camera]]:
        """The training cameras of each shape, cropped to points that bound its silhouettes."""
        outline = grids.solids.outline
        # What a cut took away does not bound them; there some of the samples of the surface do.
        kept = signed_field(grids.solids, outline) < _ON_SURFACE
        rows = []
        for number, key in enumerate(keys):
            samples = grids.samples.points[grids.samples.shape == number]
            points = torch.cat([outline[number, kept[number]], samples[:: max(1, len(samples) // _SAMPLES)]])
            rows.append(training_cameras(key, points.cpu().numpy(), self.num_views))
        return rows
