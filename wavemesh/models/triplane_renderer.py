"""Stage four of the triplane system: a small network that decodes colour and density anywhere in a triplane.

The features of a point, looked up on the three planes, go through a perceptron of two hidden layers that gives colour
and a truncated signed distance; density follows from the distance by VolSDF (Yariv et al. 2021), so that one field
serves pictures and mesh. The autoencoder that makes the training targets shares this decoder.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from wavemesh.errors import InputError
from wavemesh.models.planes import PLANES

TRUNCATION = 0.09
INITIAL_BETA = 0.01
LEAST_BETA = 0.001


@dataclass
class Decoded:
    """The field at N points of B objects: rgb (B, N, 3) in [0, 1], sdf (B, N) world units, density (B, N) >= 0."""

    rgb: Tensor
    sdf: Tensor
    density: Tensor


class TriplaneRenderer(nn.Module):
    """Decodes triplanes (B, 3, C, H, W), planes XY, XZ, YZ, at points of [-1, 1]^3 and renders them.

    triplane_channels: C. hidden_dim: of the two hidden layers. truncation: bound of the signed distance, world units.
    """

    def __init__(self, triplane_channels: int = 32, hidden_dim: int = 128, truncation: float = TRUNCATION) -> None:
        super().__init__()
        if triplane_channels < 1 or hidden_dim < 1:
            raise InputError(f"Channels and hidden width must be positive, not {triplane_channels} and {hidden_dim}.")
        self.triplane_channels, self.hidden_dim, self.truncation = triplane_channels, hidden_dim, truncation
        self.mlp = nn.Sequential(
            nn.Linear(PLANES * triplane_channels, hidden_dim),
            nn.SiLU(),
            nn.Linear(hidden_dim, hidden_dim),
            nn.SiLU(),
            nn.Linear(hidden_dim, 4),
        )
        self.log_beta = nn.Parameter(torch.tensor(math.log(INITIAL_BETA - LEAST_BETA)))

    @property
    def beta(self) -> Float[Tensor, ""]:
        """How far the density reaches across the surface, world units; learned."""
        return LEAST_BETA + self.log_beta.exp()

    def query_triplane(self, triplane: Tensor, coords: Tensor) -> Float[Tensor, "b n c3"]:
        """Features (B, N, 3 C) of points, bilinear on each plane and side by side in the order XY, XZ, YZ.

        triplane: (B, 3, C, H, W). coords: (B, N, 3). Cell i of n stands at (i + 0.5) / n * 2 - 1; beyond the outermost
        centres their value holds. Raises InputError for points outside [-1, 1]^3, values that are not finite, and
        shapes that do not fit.
        """
        self._check(triplane, coords)
        return _sample_planes(triplane, coords)

    def forward(self, triplane: Tensor, coords: Tensor) -> tuple[Float[Tensor, "b n 3"], Float[Tensor, "b n 1"]]:
        """Colour in [0, 1] and density per world unit. See `query_triplane` for the arguments and what it raises."""
        decoded = self.decode(triplane, coords)
        return decoded.rgb, decoded.density.unsqueeze(-1)

    def decode(self, triplane: Tensor, coords: Tensor) -> Decoded:
        """Colour, signed distance and density; arguments as for `query_triplane`."""
        return self._decoded(self.query_triplane(triplane, coords))

    def sdf(self, triplane: Tensor, coords: Tensor) -> Float[Tensor, "b n"]:
        """The signed distance, negative inside, between plus and minus the truncation; as `query_triplane`."""
        return self._distance(self.mlp(self.query_triplane(triplane, coords)))

    def density(self, sdf: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
        """1 / beta inside, 0 outside, by the Laplace distribution of scale beta between (VolSDF, eq. 2-3)."""
        beta = self.beta
        tail = 0.5 * torch.exp(-sdf.abs() / beta)
        return torch.where(sdf > 0, tail, 1.0 - tail) / beta

    def _distance(self, raw: Float[Tensor, "*n k"]) -> Float[Tensor, "*n"]:
        return self.truncation * torch.tanh(raw[..., 0].float())

    def _decoded(self, features: Float[Tensor, "b n c"]) -> Decoded:
        raw = self.mlp(features)
        sdf = self._distance(raw)
        return Decoded(torch.sigmoid(raw[..., 1:].float()), sdf, self.density(sdf))

    def _check(self, triplane: Tensor, coords: Tensor) -> None:
        self.check_triplane(triplane)
        if coords.ndim != 3 or coords.shape[0] != len(triplane) or coords.shape[2] != 3:
            raise InputError(f"Points must have the shape ({len(triplane)}, N, 3), not {tuple(coords.shape)}.")
        bad = ~(coords.abs() <= 1.0)
        if bad.any():
            batch, index = bad.any(dim=-1).nonzero()[0].tolist()
            point = ", ".join(f"{value:.6g}" for value in coords[batch, index].tolist())
            kind = "lie in [-1, 1]^3" if torch.isfinite(coords[batch, index]).all() else "be finite"
            raise InputError(f"Points must {kind}, not ({point}) at index {index} of object {batch}.")

    def check_triplane(self, triplane: Tensor) -> None:
        """Raises InputError unless the triplane is (B, 3, C, H, W) with this decoder's C and finite."""
        if triplane.ndim != 5 or triplane.shape[1] != PLANES or triplane.shape[2] != self.triplane_channels:
            raise InputError(
                f"A triplane must have the shape (B, {PLANES}, {self.triplane_channels}, H, W), "
                f"not {tuple(triplane.shape)}."
            )
        # A sum is not finite if any value is not, and needs no memory; it overflows only where values are absurd.
        if not torch.isfinite(triplane.detach().sum(dtype=torch.float32)):
            bad = ~torch.isfinite(triplane)
            place = tuple(bad.nonzero()[0].tolist()) if bad.any() else "its sum"
            raise InputError(f"A triplane must hold finite numbers, not {triplane[bad][:1].tolist()} at {place}.")


def _sample_planes(triplane: Float[Tensor, "b p c h w"], coords: Float[Tensor, "b n 3"]) -> Float[Tensor, "b n pc"]:
    """Bilinear samples of each plane at the points' two coordinates on it."""
    batch, planes, channels, *_ = triplane.shape
    x, y, z = coords.float().unbind(dim=-1)
    grid = torch.stack([torch.stack([x, y], -1), torch.stack([x, z], -1), torch.stack([y, z], -1)], dim=1)
    flat = triplane.float().flatten(0, 1)
    sampled = F.grid_sample(flat, grid.flatten(0, 1).unsqueeze(1), padding_mode="border", align_corners=False)
    return sampled.view(batch, planes * channels, -1).transpose(1, 2)
