"""Stage two of the triplane system: a 2D U-Net that predicts the detail bands (LH, HL, HH) of one plane.

It stands between the coarse generator, whose LL band and plane features are its condition, and the inverse wavelet
transform. The three planes go through it as pictures of one batch. What it predicts (noise, data or velocity) is
decided by the `GaussianDiffusion` that trains it; `models/wavelet_triplane.py` uses the velocity.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from wavemesh.errors import InputError
from wavemesh.models.blocks import TimeEmbedding
from wavemesh.models.denoiser import signal_part
from wavemesh.models.plane_bands import BANDS
from wavemesh.models.planes import AdaptiveGroupNorm, PlaneBlock, base_width, groups_of, multiple_of_8, run_block

_OCTAVES = 4


class PlaneAttention(nn.Module):
    """x plus self-attention among the places of each plane, which know where they are by sines of their centres."""

    def __init__(self, channels: int, condition_dim: int) -> None:
        super().__init__()
        self.heads = max(1, channels // 48)
        while channels % self.heads:
            self.heads -= 1
        self.norm = AdaptiveGroupNorm(channels, condition_dim)
        self.place = nn.Linear(4 * _OCTAVES, channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)
        nn.init.normal_(self.out.weight, std=0.02)

    def forward(self, x: Float[Tensor, "n c h w"], condition: Float[Tensor, "n d"]) -> Float[Tensor, "n c h w"]:
        count, _, height, width = x.shape
        tokens = self.norm(x, condition).flatten(2).transpose(1, 2)
        tokens = tokens + self.place(_place_waves(height, width, x.device)).to(tokens.dtype)
        q, k, v = self.qkv(tokens).reshape(count, height * width, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        return x + self.out(attended).transpose(1, 2).unflatten(2, (height, width))


def _place_waves(height: int, width: int, device: torch.device) -> Float[Tensor, "p w"]:
    """Sines and cosines of the centres of a plane's cells at four octaves, rows first."""
    y = (torch.arange(height, device=device) + 0.5) / height * 2.0 - 1.0
    x = (torch.arange(width, device=device) + 0.5) / width * 2.0 - 1.0
    place = torch.stack(torch.meshgrid(y, x, indexing="ij"), dim=-1).flatten(0, 1)
    angles = place[:, :, None] * (math.pi / 2 * 2.0 ** torch.arange(_OCTAVES, device=device))
    return torch.cat((angles.sin(), angles.cos()), dim=2).flatten(1)


class DetailDiffusion(nn.Module):
    """Predicts the diffusion target of the noisy detail bands of a plane; a U-Net of three levels (64, 32, 16).

    triplane_channels: C, of the LL band; the details have 3 C, LH, HL, HH stacked. time_embed_dim: of the time
    embedding. feature_channels: of the coarse stage's plane features, 0 if there are none. width: channels at the
    finest level, by `base_width` if None; the other levels have 2.5 and 6 times as many. signal: the schedule's share
    of signal at each timestep, see `signal_part`. checkpointing: compute activations again for the gradient instead
    of keeping them.
    """

    signal: Tensor | None

    def __init__(
        self,
        triplane_channels: int = 32,
        time_embed_dim: int = 128,
        feature_channels: int = 0,
        width: int | None = None,
        signal: Float[Tensor, " t"] | None = None,
        checkpointing: bool = False,
    ) -> None:
        super().__init__()
        if triplane_channels < 1:
            raise InputError(f"A triplane needs at least one channel, not {triplane_channels}.")
        self.register_buffer("signal", signal, persistent=False)
        self.triplane_channels, self.feature_channels = triplane_channels, feature_channels
        self.checkpointing = checkpointing
        fine = base_width(triplane_channels) if width is None else width
        middle, low = multiple_of_8(2.5 * fine), 6 * fine
        self.time_embedding = nn.Sequential(TimeEmbedding(time_embed_dim), nn.SiLU())
        self.condition_encoder = nn.Conv2d(triplane_channels, fine, 3, padding=1)
        # Without a bias: features of zero are the same as none, so that dropping them is multiplying by zero.
        self.feature_encoder = nn.Conv2d(feature_channels, fine, 1, bias=False) if feature_channels else None
        self.conv_in = nn.Conv2d(BANDS * triplane_channels + fine, fine, 1)

        def block(channels: int) -> PlaneBlock:
            return PlaneBlock(channels, time_embed_dim)

        self.encoder = nn.ModuleList([block(fine), block(middle)])
        self.downs = nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in ((fine, middle), (middle, low)))
        self.middle_in, self.middle_out = block(low), block(low)
        self.attention = PlaneAttention(low, time_embed_dim)
        self.ups = nn.ModuleList(nn.Conv2d(a, b, 1) for a, b in ((low, middle), (middle, fine)))
        # Upsampling is linear, so adding a linear map of the skip equals a linear map of both side by side.
        self.skips = nn.ModuleList(nn.Conv2d(a, a, 1) for a in (middle, fine))
        self.decoder = nn.ModuleList([block(middle), block(fine)])
        self.norm_out = nn.GroupNorm(groups_of(fine), fine)
        self.conv_out = nn.Conv2d(fine, BANDS * triplane_channels, 3, padding=1)
        with torch.no_grad():
            self.conv_out.weight.mul_(0.1)
        nn.init.zeros_(self.conv_out.bias)

    def forward(
        self, noisy_details: Tensor, timestep: Tensor, condition_LL: Tensor, features: Tensor | None = None
    ) -> Float[Tensor, "b c h w"]:
        """The raw prediction (B, 3 C, H, W), float32.

        noisy_details: (B, 3 C, H, W), in units of their standard deviation. timestep: (B,). condition_LL: (B, C, H, W).
        features: (B, F, H, W) of the coarse stage; None stands for zeros. Raises InputError for shapes that do not fit.
        """
        self._check(noisy_details, timestep, condition_LL, features)
        time = self.time_embedding(timestep)
        condition = self.condition_encoder(condition_LL)
        if self.feature_encoder is not None and features is not None:
            condition = condition + self.feature_encoder(features)
        noisy = signal_part(noisy_details, timestep, self.signal).to(condition.dtype)
        x = torch.cat([noisy, F.gelu(condition)], dim=1)
        x = self.conv_in(x.contiguous(memory_format=torch.channels_last))
        skips = []
        for block, down in zip(self.encoder, self.downs, strict=True):
            x = self._run(block, x, time)
            skips.append(x)
            x = down(x)
        x = self._run(self.middle_in, x, time)
        x = self._run(self.attention, x, time)
        x = self._run(self.middle_out, x, time)
        for block, up, mapped in zip(self.decoder, self.ups, self.skips, strict=True):
            skip = skips.pop()
            x = F.interpolate(up(x), size=skip.shape[-2:], mode="nearest") + mapped(skip)
            x = self._run(block, x, time)
        return self.conv_out(F.gelu(self.norm_out(x))).float()

    def _run(self, block: nn.Module, x: Tensor, time: Tensor) -> Tensor:
        return run_block(block, x, time, checkpointing=self.checkpointing)

    def _check(self, details: Tensor, timestep: Tensor, ll: Tensor, features: Tensor | None) -> None:
        channels = self.triplane_channels
        if ll.ndim != 4 or ll.shape[1] != channels or ll.shape[-1] % 4 or ll.shape[-2] % 4:
            expected = f"(B, {channels}, H, W) with sides divisible by 4"
            raise InputError(f"The LL band must have the shape {expected}, not {tuple(ll.shape)}.")
        batch, _, height, width = ll.shape
        if tuple(details.shape) != (batch, BANDS * channels, height, width):
            raise InputError(
                f"Details for an LL band of shape {tuple(ll.shape)} must have the shape "
                f"{(batch, BANDS * channels, height, width)}, not {tuple(details.shape)}."
            )
        if tuple(timestep.shape) != (batch,):
            raise InputError(f"{batch} planes need {batch} timesteps, not the shape {tuple(timestep.shape)}.")
        if features is not None and tuple(features.shape) != (batch, self.feature_channels, height, width):
            raise InputError(
                f"Plane features must have the shape {(batch, self.feature_channels, height, width)}, "
                f"not {tuple(features.shape)}."
            )
