"""Blocks that work on the three planes of a triplane: normalisation with a condition, residual block, mixing of planes.

The coarse generator, the detail diffusion and the autoencoder of the triplane system are built from them. The planes
XY, XZ, YZ are folded into the batch, (B * 3, C, H, W) with the plane running fastest, so that they share every weight.
Plane XY has x along its width and y along its height, XZ has x and z, YZ has y and z.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

PLANES = 3
MAX_GROUPS = 8


def fold_planes(triplane: Float[Tensor, "b p c h w"]) -> Float[Tensor, "bp c h w"]:
    """The planes as pictures of one batch."""
    return triplane.flatten(0, 1)


def unfold_planes(planes: Float[Tensor, "bp c h w"]) -> Float[Tensor, "b p c h w"]:
    """The triplane of a batch of planes; the inverse of `fold_planes`."""
    return planes.unflatten(0, (-1, PLANES))


def fold_volume(volume: Float[Tensor, "b x y z c"]) -> tuple[Tensor, Tensor, Tensor]:
    """The volume seen along each plane's normal: three (B, height, width, n * C), the normal axis in the channels."""
    xy = volume.permute(0, 2, 1, 3, 4)
    xz = volume.permute(0, 3, 1, 2, 4)
    yz = volume.permute(0, 3, 2, 1, 4)
    return xy.flatten(3), xz.flatten(3), yz.flatten(3)


def groups_of(channels: int) -> int:
    """How many groups of channels are normalised together: eight or as many as divide the channels."""
    groups = MAX_GROUPS
    while channels % groups:
        groups //= 2
    return groups


class AdaptiveGroupNorm(nn.Module):
    """GroupNorm whose scale and shift come from a condition: GN(x) * (1 + scale) + shift.

    forward(x (N, C, H, W), condition (N, D)). condition_dim None: the ordinary norm with a learned scale and shift.
    """

    def __init__(self, channels: int, condition_dim: int | None = None) -> None:
        super().__init__()
        self.groups = groups_of(channels)
        self.norm = nn.GroupNorm(self.groups, channels) if condition_dim is None else None
        self.modulation = None if condition_dim is None else nn.Linear(condition_dim, 2 * channels)
        if self.modulation is not None:
            # Near the ordinary norm at the start, and not exactly there, so that gradients reach the condition.
            nn.init.normal_(self.modulation.weight, std=0.02)
            nn.init.zeros_(self.modulation.bias)

    def forward(self, x: Float[Tensor, "n c h w"], condition: Float[Tensor, "n d"] | None = None) -> Tensor:
        if self.modulation is None:
            assert self.norm is not None
            return self.norm(x)
        scale, shift = self.modulation(condition).to(x.dtype)[:, :, None, None].chunk(2, dim=1)
        return torch.addcmul(shift, F.group_norm(x, self.groups), 1 + scale)


class PlaneMixing(nn.Module):
    """What the other two planes know about each row and column of a plane ("3D-aware", Wang et al. 2022, RODIN).

    Two planes share an axis: the other plane's features are averaged over its other axis, mapped linearly and spread
    along the shared one. forward(x (B * 3, C, n, n)) gives an addend of x's shape.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.along_width = nn.Linear(channels, channels)
        self.along_height = nn.Linear(channels, channels)

    def forward(self, x: Float[Tensor, "bp c n n"]) -> Float[Tensor, "bp c n n"]:
        planes = unfold_planes(x)
        # (B, C, n) of each plane: what remains along its width when its height is averaged away, and the reverse.
        xy_x, xz_x, yz_y = planes.mean(dim=3).unbind(1)
        xy_y, xz_z, yz_z = planes.mean(dim=4).unbind(1)
        columns = torch.stack([xz_x, xy_x, xy_y], dim=1)
        rows = torch.stack([yz_y, yz_z, xz_z], dim=1)
        columns = self.along_width(columns.transpose(2, 3)).transpose(2, 3)
        rows = self.along_height(rows.transpose(2, 3)).transpose(2, 3)
        return fold_planes(columns.unsqueeze(3) + rows.unsqueeze(4))


class PlaneBlock(nn.Module):
    """x + conv(GELU(conv(adaptive norm of x) + what the other planes know)).

    One norm and one activation a block: on a CPU they cost as much as the convolutions. condition_dim: width of the
    condition of the norm, None for none. mix: whether the planes exchange features; the batch must then hold triplanes.
    """

    def __init__(self, channels: int, condition_dim: int | None = None, mix: bool = False) -> None:
        super().__init__()
        self.norm = AdaptiveGroupNorm(channels, condition_dim)
        self.conv_in = nn.Conv2d(channels, channels, 3, padding=1)
        self.mixing = PlaneMixing(channels) if mix else None
        self.conv_out = nn.Conv2d(channels, channels, 3, padding=1)
        # Close to the identity at the start.
        with torch.no_grad():
            self.conv_out.weight.mul_(0.2)
        nn.init.zeros_(self.conv_out.bias)

    def forward(self, x: Float[Tensor, "n c h w"], condition: Float[Tensor, "n d"] | None = None) -> Tensor:
        normalised = self.norm(x, condition)
        hidden = self.conv_in(normalised)
        if self.mixing is not None:
            hidden = hidden + self.mixing(normalised)
        return x + self.conv_out(F.gelu(hidden))


def run_block(block: nn.Module, *inputs: Tensor | None, checkpointing: bool = False) -> Any:
    """What the block returns; with checkpointing its activations are computed again for the gradient, not kept."""
    if checkpointing and torch.is_grad_enabled():
        return checkpoint(block, *inputs, use_reentrant=False)
    return block(*inputs)


def base_width(triplane_channels: int) -> int:
    """Width of the networks at full resolution: 32, 56, 112 for 16, 32, 64 channels (about 5, 15, 60 M parameters)."""
    return multiple_of_8(1.76 * triplane_channels)


def multiple_of_8(width: float) -> int:
    """The nearest multiple of eight, at least eight: the widths that convolutions and norms are fast at."""
    return max(8, 8 * round(width / 8))
