"""The encoder that makes the triplane system's training targets: a shape with its colours becomes wavelet bands.

Solving for a triplane per shape costs orders of magnitude more and gives planes that a diffusion model cannot learn.
A feed-forward encoder, trained together with the shared decoder (`TriplaneRenderer`), places similar shapes on similar
planes. 3D convolutions are too expensive for a CPU: the distances are folded onto each plane, their normal axis in the
channels, and residual blocks on the planes do the rest. Colours are not learned: some channels of the triplane are
those of the surface as it is seen along each plane's normal (`models/colour_planes.py`).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from wavemesh.errors import InputError
from wavemesh.geometry.frame import TRUNCATION
from wavemesh.models.colour_planes import COLOURS, colour_bands, colour_channels, colour_planes
from wavemesh.models.plane_bands import BANDS, PlaneBands
from wavemesh.models.planes import PLANES, PlaneBlock, fold_planes, fold_volume, groups_of, run_block, unfold_planes

SUBCELLS = 8
COLOUR_CHANNELS = 4
# Of the learned channels.
LL_BOUND = 2.0
DETAIL_BOUND = 1.0


class TriplaneAutoencoder(nn.Module):
    """Distance grid (B, 2 n, 2 n, 2 n) and colour volume (B, 4, 2 n, 2 n, 2 n) to the bands of a triplane.

    Both come in cells of half LL's, since what comes in LL's own cells leaves nothing for the details to carry.

    triplane_channels: C. resolution: n, of the bands, a multiple of 2. truncation: of the distance grid, world units.
    width: channels at resolution n, four for each of the triplane's if None; half the resolution has twice as many.
    blocks: residual blocks at half the resolution. checkpointing: compute activations again for the gradient.
    """

    def __init__(
        self,
        triplane_channels: int = 32,
        resolution: int = 64,
        truncation: float = TRUNCATION,
        width: int | None = None,
        blocks: int = 2,
        checkpointing: bool = False,
    ) -> None:
        super().__init__()
        if triplane_channels < 1:
            raise InputError(f"A triplane needs at least one channel, not {triplane_channels}.")
        if resolution < 2 or resolution % 2:
            raise InputError(f"The resolution of a triplane's bands must be a multiple of 2, not {resolution}.")
        width = 4 * triplane_channels if width is None else width
        self.triplane_channels, self.resolution, self.truncation = triplane_channels, resolution, truncation
        self.checkpointing = checkpointing
        # Each plane folds another axis away, so each has its own map; its bias tells the planes apart.
        self.reduce = nn.ModuleList(nn.Linear(resolution * SUBCELLS, width) for _ in range(PLANES))
        self.paint = nn.Conv2d(4 * COLOURS, width, 1)
        self.block_in, self.block_out = PlaneBlock(width, mix=True), PlaneBlock(width, mix=True)
        self.down = nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)
        self.low = nn.ModuleList(PlaneBlock(2 * width, mix=True) for _ in range(blocks))
        self.up = nn.Conv2d(2 * width, width, 1)
        self.norm_out = nn.GroupNorm(groups_of(width), width)
        learned = triplane_channels - colour_channels(triplane_channels)
        self.conv_out = nn.Conv2d(width, (1 + BANDS) * learned, 3, padding=1)

    def forward(self, sdf: Tensor, colours: Tensor) -> PlaneBands:
        """The bands of truncated distances and of mean colours with their mask (see `data.colours.colour_volume`).

        Raises InputError for other shapes.
        """
        self._check(sdf, colours)
        colours = colour_planes(sdf, colours)
        # Half precision moves half as much memory, and distances come in 255 steps.
        reduced = torch.is_autocast_enabled(sdf.device.type)
        volume = (sdf.unsqueeze(1) / self.truncation).to(torch.bfloat16 if reduced else self.up.weight.dtype)
        planes = [reduce(folded) for reduce, folded in zip(self.reduce, fold_volume(self._cells(volume)), strict=True)]
        # Channels last in memory, as the convolutions want them.
        x = fold_planes(torch.stack(planes, dim=1).permute(0, 1, 4, 2, 3))
        x = x + self.paint(F.pixel_unshuffle(fold_planes(colours), 2))
        x = self._run(self.block_in, x)
        low = self.down(x)
        for block in self.low:
            low = self._run(block, low)
        x = x + F.interpolate(self.up(low), scale_factor=2, mode="nearest")
        x = self._run(self.block_out, x)
        raw = unfold_planes(torch.tanh(self.conv_out(F.gelu(self.norm_out(x))).float()))
        raw = raw.unflatten(2, (1 + BANDS, -1))
        bands = colour_bands(colours, self.triplane_channels)
        first = colour_channels(self.triplane_channels)
        bands.ll[:, :, first:] = LL_BOUND * raw[:, :, 0]
        bands.details.unflatten(2, (BANDS, -1))[:, :, :, first:] = DETAIL_BOUND * raw[:, :, 1:]
        return bands

    def _cells(self, volume: Float[Tensor, "b c m m m"]) -> Float[Tensor, "b n n n c8"]:
        """What is in each of the bands' cells, its eight parts side by side."""
        n = self.resolution
        parts = volume.unflatten(4, (n, 2)).unflatten(3, (n, 2)).unflatten(2, (n, 2))
        return parts.permute(0, 2, 4, 6, 1, 3, 5, 7).flatten(4)

    def _run(self, block: nn.Module, x: Tensor) -> Tensor:
        return run_block(block, x, checkpointing=self.checkpointing)

    def _check(self, sdf: Tensor, colours: Tensor) -> None:
        n, batch = self.resolution, sdf.shape[0] if sdf.ndim else 0
        if tuple(sdf.shape) != (batch, 2 * n, 2 * n, 2 * n):
            expected = f"(B, {2 * n}, {2 * n}, {2 * n})"
            raise InputError(f"The distance grids must have the shape {expected}, not {tuple(sdf.shape)}.")
        if tuple(colours.shape) != (batch, COLOUR_CHANNELS, 2 * n, 2 * n, 2 * n):
            expected = str((batch, COLOUR_CHANNELS, 2 * n, 2 * n, 2 * n))
            raise InputError(f"The colour volumes must have the shape {expected}, not {tuple(colours.shape)}.")
