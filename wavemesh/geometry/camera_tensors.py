"""Cameras as the networks take them: poses and intrinsics as tensors, and the projection of points in a batch.

Apart from `camera`, which needs no torch: the page and the command line speak of cameras before it is loaded.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from wavemesh.geometry.camera import Camera


def stack_cameras(cameras: list[Camera]) -> tuple[Float[Tensor, "n 3 4"], Float[Tensor, "n 3"]]:
    """Poses (camera_to_world) and intrinsics of several cameras as tensors."""
    poses = torch.from_numpy(np.stack([camera.camera_to_world() for camera in cameras]))
    return poses, torch.from_numpy(np.stack([camera.intrinsics() for camera in cameras]))


def project_points(
    points: Float[Tensor, "p 3"], camera_to_world: Float[Tensor, "*batch 3 4"], intrinsics: Float[Tensor, "*batch 3"]
) -> tuple[Float[Tensor, "*batch p 2"], Float[Tensor, "*batch p"]]:
    """NDC and depth of world points in every camera of a batch; points behind a camera have depth <= 0."""
    rotation, position = camera_to_world[..., :3], camera_to_world[..., 3:]
    to_camera = rotation.transpose(-1, -2)
    # Coordinates as rows (..., 3, p): everything after the product runs over contiguous memory.
    # In half precision they would be half a pixel off.
    with torch.autocast(points.device.type, enabled=False):
        local_x, local_y, local_z = (to_camera @ points.T - to_camera @ position).unbind(dim=-2)
    scale = intrinsics[..., :1] / (-local_z).clamp_min(1e-4)
    ndc = torch.stack([local_x * scale + intrinsics[..., 1:2], local_y * scale + intrinsics[..., 2:]], dim=-1)
    return ndc, -local_z
