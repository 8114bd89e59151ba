"""Front and back of an object behind each pixel of one picture, and how sure that is.

A picture's silhouette says where rays meet the object, not how deep. Depth as a step of its own carries over to kinds
of objects that were never seen (GenRe, Zhang et al. 2018; SDFNet, Thai et al. 2020), since every picture has thousands
of depths to learn from. The furthest surface behind a pixel is answered with the nearest: together they bound the
object along every ray, so flat things stay flat.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from wavemesh.checkpoint import load_module, save_weights
from wavemesh.config import Count, Heads, Pixels, Widths, to_dict
from wavemesh.geometry.camera import DEFAULT_DISTANCE
from wavemesh.models.blocks import resize_images
from wavemesh.models.efficientnet import FEATURES, EfficientNetLite
from wavemesh.models.multiview_encoder import ResidualConv, TokenBlock

CAMERA_FEATURES = 5
DEPTH_CHANNELS = 4  # of `PosedDepths.maps`
SPREADS = 2.0  # how far bounds keep from the answers: 97 of 100 depths lie within
_REACH = 4  # pixels beside a silhouette that know its bounds
_UNBOUNDED = 4.0
_LOG_SPREAD = 4.0  # brings logarithms of spreads to order one
_LEAST_SCALE = 0.004  # world units: a quarter of a cell of the finest grid


class Depths(NamedTuple):
    """Depths (B, 2, s, s) of front and back, world units from the plane through the origin, away from the camera.

    spread: (B, 2, s, s), the scale of the Laplace distribution around each.
    """

    depth: Tensor
    spread: Tensor


class PosedDepths(NamedTuple):
    """Depths and their spread (B, N, 2, s, s) of N views of each object, and their silhouettes (B, N, 1, s, s)."""

    depth: Tensor
    spread: Tensor
    alpha: Tensor

    def maps(self, side: int) -> Float[Tensor, "b n 4 side side"]:
        """Depths and the logarithms of their spreads as maps of side^2 pixels, zero outside the silhouettes."""
        known = torch.cat([self.depth, self.spread.log() / _LOG_SPREAD], dim=2).flatten(0, 1)
        alpha = self.alpha.flatten(0, 1).to(known.dtype)
        weighted = F.adaptive_avg_pool2d(torch.cat([known * alpha, alpha], dim=1), side)
        # Mixed pixels at the border are those of the object.
        maps = weighted[:, :-1] / weighted[:, -1:].clamp_min(0.1)
        return maps.unflatten(0, self.depth.shape[:2])

    def bounds(self, spreads: float = SPREADS) -> Float[Tensor, "b n 2 s s"]:
        """Where the object surely begins and ends behind each pixel: the answers, so many spreads further apart.

        Beside the silhouette the bounds are those of its border.
        """
        sides = self.spread.new_tensor([-1.0, 1.0])[:, None, None]
        begin_end = (self.depth + self.spread * sides * spreads).flatten(0, 1)
        extremes = _spread_outwards(begin_end * sides, self.alpha.flatten(0, 1) > 0.5)
        return (extremes * sides).unflatten(0, self.depth.shape[:2])


@dataclass(frozen=True)
class DepthConfig:
    """Size of the network. Pictures are resized to image_size, maps have half of it; widths: at strides 2, 4, 8, 16.

    pretrained: features are those of EfficientNet-Lite0 instead of the network's own.
    """

    image_size: Pixels = 128
    widths: Widths = (32, 64, 96, 128)
    attention_blocks: Count = 2
    heads: Heads = 4
    pretrained: bool = False


class DepthNetwork(nn.Module):
    """A U-Net from masked pictures with cameras to depths."""

    def __init__(self, config: DepthConfig | None = None) -> None:
        super().__init__()
        self.config = config or DepthConfig()
        widths = self.config.widths
        self.camera = nn.ModuleList(nn.Linear(CAMERA_FEATURES, width) for width in widths)
        if self.config.pretrained:
            self.trunk = EfficientNetLite(fixed=3)
            self.lift = nn.ModuleList(
                nn.Sequential(nn.Conv2d(before, after, 1), nn.GroupNorm(8, after))
                for before, after in zip(FEATURES, widths, strict=True)
            )
            self.outline = nn.ModuleList(nn.Conv2d(1, width, 3, padding=1) for width in widths)
        else:
            self.stem = nn.Conv2d(4, widths[0], 5, stride=2, padding=2)
            self.down = nn.ModuleList(
                nn.Conv2d(before, after, 3, stride=2, padding=1) for before, after in itertools.pairwise(widths)
            )
            self.encoder = nn.ModuleList(ResidualConv(width) for width in widths)
        side = self.config.image_size // 2 ** len(widths)
        self.place = nn.Parameter(0.02 * torch.randn(side**2, widths[-1]))
        self.attention = nn.ModuleList(
            TokenBlock(widths[-1], self.config.heads) for _ in range(self.config.attention_blocks)
        )
        self.up = nn.ModuleList(nn.Conv2d(before, after, 1) for after, before in itertools.pairwise(widths))
        self.decoder = nn.ModuleList(ResidualConv(width) for width in widths[:-1])
        self.answer = nn.Sequential(nn.GroupNorm(8, widths[0]), nn.SiLU(), nn.Conv2d(widths[0], 4, 3, padding=1))

    def forward(self, images: Float[Tensor, "b 4 h w"], cameras: Float[Tensor, "b 5"]) -> Depths:
        """The depths of premultiplied RGBA pictures in [0, 1] of any size; cameras: see `camera_features`."""
        skips = self._features(resize_images(images, self.config.image_size), cameras)
        x = skips[-1]
        tokens = x.flatten(2).transpose(1, 2) + self.place
        for attention in self.attention:
            tokens = attention(tokens)
        x = tokens.transpose(1, 2).reshape(x.shape)
        for level in reversed(range(len(self.decoder))):
            x = F.interpolate(self.up[level](x), scale_factor=2.0, mode="nearest") + skips[level]
            x = self.decoder[level](x)
        depth, spread = self.answer(x).float().chunk(2, dim=1)
        front, thickness = depth.unbind(dim=1)
        # The back lies behind the front.
        back = front + F.softplus(thickness)
        return Depths(torch.stack([front, back], dim=1), spread.clamp(-8.0, 3.0).exp() + _LEAST_SCALE)

    def _features(self, images: Tensor, cameras: Tensor) -> list[Tensor]:
        """Maps at strides 2, 4, 8 and 16."""
        places = [camera(cameras)[..., None, None] for camera in self.camera]
        if self.config.pretrained:
            maps = []
            for level, seen in enumerate(self.trunk(images)):
                outline = F.adaptive_avg_pool2d(images[:, 3:], seen.shape[-1])
                maps.append(self.lift[level](seen) + self.outline[level](outline) + places[level])
            return maps
        x = self.stem(images)
        maps = [self.encoder[0](x + places[0])]
        for down, block, place in zip(self.down, self.encoder[1:], places[1:], strict=True):
            maps.append(block(down(maps[-1]) + place))
        return maps

    def of_views(
        self,
        images: Float[Tensor, "b n 4 h w"],
        poses: Float[Tensor, "b n 3 4"],
        intrinsics: Float[Tensor, "b n 3"],
    ) -> PosedDepths:
        """What the network answers for posed views, for the projective conditioning."""
        flat = images.flatten(0, 1)
        answer = self(flat, camera_features(poses, intrinsics).flatten(0, 1))
        alpha = resize_images(flat[:, 3:], answer.depth.shape[-1])
        return PosedDepths(*(part.unflatten(0, images.shape[:2]) for part in (*answer, alpha)))

    def save(self, folder: str | Path) -> None:
        """Write configuration, fp16 weights and manifest."""
        save_weights(folder, {"depth": self.state_dict()}, to_dict(self.config))

    @classmethod
    def load(cls, folder: str | Path) -> DepthNetwork:
        """The network stored in a folder. Raises InputError where files are missing, damaged or do not fit."""
        return load_module(folder, DepthConfig, cls, lambda network: {"depth": network})


def camera_features(poses: Float[Tensor, "*b 3 4"], intrinsics: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 5"]:
    """What depths depend on of a camera: sine of the elevation, logarithms of scale and distance, offsets.

    Azimuths do not count: depths are the same in every frame of the world.
    """
    position = poses[..., 3]
    distance = position.norm(dim=-1)
    scale = torch.log(intrinsics[..., 0] / distance)
    further = torch.log(distance / DEFAULT_DISTANCE)
    features = [position[..., 1] / distance, scale, further, intrinsics[..., 1], intrinsics[..., 2]]
    return torch.stack(features, dim=-1)


def _spread_outwards(maps: Float[Tensor, "b 2 s s"], known: Bool[Tensor, "b 1 s s"]) -> Float[Tensor, "b 2 s s"]:
    """The largest value around each known pixel, and beside the known ones the largest of the nearest of them."""
    values = maps.masked_fill(~known, -torch.inf)
    values = F.max_pool2d(values, 3, stride=1, padding=1)
    for _ in range(_REACH - 1):
        values = torch.where(values.isfinite(), values, F.max_pool2d(values, 3, stride=1, padding=1))
    return values.nan_to_num(neginf=_UNBOUNDED)
