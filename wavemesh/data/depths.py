"""How deep an object is seen in each of its training views: its front, and its back behind the same pixel.

They are those of the grid's surface, which is what the networks are to answer, as distances along the viewing direction
from the plane through the world's origin, so that numbers do not depend on how far away the camera stands.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import trimesh
from jaxtyping import Bool, Float
from torch import Tensor

from wavemesh.data.dataset import Shapes
from wavemesh.data.derived import Arrays, Recipe, derived_rows
from wavemesh.geometry.camera import Camera
from wavemesh.geometry.isosurface import sdf_to_mesh
from wavemesh.geometry.raycast import RayCaster

DEPTH_SIDE = 64
_SCALE = 16_000.0  # steps of a world unit
_EMPTY = np.int16(-32_768)
_BEYOND = 4.0  # world units behind the origin's plane: nothing lies there


def depth_maps(mesh: trimesh.Trimesh | RayCaster, camera: Camera, size: int) -> Float[np.ndarray, "2 s s"]:
    """Depths of the nearest and of the furthest surface behind each pixel, NaN where there is none.

    They are counted along the viewing direction from the plane through the origin, positive away from the camera.
    """
    caster = mesh if isinstance(mesh, RayCaster) else RayCaster(mesh)
    origins, directions = (field.reshape(-1, 3) for field in camera.rays(size))
    slope = directions @ -camera.camera_to_world()[:, 2].astype(np.float64)
    front = caster.cast(origins, directions)
    seen = np.flatnonzero(front.hit)
    # The same rays, walked the other way.
    length = (camera.distance + _BEYOND) / slope
    far = origins + directions * length[:, None]
    back = caster.cast(far[seen], -directions[seen])
    maps = np.full((2, size * size), np.nan, dtype=np.float32)
    maps[0, seen] = front.distance[seen] * slope[seen] - camera.distance
    # Rays that graze an edge may be met from one side only.
    distance = np.where(back.hit, length[seen] - back.distance, front.distance[seen])
    maps[1, seen] = np.maximum(distance * slope[seen] - camera.distance, maps[0, seen])
    return maps.reshape(2, size, size)


class ViewDepths:
    """The depth maps of all training views of a split's shapes; see `derived_rows` for when they are computed."""

    def __init__(self, shapes: Shapes) -> None:
        shape = (shapes.num_views, 2, DEPTH_SIDE, DEPTH_SIDE)
        recipe = Recipe("depths", {"depths": (shape, np.int16)}, _depths_of)
        self._rows = derived_rows(shapes, recipe)

    def maps(
        self, indices: Sequence[int], views: Sequence[Sequence[int]]
    ) -> tuple[Float[Tensor, "b v 2 s s"], Bool[Tensor, "b v s s"]]:
        """Front and back in world units, zero where there is nothing, and where there is something."""
        stored = np.stack(
            [self._rows(index)["depths"][list(chosen)] for index, chosen in zip(indices, views, strict=True)]
        )
        seen = torch.from_numpy(stored[:, :, 0] != _EMPTY)
        return torch.from_numpy(stored).float() / _SCALE * seen.unsqueeze(2), seen


def _depths_of(shapes: Shapes, index: int) -> Arrays:
    caster = RayCaster(sdf_to_mesh(shapes.sdf([index])[0].numpy()))
    maps = np.stack([depth_maps(caster, camera, DEPTH_SIDE) for camera in shapes.all_cameras(index)])
    steps = np.rint(np.nan_to_num(maps) * _SCALE).clip(-32_767, 32_767).astype(np.int16)
    return {"depths": np.where(np.isnan(maps), _EMPTY, steps)}
