"""Augmentation that keeps shape, pictures and cameras consistent: quarter turns, mirroring, colours, masks.

Geometry changes are exact on the grid (a permutation of cells) and happen to the SDF before the wavelet transform,
since mirrored coefficients are not the coefficients of the mirror image. Pictures are the network's: RGB premultiplied
by alpha, alpha the fourth channel. Randomness comes from the generator that is handed in and nowhere else.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from wavemesh.imaging import CROP_MARGIN
from wavemesh.models.posed_pictures import PosedPictures
from wavemesh.models.symmetry import SIDES, mirrored_pictures

_LUMA = (0.299, 0.587, 0.114)
# What cameras of people's pictures are wrong by: degrees of azimuth and elevation, the logarithm of the distance, world
# units to the right and up. The levels that multiply them are spread evenly from 0 to the most.
_CAMERA_DEVIATIONS = (5.0, 4.0, 0.05, 0.03, 0.03)
_MOST_WRONG = 1.5


def turn_quarter(sdf: Float[Tensor, "*b x y z"], k: int) -> Float[Tensor, "*b x y z"]:
    """The field of the object turned about the vertical axis by k * 90 degrees, from +z towards +x.

    Views stay as they are, their cameras turn along: `turn_poses`, or `Camera.turned(90 * k)`.
    """
    return torch.rot90(sdf, -k, dims=(-3, -1))


def turn_poses(poses: Float[Tensor, "*b 3 4"], k: int) -> Float[Tensor, "*b 3 4"]:
    """The poses of cameras that turned with the object: azimuths grow by k * 90 degrees."""
    cosine, sine = ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))[k % 4]
    rotation = poses.new_tensor([[cosine, 0.0, sine], [0.0, 1.0, 0.0], [-sine, 0.0, cosine]])
    return rotation @ poses


def mirror(sdf: Float[Tensor, "*b x y z"]) -> Float[Tensor, "*b x y z"]:
    """The field of the mirror image: x becomes -x."""
    return sdf.flip(-3)


def mirror_views(
    images: Float[Tensor, "*b c h w"], poses: Float[Tensor, "*b 3 4"], intrinsics: Float[Tensor, "*b 3"]
) -> tuple[Float[Tensor, "*b c h w"], Float[Tensor, "*b 3 4"], Float[Tensor, "*b 3"]]:
    """The pictures of the mirror image with the cameras that take them.

    Any shapes before the last ones; see `models.symmetry.mirrored_pictures`.
    """
    mirrored = mirrored_pictures(PosedPictures(images, poses, intrinsics), SIDES)
    return mirrored.images, mirrored.poses, mirrored.intrinsics


def colour_jitter(
    images: Float[Tensor, "b v 4 h w"],
    generator: torch.Generator | None = None,
    brightness: float = 0.25,
    contrast: float = 0.25,
    saturation: float = 0.5,
    permute: float = 0.3,
) -> Float[Tensor, "b v 4 h w"]:
    """The pictures in other colours, the same change in all views of an object; alpha stays.

    brightness, contrast, saturation: factors are drawn from 1 - s to 1 + s. permute: the share of objects whose colour
    channels are shuffled, which turns hues into others at no cost.
    """
    count, device = len(images), images.device

    def factors(spread: float) -> Tensor:
        # Drawn on the CPU, so that a seed gives the same augmentation on every device.
        return (1.0 + spread * (2.0 * torch.rand(count, generator=generator) - 1.0)).to(device)[
            :, None, None, None, None
        ]

    rgb, alpha = images[:, :, :3], images[:, :, 3:]
    shuffled = torch.rand(count, generator=generator) < permute
    order = torch.rand(count, 3, generator=generator).argsort(dim=1)
    order = torch.where(shuffled[:, None], order, torch.arange(3)).to(device)
    rgb = rgb.gather(2, order[:, None, :, None, None].expand_as(rgb))
    grey = (rgb * rgb.new_tensor(_LUMA)[:, None, None]).sum(dim=2, keepdim=True)
    rgb = grey + (rgb - grey) * factors(saturation)
    # The mean over the object, not over the picture; premultiplied like everything here.
    mean = grey.sum(dim=(1, 2, 3, 4), keepdim=True) / alpha.sum(dim=(1, 2, 3, 4), keepdim=True).clamp_min(1e-6)
    rgb = (mean * alpha + (rgb - mean * alpha) * factors(contrast)) * factors(brightness)
    return torch.cat([rgb.clamp_min(0.0).minimum(alpha), alpha], dim=2)


def imperfect_masks(
    images: Float[Tensor, "b v 4 h w"], generator: torch.Generator | None = None, chance: float = 0.3
) -> Float[Tensor, "b v 4 h w"]:
    """The pictures as background removal leaves them: some masks eaten by a pixel, some with a rim of background.

    chance: the share of views that change, half of them either way.
    """
    draw = torch.rand(images.shape[:2], generator=generator).flatten().to(images.device)
    colours = torch.rand(len(draw), 3, generator=generator).to(images.device)[..., None, None]
    flat = images.flatten(0, 1).clone()
    eaten, rimmed = draw < chance / 2, (draw >= chance / 2) & (draw < chance)
    rgb, alpha = flat[eaten, :3], flat[eaten, 3:]
    # Padding of -inf in the pooling means that the picture's border does not eat into the mask.
    left = -functional.max_pool2d(-alpha, 3, stride=1, padding=1)
    flat[eaten] = torch.cat([rgb * (left / alpha.clamp_min(1e-6)), left], dim=1)
    rgb, alpha = flat[rimmed, :3], flat[rimmed, 3:]
    grown = functional.max_pool2d(alpha, 3, stride=1, padding=1)
    flat[rimmed] = torch.cat([rgb + (grown - alpha) * colours[rimmed], grown], dim=1)
    return flat.unflatten(0, images.shape[:2])


def estimated_cameras(
    poses: Float[Tensor, "b v 3 4"], intrinsics: Float[Tensor, "b v 3"], generator: torch.Generator, share: float
) -> tuple[Float[Tensor, "b v 3 4"], Float[Tensor, "b v 3"]]:
    """The cameras as they would be estimated: turned, raised, at another distance, beside the object.

    share: of the objects whose cameras change, each by little or much; those of its views change independently.
    """
    shape = poses.shape[:2]
    level = torch.rand(len(poses), 1, generator=generator) * _MOST_WRONG
    level = level * (torch.rand(len(poses), 1, generator=generator) < share)
    draws = torch.randn(*shape, len(_CAMERA_DEVIATIONS), generator=generator) * torch.tensor(_CAMERA_DEVIATIONS)
    azimuth, elevation, distance, *offset = (draws * level[..., None]).to(poses.device).unbind(dim=-1)
    up = poses.new_tensor([0.0, 1.0, 0.0]).expand(*shape, 3)
    turn = _rotations(up, azimuth.deg2rad()) @ _rotations(poses[..., 0], elevation.deg2rad())
    turned = turn @ poses
    moved = torch.cat([turned[..., :3], turned[..., 3:] * distance.exp()[..., None, None]], dim=-1)
    aside = torch.stack(offset, dim=-1) * intrinsics[..., :1] / moved[..., 3].norm(dim=-1, keepdim=True)
    return moved, torch.cat([intrinsics[..., :1], intrinsics[..., 1:] + aside], dim=-1)


def _rotations(axes: Float[Tensor, "*b 3"], angles: Float[Tensor, "*b"]) -> Float[Tensor, "*b 3 3"]:
    """Rotations about unit vectors."""
    x, y, z = axes.unbind(dim=-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).unflatten(-1, (3, 3))
    return torch.linalg.matrix_exp(cross * angles[..., None, None])


def object_windows(
    images: Float[Tensor, "b 4 s s"], intrinsics: Float[Tensor, "b 3"], margin: float = CROP_MARGIN
) -> tuple[Float[Tensor, "b 4 s s"], Float[Tensor, "b 3"]]:
    """The pictures cropped to their objects as the pipeline crops a user's, and what their cameras become.

    margin: beside the object, a share of its longer side; none where the object touches the picture's border. A picture
    without an object stays as it is.
    """
    side = images.shape[-1]
    solid = images[:, 3] > 0.5
    # Columns and rows that the object covers: the first, and the one behind the last.
    covered = torch.stack([solid.any(dim=1), solid.any(dim=2)], dim=1).int()
    low, high = covered.argmax(dim=2), side - covered.flip(2).argmax(dim=2)
    extent = high - low
    free = (low > 0).int() + (high < side).int()
    size = (extent + margin * extent.amax(dim=1, keepdim=True) * free).amax(dim=1, keepdim=True)
    start = torch.where(low == 0, 0.0, torch.where(high == side, side - size, (low + high - size) / 2.0))
    empty = ~solid.flatten(1).any(dim=1, keepdim=True)
    scale = torch.where(empty, 1.0, size / side)
    centre = torch.where(empty, 0.0, (2.0 * start + size) / side - 1.0)  # in NDC, but downwards
    windows = torch.cat([scale * torch.eye(2, device=images.device).flatten(), centre], dim=1)
    grid = functional.affine_grid(
        windows[:, [0, 1, 4, 2, 3, 5]].unflatten(1, (2, 3)), list(images.shape), align_corners=False
    )
    cropped = functional.grid_sample(images, grid, align_corners=False)
    moved = torch.cat([intrinsics[:, :1], intrinsics[:, 1:] - centre * centre.new_tensor([1.0, -1.0])], dim=1)
    return cropped, moved / scale
