"""Stage one of the triplane system: pictures become the LL band of a triplane, and features for the detail stage.

A picture branch makes feature maps, every cell of a 32^3 grid looks up what each picture shows at its own projection
(`models/projection.py`), the axis along each plane's normal is folded into channels, and residual blocks on the three
planes, which exchange what they know, bring the result to 64^2. A network from picture to planes without that lookup
could not know from where the picture was taken. At the finest level they also see the visual hull painted with the
pictures (`models/painted_surface.py`), and the colours of LL begin from its paint.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from wavemesh.errors import InputError
from wavemesh.models.blocks import resize_images
from wavemesh.models.colour_planes import colour_bands
from wavemesh.models.multiview_encoder import ViewFeatures
from wavemesh.models.painted_surface import PAINTED_CHANNELS, painted_planes
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
from wavemesh.models.posed_pictures import PosedPictures, posed_pictures
from wavemesh.models.projection import ProjectiveFeatures, grid_points, soft_hull

HULL_CELLS = 8
RGB = 3


@dataclass
class CoarseTriplane:
    """What the coarse stage knows: ll (B, 3, C, n, n), and features (B, 3, F, n, n) for the detail stage.

    painted: the part of ll that are colours which the pictures show on their visual hull.
    """

    ll: Tensor
    features: Tensor
    painted: Tensor


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
        self.hull_paint = nn.Conv2d(PAINTED_CHANNELS, fine, 1) if input_channels == RGB else None
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
        hull = self.hull(features)
        condition = F.gelu(features.global_features.mean(dim=1)).repeat_interleave(PLANES, dim=0)
        x = self._run(self.block_in, self.lift(features, hull), condition)
        low = self.down(x)
        for block in self.low:
            low = self._run(block, low, condition)
        x = x + F.interpolate(self.up(low), scale_factor=2, mode="nearest")
        x = self._run(self.block_out, x, condition)
        x = F.interpolate(self.up_fine(x), scale_factor=2, mode="nearest")
        painted = None
        if self.hull_paint is not None:
            with torch.autocast(x.device.type, enabled=False):
                paint = painted_planes(0.5 - hull, pictures, hull)
                painted = colour_bands(paint.colours, self.triplane_channels).ll
            x = x + self.hull_paint(fold_planes(paint.features))
        x = self._run(self.block_fine, x, condition)
        correction = unfold_planes(self.conv_out(F.gelu(self.norm_out(x))).float())
        painted = torch.zeros_like(correction) if painted is None else painted
        return CoarseTriplane(painted + correction, unfold_planes(x), painted)

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

    @torch.no_grad()
    def hull(self, features: ViewFeatures) -> Float[Tensor, "b n n n"]:
        """The visual hull of the pictures at the cells' centres, in [0, 1]."""
        n = self.resolution
        return soft_hull(features, self.hull_points).view(-1, n, n, n)

    def lift(self, features: ViewFeatures, hull: Float[Tensor, "b n n n"]) -> Float[Tensor, "bp c m m"]:
        """The planes at half resolution, from what the pictures show at every cell and from their visual hull."""
        batch, n = len(features.poses), self.resolution // 2
        sampled = self.project(features, self.lift_points).view(batch, n, n, n, -1)
        cells = (hull * 2.0 - 1.0).view(batch, n, 2, n, 2, n, 2).permute(0, 1, 3, 5, 2, 4, 6).flatten(4)
        volume = torch.cat([sampled, cells.to(sampled.dtype)], dim=-1)
        planes = [reduce(folded) for reduce, folded in zip(self.reduce, fold_volume(volume), strict=True)]
        # Channels last in memory, as the convolutions want them.
        return fold_planes(torch.stack(planes, dim=1).permute(0, 1, 4, 2, 3))

    def _run(self, block: nn.Module, x: Tensor, condition: Tensor) -> Tensor:
        return run_block(block, x, condition, checkpointing=self.checkpointing)
