"""Pictures with cameras, the input of the triplane system: checked, with an alpha channel and a camera for each."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from wavemesh.errors import InputError
from wavemesh.geometry.camera import Camera
from wavemesh.geometry.camera_tensors import stack_cameras


@dataclass
class PosedPictures:
    """Pictures (B, N, channels + alpha, H, W), poses (B, N, 3, 4) and intrinsics (B, N, 3), all of one device."""

    images: Tensor
    poses: Tensor
    intrinsics: Tensor
    bounds: Tensor | None = None  # as in ViewFeatures

    @property
    def alpha(self) -> Float[Tensor, "b n 1 h w"]:
        """The silhouettes."""
        return self.images[:, :, -1:]

    def of_object(self, item: int) -> PosedPictures:
        """The pictures of one object, B = 1."""
        bounds = None if self.bounds is None else self.bounds[item : item + 1]
        one = slice(item, item + 1)
        return PosedPictures(self.images[one], self.poses[one], self.intrinsics[one], bounds)


def posed_pictures(
    images: Tensor, poses: Tensor | None = None, intrinsics: Tensor | None = None, colours: int = 3
) -> PosedPictures:
    """The pictures as N views of each of B objects with an alpha channel, and a camera for each.

    images: (B, colours or colours + 1, H, W) or (B, N, ..., H, W), in [0, 1], colours premultiplied by the alpha in the
    last channel; without it everything is foreground. poses: camera_to_world (B, N, 3, 4), or (B, 3, 4) for one view;
    None: the default camera. intrinsics: (B, N, 3); None: the default field of view.
    Raises InputError for other shapes and for values that are not finite.
    """
    shape = tuple(images.shape)
    views = images.unsqueeze(1) if images.ndim == 4 else images
    if views.ndim != 5 or views.shape[2] not in (colours, colours + 1) or 0 in views.shape:
        raise InputError(
            f"Pictures must have the shape (B, {colours} or {colours + 1}, H, W) or (B, N, {colours} or {colours + 1}, "
            f"H, W), not {shape}."
        )
    _require_finite(images, "The pictures")
    batch, count = views.shape[:2]
    if views.shape[2] == colours:
        views = torch.cat([views, torch.ones_like(views[:, :, :1])], dim=2)
    default_pose, default_intrinsics = stack_cameras([Camera()])
    if poses is None:
        if count > 1:
            raise InputError(f"{count} views of an object need poses; only a single view has a default camera.")
        poses = default_pose.to(images.device).expand(batch, 1, 3, 4)
    elif poses.ndim == 3 and count == 1:
        poses = poses.unsqueeze(1)
    if intrinsics is None:
        intrinsics = default_intrinsics.to(images.device).expand(batch, count, 3)
    elif intrinsics.ndim == 2 and count == 1:
        intrinsics = intrinsics.unsqueeze(1)
    if tuple(poses.shape) != (batch, count, 3, 4):
        raise InputError(f"{batch} x {count} views need poses ({batch}, {count}, 3, 4), not {tuple(poses.shape)}.")
    if tuple(intrinsics.shape) != (batch, count, 3):
        raise InputError(
            f"{batch} x {count} views need intrinsics ({batch}, {count}, 3), not {tuple(intrinsics.shape)}."
        )
    _require_finite(poses, "The poses")
    _require_finite(intrinsics, "The intrinsics")
    return PosedPictures(views, poses, intrinsics)


def _require_finite(values: Tensor, what: str) -> None:
    finite = torch.isfinite(values)
    if not finite.all():
        place = tuple((~finite).nonzero()[0].tolist())
        raise InputError(f"{what} must be finite numbers, not {values[place].item()} at {place}.")
