"""Module D, the encoder of the input pictures: per-view feature maps, tokens and a global vector for each view.

Its feature maps are what the projective conditioning samples (`models/projection.py`), its tokens feed the
cross-attention of the U-Nets. Two backbones: a compact convolutional pyramid that is trained here, and DINOv2 through
`transformers` (frozen or tuned).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from wavemesh.errors import InputError
from wavemesh.extras import missing
from wavemesh.geometry.camera import DEFAULT_DISTANCE, Camera
from wavemesh.models.blocks import resize_images

PYRAMID = "pyramid"  # the backbone that is trained here
FOCAL_UNIT = 2.75  # about the default focal length; the trained weights know this number


@dataclass
class ViewFeatures:
    """What the encoder knows about N views of each of B objects.

    maps: (B, N, C, h, w). alpha: (B, N, 1, H, W) in [0, 1]. tokens: (B, N * T, D). global_features: (B, N, D).
    poses: (B, N, 3, 4) camera_to_world. intrinsics: (B, N, 3) focal length and offsets. bounds: (B, N, 2, h, w) where
    a depth network takes the object to begin and to end behind each pixel (`DepthNetwork.bounds`), if one was asked.
    """

    maps: Tensor
    alpha: Tensor
    tokens: Tensor
    global_features: Tensor
    poses: Tensor
    intrinsics: Tensor
    bounds: Tensor | None = None

    def of_object(self, index: int) -> ViewFeatures:
        """What is known about one of the objects, B = 1."""
        known = {name: value for name, value in vars(self).items() if value is not None}
        return ViewFeatures(**{name: value[index : index + 1] for name, value in known.items()})

    def of_views(self, views: list[int]) -> ViewFeatures:
        """What is known about some of the views."""
        tokens = self.tokens.unflatten(1, (self.alpha.shape[1], -1))[:, views].flatten(1, 2)
        known = {name: value for name, value in vars(self).items() if value is not None and name != "tokens"}
        per_view = {name: value[:, views] for name, value in known.items()}
        return ViewFeatures(**per_view, tokens=tokens)


class ResidualConv(nn.Module):
    """Two 3x3 convolutions with group normalisation around a skip connection."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        groups = 8 if channels % 8 == 0 else 1
        self.norm1 = nn.GroupNorm(groups, channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm2 = nn.GroupNorm(groups, channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        return x + self.conv2(F.silu(self.norm2(h)))


class PyramidBackbone(nn.Module):
    """A convolutional pyramid from (B, in_channels, H, W) to three maps at strides 4, 8 and 16."""

    freeze = False

    def __init__(self, in_channels: int = 4, widths: tuple[int, ...] = (64, 128, 192), blocks: int = 2) -> None:
        super().__init__()
        stem = widths[0] // 2
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, stem, 5, stride=2, padding=2),
            nn.SiLU(),
            nn.Conv2d(stem, widths[0], 3, stride=2, padding=1),
        )
        self.stages = nn.ModuleList()
        for index, width in enumerate(widths):
            layers: list[nn.Module] = []
            if index > 0:
                layers.append(nn.Conv2d(widths[index - 1], width, 3, stride=2, padding=1))
            layers += [ResidualConv(width) for _ in range(blocks)]
            self.stages.append(nn.Sequential(*layers))
        self.widths = tuple(widths)

    def forward(self, images: Tensor) -> list[Tensor]:
        x = self.stem(images)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps


class DinoBackbone(nn.Module):
    """DINOv2 from `transformers`: one map of patch tokens.

    source: a Hub id or a local folder. freeze: keep the weights as they are. Alpha is used to mask the picture.
    architecture: what `architecture` of another one says; then it is built untrained, and nothing is read from source.
    """

    def __init__(self, source: str, freeze: bool = True, architecture: dict[str, Any] | None = None) -> None:
        super().__init__()
        try:
            from transformers import AutoModel
        except ModuleNotFoundError as error:
            raise missing(error) from error
        try:
            if architecture is None:
                self.model = AutoModel.from_pretrained(source, use_safetensors=True)
            else:
                self.model = AutoModel.from_config(_dino_config(architecture))
        except (OSError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(f"The backbone {source!r} could not be loaded: {reason}") from error
        self.architecture: dict[str, Any] = self.model.config.to_diff_dict()
        self.freeze = freeze
        self.patch = int(self.model.config.patch_size)
        self.widths: tuple[int, ...] = (int(self.model.config.hidden_size),)
        if freeze:
            self.model.requires_grad_(False)
        mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
        self.register_buffer("mean", mean.view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", std.view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> list[Tensor]:
        rows, columns = images.shape[-2] // self.patch, images.shape[-1] // self.patch
        if rows == 0 or columns == 0:
            raise InputError(f"Pictures of {images.shape[-1]} x {images.shape[-2]} pixels are smaller than a patch.")
        pixels = F.interpolate(
            images[:, :3],
            size=(rows * self.patch, columns * self.patch),
            mode="bilinear",
            align_corners=False,
            antialias=True,
        )
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.freeze):
            hidden = self.model(pixel_values=(pixels - self.mean) / self.std).last_hidden_state
        patches = hidden[:, -rows * columns :]
        return [patches.transpose(1, 2).reshape(len(images), -1, rows, columns)]


def _dino_config(architecture: dict[str, Any]) -> Any:
    """The configuration that `transformers` builds DINOv2 from; InputError for another network or an immense one."""
    from transformers import Dinov2Config

    kind = architecture.get("model_type")
    if kind != Dinov2Config.model_type:
        raise InputError(f"The backbone of stored weights must be of the kind dinov2, not {kind!r:.80}.")
    bounds = {"hidden_size": 4096, "num_hidden_layers": 64, "image_size": 1024, "patch_size": 64, "mlp_ratio": 8}
    for name, most in bounds.items():  # before the configuration is built: that makes a list of every layer's name
        value = architecture.get(name, 1)  # what is not said is the configuration's own
        if not isinstance(value, int) or not 1 <= value <= most:
            raise InputError(f"The backbone's {name} must be between 1 and {most}, not {value!r:.80}.")
    return Dinov2Config.from_dict({name: value for name, value in architecture.items() if name != "auto_map"})


class TokenBlock(nn.Module):
    """A pre-norm transformer block over the tokens of all views of an object."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        if dim % heads:
            raise InputError(f"The attention width {dim} is not a multiple of its {heads} heads.")
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))

    def forward(self, tokens: Tensor) -> Tensor:
        batch, count, dim = tokens.shape
        q, k, v = self.qkv(self.norm1(tokens)).reshape(batch, count, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, count, dim)
        tokens = tokens + self.out(attended)
        return tokens + self.mlp(self.norm2(tokens))


class MultiViewEncoder(nn.Module):
    """Encodes posed views; calling it returns one feature vector for each view.

    image_size: side in pixels that pictures are resized to. feature_dim: of the global vectors and tokens.
    freeze_vision: keep a pretrained backbone fixed (the pyramid is always trained).
    backbone: "pyramid", or a Hub id or folder of a DINOv2 model, which is not read where its architecture is given.
    scales: also look at the picture at these sides
    (multi-scale features of the roadmap), for example (224, 112, 56).
    """

    def __init__(
        self,
        image_size: int = 224,
        feature_dim: int = 768,
        freeze_vision: bool = True,
        backbone: str = PYRAMID,
        widths: tuple[int, ...] = (64, 128, 192),
        map_channels: int = 32,
        blocks: int = 2,
        token_blocks: int = 2,
        scales: tuple[int, ...] | None = None,
        architecture: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.image_size = image_size
        self.scales = tuple(scales) if scales else (image_size,)
        self.vision_encoder: PyramidBackbone | DinoBackbone
        if backbone == PYRAMID:
            self.vision_encoder = PyramidBackbone(4, tuple(widths), blocks)
        else:
            self.vision_encoder = DinoBackbone(backbone, freeze_vision, architecture)
        levels = self.vision_encoder.widths
        self.lateral = nn.ModuleList(nn.Conv2d(width, map_channels, 1) for width in levels)
        self.smooth = nn.Conv2d(map_channels * len(self.scales), map_channels, 3, padding=1)
        self.to_token = nn.Linear(levels[-1] * len(self.scales), feature_dim)
        self.pose_embedding = nn.Sequential(nn.Linear(15, feature_dim), nn.SiLU(), nn.Linear(feature_dim, feature_dim))
        self.place_embedding = nn.Linear(2, feature_dim)
        heads = max(1, feature_dim // 48)
        while feature_dim % heads:
            heads -= 1
        self.token_blocks = nn.ModuleList(TokenBlock(feature_dim, heads) for _ in range(token_blocks))
        self.norm = nn.LayerNorm(feature_dim)

    def forward(
        self,
        images: Float[Tensor, "..."],
        poses: Float[Tensor, "..."],
        intrinsics: Float[Tensor, "..."] | None = None,
    ) -> Float[Tensor, "b n d"]:
        """The global feature vector of every view. See `encode` for the arguments."""
        return self.encode(images, poses, intrinsics).global_features

    def encode(
        self,
        images: Float[Tensor, "..."],
        poses: Float[Tensor, "..."],
        intrinsics: Float[Tensor, "..."] | None = None,
    ) -> ViewFeatures:
        """Feature maps, tokens and global vectors of posed views.

        images: (B, N, 3 or 4, H, W) in [0, 1]; with four channels RGB premultiplied by the alpha in the fourth, with
        three everything counts as foreground. poses: camera_to_world, OpenGL axes. intrinsics: focal length and offsets
        in NDC; None stands for the default field of view. Raises InputError for other shapes.
        """
        if images.ndim != 5 or images.shape[2] not in (3, 4):
            raise InputError(f"Images must have the shape (B, N, 3 or 4, H, W), not {tuple(images.shape)}.")
        batch, views = images.shape[:2]
        if tuple(poses.shape) != (batch, views, 3, 4):
            raise InputError(
                f"{tuple(images.shape[:2])} views need poses ({batch}, {views}, 3, 4), not {tuple(poses.shape)}."
            )
        if intrinsics is None:
            intrinsics = poses.new_tensor([Camera().focal, 0.0, 0.0]).expand(batch, views, 3)
        if images.shape[2] == 3:
            images = torch.cat([images, torch.ones_like(images[:, :, :1])], dim=2)
        flat = images.flatten(0, 1)
        maps, deepest = self._pyramid(flat)
        tokens = self._tokens(deepest, poses, intrinsics)
        return ViewFeatures(
            maps=maps.unflatten(0, (batch, views)),
            alpha=images[:, :, 3:],
            tokens=tokens.flatten(1, 2),
            global_features=tokens.mean(dim=2),
            poses=poses,
            intrinsics=intrinsics,
        )

    def _pyramid(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Fused feature maps at the finest stride, and the deepest features of all scales."""
        finest, deepest = [], []
        for scale in self.scales:
            levels = self.vision_encoder(resize_images(images, scale))
            fused = self.lateral[-1](levels[-1])
            for level, lateral in zip(reversed(levels[:-1]), reversed(self.lateral[:-1]), strict=True):
                fused = F.interpolate(fused, size=level.shape[-2:], mode="nearest") + lateral(level)
            finest.append(fused)
            deepest.append(levels[-1])
        maps = [
            F.interpolate(level, size=finest[0].shape[-2:], mode="bilinear", align_corners=False)
            for level in finest[1:]
        ]
        deep = [
            F.interpolate(level, size=deepest[0].shape[-2:], mode="bilinear", align_corners=False)
            for level in deepest[1:]
        ]
        return self.smooth(F.silu(torch.cat([finest[0], *maps], dim=1))), torch.cat([deepest[0], *deep], dim=1)

    def _tokens(self, deepest: Tensor, poses: Tensor, intrinsics: Tensor) -> Tensor:
        """Tokens (B, N, T, D) that know their camera and their place in the picture, after attention over all views."""
        batch, views = poses.shape[:2]
        rows, columns = deepest.shape[-2:]
        tokens = self.to_token(deepest.flatten(2).transpose(1, 2)).unflatten(0, (batch, views))
        # The position is given in units of the default distance, so that all inputs are of order one.
        camera = torch.cat(
            [
                poses[..., :3].flatten(2),
                poses[..., 3] / DEFAULT_DISTANCE,
                intrinsics / poses.new_tensor([FOCAL_UNIT, 1, 1]),
            ],
            dim=-1,
        )
        y = (torch.arange(rows, device=deepest.device) + 0.5) / rows * 2 - 1
        x = (torch.arange(columns, device=deepest.device) + 0.5) / columns * 2 - 1
        place = torch.stack(torch.meshgrid(y, x, indexing="ij"), dim=-1).flatten(0, 1)
        tokens = tokens + self.pose_embedding(camera)[:, :, None] + self.place_embedding(place)
        tokens = tokens.flatten(1, 2)
        for block in self.token_blocks:
            tokens = block(tokens)
        return self.norm(tokens).unflatten(1, (views, rows * columns))
