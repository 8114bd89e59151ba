"""Projective conditioning: every place in the volume looks up what each picture shows at its own projection.

It stands between the encoder and the U-Nets of both systems. A linear layer commutes with bilinear interpolation, so the
channels are reduced on the small feature map and only the reduced ones are sampled.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from wavemesh.geometry.camera import DEFAULT_DISTANCE, project_points
from wavemesh.models.multiview_encoder import ViewFeatures


def grid_points(resolution: int, shift_cells: float = 0.0, device: torch.device | None = None) -> Float[Tensor, "p 3"]:
    """The centres of the cells of a grid over [-1, 1]^3 in the order x, y, z; shift_cells moves them along all axes."""
    axis = (torch.arange(resolution, device=device, dtype=torch.float32) + 0.5 + shift_cells) / resolution * 2.0 - 1.0
    return torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1).reshape(-1, 3)


def sample_maps(maps: Float[Tensor, "v c h w"], ndc: Float[Tensor, "v p 2"]) -> Float[Tensor, "v p c"]:
    """Bilinear samples of feature maps at NDC positions; zero outside the picture."""
    grid = torch.stack([ndc[..., 0], -ndc[..., 1]], dim=-1).unsqueeze(1).to(maps.dtype)
    return F.grid_sample(maps, grid, mode="bilinear", padding_mode="zeros", align_corners=False)[:, :, 0].transpose(1, 2)


def soft_hull(features: ViewFeatures, points: Float[Tensor, "p 3"]) -> Float[Tensor, "b p"]:
    """The least alpha that any picture shows at each point's projection: the visual hull, soft at its border.

    A view whose frame a point leaves says nothing about it. Nor does the border: an alpha of 1 is extended beyond it.
    """
    batch, views = features.poses.shape[:2]
    ndc, depth = project_points(points, features.poses.flatten(0, 1).float(), features.intrinsics.flatten(0, 1).float())
    alpha = sample_maps(features.alpha.flatten(0, 1).float(), ndc.clamp(-1.0, 1.0))[..., 0]
    inside = (ndc.abs().amax(dim=-1) <= 1.0) & (depth > 0)
    return torch.where(inside, alpha, torch.ones_like(alpha)).unflatten(0, (batch, views)).amin(dim=1)


class ProjectiveFeatures(nn.Module):
    """Features of points in the volume, pooled over the views by mean, deviation and maximum.

    map_channels: of the encoder's maps. hidden: channels per view. out_channels: of the result.
    """

    def __init__(self, map_channels: int, hidden: int = 24, out_channels: int = 48) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(map_channels, hidden, 1)
        # Alpha, inside the frame, depth, and the direction from which the camera sees the point.
        self.geometry = nn.Linear(6, hidden)
        self.pool = nn.Linear(3 * hidden + 2, out_channels)

    def forward(self, features: ViewFeatures, points: Float[Tensor, "p 3"]) -> Float[Tensor, "b p c"]:
        """What the pictures say at the points; the same points for every object of the batch."""
        batch, views = features.poses.shape[:2]
        poses, intrinsics = features.poses.flatten(0, 1).float(), features.intrinsics.flatten(0, 1).float()
        ndc, depth = project_points(points, poses, intrinsics)
        inside = ((ndc.abs().amax(dim=-1) <= 1.0) & (depth > 0)).float()
        maps = self.reduce(features.maps.flatten(0, 1)).float()
        alpha = sample_maps(features.alpha.flatten(0, 1).float(), ndc)
        sampled = sample_maps(maps, ndc)
        offset = poses[:, None, :, 3] - points
        direction = offset / offset.norm(dim=-1, keepdim=True)
        geometry = torch.cat([alpha, inside[..., None], depth[..., None] - DEFAULT_DISTANCE, direction], dim=-1)
        per_view = F.silu(sampled + self.geometry(geometry)) * inside[..., None]
        per_view = per_view.unflatten(0, (batch, views))
        seen = inside.unflatten(0, (batch, views))[..., None]
        count = seen.sum(dim=1).clamp_min(1.0)
        mean = per_view.sum(dim=1) / count
        deviation = ((per_view - mean[:, None]).square() * seen).sum(dim=1).div(count).add(1e-6).sqrt()
        background = torch.where(seen > 0, 1.0 - alpha.unflatten(0, (batch, views)), torch.zeros_like(seen)).amax(dim=1)
        pooled = torch.cat([mean, deviation, per_view.amax(dim=1), background, count / 4.0], dim=-1)
        return self.pool(pooled)
