"""A solid from a single silhouette alone: as deep as it is wide.

The union of the largest balls that fit into the silhouette around each of its pixels, their centres on an upright plane
through the origin. About their plane of symmetry bodies, limbs and trunks are much like that (Teddy, Igarashi et al.
1999, makes its solids so); furniture is not. It is the second opinion where a network that has seen other kinds of
things is unsure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from scipy import ndimage
from torch import Tensor

from wavemesh.geometry.camera_tensors import project_points
from wavemesh.models.posed_pictures import PosedPictures
from wavemesh.models.projection import grid_points, sample_maps

_SIZE = 64  # pixels of the silhouette whose balls are found
_OPAQUE = 0.5
_UPRIGHT = 0.6  # of the cosine of the elevation: from higher up it is the picture's own plane
# The sine of the least angle between plane and camera: what is seen edge-on shows no silhouette to inflate.
LEAST_SLANT = 0.4
Normal = tuple[float, float, float]
FACING: Normal = (0.0, 0.0, 0.0)  # stands for the upright plane that faces the camera
# The planes that the symmetry head answers for, in its order.
PLANES: tuple[Normal, ...] = ((1.0, 0.0, 0.0), (0.0, 0.0, 1.0), FACING)
PLANE_NAMES = ("sides", "depths", "facing")  # what lies on both sides of each, as runs tell it
# From these on a silhouette is inflated: what is thin has a smaller IoU, and of furniture the network is surer.
EXPECTED, DOUBT = 0.2, 0.175
SHARE = 0.55  # of the inflated field in its mean with the network's


class Balls(NamedTuple):
    """Of each pixel the ball that reaches highest over it: power (radius^2 - distance^2 in the picture's plane), radius
    and the row and column of its centre, (h, w) float32 each, in pixels.
    """

    power: np.ndarray
    radius: np.ndarray
    row: np.ndarray
    column: np.ndarray


def plane_to_inflate_about(inflated: Sequence[float], doubt: float, always: bool = False) -> Normal | None:
    """The plane of `PLANES` about which an inflated silhouette is most like the object, None where the network knows
    better.

    inflated: for each plane the IoU that is expected. doubt: of the network, the mean spread of its depths in world
    units. always: also where the network knows better.
    """
    # Of equals the one that faces the camera.
    best = max(reversed(range(len(PLANES))), key=lambda place: inflated[place])
    return PLANES[best] if always or (inflated[best] >= EXPECTED and doubt >= DOUBT) else None


def inflated_field(
    pictures: PosedPictures, normal: Normal, resolution: int, truncation: float
) -> Float[Tensor, "n n n"]:
    """The truncated distance to the solid, negative inside, in the centres of n^3 = resolution^3 cells.

    pictures: of a single object; the first one counts. normal: level, of the plane through the origin that the balls
    stand on, or FACING, which is taken for a plane seen edge-on too. From above it is the picture's own plane.
    truncation: world units. It is exact where one ball decides.
    """
    alpha, pose, intrinsics = pictures.alpha[0, 0], pictures.poses[0, 0].float(), pictures.intrinsics[0, 0].float()
    fine = F.interpolate(alpha[None].float(), (2 * _SIZE, 2 * _SIZE), mode="area")[0, 0] > _OPAQUE
    power, radius, row, column = (torch.from_numpy(part).to(pose) for part in largest_balls(fine.cpu().numpy()))
    pixel = 2.0 * pose[:, 3].norm() / (intrinsics[0] * _SIZE)
    places = torch.stack([(column + 0.5) / _SIZE * 2.0 - 1.0, 1.0 - (row + 0.5) / _SIZE * 2.0])
    middle = _depth_of_plane((places - intrinsics[1:, None, None]) / intrinsics[0], pose, normal)
    maps = torch.stack([power * pixel**2, radius * pixel, middle])
    ndc, depth = project_points(grid_points(resolution, 0.0, pose.device), pose[None], intrinsics[None])
    power, radius, middle = sample_maps(maps[None], ndc, padding="border")[0]
    inside = power - (depth[0] - middle).square()  # the largest radius^2 - distance^2 of all balls
    field = -inside / ((radius.square() - inside).clamp_min(0.0).sqrt() + radius).clamp_min(1e-6)
    # What the picture's border cuts ends there.
    field = torch.maximum(field, (ndc[0].abs().amax(dim=1) - 1.0) * pixel * _SIZE / 2.0)
    return field.clamp(-truncation, truncation).view(resolution, resolution, resolution)


def largest_balls(mask: Bool[np.ndarray, "s s"]) -> Balls:
    """The balls over a square mask in pixels of twice its own, one around each of these where the mask is.

    They are as large as the background allows; what lies beyond the border continues as it is there, and no radius is
    larger than the picture.
    """
    size, beyond = len(mask) // 2, len(mask) // 4
    wide = np.pad(mask, 2 * beyond, mode="edge")
    inner = slice(beyond, beyond + size)
    # To the middle between an outer pixel and the background's.
    fine = np.full(wide.shape, np.inf) if wide.all() else ndimage.distance_transform_edt(wide) - 0.5
    radius = (fine / 2.0).reshape(len(wide) // 2, 2, -1, 2).max(axis=(1, 3)).clip(max=size).astype(np.float32)
    rows, columns = np.indices(radius.shape, dtype=np.float32)
    nowhere = -(np.float32(2 * size) ** 2)  # lower than any ball reaches
    parts = [np.where(radius > 0, np.square(radius), nowhere), radius, rows, columns]
    # The largest of radius^2 - rows^2 - columns^2, one axis after the other.
    places = np.arange(len(radius), dtype=np.float32)
    away = ((places[:, None] - places[None]) ** 2)[:, :, None]
    for _ in range(2):
        powers = parts[0][:, None] - away  # of (from, to, other axis)
        source = powers.argmax(axis=0)[None]
        parts[0] = powers
        parts = [
            np.take_along_axis(part, source, axis=0)[0].T
            if part.ndim == 3
            else np.take_along_axis(part, source[0], axis=0).T
            for part in parts
        ]
    power, radius, rows, columns = (np.ascontiguousarray(part[inner, inner]) for part in parts)
    return Balls(power, radius, rows - beyond, columns - beyond)


def _depth_of_plane(across: Float[Tensor, "2 h w"], pose: Float[Tensor, "3 4"], normal: Normal) -> Float[Tensor, "h w"]:
    """How deep rays meet a plane through the origin. across: how far they lead right and up in a depth of one."""
    position = pose[:, 3]
    distance = position.norm()
    level = position * position.new_tensor([1.0, 0.0, 1.0])
    if level.norm() < _UPRIGHT * distance:
        return distance.expand(across.shape[1:])
    asked = position.new_tensor(normal)
    slant = asked @ level / level.norm()
    upright = asked * slant.sign() if slant.abs() >= LEAST_SLANT else level / level.norm()
    rays = torch.einsum("ij,jhw->ihw", pose[:, :2], across) - pose[:, 2, None, None]
    # A ray that leads along the plane meets it nowhere.
    towards = -torch.einsum("i,ihw->hw", upright, rays)
    return (position @ upright) / towards.clamp_min(0.1)
