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
    rotation, position = camera_to_world[..., :3].float(), camera_to_world[..., 3:].float()
    to_camera = rotation.transpose(-1, -2)
    # Focal length and offsets go into the matrix, so that the many points are passed over as seldom as possible.
    focal, offset = intrinsics[..., :1, None].float(), intrinsics[..., 1:, None].float()
    depth = -to_camera[..., 2:, :]
    matrix = torch.cat([focal * to_camera[..., :2, :] + offset * depth, depth], dim=-2)
    # In half precision they would be half a pixel off.
    with torch.autocast(points.device.type, enabled=False):
        local = matrix @ points.T.float() - matrix @ position
    ndc = local[..., :2, :] / local[..., 2:, :].clamp_min(1e-4)
    return ndc.transpose(-1, -2), local[..., 2, :]
