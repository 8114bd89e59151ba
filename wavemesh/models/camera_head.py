"""Camera estimation for pictures that come without one, all pictures of an object at once.

An object's front cannot be known from one picture, and the frame that reconstruction uses is as good turned by 90
degrees; so the network answers azimuths modulo a quarter turn, and the first picture fixes the frame. Which quarter
turns further pictures take follows from probabilities of their azimuths over the full circle. Attention over all
pictures lets them agree on one circle and match what they show, where each by itself looks much the same from opposite
sides.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor, nn

from wavemesh.checkpoint import load_module, save_weights
from wavemesh.config import Count, Heads, Pixels, Widths, to_dict
from wavemesh.geometry.camera import DEFAULT_DISTANCE, Camera
from wavemesh.geometry.frame import Side
from wavemesh.models.blocks import resize_images
from wavemesh.models.efficientnet import FEATURES, EfficientNetLite
from wavemesh.models.multiview_encoder import PyramidBackbone, TokenBlock
from wavemesh.models.sides import at_sides

AZIMUTH_BINS = 24
# Sine and cosine of four times the azimuth, elevation in radians, log of focal length over distance, offset x and y,
# log of the distance over the default one.
OUTPUTS = 7
MIRRORED = (-1.0, 1.0, 1.0, 1.0, -1.0, 1.0, 1.0)  # signs that the answers take in a mirror


class CameraAnswers(NamedTuple):
    """What the head says of N pictures of each of B objects.

    cameras: (B, N, 7), see OUTPUTS. azimuths: (B, N, AZIMUTH_BINS), over the full circle; bin k stands for k * 360 /
    AZIMUTH_BINS degrees from the side that models of a kind call their front. Logits, or probabilities once averaged.
    """

    cameras: Tensor
    azimuths: Tensor


@dataclass(frozen=True)
class CameraHeadConfig:
    """Size of the network; pictures are resized to image_size pixels. attention_blocks: over all pictures' tokens.

    pretrained: EfficientNet-Lite0 looks at the pictures too.
    """

    image_size: Pixels = 128
    widths: Widths = (32, 64, 128)
    blocks: Count = 1
    attention_blocks: Count = 3
    heads: Heads = 4
    pretrained: bool = False


class CameraHead(nn.Module):
    """A small network from cropped, masked pictures of an object to their cameras."""

    def __init__(self, config: CameraHeadConfig | None = None) -> None:
        super().__init__()
        self.config = config or CameraHeadConfig()
        self.backbone = PyramidBackbone(4, self.config.widths, self.config.blocks)
        if self.config.pretrained:
            self.trunk = EfficientNetLite(fixed=5)
            self.lift = nn.Sequential(
                nn.Conv2d(FEATURES[-1], self.config.widths[-1], 1), nn.GroupNorm(8, self.config.widths[-1])
            )
        width, side = self.config.widths[-1], self.config.image_size // 16
        self.place = nn.Parameter(0.02 * torch.randn(side**2, width))
        self.role = nn.Parameter(0.02 * torch.randn(2, width))  # of the first picture, and of all others
        self.attention = nn.ModuleList(
            TokenBlock(width, self.config.heads) for _ in range(self.config.attention_blocks)
        )
        for block in self.attention:
            # A picture by itself is the beginning.
            nn.init.zeros_(block.out.weight)
            nn.init.zeros_(block.mlp[-1].weight)
        self.hidden = nn.Sequential(
            nn.Conv2d(width, width, 3, stride=2, padding=1),
            nn.SiLU(),
            nn.Flatten(),
            nn.Linear(width * (side // 2) ** 2, width),
            nn.SiLU(),
        )
        self.cameras, self.azimuths = nn.Linear(width, OUTPUTS), nn.Linear(width, AZIMUTH_BINS)

    def forward(self, images: Float[Tensor, "b n 4 h w"]) -> CameraAnswers:
        """The raw answers for premultiplied RGBA pictures in [0, 1] of any size."""
        batch, views = images.shape[:2]
        resized = resize_images(images.flatten(0, 1), self.config.image_size)
        maps = self.backbone(resized)[-1]
        if self.config.pretrained:
            maps = maps + self.lift(self.trunk(resized)[-1])
        role = self.role[[0, *[1] * (views - 1)]]
        tokens = maps.flatten(2).transpose(1, 2).unflatten(0, (batch, views)) + self.place + role[:, None]
        tokens = tokens.flatten(1, 2)
        for block in self.attention:
            tokens = block(tokens)
        seen = tokens.unflatten(1, (views, -1)).flatten(0, 1).transpose(1, 2).reshape(maps.shape)
        features = self.hidden(seen).unflatten(0, (batch, views))
        return CameraAnswers(self.cameras(features), self.azimuths(features))

    @torch.inference_mode()
    def estimate(self, pictures: list[Image.Image], sides: list[Side | None] | None = None) -> list[Camera]:
        """Cameras of RGBA crops; the first has an azimuth in [0, 90), the others are relative to it.

        sides: which sides of the object the pictures show, None where nobody says; with any, the frame is the one in
        which the front is around azimuth 0, see `sides.at_sides`.
        """
        device = next(self.parameters()).device
        size = self.config.image_size
        resized = np.stack([np.asarray(picture.convert("RGBA").resize((size, size))) for picture in pictures])
        pixels = torch.from_numpy(resized).permute(0, 3, 1, 2).float().to(device) / 255.0
        cameras = self.located(torch.cat([pixels[:, :3] * pixels[:, 3:], pixels[:, 3:]], dim=1))
        return at_sides(cameras, sides or [None] * len(cameras))

    def located(self, images: Float[Tensor, "n 4 h w"]) -> list[Camera]:
        """The cameras of an object's pictures, as `estimate` gives them."""
        answers = self.mirror_averaged(images[None])
        cameras = [_camera(row) for row in answers.cameras[0].cpu().tolist()]
        return set_against_each_other(cameras, turn_probabilities(answers.azimuths)[0].cpu())

    def mirror_averaged(self, images: Float[Tensor, "b n 4 h w"]) -> CameraAnswers:
        """Answers and probabilities of the azimuths, averaged over pictures and their mirror images."""
        plain, mirrored = self(images), self(images.flip(-1))
        cameras = plain.cameras + mirrored.cameras * images.new_tensor(MIRRORED)
        # A mirrored picture was taken from the other side of azimuth 0: bin k becomes bin -k.
        other = mirrored.azimuths.float().softmax(dim=-1).flip(-1).roll(1, -1)
        return CameraAnswers(cameras.float() / 2.0, (plain.azimuths.float().softmax(dim=-1) + other) / 2.0)

    def save(self, folder: str | Path) -> None:
        """Write configuration, fp16 weights and manifest."""
        save_weights(folder, {"camera_head": self.state_dict()}, to_dict(self.config))

    @classmethod
    def load(cls, folder: str | Path) -> CameraHead:
        """The head stored in a folder. Raises InputError where files are missing, damaged or do not fit."""
        return load_module(folder, CameraHeadConfig, cls, lambda head: {"camera_head": head})


def azimuths_deg(poses: Float[Tensor, "*b 3 4"]) -> Float[Tensor, "*b"]:
    """The azimuths of cameras given as matrices, in degrees from 0 to 360."""
    return torch.atan2(poses[..., 0, 3], poses[..., 2, 3]).rad2deg() % 360.0


def camera_targets(poses: Float[Tensor, "*b 3 4"], intrinsics: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 7"]:
    """What the head should answer for cameras given as matrices."""
    position = poses[..., 3]
    distance = position.norm(dim=-1)
    azimuth = torch.atan2(position[..., 0], position[..., 2])
    elevation = torch.asin((position[..., 1] / distance).clamp(-1.0, 1.0))
    scale = torch.log(intrinsics[..., 0] / distance)
    turns = torch.stack([torch.sin(4.0 * azimuth), torch.cos(4.0 * azimuth)], dim=-1)
    further = torch.log(distance / DEFAULT_DISTANCE)
    return torch.cat([turns, torch.stack([elevation, scale], dim=-1), intrinsics[..., 1:], further[..., None]], dim=-1)


def camera_errors(answer: Float[Tensor, "*b 7"], target: Float[Tensor, "*b 7"]) -> dict[str, Tensor]:
    """Errors per picture: azimuth modulo a quarter turn and elevation in degrees, offset in NDC, scale and distance as
    ratios.
    """
    turn = torch.atan2(answer[..., 0], answer[..., 1]) - torch.atan2(target[..., 0], target[..., 1])
    turn = torch.atan2(torch.sin(turn), torch.cos(turn)) / 4.0
    off = (answer - target).abs()
    return {
        "azimuth_deg": turn.rad2deg().abs(),
        "elevation_deg": off[..., 2].rad2deg(),
        "scale": off[..., 3].exp() - 1.0,
        "offset": off[..., 4:6].norm(dim=-1),
        "distance": off[..., 6].exp() - 1.0,
    }


def circle_targets(angle_deg: Float[Tensor, "*b"]) -> Float[Tensor, "*b k"]:
    """Probabilities of the bins for known angles: shared by the two nearest ones."""
    place = angle_deg / (360.0 / AZIMUTH_BINS)
    lower = place.floor()
    share = (place - lower)[..., None]
    bins = [nn.functional.one_hot((lower + step).long() % AZIMUTH_BINS, AZIMUTH_BINS) for step in (0, 1)]
    return bins[0] * (1.0 - share) + bins[1] * share


def turn_probabilities(azimuths: Float[Tensor, "b n k"]) -> Float[Tensor, "b n n k"]:
    """How likely picture j is turned by k bins against picture i, if their azimuths have these probabilities."""
    turned = torch.stack([azimuths.roll(-k, -1) for k in range(azimuths.shape[-1])], dim=-2)
    return torch.einsum("bia,bjka->bijk", azimuths, turned)


def set_against_each_other(cameras: list[Camera], turns: Float[Tensor, "n n k"]) -> list[Camera]:
    """The cameras with the later ones turned by the multiples of 90 degrees that are likeliest, one after the other.

    turns: probabilities of how far each picture is turned against each other one.
    """
    surprise = turns.clamp_min(1e-6).log().numpy()
    chosen = cameras[:1]
    for number, camera in enumerate(cameras[1:], 1):

        def likelihood(turned: Camera, number: int = number) -> float:
            between = (
                _at_angle(surprise[i, number], turned.azimuth_deg - chosen[i].azimuth_deg) for i in range(number)
            )
            return sum(between)

        chosen.append(max((camera.turned(90.0 * quarter) for quarter in range(4)), key=likelihood))
    return chosen


def _camera(row: list[float]) -> Camera:
    """The camera that one row of answers describes."""
    azimuth = math.degrees(math.atan2(row[0], row[1])) / 4.0 % 90.0
    elevation = max(-89.0, min(89.0, math.degrees(row[2])))
    distance = DEFAULT_DISTANCE * math.exp(max(-1.0, min(1.0, row[6])))
    focal = math.exp(max(-3.0, min(3.0, row[3]))) * distance
    fov_deg = math.degrees(2.0 * math.atan(1.0 / focal))
    return Camera(azimuth, elevation, distance, fov_deg, (row[4], row[5]))


def _at_angle(row: Float[np.ndarray, "k"], angle_deg: float) -> float:
    """The row's value at an angle, linear between the bins of the circle."""
    places = np.arange(AZIMUTH_BINS + 1) * 360.0 / AZIMUTH_BINS
    return float(np.interp(angle_deg % 360.0, places, np.append(row, row[0])))
