"""Cameras of several pictures refined together, so that silhouettes and the predicted shape agree.

Levenberg-Marquardt over five numbers a view (`models/outlines.py`). Three things are weighed: rays through a silhouette
should meet what the others leave (`Outlines.misses`); the rim of the predicted shape should lie on each outline; and
every number should stay near its first value, by the errors that first values of its kind have. The world's own place
and unit, which silhouettes leave open, follow from the first values and the predicted shape.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from wavemesh.geometry.camera import Camera
from wavemesh.models.outlines import PARAMETERS, Outlines, camera_axes, to_cameras, to_parameters

# Typical errors: azimuth and elevation in degrees, logarithm of the scale, offsets in NDC.
ESTIMATED = (5.0, 3.0, 0.03, 0.03, 0.03)
GIVEN = (1.5, 1.5, 0.015, 0.015, 0.015)
AGREES = 0.95  # silhouettes bind if they have room for this share of each other
RIM, INNER = 64, 16  # pixels looked at of each silhouette
ITERATIONS, FIELDS = 12, 2
NOISE = 1.5  # pixels: what an outline is off by itself
FIRM = 3.0  # deviations from which on a ray that passes the others counts linearly
WEIGHT = 64.0  # what all rays of a view are worth, in independent measurements; its rim is worth as much
_STEP = 0.05  # of a deviation, for derivatives
_ALONG = 0.004  # the same along rays, world units
_RIM_PIXELS = 48  # the predicted shape is looked at with as many a side
# World units that predicted shapes are too thin by on every side: of the bundled weights with true cameras, .02 to .03.
INSET = 0.025
_THICKNESS = 0.06  # world units: places of a field nearer to its surface than this are its rim

PredictField = Callable[[list[Camera]], Tensor]


@dataclass(frozen=True)
class Refinement:
    """Refined cameras.

    before, after: how much of each silhouette the others had room for and have now, 0 to 1. agrees: which silhouettes
    fit each other.
    """

    cameras: list[Camera]
    before: tuple[float, ...]
    after: tuple[float, ...]
    agrees: tuple[bool, ...]


@dataclass(frozen=True)
class Rims:
    """Points (n, m, 3) where each view's rays graze a predicted shape, and how far outside the true one they should be,
    (n, m) NDC.

    weight: (n, m), 0 where a view sees no rim.
    """

    points: Tensor
    height: Tensor
    weight: Tensor


def refine_cameras(
    alphas: Float[np.ndarray, "n s s"],
    cameras: Sequence[Camera],
    given: Sequence[bool],
    predict_field: PredictField | None = None,
) -> Refinement:
    """The cameras moved, within what is known of them, to where silhouettes and predicted shape agree.

    alphas: the silhouettes, in [0, 1]. given: which cameras somebody gave; they move little, and not at all where all
    cameras are given and agree. predict_field: the field (k, k, k) that cameras lead to, negative inside, with values
    in the centres of its cells; without it the silhouettes decide alone. Same input, same result.
    """
    outlines = Outlines(alphas, [camera.distance for camera in cameras], RIM, INNER)
    first = to_parameters(cameras)
    before = tuple(outlines.agreement(first))
    if len(cameras) == 1 or (all(given) and min(before) >= AGREES):
        return Refinement(list(cameras), before, before, (True,) * len(cameras))
    start = Start(first, list(given))
    found = Solver(outlines, start).solve(first)
    used = agreeing_views(outlines, found)
    if len(used) < len(cameras):
        # What contradicts the others must not move them.
        found = first.clone()
        if used:
            found[used] = Solver(outlines.of_views(used), start.of_views(used)).solve(first[used])
    for _ in range(FIELDS if predict_field is not None and used else 0):
        assert predict_field is not None
        field = predict_field(to_cameras(found, cameras)).float().cpu()
        some = outlines.of_views(used)
        rims = field_rims(some, found[used], field)
        found[used] = Solver(some, start.of_views(used), rims).solve(found[used])
    moved = to_cameras(found, cameras)
    result = [new if index in used else old for index, (new, old) in enumerate(zip(moved, cameras, strict=True))]
    binding = [used[k] for k in agreeing_views(outlines.of_views(used), found[used])] if used else []
    agrees = tuple(index in binding for index in range(len(cameras)))
    return Refinement(result, before, tuple(outlines.agreement(found)), agrees)


def agreeing_views(outlines: Outlines, cameras: Float[Tensor, "n 5"]) -> list[int]:
    """The largest set of views that is found to agree, none if no two do.

    One after the other is left out, the one without which the others agree best.
    """

    def least(views: list[int]) -> float:
        return min(outlines.of_views(views).agreement(cameras[views]))

    views = list(range(outlines.views))
    while least(views) < AGREES:
        if len(views) == 2:
            return []
        views = max((views[:k] + views[k + 1 :] for k in range(len(views))), key=least)
    return views


@dataclass(frozen=True)
class Start:
    """The first values of cameras, and which somebody gave: those are firm, while an estimate may be all wrong."""

    cameras: Float[Tensor, "n 5"]
    given: list[bool]

    def of_views(self, views: Sequence[int]) -> Start:
        """Those of some of the views."""
        return Start(self.cameras[list(views)], [self.given[index] for index in views])

    @property
    def tolerance(self) -> Float[Tensor, "n 5"]:
        """Typical errors."""
        tolerance = torch.tensor([GIVEN if each else ESTIMATED for each in self.given])
        tolerance[:, :2] *= math.pi / 180.0
        return tolerance

    def cost(self, away: Float[Tensor, "n 5"]) -> tuple[Tensor, Tensor]:
        """What it costs to be so many tolerances away, and the weight of its square in least squares."""
        squared, firm = away.square(), torch.tensor(self.given)[:, None]
        cost = torch.where(firm, squared, _cauchy(squared))
        return cost.sum(), torch.where(firm, 1.0, 1.0 / (1.0 + squared / 4.0))


class Solver:
    """The least squares of one set of pictures. rims: of the predicted shape."""

    def __init__(self, outlines: Outlines, start: Start, rims: Rims | None = None) -> None:
        self.outlines, self.start, self.rims = outlines, start, rims
        self.tolerance = start.tolerance
        self.noise = NOISE * outlines.pixel
        self.weight = WEIGHT / outlines.places.shape[1]
        self.unknowns = outlines.views * PARAMETERS

    def solve(self, start: Float[Tensor, "n 5"], iterations: int = ITERATIONS) -> Float[Tensor, "n 5"]:
        """The cameras of least cost near `start`."""
        cameras, damping = start, 1e-2
        along, cost = self.cost(cameras)
        for _ in range(iterations):
            normal, slope = self.normal_equations(cameras, along)
            for _ in range(4):
                step = torch.linalg.solve(normal + damping * torch.diag(normal.diagonal() + 1e-6), -slope)
                moved = cameras + (step.view_as(cameras) * _STEP).float() * self.tolerance
                moved_along, moved_cost = self.cost(moved)
                if moved_cost < cost:
                    break
                damping *= 5.0
            else:
                return cameras
            settled = cost - moved_cost < 1e-3 * cost
            cameras, along, cost, damping = moved, moved_along, moved_cost, max(damping / 3.0, 1e-4)
            if settled:
                break
        return cameras

    def cost(self, cameras: Float[Tensor, "n 5"]) -> tuple[Float[Tensor, "1 n m"], float]:
        """Where each ray comes nearest to the others, and the sum of all that is weighed."""
        along, missed = self.outlines.nearest(cameras[None])
        squared = missed / self.noise**2
        linear = 2.0 * FIRM * squared.clamp_min(1e-12).sqrt() - FIRM**2
        total = self.weight * torch.where(squared < FIRM**2, squared, linear).sum()
        total = total + self.start.cost((cameras - self.start.cameras) / self.tolerance)[0]
        if self.rims is not None:
            total = total + self.weight * _cauchy((self.off_rims(cameras[None])[0] / self.noise).square()).sum()
        return along, float(total)

    def normal_equations(self, cameras: Tensor, along: Tensor) -> tuple[Float[Tensor, "k k"], Float[Tensor, " k"]]:
        """Matrix and right side of the linearised problem, in steps of _STEP tolerances."""
        steps = torch.eye(self.unknowns).view(-1, *cameras.shape) * (self.tolerance * _STEP)
        moved = torch.cat([cameras[None], cameras + steps])
        missed = self.outlines.misses(moved, along.expand(len(moved), -1, -1)[..., None])[..., 0, :]
        ends = self.outlines.misses(cameras.expand(2, -1, -1), torch.cat([along + _ALONG, along - _ALONG])[..., None])[
            ..., 0, :
        ]
        ahead, now = (ends[0] - ends[1]) / (2.0 * _ALONG), missed[0]
        change = missed[1:] - now
        # The place along the ray follows by itself: what it makes up for is no constraint (variable projection).
        share = (change * ahead).sum(dim=-1, keepdim=True) / (ahead.square().sum(dim=-1, keepdim=True) + 1e-3)
        change = change - share * ahead
        size = now.square().sum(dim=-1, keepdim=True).sqrt() / self.noise
        firmness = (FIRM / size.clamp_min(FIRM)) * self.weight / self.noise**2
        normal, slope = _accumulated(change, now, firmness.expand_as(now))
        if self.rims is not None:
            off = self.off_rims(moved)
            trust = self.weight / (1.0 + (off[0] / self.noise).square() / 4.0) / self.noise**2
            more = _accumulated(off[1:] - off[0], off[0], trust)
            normal, slope = normal + more[0], slope + more[1]
        away = (cameras - self.start.cameras) / self.tolerance
        hold = self.start.cost(away)[1].flatten().double()
        return normal + torch.diag(hold * _STEP**2), slope + hold * away.flatten().double() * _STEP

    def off_rims(self, cameras: Float[Tensor, "b n 5"]) -> Float[Tensor, "b n m"]:
        """How far the predicted shape's rims lie inside the outlines, in NDC."""
        assert self.rims is not None
        depth = self.outlines.inside(self.outlines.project(cameras, self.rims.points.expand(len(cameras), -1, -1, -1)))
        return (depth + self.rims.height) * self.rims.weight


def _cauchy(squared: Tensor) -> Tensor:
    """The cost of squared deviations from which errors far out hardly count (Cauchy's, of scale 2)."""
    return 4.0 * torch.log1p(squared / 4.0)


def _accumulated(change: Tensor, now: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Normal matrix and slope of residuals `now` that change by the rows of `change`."""
    rows, weighted = change.flatten(1).double(), weight.flatten().double()
    return (rows * weighted) @ rows.T, (rows * weighted) @ now.flatten().double()


def field_rims(outlines: Outlines, cameras: Float[Tensor, "n 5"], field: Float[Tensor, "k k k"]) -> Rims:
    """Where the rays of each view graze the surface of a field."""
    axis = (torch.arange(_RIM_PIXELS) + 0.5) * 2.0 / _RIM_PIXELS - 1.0
    pixels = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), dim=-1).view(-1, 2)
    steps = torch.linspace(-1.5, 1.5, 96)
    count = outlines.places.shape[1]
    found = []
    for camera, distance in zip(cameras, outlines.distances, strict=True):
        axes, scale = camera_axes(camera), float(camera[2].exp())
        local = (pixels - camera[3:]) / (scale * distance)
        directions = F.normalize(torch.cat([local, -torch.ones_like(local[:, :1])], dim=1), dim=1) @ axes
        points = axes[2] * distance + directions[:, None] * (distance + steps)[:, None]
        values = F.grid_sample(field[None, None], points.flip(-1)[None, None], align_corners=False)[0, 0, 0]
        least, place = values.masked_fill((points.abs() > 1.0).any(dim=-1), torch.inf).min(dim=1)
        hit = (least < 0.0).view(1, 1, _RIM_PIXELS, _RIM_PIXELS).float()
        edge = F.max_pool2d(hit, 3, 1, 1) + F.max_pool2d(-hit, 3, 1, 1) > 0.0
        at_rim = (edge.flatten() & (least.abs() < min(_THICKNESS, 1.6 / _RIM_PIXELS / scale))).nonzero().flatten()
        if not len(at_rim):
            found.append((torch.zeros(count, 3), torch.zeros(count), torch.zeros(count)))
            continue
        some = at_rim[torch.linspace(0, len(at_rim) - 1, count).long()]
        found.append((points[some, place[some]], (least[some] - INSET) * scale, torch.ones(count)))
    return Rims(*(torch.stack(part) for part in zip(*found, strict=True)))
