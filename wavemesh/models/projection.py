"""Projective conditioning: every place in the volume looks up what each picture shows at its own projection.

It stands between the encoder and the U-Nets of both systems. A linear layer commutes with bilinear interpolation, so
the channels are reduced on the small feature map and only the reduced ones are sampled.
"""

from __future__ import annotations

from typing import Literal, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from wavemesh.geometry.camera_tensors import project_points
from wavemesh.models.multiview_encoder import ViewFeatures


def grid_points(resolution: int, shift_cells: float = 0.0, device: torch.device | None = None) -> Float[Tensor, "p 3"]:
    """The centres of the cells of a grid over [-1, 1]^3 in the order x, y, z; shift_cells moves them along all axes."""
    axis = (torch.arange(resolution, device=device, dtype=torch.float32) + 0.5 + shift_cells) / resolution * 2.0 - 1.0
    return torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1).reshape(-1, 3)


def sample_maps(
    maps: Float[Tensor, "v c h w"], ndc: Float[Tensor, "v p 2"], padding: Literal["zeros", "border"] = "zeros"
) -> Float[Tensor, "v c p"]:
    """Bilinear samples of feature maps at NDC positions; outside the picture zero, or what its border shows."""
    # NDC's y points up and grid_sample's down: flipping the small map is cheaper than negating every position.
    flipped = maps.flip(-2)
    grid = ndc.unsqueeze(1).to(maps.dtype)
    return F.grid_sample(flipped, grid, mode="bilinear", padding_mode=padding, align_corners=False)[:, :, 0]


# World units over which a bound lets go: a cell of the 64^3 grid.
BOUND_SOFTNESS = 2.0 / 64.0


@runtime_checkable
class MaskedViews(Protocol):
    """Silhouettes (B, N, 1, H, W) in [0, 1] of posed views, as encoded views and posed pictures have them.

    bounds: depths (B, N, 2, h, w) between which the object lies behind each pixel, if they are known.
    """

    poses: Tensor
    intrinsics: Tensor
    bounds: Tensor | None

    @property
    def alpha(self) -> Tensor:
        """The silhouettes."""
        ...


def soft_hull(features: MaskedViews, points: Float[Tensor, "p 3"]) -> Float[Tensor, "b p"]:
    """The least alpha that any picture shows at each point's projection: the visual hull, soft at its border.

    Beyond a picture's frame its border counts: where a silhouette touches the border everything further out may be
    solid, where it does not the object ends inside. A camera says nothing about what lies behind it. Where bounds are
    known, nothing is solid before or behind them.
    """
    batch, views = features.poses.shape[:2]
    alpha, poses, intrinsics = (
        each.flatten(0, 1).float() for each in (features.alpha, features.poses, features.intrinsics)
    )
    bounds = None if features.bounds is None else features.bounds.flatten(0, 1).float()
    # On a CPU one view after the other, whose many points stay in the cache.
    size = 1 if points.device.type == "cpu" else len(poses)
    solid = []
    for start in range(0, len(poses), size):
        some = slice(start, start + size)
        between = None if bounds is None else bounds[some]
        solid.append(_solidity(points, alpha[some], poses[some], intrinsics[some], between))
    return torch.cat(solid).unflatten(0, (batch, views)).amin(dim=1)


def _solidity(
    points: Float[Tensor, "p 3"],
    alpha: Float[Tensor, "v 1 h w"],
    poses: Float[Tensor, "v 3 4"],
    intrinsics: Float[Tensor, "v 3"],
    bounds: Float[Tensor, "v 2 s s"] | None,
) -> Float[Tensor, "v p"]:
    """What each view allows of every point, as `soft_hull` says."""
    ndc, depth = project_points(points, poses, intrinsics)
    solid = sample_maps(alpha, ndc, padding="border")[:, 0].masked_fill(depth <= 0.0, 1.0)
    if bounds is None:
        return solid
    begin, end = sample_maps(bounds, ndc, padding="border").unbind(dim=1)
    place = depth - poses[:, :, 3].norm(dim=1, keepdim=True)
    within = (1.0 + torch.minimum(place - begin, end - place) / BOUND_SOFTNESS).clamp(0.0, 1.0)
    return torch.minimum(solid, torch.where(_outside(ndc, depth), 1.0, within))


def _outside(ndc: Float[Tensor, "v p 2"], depth: Float[Tensor, "v p"]) -> Bool[Tensor, "v p"]:
    """Which points leave the frame of a view or lie behind its camera."""
    x, y = ndc.unbind(dim=-1)
    return (x.abs() > 1.0) | (y.abs() > 1.0) | (depth <= 0.0)


class ProjectiveFeatures(nn.Module):
    """Features of points in the volume, pooled over the views by mean, deviation and maximum.

    map_channels: of the encoder's maps. hidden: channels per view. out_channels: of the result. pooling: "mean" counts
    all views alike in mean and deviation; "attention" weighs them by a learned score of what each shows at the point.
    """

    def __init__(
        self,
        map_channels: int,
        hidden: int = 24,
        out_channels: int = 48,
        pooling: Literal["mean", "attention"] = "mean",
    ) -> None:
        super().__init__()
        self.attention = nn.Conv1d(hidden, 1, 1) if pooling == "attention" else None
        self.reduce = nn.Conv2d(map_channels, hidden, 1)
        # Alpha, inside the frame, depth from the origin's plane, and the direction in which the camera sees the point.
        self.geometry = nn.Conv1d(6, hidden, 1)
        self.pool = nn.Conv1d(3 * hidden + 2, out_channels, 1)

    def forward(self, features: ViewFeatures, points: Float[Tensor, "p 3"]) -> Float[Tensor, "b p c"]:
        """What the pictures say at the points; the same points for every object of the batch."""
        batch, views = features.poses.shape[:2]
        poses, intrinsics = features.poses.flatten(0, 1).float(), features.intrinsics.flatten(0, 1).float()
        ndc, depth = project_points(points, poses, intrinsics)
        inside = (~_outside(ndc, depth)).float().unsqueeze(1)
        maps = self.reduce(features.maps.flatten(0, 1)).float()
        alpha = sample_maps(features.alpha.flatten(0, 1).float(), ndc)
        direction = F.normalize(poses[:, :, 3:] - points.T, dim=1)
        place = depth - poses[:, :, 3].norm(dim=1, keepdim=True)
        geometry = torch.cat([alpha, inside, place.unsqueeze(1), direction], dim=1)
        # Channels stay in front of the points until the end, as the sampling returns them.
        per_view = F.silu(sample_maps(maps, ndc) + self.geometry(geometry)) * inside
        per_view, seen = per_view.unflatten(0, (batch, views)), inside.unflatten(0, (batch, views))
        count = seen.sum(dim=1)
        if self.attention is None:
            share = count.clamp_min(1.0).reciprocal().unsqueeze(1)
        else:
            score = self.attention(per_view.flatten(0, 1)).unflatten(0, (batch, views))
            share = score.masked_fill(seen == 0, -1e4).softmax(dim=1)
        mean = (per_view * share).sum(dim=1)
        deviation = ((per_view.square() * share).sum(dim=1) - mean.square()).clamp_min(0.0).add(1e-4).sqrt()
        background = (seen * (1.0 - alpha.unflatten(0, (batch, views)))).amax(dim=1)
        pooled = torch.cat([mean, deviation, per_view.amax(dim=1), background, count / 4.0], dim=1)
        return self.pool(pooled).transpose(1, 2)
