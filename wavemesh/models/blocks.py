"""Building blocks of the U-Net: adaptive layer norm, residual block, attention, time embedding.

Every block maps a SparseTensor to one on the same sites, so that the dense coarse stage and the sparse detail stage
share them. The condition is one vector per sample, made from the time step, the pooled context and the resolution
level.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from wavemesh.errors import InputError
from wavemesh.sparse.layers import SubmanifoldConv3d
from wavemesh.sparse.tensor import Sites, SparseTensor


def sinusoidal_embedding(t: Tensor, dim: int, max_period: float = 10_000.0) -> Float[Tensor, "b d"]:
    """Cosines and sines of t at dim / 2 frequencies, float32 (Vaswani et al. 2017); t (b,) integer or float."""
    if dim < 2 or dim % 2:
        raise InputError(f"A sinusoidal embedding needs an even width, got {dim}.")
    exponents = torch.arange(dim // 2, dtype=torch.float32, device=t.device) / (dim // 2)
    angles = t.float()[:, None] * torch.exp(-math.log(max_period) * exponents)
    return torch.cat((angles.cos(), angles.sin()), dim=1)


class TimeEmbedding(nn.Module):
    """Sinusoidal embedding of the time step and a small perceptron: t (b,) -> (b, dim)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.mlp = nn.Sequential(nn.Linear(dim, dim), nn.SiLU(), nn.Linear(dim, dim))

    def forward(self, t: Tensor) -> Float[Tensor, "b d"]:
        """Embedding of integer or float time steps."""
        return self.mlp(sinusoidal_embedding(t, self.dim).to(self.mlp[0].weight.dtype))


class AdaptiveLayerNorm(nn.Module):
    """Layer norm whose scale and shift come from the condition: LN(x) * (1 + scale) + shift, plain LN at the start.

    forward(x, time_emb): x (b, n, dim) with time_emb (b, time_dim), or any shapes (..., dim) and (..., time_dim) that
    broadcast. On sparse tensors use `on_sites`.
    """

    def __init__(self, dim: int, time_dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.time_mlp = nn.Linear(time_dim, dim * 2)
        nn.init.zeros_(self.time_mlp.weight)
        nn.init.zeros_(self.time_mlp.bias)

    def forward(self, x: Float[Tensor, "... d"], time_emb: Float[Tensor, "... e"]) -> Float[Tensor, "... d"]:
        """The normalised and modulated x, of its shape."""
        scale, shift = self.time_mlp(time_emb).to(x.dtype).chunk(2, dim=-1)
        if x.ndim == 3 and time_emb.ndim == 2:
            scale, shift = scale[:, None], shift[:, None]
        return F.layer_norm(x, (self.dim,)) * (1 + scale) + shift

    def on_sites(self, x: SparseTensor, time_emb: Float[Tensor, "b e"]) -> Float[Tensor, "m d"]:
        """The features of x after the norm, each site by the condition of its sample."""
        scale, shift = self.time_mlp(time_emb).to(x.features.dtype).chunk(2, dim=-1)
        return normalise_sites(x.features, x.sites, 1 + scale, shift)


def normalise_sites(
    features: Float[Tensor, "m c"], sites: Sites, scale: Float[Tensor, "b c"], shift: Float[Tensor, "b c"]
) -> Float[Tensor, "m c"]:
    """Layer norm over the channels of each site, then its sample's scale and shift.

    On the CPU one fused layer norm per sample, which reads and writes the features once and is 1.4 times as fast as
    the norm followed by the modulation; on other devices, where starting a kernel costs more than running it, all
    samples at once.
    """
    width = features.shape[1:]
    if features.device.type != "cpu":
        return torch.addcmul(sites.spread(shift), F.layer_norm(features, width), sites.spread(scale))
    samples = features.split(sites.counts)
    return torch.cat([F.layer_norm(x, width, scale[i], shift[i]) for i, x in enumerate(samples)])


def add_gated(
    x: Float[Tensor, "m c"], update: Float[Tensor, "m c"], sites: Sites, gate: Float[Tensor, "b c"]
) -> Float[Tensor, "m c"]:
    """X + gate * update, each site by the gate of its sample."""
    if not sites.is_full:
        return torch.addcmul(x, sites.spread(gate), update)
    shape = (sites.batch_size, -1, x.shape[1])
    return torch.addcmul(x.view(shape), gate[:, None], update.view(shape)).view_as(x)


class ResidualBlock(nn.Module):
    """x + gate * conv(SiLU(conv(adaptive norm of x))), the identity at the start (adaLN-Zero, Peebles and Xie 2023).

    One norm and one activation per block: on a CPU they cost as much as the convolutions.
    """

    def __init__(self, dim: int, time_dim: int, dropout: float = 0.0, backend: str = "auto") -> None:
        super().__init__()
        self.norm = AdaptiveLayerNorm(dim, time_dim)
        self.gate = nn.Linear(time_dim, dim)
        self.conv_in = SubmanifoldConv3d(dim, dim, backend=backend)
        self.conv_out = SubmanifoldConv3d(dim, dim, backend=backend)
        self.dropout = nn.Dropout(dropout)
        nn.init.zeros_(self.gate.weight)
        nn.init.zeros_(self.gate.bias)

    def forward(self, x: SparseTensor, time_emb: Float[Tensor, "b e"]) -> SparseTensor:
        """Features of the same sites and width; time_emb is the condition after its activation."""
        hidden = self.conv_in(x.replace(self.norm.on_sites(x, time_emb)))
        update = self.conv_out(x.replace(self.dropout(F.silu(hidden.features)))).features
        features = x.features.to(update.dtype)
        return x.replace(add_gated(features, update, x.sites, self.gate(time_emb).to(update.dtype)))


class AttentionBlock(nn.Module):
    """Self-attention among the sites of each sample, cross-attention to its context tokens, and a perceptron.

    Sites know their place by a linear map of sines of their cell centres. The three updates start at zero. It is meant
    for the lowest resolution, where a sample has hundreds of sites. context_dim None leaves the cross-attention out.
    """

    def __init__(self, dim: int, time_dim: int, context_dim: int | None = None, head_dim: int = 32) -> None:
        super().__init__()
        self.num_heads = max(1, dim // head_dim)
        if dim % self.num_heads:
            raise InputError(f"The attention width {dim} is not a multiple of its {self.num_heads} heads.")
        self.place = nn.Linear(3 * _PLACE_WIDTH, dim)
        self.self_norm = AdaptiveLayerNorm(dim, time_dim)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.self_out = _zero_linear(dim, dim)
        self.has_context = context_dim is not None
        if context_dim is not None:
            self.cross_norm = AdaptiveLayerNorm(dim, time_dim)
            self.query = nn.Linear(dim, dim)
            self.key_value = nn.Sequential(nn.LayerNorm(context_dim), nn.Linear(context_dim, 2 * dim))
            self.cross_out = _zero_linear(dim, dim)
        self.mlp_norm = AdaptiveLayerNorm(dim, time_dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(approximate="tanh"), _zero_linear(4 * dim, dim))

    def forward(
        self, x: SparseTensor, time_emb: Float[Tensor, "b e"], context: Float[Tensor, "b t d"] | None = None
    ) -> SparseTensor:
        """Features of the same sites and width."""
        hidden = x.replace(self.self_norm.on_sites(x, time_emb))
        qkv = self.qkv(hidden.features + self.place(_place_waves(x)).to(hidden.features.dtype))
        x = x.replace(x.features + self.self_out(self._attend(x.sites, *qkv.chunk(3, dim=-1))))
        if self.has_context and context is not None:
            query = self.query(self.cross_norm.on_sites(x, time_emb))
            key, value = self.key_value(context).to(query.dtype).chunk(2, dim=-1)
            x = x.replace(x.features + self.cross_out(self._attend(x.sites, query, key, value)))
        return x.replace(x.features + self.mlp(self.mlp_norm.on_sites(x, time_emb)))

    def _attend(self, sites: Sites, query: Tensor, key: Tensor, value: Tensor) -> Float[Tensor, "m c"]:
        """Attention within each sample; keys and values (m, c) of the sites or (b, t, c) of the context."""
        if len(set(sites.counts)) == 1:  # samples of equal size, as on a full grid, go in one call
            batched = [rows.view(sites.batch_size, -1, rows.shape[-1]) for rows in (query, key, value)]
            return self._attention(*batched).flatten(0, 1)
        queries = query.split(sites.counts)
        keys, values = [rows.split(sites.counts) if rows.ndim == 2 else rows for rows in (key, value)]
        parts = [self._attention(q[None], k[None], v[None])[0] for q, k, v in zip(queries, keys, values, strict=True)]
        return torch.cat(parts)

    def _attention(self, *tokens: Tensor) -> Tensor:
        heads = [x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for x in tokens]
        return F.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2)


_PLACE_WIDTH = 8


def _place_waves(x: SparseTensor) -> Float[Tensor, "m w"]:
    """Sines and cosines of the cell centres at four octaves, kept with the sites."""
    if "place" not in x.cache:
        octaves = math.pi / 2 * 2.0 ** torch.arange(_PLACE_WIDTH // 2, device=x.features.device)
        angles = x.sites.centres[:, :, None] * octaves
        x.cache["place"] = torch.cat((angles.sin(), angles.cos()), dim=2).flatten(1)
    return x.cache["place"]


def _zero_linear(in_features: int, out_features: int) -> nn.Linear:
    linear = nn.Linear(in_features, out_features)
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear


def resize_images(images: Float[Tensor, "b c h w"], size: int) -> Float[Tensor, "b c size size"]:
    """The pictures at size x size pixels, antialiased; unchanged where they have that size."""
    if images.shape[-2:] == (size, size):
        return images
    return F.interpolate(images, size=(size, size), mode="bilinear", align_corners=False, antialias=True)


class MultiScaleEncoder(nn.Module):
    """Runs one encoder on the pictures at several sizes and joins its features along the last axis.

    encoder: pictures (b, c, s, s) -> features (b, ..., d); None for a small convolutional one of RGB pictures with
    d = 256. scales: sides in pixels, finest first.
    """

    def __init__(self, encoder: nn.Module | None = None, scales: Sequence[int] = (224, 112, 56)) -> None:
        super().__init__()
        if not scales or min(scales) < 1:
            raise InputError(f"The scales must be positive sides in pixels, not {list(scales)}.")
        self.encoder = _picture_encoder() if encoder is None else encoder
        self.scales = tuple(scales)

    def forward(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b ..."]:
        """Features (b, ..., d * number of scales)."""
        return torch.cat([self.encoder(resize_images(images, scale)) for scale in self.scales], dim=-1)


def _picture_encoder(widths: Sequence[int] = (3, 32, 64, 128, 256)) -> nn.Module:
    """RGB pictures (b, 3, s, s) -> features (b, d): convolutions that halve the side each time, and their mean."""
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(widths):
        layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.GroupNorm(8, after), nn.SiLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
