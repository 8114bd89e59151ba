"""Rays of a camera and the samples along them: where volume rendering looks.

Distances are in world units along unit directions. The pixel centres are those of `Camera.rays`, here in torch and
from poses and intrinsics, so that gradients and devices are the field's.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from wavemesh.errors import InputError

_PARALLEL = 1e-9


@dataclass(frozen=True)
class Rays:
    """Origins and unit directions, (r, 3) each."""

    origins: Tensor
    directions: Tensor

    def __len__(self) -> int:
        return len(self.origins)

    def __getitem__(self, index: Tensor | slice) -> Rays:
        return Rays(self.origins[index], self.directions[index])

    def at(self, distances: Float[Tensor, "r s"]) -> Float[Tensor, "r s 3"]:
        """The points at these distances along the rays."""
        return torch.addcmul(self.origins[:, None], self.directions[:, None], distances[..., None])


@dataclass(frozen=True)
class Samples:
    """Where rays are sampled: distances (r, s), increasing, and the edges (r, s + 1) of the pieces they stand for."""

    distances: Tensor
    edges: Tensor

    @property
    def lengths(self) -> Float[Tensor, "r s"]:
        """How long a piece of the ray each sample stands for, world units."""
        return self.edges[:, 1:] - self.edges[:, :-1]


def camera_rays(
    camera_to_world: Float[Tensor, "3 4"],
    intrinsics: Float[Tensor, "3"],
    size: int,
    pixels: Int[Tensor, " r"] | None = None,
) -> Rays:
    """The rays through the pixel centres of a picture of size x size, rows from the top, or of some of its pixels.

    pixels: indices row * size + column. Raises InputError for a size below 1.
    """
    if size < 1:
        raise InputError(f"A picture needs at least one pixel a side, not {size}.")
    pose, intrinsics = camera_to_world.float(), intrinsics.float()
    index = torch.arange(size * size, device=pose.device) if pixels is None else pixels
    row, column = torch.div(index, size, rounding_mode="floor"), index % size
    focal, offset_x, offset_y = intrinsics.unbind()
    x = ((column + 0.5) / size * 2.0 - 1.0 - offset_x) / focal
    y = (1.0 - (row + 0.5) / size * 2.0 - offset_y) / focal
    local = torch.stack([x, y, -torch.ones_like(x)], dim=1)
    return Rays(pose[:, 3].expand(len(index), 3), F.normalize(local @ pose[:, :3].T, dim=1))


def intersect_box(
    rays: Rays, low: Float[Tensor, "3"] | float = -1.0, high: Float[Tensor, "3"] | float = 1.0
) -> tuple[Float[Tensor, " r"], Float[Tensor, " r"]]:
    """Distances at which rays enter and leave an axis-aligned box; a ray that misses it leaves where it enters.

    Nothing behind the origin counts: a ray that begins inside enters at 0.
    """
    # A direction parallel to a face would divide by zero and, from a point on the face, give no number at all.
    directions = torch.where(rays.directions.abs() < _PARALLEL, _PARALLEL, rays.directions)
    first, second = (low - rays.origins) / directions, (high - rays.origins) / directions
    near = torch.minimum(first, second).amax(dim=1).clamp_min(0.0)
    far = torch.maximum(first, second).amin(dim=1)
    return near, torch.maximum(near, far)


def stratified_samples(
    near: Float[Tensor, " r"], far: Float[Tensor, " r"], count: int, generator: torch.Generator | None = None
) -> Samples:
    """One sample in each of `count` equal pieces between near and far: its middle, or a random place with a generator.

    Raises InputError for a count below 1.
    """
    if count < 1:
        raise InputError(f"A ray needs at least one sample, not {count}.")
    steps = torch.arange(count + 1, device=near.device, dtype=near.dtype) / count
    edges = near[:, None] + (far - near)[:, None] * steps
    place = 0.5 if generator is None else _uniform((len(near), count), near, generator)
    return Samples(edges[:, :-1] + place * (edges[:, 1:] - edges[:, :-1]), edges)


def importance_distances(
    samples: Samples, weights: Float[Tensor, "r s"], count: int, generator: torch.Generator | None = None
) -> Float[Tensor, "r n"]:
    """More distances, dense where the weights of the samples are large (hierarchical sampling, Mildenhall et al. 2020).

    Weights spread to the neighbouring pieces first (Barron et al. 2021, eq. 18), since a surface may stand anywhere
    between two samples, and a hundredth of the samples goes anywhere. Raises InputError for a count below 1.
    """
    if count < 1:
        raise InputError(f"Importance sampling needs at least one sample, not {count}.")
    weights = weights.detach()
    padded = F.pad(weights, (1, 1))
    larger = torch.maximum(padded[:, 1:], padded[:, :-1])
    blurred = 0.5 * (larger[:, 1:] + larger[:, :-1])
    blurred = blurred + 0.01 * blurred.mean(dim=1, keepdim=True) + 1e-6
    cdf = F.pad(blurred.cumsum(dim=1) / blurred.sum(dim=1, keepdim=True), (1, 0))
    steps = torch.arange(count, device=weights.device, dtype=weights.dtype)
    jitter = 0.5 if generator is None else _uniform((len(weights), count), weights, generator)
    place = ((steps + jitter) / count).expand(len(weights), count).contiguous()
    piece = torch.searchsorted(cdf, place, right=True).sub(1).clamp(0, weights.shape[1] - 1)
    low, high = cdf.gather(1, piece), cdf.gather(1, piece + 1)
    fraction = ((place - low) / (high - low).clamp_min(1e-9)).clamp(0.0, 1.0)
    start, end = samples.edges.gather(1, piece), samples.edges.gather(1, piece + 1)
    return start + fraction * (end - start)


def merged(samples: Samples, distances: Float[Tensor, "r n"]) -> tuple[Samples, Int[Tensor, "r m"]]:
    """All samples in order, and the index in [samples, distances] that each came from.

    The edges between them are halfway; the first and the last stay where they were.
    """
    both, order = torch.cat([samples.distances, distances], dim=1).sort(dim=1)
    between = 0.5 * (both[:, 1:] + both[:, :-1])
    edges = torch.cat([samples.edges[:, :1], between, samples.edges[:, -1:]], dim=1)
    return Samples(both, edges), order


def _uniform(shape: tuple[int, int], like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.rand(shape, generator=generator, device=generator.device).to(like)
