"""Stage four of the triplane system: a small network that decodes colour and density anywhere in a triplane.

The features of a point, looked up on the three planes, go through a perceptron of two hidden layers that gives a
truncated signed distance, a colour, and how much to trust each of the colours that the planes themselves have there
(`models/colour_planes.py`): the mean of all, so weighed, is the colour of the point. Density follows from the distance
by VolSDF (Yariv et al. 2021), so that one field serves pictures and mesh. The autoencoder that makes the training
targets shares this decoder.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from wavemesh.errors import InputError
from wavemesh.geometry.camera import Camera
from wavemesh.geometry.camera_tensors import stack_cameras
from wavemesh.geometry.frame import TRUNCATION
from wavemesh.models.colour_planes import colour_channels
from wavemesh.models.planes import PLANES
from wavemesh.rendering.occupancy import OccupancyGrid
from wavemesh.rendering.rays import camera_rays
from wavemesh.rendering.volume import (
    Background,
    Field,
    RenderedImage,
    background_colour,
    render_image,
    render_rays,
)

INITIAL_BETA = 0.01
# So many that the hidden units of all of them stay in a CPU's cache.
POINTS_AT_ONCE = 2**14
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
        # Colours that the planes have at a point.
        self.candidates = PLANES * colour_channels(triplane_channels) // 3
        self.mlp = nn.Sequential(
            nn.Linear(PLANES * triplane_channels, hidden_dim),
            nn.SiLU(),
            nn.Linear(hidden_dim, hidden_dim),
            nn.SiLU(),
            nn.Linear(hidden_dim, 4 + (1 + self.candidates if self.candidates else 0)),
        )
        self.log_beta = nn.Parameter(torch.tensor(math.log(INITIAL_BETA - LEAST_BETA)))

    @property
    def beta(self) -> Float[Tensor, ""]:
        """How far the density reaches across the surface, world units; learned."""
        return LEAST_BETA + self.log_beta.exp()

    def query_triplane(self, triplane: Tensor, coords: Tensor) -> Float[Tensor, "b n c3"]:
        """Features (B, N, 3 C) of points, bilinear on each plane and side by side in the order XY, XZ, YZ.

        triplane: (B, 3, C, H, W). coords: (B, N, 3), or (1, N, 3) for the same ones of every object. Cell i of n
        stands at (i + 0.5) / n * 2 - 1; beyond the outermost centres their value holds. Raises InputError for points
        outside [-1, 1]^3, values that are not finite, and shapes that do not fit.
        """
        self._check(triplane, coords)
        return _sample_planes(triplane, coords.expand(len(triplane), -1, -1))

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

    def sdf_grid(self, triplane: Tensor, resolution: int, max_points: int = POINTS_AT_ONCE) -> Float[Tensor, "b n n n"]:
        """The signed distance at the cell centres of a grid of [-1, 1]^3, axes x, y, z: what a mesh is made from.

        The first layer is linear in the three planes' features, so each plane goes through its part of the layer once
        and a cell's value is the sum of three: no cell is looked up. max_points: decoded at once.
        """
        self.check_triplane(triplane)
        if resolution < 1 or max_points < 1:
            raise InputError(
                f"A grid needs at least one cell a side and point at once, not {resolution}, {max_points}."
            )
        first: nn.Linear = self.mlp[0]
        weights = first.weight.view(self.hidden_dim, PLANES, self.triplane_channels)
        slab = max(1, max_points // resolution**2)
        grids = []
        for planes in triplane.float():
            # Cell centres are where bilinear resizing puts them, so resizing is the same as looking up.
            resized = F.interpolate(planes, size=(resolution, resolution), mode="bilinear", align_corners=False)
            # Rows of XY are y, rows of XZ and YZ are z: from here on in the order x, y, z, the hidden units last.
            xy, xz, yz = torch.einsum("hpc,pcvu->puvh", weights, resized).contiguous().unbind(0)
            xy = xy + first.bias
            values = [
                self._distance(self.mlp[1:]((xy[x : x + slab, :, None] + yz) + xz[x : x + slab, None]))
                for x in range(0, resolution, slab)
            ]
            grids.append(torch.cat(values))
        return torch.stack(grids)

    def field(self, planes: Float[Tensor, "p c h w"]) -> Field:
        """The field of one triplane for `rendering.volume`: points (n, 3) to colours (n, 3) and densities (n,)."""

        def decode(points: Tensor) -> tuple[Tensor, Tensor]:
            decoded = self._decoded(_sample_planes(planes[None], points[None]))
            return decoded.rgb[0], decoded.density[0]

        return decode

    def occupancy(self, planes: Float[Tensor, "p c h w"], resolution: int = 64) -> OccupancyGrid:
        """Where the triplane's field is empty or opaque."""
        with torch.no_grad():
            return OccupancyGrid.from_distance(self.sdf_grid(planes[None], resolution)[0], self.density)

    def render_volume(
        self,
        triplane: Tensor,
        num_samples: int = 64,
        image_size: int = 128,
        camera: Camera | Sequence[Camera] | None = None,
        background: Background = "white",
        **options: Any,
    ) -> Float[Tensor, "b c s s"]:
        """Pictures (B, 3, S, S), or (B, 4, S, S) with straight alpha over the background "transparent".

        background: "white", "black", "transparent" or three numbers in [0, 1]. The other arguments and options are
        those of `render`.
        """
        background_colour(background)
        pictures = self.render(triplane, num_samples, image_size, camera, **options)
        return torch.stack([picture.over(background) for picture in pictures])

    def render(
        self,
        triplane: Tensor,
        num_samples: int = 64,
        image_size: int = 128,
        camera: Camera | Sequence[Camera] | None = None,
        poses: Tensor | None = None,
        intrinsics: Tensor | None = None,
        importance: int = 0,
        occupancy: Literal["auto"] | int | None = "auto",
        generator: torch.Generator | None = None,
        memory_budget_mb: float = 256.0,
    ) -> list[RenderedImage]:
        """Colour, opacity and depth of each object of the batch.

        triplane: (B, 3, C, H, W). num_samples: on each ray. image_size: S. camera: one for all, one for each, or None
        for the default; or else poses (B, 3, 4) and intrinsics (B, 3). importance: samples added where the first
        absorb light. occupancy: cells a side of the grid that finds empty space, None for none; "auto" chooses by the
        number of samples, and none while gradients are wanted. generator: jitters samples. memory_budget_mb: for what
        is in flight at once. Raises InputError for what does not fit.
        """
        self.check_triplane(triplane)
        poses, intrinsics = _cameras(len(triplane), camera, poses, intrinsics)
        cells = _cells(occupancy, (num_samples + importance) * image_size**2)
        pictures = []
        for planes, pose, lens in zip(triplane.float(), poses, intrinsics, strict=True):
            grid = None if cells is None else self.occupancy(planes, cells)
            pictures.append(
                render_image(
                    self.field(planes),
                    pose.to(planes),
                    lens.to(planes),
                    image_size,
                    num_samples,
                    importance,
                    grid,
                    generator,
                    memory_budget_mb,
                    4 * (9 * self.triplane_channels + 4 * self.hidden_dim + 32),
                )
            )
        return pictures

    def render_pixels(
        self,
        triplane: Tensor,
        pixels: Int[Tensor, "b r"],
        image_size: int,
        poses: Float[Tensor, "b 3 4"],
        intrinsics: Float[Tensor, "b 3"],
        num_samples: int = 64,
        importance: int = 0,
        generator: torch.Generator | None = None,
    ) -> tuple[Float[Tensor, "b r 3"], Float[Tensor, "b r"]]:
        """Premultiplied colour and opacity of some pixels (row * image_size + column) of each object, for training."""
        self.check_triplane(triplane)
        seen = [
            render_rays(
                self.field(planes), camera_rays(pose, lens, image_size, index), num_samples, importance, None, generator
            )
            for planes, index, pose, lens in zip(triplane, pixels, poses, intrinsics, strict=True)
        ]
        return torch.stack([rays.rgb for rays in seen]), torch.stack([rays.opacity for rays in seen])

    def _distance(self, raw: Float[Tensor, "*n k"]) -> Float[Tensor, "*n"]:
        return self.truncation * torch.tanh(raw[..., 0].float())

    def _decoded(self, features: Float[Tensor, "b n c"]) -> Decoded:
        raw = self.mlp(features)
        sdf = self._distance(raw)
        return Decoded(self._colour(raw[..., 1:].float(), features), sdf, self.density(sdf))

    def _colour(self, raw: Float[Tensor, "b n k"], features: Float[Tensor, "b n c"]) -> Float[Tensor, "b n 3"]:
        """The perceptron's own colour, or its mean with the planes' colours."""
        own = torch.sigmoid(raw[..., :3])
        if not self.candidates:
            return own
        shares = torch.softmax(raw[..., 3:], dim=-1)
        planes = features.unflatten(-1, (PLANES, self.triplane_channels))[
            ..., : colour_channels(self.triplane_channels)
        ]
        colours = ((planes + 1.0) / 2.0).clamp(0.0, 1.0).flatten(-2).unflatten(-1, (self.candidates, 3))
        return shares[..., :1] * own + (shares[..., 1:].unsqueeze(-1) * colours).sum(dim=-2)

    def _check(self, triplane: Tensor, coords: Tensor) -> None:
        self.check_triplane(triplane)
        if coords.ndim != 3 or coords.shape[0] not in (1, len(triplane)) or coords.shape[2] != 3:
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


def _cameras(
    batch: int, camera: Camera | Sequence[Camera] | None, poses: Tensor | None, intrinsics: Tensor | None
) -> tuple[Float[Tensor, "b 3 4"], Float[Tensor, "b 3"]]:
    """Pose and intrinsics of each object, from cameras or as given; the default camera where there are none."""
    if poses is not None and camera is not None:
        raise InputError("Rendering takes a camera or poses, not both.")
    default = Camera()
    if poses is None:
        cameras = [camera or default] * batch if isinstance(camera, Camera | None) else list(camera)
        if len(cameras) != batch:
            raise InputError(f"{batch} triplanes need {batch} cameras, not {len(cameras)}.")
        return stack_cameras(cameras)
    if intrinsics is None:
        intrinsics = stack_cameras([default])[1].to(poses).expand(batch, 3)
    if tuple(poses.shape) != (batch, 3, 4) or tuple(intrinsics.shape) != (batch, 3):
        raise InputError(
            f"{batch} triplanes need poses ({batch}, 3, 4) and intrinsics ({batch}, 3), "
            f"not {tuple(poses.shape)} and {tuple(intrinsics.shape)}."
        )
    return poses, intrinsics


def _cells(occupancy: Literal["auto"] | int | None, samples: int) -> int | None:
    """Cells a side of the occupancy grid: the finest that costs at most a quarter of the samples, if any does."""
    if occupancy != "auto":
        return occupancy
    if torch.is_grad_enabled():
        return None
    return next((cells for cells in (64, 32) if 4 * cells**3 <= samples), None)


def _sample_planes(triplane: Float[Tensor, "b p c h w"], coords: Float[Tensor, "b n 3"]) -> Float[Tensor, "b n pc"]:
    """Bilinear samples of each plane at the points' two coordinates on it."""
    batch, planes, channels, *_ = triplane.shape
    x, y, z = coords.float().unbind(dim=-1)
    grid = torch.stack([torch.stack([x, y], -1), torch.stack([x, z], -1), torch.stack([y, z], -1)], dim=1)
    flat = triplane.float().flatten(0, 1)
    sampled = F.grid_sample(flat, grid.flatten(0, 1).unsqueeze(1), padding_mode="border", align_corners=False)
    return sampled.view(batch, planes * channels, -1).transpose(1, 2)
