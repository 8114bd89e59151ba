"""The two denoisers of WaveMesh-Diff: a WaveMeshUNet each, with what the pictures say at every site beside the noise.

`CoarseDenoiser` works on the full 32^3 grid of LL and level-2 details, `DetailDenoiser` on the active sites of the 64^3
grid of finest details. Sites are projected into the pictures at the centres of their wavelet atoms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from wavemesh.config import Counts, Width, Widths
from wavemesh.geometry.frame import TRUNCATION
from wavemesh.models.multiview_encoder import ViewFeatures
from wavemesh.models.projection import ProjectiveFeatures, grid_points, soft_hull
from wavemesh.models.silhouettes import hull_distance
from wavemesh.models.wavemesh_unet import WaveMeshUNet
from wavemesh.sparse.tensor import SparseTensor
from wavemesh.wavelets.filters import get_bank
from wavemesh.wavelets.transform import dwt3d, field_scale

HULL_CHANNELS = 8
# Bands are several deviations large at a surface, and a step of Adam moves the sum over a kernel of 864 weights:
# without this the whole field swings between solid and empty.
OUTPUT_SCALE = 0.2


@dataclass(frozen=True)
class DenoiserConfig:
    """Size of a denoiser: U-Net widths and blocks from fine to coarse, channels of the projected features.

    decoder_blocks: blocks of the decoder from coarse to fine where it is not the encoder's mirror image. pooling: of
    the projected features over the views (`ProjectiveFeatures`). adaptive_norm: see `WaveMeshUNet`.
    """

    widths: Widths = (48, 96, 192)
    blocks: Counts = (1, 2, 2)
    decoder_blocks: Counts | None = None
    hidden: Width = 24
    condition_channels: Width = 32
    time_dim: Width = 192
    pooling: Literal["mean", "attention"] = "mean"
    adaptive_norm: bool = True
    fold: Literal[1, 2] = 1


@dataclass
class Condition:
    """What a denoiser is told besides its noisy input, computed once per object and reused in every step.

    sites: (M, C), M sites of all objects in order. context: (B, T, D) tokens. keep: (B,) float, 0 where it is dropped.
    """

    sites: Tensor
    context: Tensor
    keep: Tensor

    def dropped(self, keep: Tensor) -> Condition:
        """The same condition with some objects' dropped (keep = 0), for classifier-free guidance."""
        return Condition(self.sites, self.context, self.keep * keep)

    def doubled(self) -> Condition:
        """Conditional and unconditional side by side, to evaluate both in one pass."""
        none = torch.zeros_like(self.keep)
        return Condition(torch.cat([self.sites] * 2), torch.cat([self.context] * 2), torch.cat([self.keep, none]))


def signal_part(
    x_t: Float[Tensor, "n ..."],
    t: Int[Tensor, " b"],
    signal: Float[Tensor, " t"] | None,
    row_sample: Tensor | None = None,
) -> Float[Tensor, "n ..."]:
    """The noisy input times its share of signal, which is what it is worth as an estimate of the clean data.

    At t = T it is nothing but noise and vanishes, so that the first step of sampling, which most of the training goes
    into, need not learn to ignore it. signal: that share at each timestep; None leaves the input as it is.
    """
    if signal is None:
        return x_t
    share = signal[t] if row_sample is None else signal[t][row_sample]
    return x_t * share.to(x_t.dtype).view(-1, *(1,) * (x_t.ndim - 1))


class CoarseDenoiser(nn.Module):
    """Predicts the diffusion target of the dense coarse bands (B, bands, n, n, n).

    resolution: n. band_scale: what each band is divided by; as many as there are bands. signal: see `signal_part`.
    conditioning: "projective" samples the feature maps at every cell's projection; "global" sees only pooled vectors,
    for the ablation. hull_share: the output at t = T begins from the hull's bands times this, which makes them a
    diffusion target.
    """

    band_scale: Tensor
    place: Tensor
    signal: Tensor | None

    def __init__(
        self,
        config: DenoiserConfig,
        resolution: int = 32,
        map_channels: int = 48,
        context_dim: int = 192,
        bank: str = "bior2.2",
        conditioning: str = "projective",
        truncation: float = TRUNCATION,
        band_scale: Sequence[float] = (0.3, *(0.01,) * 7),
        signal: Float[Tensor, " t"] | None = None,
        hull_share: float = -1.0,
        backend: str = "auto",
    ) -> None:
        super().__init__()
        bands = len(band_scale)
        self.register_buffer("signal", signal, persistent=False)
        self.hull_share = hull_share
        self.bands, self.resolution, self.conditioning = bands, resolution, conditioning
        self.bank, self.truncation = bank, truncation
        self.register_buffer("band_scale", torch.tensor(band_scale).view(1, bands, 1, 1, 1), persistent=False)
        # The atoms' displacement is given in finest cells; a coarse cell is four of them wide, a cell of the field two.
        self.shift, self.field_shift = get_bank(bank).atom_shift(2) / 4.0, get_bank(bank).atom_shift(1) / 2.0
        self.project = ProjectiveFeatures(map_channels, config.hidden, config.condition_channels, config.pooling)
        self.fold, self.side = config.fold, resolution // config.fold
        self.register_buffer("place", grid_points(self.side, self.shift / self.fold), persistent=False)
        cells = self.fold**3
        self.condition_channels = config.condition_channels + cells * (HULL_CHANNELS + bands)
        channels = cells * bands + self.condition_channels + 1 + 3
        # A folded site has its neighbours beside it already.
        kernel = 3 if self.fold == 1 else 1
        self.unet = _unet(
            config, channels, 2 * cells * bands, context_dim=context_dim, backend=backend, kernel_in=kernel
        )

    def condition(self, features: ViewFeatures) -> Condition:
        """The condition of all cells, from encoded views."""
        batch, n = features.poses.shape[0], self.resolution
        device = features.poses.device
        if self.conditioning == "projective":
            sampled = self.project(features, grid_points(self.side, self.shift / self.fold, device))
            with torch.no_grad():
                hull = soft_hull(features, grid_points(2 * n, self.field_shift, device)).view(batch, 1, *(2 * n,) * 3)
                bands = fold_cells(self.hull_bands(hull[:, 0]), self.fold)
            parts = [sampled, fold_cells(hull, 2 * self.fold) * 2.0 - 1.0, bands]
            sites = torch.cat([part.to(sampled.dtype) for part in parts], dim=-1).flatten(0, 1)
        else:
            sites = features.global_features.new_zeros(batch * self.side**3, self.condition_channels)
        return Condition(sites, features.tokens, features.poses.new_ones(batch))

    def hull_bands(self, hull: Float[Tensor, "b x y z"]) -> Float[Tensor, "b c x2 y2 z2"]:
        """The scaled bands of the hull's truncated distance, which is what the networks would answer for the hull.

        hull: (B, 2n, 2n, 2n) in [0, 1].
        """
        distance = hull_distance(hull, self.truncation).unsqueeze(1)
        approximation, details = dwt3d(distance * field_scale(1), self.bank)
        return torch.cat([approximation - field_scale(2) * self.truncation, details], dim=1) / self.band_scale

    def forward(self, x_t: Float[Tensor, "b c x y z"], t: Tensor, condition: Condition) -> Float[Tensor, "b c x y z"]:
        """The raw prediction for noisy bands at timesteps t (B,)."""
        batch, m = len(x_t), self.side
        keep = condition.keep.to(condition.sites.dtype)
        noisy = fold_cells(signal_part(x_t, t, self.signal), self.fold)
        sites = condition.sites.view(batch, m**3, -1) * keep[:, None, None]
        known, hull = sites.tensor_split([sites.shape[-1] - noisy.shape[-1]], dim=-1)
        flag = keep[:, None, None].expand(batch, m**3, 1)
        place = self.place.to(sites.dtype).expand(batch, -1, -1)
        # At a surface the hull's bands are ten times as large as everything else that the network looks at.
        tokens = torch.cat([noisy.to(sites.dtype), known, torch.asinh(hull), flag, place], dim=-1).flatten(0, 1)
        grid = SparseTensor.full(batch, (m, m, m), tokens)
        context = condition.context * keep[:, None, None].to(condition.context.dtype)
        output = self.unet(grid, t, context).features.view(batch, m**3, self.fold**3, 2 * self.bands) * OUTPUT_SCALE
        correction, trust = output.chunk(2, dim=-1)
        # The network says of each cell how far to believe the hull.
        out = correction + self.hull_share * hull.unflatten(-1, (-1, self.bands)) * torch.sigmoid(trust)
        return unfold_cells(out.flatten(2), self.fold, self.side).float()


def fold_cells(grid: Float[Tensor, "b c x y z"], fold: int) -> Float[Tensor, "b m d"]:
    """The cells of every block of fold^3 cells side by side: one row of fold^3 * c channels per block."""
    batch, channels, n = grid.shape[:3]
    m = n // fold
    cells = grid.reshape(batch, channels, m, fold, m, fold, m, fold).permute(0, 2, 4, 6, 3, 5, 7, 1)
    return cells.reshape(batch, m**3, fold**3 * channels)


def unfold_cells(rows: Float[Tensor, "b m d"], fold: int, side: int) -> Float[Tensor, "b c x y z"]:
    """The inverse of `fold_cells`; side: blocks along each axis."""
    cells = rows.view(len(rows), side, side, side, fold, fold, fold, -1).permute(0, 7, 1, 4, 2, 5, 3, 6)
    return cells.reshape(len(rows), -1, *(fold * side,) * 3)


class DetailDenoiser(nn.Module):
    """Predicts the diffusion target of the finest details at the active sites, features (M, 7).

    It sees the coarse field in the 3^3 neighbourhood of each site and the pictures' features at its projection.
    """

    NEIGHBOURS = 27
    signal: Tensor | None

    def __init__(
        self,
        config: DenoiserConfig,
        resolution: int = 64,
        map_channels: int = 48,
        context_dim: int = 192,
        truncation: float = TRUNCATION,
        signal: Float[Tensor, " t"] | None = None,
        backend: str = "auto",
        bands: int = 7,
    ) -> None:
        super().__init__()
        self.register_buffer("signal", signal, persistent=False)
        self.bands, self.resolution, self.truncation = bands, resolution, truncation
        self.project = ProjectiveFeatures(map_channels, config.hidden, config.condition_channels, config.pooling)
        channels = bands + self.NEIGHBOURS + config.condition_channels + 1 + 1
        self.unet = _unet(config, channels, bands, context_dim=context_dim, backend=backend, num_levels=4)

    def condition(
        self, features: ViewFeatures, field: Float[Tensor, "b x y z"], coords: Int[Tensor, "m 4"]
    ) -> Condition:
        """The condition at the active sites. field: decoded coarse field in world units. coords: batch, x, y, z."""
        padded = F.pad(field.unsqueeze(1), (1,) * 6, mode="replicate")[:, 0] / self.truncation
        batch, x, y, z = coords.unbind(1)
        steps = range(3)
        local = torch.stack([padded[batch, x + i, y + j, z + k] for i in steps for j in steps for k in steps], dim=1)
        # Detail atoms stand half a finest cell to either side along different axes: on average in the cell's middle.
        points = (coords[:, 1:].float() + 0.5) / self.resolution * 2.0 - 1.0
        sampled = []
        for index in range(len(field)):
            views, own = features.of_object(index), points[batch == index]
            hull = soft_hull(views, own)[0, :, None]
            projected = self.project(views, own)[0]
            sampled.append(torch.cat([projected, hull.to(projected.dtype) * 2.0 - 1.0], dim=1))
        sites = torch.cat([local.to(sampled[0].dtype), torch.cat(sampled)], dim=1)
        return Condition(sites, features.tokens, features.poses.new_ones(len(field)))

    def forward(
        self, x_t: Float[Tensor, "m c"], t: Tensor, condition: Condition, sites: SparseTensor, level: int = 0
    ) -> Float[Tensor, "m c"]:
        """The raw prediction for noisy details at timesteps t (B,). sites: carries coordinates and kernel maps."""
        keep = condition.keep.to(condition.sites.dtype)[sites.coords[:, 0], None]
        # The coarse field is what the details refine, so it stays when the pictures are dropped.
        local = condition.sites[:, : self.NEIGHBOURS]
        noisy = signal_part(x_t, t, self.signal, sites.coords[:, 0])
        tokens = torch.cat([noisy.to(local.dtype), local, condition.sites[:, self.NEIGHBOURS :] * keep, keep], dim=1)
        context = condition.context * condition.keep[:, None, None].to(condition.context.dtype)
        return self.unet(sites.replace(tokens), t, context, level=level).features.float()


def _unet(config: DenoiserConfig, in_channels: int, out_channels: int, **others: Any) -> WaveMeshUNet:
    return WaveMeshUNet(
        in_channels=in_channels,
        out_channels=out_channels,
        encoder_channels=config.widths,
        decoder_channels=tuple(reversed(config.widths)),
        blocks_per_level=config.blocks,
        decoder_blocks=config.decoder_blocks,
        time_emb_dim=config.time_dim,
        adaptive_norm=config.adaptive_norm,
        **others,
    )
