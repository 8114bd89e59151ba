"""WaveMeshUNet: the denoising network of both stages, on a full coarse grid or on sparse detail sites.

A U-Net over SparseTensors (Ho et al. 2020 in plan): residual blocks on each level, attention at the lowest one only,
where the context tokens also enter. Time, pooled context and resolution level condition every block through adaptive
layer norm.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from wavemesh.errors import InputError
from wavemesh.models.blocks import AdaptiveLayerNorm, AttentionBlock, ResidualBlock, TimeEmbedding
from wavemesh.sparse.layers import DownConv3d, SubmanifoldConv3d, UpConv3d
from wavemesh.sparse.tensor import SparseTensor


class WaveMeshUNet(nn.Module):
    """Maps noisy wavelet coefficients on active sites, a time step and a context to a prediction on the same sites.

    in_channels, out_channels: features per site (out_channels None: the same). encoder_channels: widths from the
    finest level to the lowest; decoder_channels: widths back from the lowest to the finest, as many. blocks_per_level:
    residual blocks on each level and side, one number or one per encoder level. use_attention: self- and
    cross-attention at the lowest level. context_dim: width of the context, None for a network without one. num_levels:
    resolution levels to tell apart (0: one). backend: see `wavemesh.sparse.layers`. Raises InputError for lists of
    different lengths.

    blocks_per_level counts for both sides unless decoder_blocks, from the lowest level to the finest, says otherwise.
    adaptive_norm: time, context and level scale, shift and gate every block; without it they are only added to the
    features at the finest level, once, and the norms are plain ones. kernel_in: of the first convolution.
    """

    def __init__(
        self,
        in_channels: int = 1,
        encoder_channels: Sequence[int] = (32, 64, 128, 256),
        decoder_channels: Sequence[int] = (256, 128, 64, 32),
        time_emb_dim: int = 256,
        use_attention: bool = True,
        context_dim: int | None = 768,
        out_channels: int | None = None,
        blocks_per_level: int | Sequence[int] = 1,
        num_levels: int = 0,
        dropout: float = 0.0,
        backend: str = "auto",
        decoder_blocks: Sequence[int] | None = None,
        adaptive_norm: bool = True,
        kernel_in: int = 3,
    ) -> None:
        super().__init__()
        depth = len(encoder_channels)
        blocks = [blocks_per_level] * depth if isinstance(blocks_per_level, int) else list(blocks_per_level)
        if depth < 1 or not depth == len(decoder_channels) == len(blocks):
            raise InputError(
                "encoder_channels, decoder_channels and blocks_per_level must have one entry per level, "
                f"got {list(encoder_channels)}, {list(decoder_channels)} and {blocks_per_level}."
            )
        upward = blocks[::-1] if decoder_blocks is None else list(decoder_blocks)
        if len(upward) != depth:
            raise InputError(f"decoder_blocks must have {depth} entries, one per level, not {upward}.")
        self.context_dim = context_dim
        self.num_levels = num_levels
        self.out_channels = in_channels if out_channels is None else out_channels

        def block(dim: int) -> ResidualBlock:
            return ResidualBlock(dim, time_emb_dim, dropout, backend)

        self.time_embedding = TimeEmbedding(time_emb_dim)
        if context_dim is not None:
            self.context_pool = nn.Sequential(nn.LayerNorm(context_dim), nn.Linear(context_dim, time_emb_dim))
        if num_levels:
            self.level_embedding = nn.Embedding(num_levels, time_emb_dim)

        wide, narrow = list(encoder_channels), list(decoder_channels)
        self.conv_in = SubmanifoldConv3d(in_channels, wide[0], kernel_in, backend)
        self.condition_in = None if adaptive_norm else nn.Linear(time_emb_dim, wide[0])
        self.encoder = nn.ModuleList(
            nn.ModuleList(block(c) for _ in range(n)) for c, n in zip(wide, blocks, strict=True)
        )
        self.downs = nn.ModuleList(DownConv3d(a, b, backend) for a, b in itertools.pairwise(wide))

        self.bridge = nn.Linear(wide[-1], narrow[0]) if wide[-1] != narrow[0] else nn.Identity()
        self.attention = AttentionBlock(narrow[0], time_emb_dim, context_dim) if use_attention else None

        self.decoder = nn.ModuleList(
            nn.ModuleList(block(c) for _ in range(n)) for c, n in zip(narrow, upward, strict=True)
        )
        self.ups = nn.ModuleList(UpConv3d(a, b, backend) for a, b in itertools.pairwise(narrow))
        # The upsampling is linear, so adding a linear map of the skip equals a linear map of both side by side.
        self.skips = nn.ModuleList(nn.Linear(a, b) for a, b in zip(wide[-2::-1], narrow[1:], strict=True))

        self.norm_out = AdaptiveLayerNorm(narrow[-1], time_emb_dim)
        self.conv_out = SubmanifoldConv3d(narrow[-1], self.out_channels, backend=backend)
        nn.init.zeros_(self.conv_out.weight)

    def forward(
        self,
        x: SparseTensor,
        t: Tensor,
        context: Float[Tensor, "b d"] | Float[Tensor, "b n d"] | None = None,
        level: int | Int[Tensor, " b"] | None = None,
    ) -> SparseTensor:
        """Prediction (m, out_channels) on the sites of x.

        t: (b,) time steps. context: one vector or several tokens per sample; None is the unconditional network and
        equals a context of zeros, which is what classifier-free guidance puts in place of a dropped condition. level:
        index of the resolution, one or one per sample (None: 0). Raises InputError for shapes or levels that do not
        fit.
        """
        tokens = self._context_tokens(context, x)
        condition = F.silu(self._condition(x, t, tokens, level))
        hidden = self.conv_in(x)
        if self.condition_in is not None:
            hidden = hidden.replace(hidden.features + x.sites.spread(self.condition_in(condition)))
            # What is left of the adaptive norms are their biases: plain norms with a scale and a shift.
            condition = torch.zeros_like(condition)
        skips = []
        for i, blocks in enumerate(self.encoder):
            if i:
                hidden = self.downs[i - 1](hidden)
            hidden = _through(blocks, hidden, condition)
            skips.append(hidden)
        hidden = hidden.replace(self.bridge(skips.pop().features))
        if self.attention is not None:
            hidden = self.attention(hidden, condition, tokens)
        for i, blocks in enumerate(self.decoder):
            if i:
                skip = skips.pop()
                hidden = self.ups[i - 1](hidden, skip)
                hidden = hidden.replace(hidden.features + self.skips[i - 1](skip.features))
            hidden = _through(blocks, hidden, condition)
        return self.conv_out(hidden.replace(F.silu(self.norm_out.on_sites(hidden, condition))))

    def _context_tokens(self, context: Tensor | None, x: SparseTensor) -> Float[Tensor, "b n d"] | None:
        """The context as tokens (b, n, context_dim), zeros for None; None where the network takes no context."""
        if self.context_dim is None:
            if context is not None:
                raise InputError(f"This network takes no context, got one of shape {tuple(context.shape)}.")
            return None
        if context is None:
            return x.features.new_zeros(x.batch_size, 1, self.context_dim)
        tokens = context[:, None] if context.ndim == 2 else context
        if tokens.ndim != 3 or tokens.shape[0] != x.batch_size or tokens.shape[2] != self.context_dim:
            raise InputError(
                f"The context must be ({x.batch_size}, {self.context_dim}) or ({x.batch_size}, tokens, "
                f"{self.context_dim}), got {tuple(context.shape)}."
            )
        return tokens

    def _condition(
        self, x: SparseTensor, t: Tensor, tokens: Tensor | None, level: int | Tensor | None
    ) -> Float[Tensor, "b e"]:
        """The sum of what the blocks are conditioned on, before its activation."""
        if t.shape != (x.batch_size,):
            raise InputError(f"The time steps must have shape ({x.batch_size},), got {tuple(t.shape)}.")
        condition = self.time_embedding(t)
        if tokens is not None:
            condition = condition + self.context_pool(tokens.mean(dim=1))
        if self.num_levels:
            index = torch.as_tensor(0 if level is None else level, device=t.device)
            if bool(((index < 0) | (index >= self.num_levels)).any()):
                raise InputError(f"The level must be from 0 to {self.num_levels - 1}, got {level}.")
            condition = condition + self.level_embedding(index.expand(x.batch_size))
        elif level is not None:
            raise InputError(f"This network was built without levels, got level {level}.")
        return condition


def _through(blocks: nn.ModuleList, x: SparseTensor, condition: Tensor) -> SparseTensor:
    for block in blocks:
        x = block(x, condition)
    return x
