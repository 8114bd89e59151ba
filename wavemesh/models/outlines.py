"""Whether silhouettes of one object can belong together: how far rays through each pass the others.

A ray through a pixel of one silhouette meets the object, so some place on it lies inside all other silhouettes. With
wrong cameras it passes them, and how far tells which way to move the cameras (silhouette coherence, Hernández et al.
2007, doi:10.1109/TPAMI.2007.42). Everything is computed for several sets of cameras at once, which gives derivatives by
differences and hypotheses side by side.

Cameras are rows of five numbers (`PARAMETERS`): azimuth and elevation in radians, the logarithm of focal length over
distance, and the two offsets in NDC. Distances stay as they are.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from wavemesh.geometry.camera import Camera

PARAMETERS = 5
OPAQUE = 0.5
HALF_DIAGONAL = 1.45  # how far from the world's origin rays are looked at: objects have a longest side of 1.8
STEPS = 40
ZOOM = 4.0  # how much finer each further look around the best place is
_AROUND = 9  # places of a further look


def to_parameters(cameras: Sequence[Camera]) -> Float[Tensor, "n 5"]:
    """The rows of numbers of cameras."""
    rows = [
        (math.radians(c.azimuth_deg), math.radians(c.elevation_deg), math.log(c.focal / c.distance), *c.offset)
        for c in cameras
    ]
    return torch.tensor(rows, dtype=torch.float32)


def to_cameras(parameters: Float[Tensor, "n 5"], like: Sequence[Camera]) -> list[Camera]:
    """The cameras of rows of numbers; their distances are those of `like`."""
    cameras = []
    for (azimuth, elevation, scale, x, y), old in zip(parameters.tolist(), like, strict=True):
        elevation_deg = max(-89.0, min(89.0, math.degrees(elevation)))
        fov_deg = math.degrees(2.0 * math.atan(1.0 / (math.exp(scale) * old.distance)))
        cameras.append(Camera(math.degrees(azimuth), elevation_deg, old.distance, fov_deg, (x, y)))
    return cameras


def camera_axes(parameters: Float[Tensor, "*n 5"]) -> Float[Tensor, "*n 3 3"]:
    """Right, up and backward of cameras as rows, as `Camera.camera_to_world` has them in columns."""
    sin_a, cos_a = parameters[..., 0].sin(), parameters[..., 0].cos()
    sin_e, cos_e = parameters[..., 1].sin(), parameters[..., 1].cos()
    right = torch.stack([cos_a, torch.zeros_like(cos_a), -sin_a], dim=-1)
    up = torch.stack([-sin_a * sin_e, cos_e, -cos_a * sin_e], dim=-1)
    backward = torch.stack([sin_a * cos_e, sin_e, cos_a * cos_e], dim=-1)
    return torch.stack([right, up, backward], dim=-2)


class Outlines:
    """The silhouettes of N views of one object as signed distances, with a sample of their pixels.

    alphas: (N, s, s) in [0, 1]. distances: of the cameras. rim, inner: how many pixels of each are looked at, along
    the outline and inside it.
    """

    def __init__(self, alphas: Float[np.ndarray, "n s s"], distances: Sequence[float], rim: int, inner: int) -> None:
        self.views, size = len(alphas), alphas.shape[-1]
        self.pixel = 2.0 / size
        signed = np.stack([_signed_distance(alpha >= OPAQUE) * self.pixel for alpha in alphas])
        self.distances = torch.tensor(distances, dtype=torch.float32)
        # NDC's y points up and grid_sample's down.
        self.maps = torch.from_numpy(signed)[:, None].flip(-2).contiguous()
        places = [_places(each, self.pixel, rim, inner) for each in signed]
        self.places = torch.tensor(np.stack(places), dtype=torch.float32)
        self.others = ~torch.eye(self.views, dtype=torch.bool)

    def of_views(self, views: Sequence[int]) -> Outlines:
        """The silhouettes of some of the views."""
        some = copy.copy(self)
        some.views = len(views)
        some.maps, some.places, some.distances = (
            each[list(views)] for each in (self.maps, self.places, self.distances)
        )
        some.others = ~torch.eye(some.views, dtype=torch.bool)
        return some

    def project(self, cameras: Float[Tensor, "b n 5"], points: Float[Tensor, "b #n k 3"]) -> Float[Tensor, "b n k 2"]:
        """NDC of points in every view."""
        local = points @ camera_axes(cameras).transpose(-1, -2)
        depth = (self.distances[:, None] - local[..., 2]).clamp_min(0.1)
        focal = (cameras[..., 2].exp() * self.distances)[..., None]
        return local[..., :2] * (focal / depth)[..., None] + cameras[..., None, 3:]

    def inside(self, ndc: Float[Tensor, "b n k 2"]) -> Float[Tensor, "b n k"]:
        """How far inside the silhouettes places of the pictures lie, in NDC, negative outside.

        Beyond the frame everything may be solid where a silhouette touches the border, and nothing elsewhere.
        """
        sets, views, count, _ = ndc.shape
        grid = ndc.transpose(0, 1).reshape(views, 1, sets * count, 2)
        depth = F.grid_sample(self.maps, grid, padding_mode="border", align_corners=False)
        depth = depth.view(views, sets, count).transpose(0, 1)
        return torch.where(depth < 0.0, depth - (ndc - ndc.clamp(-1.0, 1.0)).norm(dim=-1), depth)

    def rays(self, cameras: Float[Tensor, "b n 5"]) -> tuple[Float[Tensor, "b n 1 3"], Float[Tensor, "b n m 3"]]:
        """Origins and unit directions of the rays through the sampled pixels."""
        axes = camera_axes(cameras)
        focal = (cameras[..., 2].exp() * self.distances)[..., None, None]
        local = (self.places - cameras[..., None, 3:]) / focal
        directions = F.normalize(torch.cat([local, -torch.ones_like(local[..., :1])], dim=-1), dim=-1) @ axes
        return (axes[..., 2, :] * self.distances[:, None])[..., None, :], directions

    def misses(self, cameras: Float[Tensor, "b n 5"], along: Float[Tensor, "b n m s"]) -> Float[Tensor, "b n m s n2"]:
        """How far outside the other silhouettes the places at these distances along the rays lie, in NDC."""
        origins, directions = self.rays(cameras)
        points = origins[..., None, :] + directions[..., None, :] * along[..., None]
        inside = self.inside(self.project(cameras, points.flatten(1, 3).unsqueeze(1)))
        outside = (-inside).clamp_min(0.0).unflatten(2, along.shape[1:])
        return outside.permute(0, 2, 3, 4, 1) * self.others[:, None, None]

    def nearest(
        self, cameras: Float[Tensor, "b n 5"], looks: int = 3, steps: int = STEPS
    ) -> tuple[Float[Tensor, "b n m"], Float[Tensor, "b n m"]]:
        """Where along each ray it comes nearest to being inside all others, and the sum of squares of what is left."""
        step = 2.0 * HALF_DIAGONAL / (steps - 1)
        along = self.distances[:, None, None] + torch.linspace(-HALF_DIAGONAL, HALF_DIAGONAL, steps)
        along = along.expand(len(cameras), -1, self.places.shape[1], -1)
        for look in range(looks):
            least, place = self.misses(cameras, along).square().sum(dim=-1).min(dim=-1, keepdim=True)
            best = along.gather(-1, place)
            if look < looks - 1:
                along, step = best + torch.linspace(-1.0, 1.0, _AROUND) * step, step / ZOOM
        return best[..., 0], least[..., 0]

    def agreement(self, cameras: Float[Tensor, "n 5"]) -> list[float]:
        """The share of each view's sampled pixels that all other views have room for, within a pixel."""
        _, missed = self.nearest(cameras[None])
        return (missed[0].sqrt() < self.pixel).float().mean(dim=1).tolist()


def _signed_distance(mask: Bool[np.ndarray, "s s"]) -> Float[np.ndarray, "s s"]:
    """Distance to the outline in pixels, positive inside."""
    if mask.all() or not mask.any():
        return np.full(mask.shape, mask.shape[0] if mask.any() else -mask.shape[0], np.float32)
    inside, outside = (
        cv2.distanceTransform(each.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) for each in (mask, ~mask)
    )
    return np.where(mask, inside - 0.5, 0.5 - outside).astype(np.float32)


def _places(signed: Float[np.ndarray, "s s"], pixel: float, rim: int, inner: int) -> Float[np.ndarray, "m 2"]:
    """NDC of some pixels of a silhouette, as many along its outline and inside it as asked for."""
    at_rim = (signed > 0.0) & (signed < 1.6 * pixel)
    found = []
    for chosen, count in ((at_rim, rim), (signed >= 1.6 * pixel, inner)):
        rows, columns = np.nonzero(chosen if chosen.any() else at_rim)
        if not len(rows):
            found.append(np.zeros((count, 2)))
            continue
        some = np.linspace(0, len(rows) - 1, count).astype(int)
        found.append(np.stack([(columns[some] + 0.5) * pixel - 1.0, 1.0 - (rows[some] + 0.5) * pixel], axis=1))
    return np.concatenate(found)
