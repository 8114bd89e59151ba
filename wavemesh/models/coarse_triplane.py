"""Stage one of the triplane system: pictures become the LL band of a triplane, and features for the detail stage.

A picture branch makes feature maps, every cell of a 32^3 grid looks up what each picture shows at its own projection
(`models/projection.py`), the axis along each plane's normal is folded into channels, and residual blocks on the three
planes, which exchange what they know, bring the result to 64^2. A network from picture to planes without that lookup
could not know from where the picture was taken.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from wavemesh.errors import InputError
from wavemesh.geometry.camera import Camera, stack_cameras
from wavemesh.models.blocks import resize_images
from wavemesh.models.multiview_encoder import ViewFeatures
from wavemesh.models.planes import (
    PLANES,
    PlaneBlock,
    base_width,
    fold_planes,
    fold_volume,
    groups_of,
    multiple_of_8,
    run_block,
    unfold_planes,
)
from wavemesh.models.projection import ProjectiveFeatures, grid_points, soft_hull

HULL_CELLS = 8


@dataclass
class CoarseTriplane:
    """What the coarse stage knows: ll (B, 3, C, n, n), and features (B, 3, F, n, n) for the detail stage."""

    ll: Tensor
    features: Tensor


@dataclass
class PosedPictures:
    """Pictures (B, N, channels + alpha, H, W), poses (B, N, 3, 4) and intrinsics (B, N, 3), all of one device."""

    images: Tensor
    poses: Tensor
    intrinsics: Tensor

    @property
    def alpha(self) -> Float[Tensor, "b n 1 h w"]:
        """The silhouettes."""
        return self.images[:, :, -1:]


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


class PictureBranch(nn.Module):
    """Feature maps at a quarter of the picture's side and one vector a picture.

    Two downsampling layers and two residual blocks; two more blocks at a sixteenth of the side let every place know of
    the whole picture.
    """

    def __init__(self, channels: int, width: int, vector_dim: int) -> None:
        super().__init__()
        self.downs = nn.Sequential(
            nn.Conv2d(channels, width // 2, 5, stride=2, padding=2),
            nn.GroupNorm(groups_of(width // 2), width // 2),
            nn.GELU(),
            nn.Conv2d(width // 2, width, 3, stride=2, padding=1),
        )
        self.blocks = nn.Sequential(PlaneBlock(width), PlaneBlock(width))
        self.context_in = nn.Conv2d(width, 2 * width, 4, stride=4)
        self.context = nn.Sequential(PlaneBlock(2 * width), PlaneBlock(2 * width))
        self.context_out = nn.Conv2d(2 * width, width, 1)
        self.vector = nn.Linear(2 * width, vector_dim)

    def forward(self, images: Float[Tensor, "v c s s"]) -> tuple[Float[Tensor, "v w m m"], Float[Tensor, "v d"]]:
        maps = self.blocks(self.downs(images.contiguous(memory_format=torch.channels_last)))
        context = self.context(self.context_in(maps))
        spread = F.interpolate(self.context_out(context), size=maps.shape[-2:], mode="bilinear", align_corners=False)
        return maps + spread, self.vector(context.mean(dim=(2, 3)))


class CoarseTriplaneGen(nn.Module):
    """Pictures to the LL band (B, 3, C, n, n) of a triplane.

    input_channels: colours of a picture; an alpha channel may follow them. triplane_channels: C. resolution: n, a
    multiple of 4. image_size: side in pixels that pictures are resized to, a multiple of 16. width: channels at
    resolution n, by `base_width` if None; half and a quarter of it have 2.5 and 5.5 times as many. condition_dim: of
    the vector of all pictures that modulates the norms. checkpointing: compute activations again for the gradient
    instead of keeping them.
    """

    hull_points: Tensor
    lift_points: Tensor

    def __init__(
        self,
        input_channels: int = 3,
        triplane_channels: int = 32,
        resolution: int = 64,
        image_size: int = 256,
        width: int | None = None,
        condition_dim: int = 128,
        checkpointing: bool = False,
    ) -> None:
        super().__init__()
        if input_channels < 1 or triplane_channels < 1:
            raise InputError(f"Channels must be positive, not {input_channels} and {triplane_channels}.")
        if resolution < 4 or resolution % 4:
            raise InputError(f"The resolution of a coarse triplane must be a multiple of 4, not {resolution}.")
        if image_size < 16 or image_size % 16:
            raise InputError(f"The side of the pictures must be a multiple of 16 pixels, not {image_size}.")
        fine = base_width(triplane_channels) if width is None else width
        middle, low = multiple_of_8(2.5 * fine), multiple_of_8(5.5 * fine)
        self.input_channels, self.triplane_channels = input_channels, triplane_channels
        self.resolution, self.image_size, self.feature_channels = resolution, image_size, fine
        self.checkpointing = checkpointing
        lifted, maps = max(8, 3 * fine // 8), multiple_of_8(1.5 * fine)
        self.pictures = PictureBranch(input_channels + 1, maps, condition_dim)
        self.project = ProjectiveFeatures(maps, lifted, lifted)
        grid = resolution // 2
        self.register_buffer("lift_points", grid_points(grid), persistent=False)
        self.register_buffer("hull_points", grid_points(resolution), persistent=False)
        # Each plane folds another axis away, so each has its own map; its bias is what tells the planes apart.
        self.reduce = nn.ModuleList(nn.Linear(grid * (lifted + HULL_CELLS), middle) for _ in range(PLANES))

        def block(channels: int) -> PlaneBlock:
            return PlaneBlock(channels, condition_dim, mix=True)

        self.block_in, self.block_out, self.block_fine = block(middle), block(middle), block(fine)
        self.down = nn.Conv2d(middle, low, 3, stride=2, padding=1)
        self.low = nn.ModuleList([block(low), block(low)])
        self.up = nn.Conv2d(low, middle, 1)
        self.up_fine = nn.Conv2d(middle, fine, 1)
        self.norm_out = nn.GroupNorm(groups_of(fine), fine)
        self.conv_out = nn.Conv2d(fine, triplane_channels, 3, padding=1)

    def forward(
        self, images: Tensor, poses: Tensor | None = None, intrinsics: Tensor | None = None
    ) -> Float[Tensor, "b 3 c n n"]:
        """The LL band. See `posed_pictures` for the arguments."""
        return self.planes(images, poses, intrinsics).ll

    def planes(self, images: Tensor, poses: Tensor | None = None, intrinsics: Tensor | None = None) -> CoarseTriplane:
        """The LL band and the plane features. See `posed_pictures` for the arguments."""
        pictures = posed_pictures(images, poses, intrinsics, self.input_channels)
        features = self.encode(pictures)
        condition = F.gelu(features.global_features.mean(dim=1)).repeat_interleave(PLANES, dim=0)
        x = self._run(self.block_in, self.lift(features), condition)
        low = self.down(x)
        for block in self.low:
            low = self._run(block, low, condition)
        x = x + F.interpolate(self.up(low), scale_factor=2, mode="nearest")
        x = self._run(self.block_out, x, condition)
        x = F.interpolate(self.up_fine(x), scale_factor=2, mode="nearest")
        x = self._run(self.block_fine, x, condition)
        ll = self.conv_out(F.gelu(self.norm_out(x))).float()
        return CoarseTriplane(unfold_planes(ll), unfold_planes(x))

    def encode(self, pictures: PosedPictures) -> ViewFeatures:
        """Feature maps and a vector of every picture, in the form that the projection reads."""
        batch, count = pictures.images.shape[:2]
        images = resize_images(pictures.images.flatten(0, 1), self.image_size)
        maps, vectors = run_block(self.pictures, images, checkpointing=self.checkpointing)
        alpha = images[:, -1:].unflatten(0, (batch, count))
        return ViewFeatures(
            maps=maps.unflatten(0, (batch, count)),
            alpha=alpha,
            tokens=vectors.new_zeros(batch, 0, vectors.shape[1]),
            global_features=vectors.unflatten(0, (batch, count)),
            poses=pictures.poses,
            intrinsics=pictures.intrinsics,
        )

    def lift(self, features: ViewFeatures) -> Float[Tensor, "bp c m m"]:
        """The planes at half resolution, from what the pictures show at every cell and from their visual hull."""
        batch, n = len(features.poses), self.resolution // 2
        sampled = self.project(features, self.lift_points).view(batch, n, n, n, -1)
        with torch.no_grad():
            hull = soft_hull(features, self.hull_points).view(batch, n, 2, n, 2, n, 2) * 2.0 - 1.0
        cells = hull.permute(0, 1, 3, 5, 2, 4, 6).flatten(4)
        volume = torch.cat([sampled, cells.to(sampled.dtype)], dim=-1)
        planes = [reduce(folded) for reduce, folded in zip(self.reduce, fold_volume(volume), strict=True)]
        # Channels last in memory, as the convolutions want them.
        return fold_planes(torch.stack(planes, dim=1).permute(0, 1, 4, 2, 3))

    def _run(self, block: nn.Module, x: Tensor, condition: Tensor) -> Tensor:
        return run_block(block, x, condition, checkpointing=self.checkpointing)
