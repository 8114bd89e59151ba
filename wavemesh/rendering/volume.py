"""Volume rendering of any field of colour and density over [-1, 1]^3: rays, samples, absorption, background.

It knows nothing of triplanes: a field is a function from points (n, 3) to colours (n, 3) and densities (n,) per world
unit. `models/triplane_renderer.py` renders through it, training and pictures alike. Where the densities of a grid are
known (`rendering/occupancy.py`), empty space and hidden places are never evaluated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from wavemesh.errors import InputError
from wavemesh.rendering.occupancy import OccupancyGrid
from wavemesh.rendering.rays import (
    Rays,
    Samples,
    camera_rays,
    importance_distances,
    intersect_box,
    merged,
    stratified_samples,
)

Field = Callable[[Tensor], tuple[Tensor, Tensor]]
Background = str | Sequence[float]

BACKGROUNDS = {"white": (1.0, 1.0, 1.0), "black": (0.0, 0.0, 0.0)}
# A sample on its way through the renderer: point, cell, colour, density, weight and their like.
_BYTES_PER_SAMPLE = 96
# What a field computes for so many points stays in a CPU's cache, which makes it three times as fast.
_CACHED_POINTS = 2**15
# Below this opacity a pixel has no depth.
_SEEN = 0.5


@dataclass(frozen=True)
class RenderedRays:
    """What rays see: rgb (r, 3) premultiplied by opacity (r,) in [0, 1], and the mean distance (r,) of what they see.

    The distance is 0 where the opacity is.
    """

    rgb: Tensor
    opacity: Tensor
    distance: Tensor


@dataclass(frozen=True)
class RenderedImage:
    """A picture: rgb (3, s, s) premultiplied, opacity (s, s), depth (s, s) along the viewing direction.

    The depth is infinite where less than half of the light is absorbed, as in the pictures of meshes.
    """

    rgb: Tensor
    opacity: Tensor
    depth: Tensor

    def over(self, background: Background) -> Float[Tensor, "c s s"]:
        """The picture over a background: (3, s, s), or (4, s, s) with straight alpha if it is "transparent"."""
        colour = background_colour(background)
        if colour is None:
            straight = self.rgb / self.opacity.clamp_min(1e-6)
            return torch.cat([straight.clamp(0.0, 1.0), self.opacity.unsqueeze(0)])
        behind = torch.tensor(colour, device=self.rgb.device, dtype=self.rgb.dtype).view(3, 1, 1)
        return self.rgb + (1.0 - self.opacity) * behind


def background_colour(background: Background) -> tuple[float, ...] | None:
    """The colour in [0, 1] that a background means, None for "transparent". Raises InputError for anything else."""
    if isinstance(background, str):
        if background == "transparent":
            return None
        if background in BACKGROUNDS:
            return BACKGROUNDS[background]
    elif len(background) == 3 and all(0.0 <= float(value) <= 1.0 for value in background):
        return tuple(float(value) for value in background)
    known = ", ".join([*BACKGROUNDS, "transparent"])
    raise InputError(f"A background is {known} or three numbers in [0, 1], not {background!r}.")


def composite(rgb: Float[Tensor, "r s 3"], density: Float[Tensor, "r s"], samples: Samples) -> RenderedRays:
    """What rays see, by emission and absorption (Max 1995); exact where each piece has one density and colour."""
    weights = absorption_weights(density, samples)
    opacity = weights.sum(dim=1)
    distance = (weights * samples.distances).sum(dim=1) / opacity.clamp_min(1e-6)
    return RenderedRays((weights[..., None] * rgb).sum(dim=1), opacity, distance)


def absorption_weights(density: Float[Tensor, "r s"], samples: Samples) -> Float[Tensor, "r s"]:
    """The share of a ray's light that each sample contributes."""
    depth = density * samples.lengths
    before = depth.cumsum(dim=1) - depth
    return -torch.expm1(-depth) * torch.exp(-before)


def render_rays(
    field: Field,
    rays: Rays,
    num_samples: int = 64,
    importance: int = 0,
    occupancy: OccupancyGrid | None = None,
    generator: torch.Generator | None = None,
    max_points: int = 2**18,
) -> RenderedRays:
    """What rays see of a field in [-1, 1]^3; differentiable, through the field and not through the rays' samples.

    num_samples: on each ray, one in each of as many equal pieces. importance: further ones where the first absorbed
    light. occupancy: of the field; samples that it shows to be empty or hidden are not evaluated. generator: places
    samples at random in their pieces, None in the middle. max_points: evaluated at once; with gradients and more
    points than that, they are evaluated again for the gradient instead of kept.
    """
    if num_samples < 1 or importance < 0 or max_points < 1:
        raise InputError(
            f"Rendering needs samples and points of at least 1 and importance of at least 0, "
            f"not {num_samples}, {max_points} and {importance}."
        )
    # Where something is known to be, a ray's samples go between the borders of that: rays beside it cost nothing.
    near, far = intersect_box(rays) if occupancy is None else intersect_box(rays, occupancy.low, occupancy.high)
    hit = (far > near).nonzero().flatten()
    empty = rays.origins.new_zeros(len(rays), 5)
    if len(hit) == 0:
        return RenderedRays(empty[:, :3], empty[:, 3], empty[:, 4])
    part = rays[hit]
    samples = stratified_samples(near[hit], far[hit], num_samples, generator)
    seen = None if occupancy is None else occupancy.visible_samples(part, samples)
    rgb, density = _evaluate(field, part.at(samples.distances), seen, max_points)
    if importance:
        more = importance_distances(samples, absorption_weights(density, samples), importance, generator)
        samples, order = merged(samples, more)
        if occupancy is not None:
            seen = occupancy.visible_samples(part, samples).gather(1, order.argsort(dim=1)[:, num_samples:])
        more_rgb, more_density = _evaluate(field, part.at(more), seen, max_points)
        density = torch.cat([density, more_density], dim=1).gather(1, order)
        rgb = torch.cat([rgb, more_rgb], dim=1).gather(1, order[..., None].expand(-1, -1, 3))
    result = composite(rgb, density, samples)
    values = torch.cat([result.rgb, result.opacity[:, None], result.distance[:, None]], dim=1)
    full = empty.index_copy(0, hit, values.to(empty.dtype))
    return RenderedRays(full[:, :3], full[:, 3], full[:, 4])


def render_image(
    field: Field,
    camera_to_world: Float[Tensor, "3 4"],
    intrinsics: Float[Tensor, "3"],
    size: int,
    num_samples: int = 64,
    importance: int = 0,
    occupancy: OccupancyGrid | None = None,
    generator: torch.Generator | None = None,
    memory_budget_mb: float = 256.0,
    bytes_per_point: int = 2048,
) -> RenderedImage:
    """A picture of size x size of a field, rendered in parts so that the memory it takes stays within the budget.

    bytes_per_point: that the field needs for each point it evaluates. With gradients the samples of the whole picture
    are kept, and only what the field computes in between is bounded. The other arguments are those of `render_rays`.
    Raises InputError for a budget that is not positive.
    """
    if not memory_budget_mb > 0.0:
        raise InputError(f"The memory budget must be above 0 MB, not {memory_budget_mb}.")
    rays = camera_rays(camera_to_world, intrinsics, size)
    # Half for the samples on their way, half for the field.
    half = memory_budget_mb * 2**19
    rays_at_once = max(1, int(half / (_BYTES_PER_SAMPLE * max(1, num_samples + importance))))
    max_points = max(1, int(half / bytes_per_point))
    parts = [
        render_rays(
            field, rays[start : start + rays_at_once], num_samples, importance, occupancy, generator, max_points
        )
        for start in range(0, len(rays), rays_at_once)
    ]
    rgb = torch.cat([part.rgb for part in parts]).T.reshape(3, size, size)
    opacity = torch.cat([part.opacity for part in parts])
    forward = -camera_to_world[:, 2].to(rays.directions)
    depth = torch.cat([part.distance for part in parts]) * (rays.directions @ forward)
    depth = torch.where(opacity > _SEEN, depth, torch.inf)
    return RenderedImage(rgb, opacity.view(size, size), depth.view(size, size))


def _evaluate(
    field: Field, points: Float[Tensor, "r s 3"], seen: Bool[Tensor, "r s"] | None, max_points: int
) -> tuple[Float[Tensor, "r s 3"], Float[Tensor, "r s"]]:
    """Colours and densities at the samples; nothing where they are not seen."""
    # Rounding may carry the last sample of a ray a little beyond the box.
    flat = points.reshape(-1, 3).clamp(-1.0, 1.0)
    index = None if seen is None else seen.flatten().nonzero().flatten()
    chosen = flat if index is None else flat[index]
    if len(chosen) == 0:
        return points.new_zeros(points.shape), points.new_zeros(points.shape[:2])
    if not torch.is_grad_enabled() and points.device.type == "cpu":
        max_points = min(max_points, _CACHED_POINTS)
    if len(chosen) > max_points and torch.is_grad_enabled():
        parts = [checkpoint(field, part, use_reentrant=False) for part in chosen.split(max_points)]
    else:
        parts = [field(part) for part in chosen.split(max_points)]
    rgb, density = torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])
    if index is not None:
        rgb = rgb.new_zeros(len(flat), 3).index_copy(0, index, rgb)
        density = density.new_zeros(len(flat)).index_copy(0, index, density)
    return rgb.view(points.shape), density.view(points.shape[:2])
