"""Camera estimation for pictures that come without one: azimuth modulo a quarter turn, elevation, scale and offset.

An object's front cannot be known from one picture, and the frame that reconstruction uses is as good turned by 90
degrees; so the network answers modulo a quarter turn, and the first picture fixes the frame. Which quarter turns
further pictures take follows from probabilities of the azimuth over the full circle, counted from the side that models
of a kind call their front, and from the habit of taking pictures of different sides: silhouettes alone look alike from
opposite ones. Distance and field of view act alike on a
crop: the default distance is assumed and the focal length carries the scale.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor, nn

from wavemesh.checkpoint import load_module, save_weights
from wavemesh.config import to_dict
from wavemesh.geometry.camera import DEFAULT_DISTANCE, Camera
from wavemesh.geometry.frame import Side
from wavemesh.models.multiview_encoder import PyramidBackbone
from wavemesh.models.sides import at_sides

AZIMUTH_BINS = 24
# Pictures that are turned together: 64 combinations.
JOINTLY = 4
# What a pair of pictures from the same side of an object counts, as a logarithm of probability.
SAME_SIDE_DEG, SAME_SIDE_LOG = 45.0, math.log(0.1)
OUTPUTS = 6  # sin and cos of four times the azimuth, elevation in radians, log of focal over distance, offset x and y
MIRRORED = (-1.0, 1.0, 1.0, 1.0, -1.0, 1.0)  # signs that the answers take in a mirror


@dataclass(frozen=True)
class CameraHeadConfig:
    """Size of the network; pictures are resized to image_size pixels."""

    image_size: int = 128
    widths: tuple[int, ...] = (32, 64, 128)
    blocks: int = 1


class CameraHead(nn.Module):
    """A small convolutional network from cropped, masked pictures to cameras."""

    def __init__(self, config: CameraHeadConfig | None = None) -> None:
        super().__init__()
        self.config = config or CameraHeadConfig()
        self.backbone = PyramidBackbone(4, self.config.widths, self.config.blocks)
        width = self.config.widths[-1]
        cells = (self.config.image_size // 32) ** 2
        self.hidden = nn.Sequential(
            nn.Conv2d(width, width, 3, stride=2, padding=1),
            nn.SiLU(),
            nn.Flatten(),
            nn.Linear(width * cells, width),
            nn.SiLU(),
        )
        self.answers, self.azimuth = nn.Linear(width, OUTPUTS), nn.Linear(width, AZIMUTH_BINS)

    def forward(self, images: Float[Tensor, "b 4 h w"]) -> Float[Tensor, "b 6"]:
        """The raw answers for premultiplied RGBA pictures in [0, 1] of any size; see OUTPUTS."""
        return self.answers(self.features(images))

    def features(self, images: Float[Tensor, "b 4 h w"]) -> Float[Tensor, "b c"]:
        """What `answers` and `azimuth` (logits of AZIMUTH_BINS, bin k around k * 360 / AZIMUTH_BINS degrees) read."""
        size = (self.config.image_size,) * 2
        if images.shape[-2:] != size:
            images = nn.functional.interpolate(images, size, mode="bilinear", antialias=True)
        return self.hidden(self.backbone(images)[-1])

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
        answers, azimuths = self.mirror_averaged(torch.cat([pixels[:, :3] * pixels[:, 3:], pixels[:, 3:]], dim=1))
        cameras = [_camera(row) for row in answers.cpu().tolist()]
        return at_sides(align_quarter_turns(cameras, azimuths.cpu()), sides or [None] * len(cameras))

    def mirror_averaged(self, images: Float[Tensor, "b 4 h w"]) -> tuple[Float[Tensor, "b 6"], Float[Tensor, "b k"]]:
        """Answers and probabilities of the azimuth's bins, averaged over pictures and their mirror images."""
        plain, mirrored = self.features(images), self.features(images.flip(-1))
        answers = self.answers(plain) + self.answers(mirrored) * images.new_tensor(MIRRORED)
        # A mirrored picture was taken from the other side of azimuth 0: bin k becomes bin -k.
        other = self.azimuth(mirrored).float().softmax(dim=1).flip(1).roll(1, 1)
        return answers.float() / 2.0, (self.azimuth(plain).float().softmax(dim=1) + other) / 2.0

    def save(self, folder: str | Path) -> None:
        """Write configuration, fp16 weights and manifest."""
        save_weights(folder, {"camera_head": self.state_dict()}, to_dict(self.config))

    @classmethod
    def load(cls, folder: str | Path) -> CameraHead:
        """The head stored in a folder. Raises InputError where files are missing, damaged or do not fit."""
        return load_module(folder, CameraHeadConfig, cls, lambda head: {"camera_head": head})


def azimuths_deg(poses: Float[Tensor, "... 3 4"]) -> Float[Tensor, "..."]:
    """The azimuths of cameras given as matrices, in degrees."""
    return torch.atan2(poses[..., 0, 3], poses[..., 2, 3]).rad2deg()


def camera_targets(poses: Float[Tensor, "b 3 4"], intrinsics: Float[Tensor, "b 3"]) -> Float[Tensor, "b 6"]:
    """What the head should answer for cameras given as matrices."""
    position = poses[..., 3]
    distance = position.norm(dim=-1)
    azimuth = torch.atan2(position[..., 0], position[..., 2])
    elevation = torch.asin((position[..., 1] / distance).clamp(-1.0, 1.0))
    scale = torch.log(intrinsics[..., 0] / distance)
    turns = torch.stack([torch.sin(4.0 * azimuth), torch.cos(4.0 * azimuth)], dim=-1)
    return torch.cat([turns, elevation[..., None], scale[..., None], intrinsics[..., 1:]], dim=-1)


def camera_errors(answer: Float[Tensor, "b 6"], target: Float[Tensor, "b 6"]) -> dict[str, Tensor]:
    """Errors per picture: azimuth modulo a quarter turn and elevation in degrees, offset in NDC, scale as a ratio."""
    turn = torch.atan2(answer[:, 0], answer[:, 1]) - torch.atan2(target[:, 0], target[:, 1])
    turn = torch.atan2(torch.sin(turn), torch.cos(turn)) / 4.0
    return {
        "azimuth_deg": turn.rad2deg().abs(),
        "elevation_deg": (answer[:, 2] - target[:, 2]).rad2deg().abs(),
        "scale": (answer[:, 3] - target[:, 3]).abs().exp() - 1.0,
        "offset": (answer[:, 4:] - target[:, 4:]).norm(dim=1),
    }


def azimuth_targets(azimuth_deg: Float[Tensor, "b"]) -> Float[Tensor, "b k"]:
    """Probabilities of the bins for known azimuths: shared by the two nearest ones."""
    place = azimuth_deg / (360.0 / AZIMUTH_BINS)
    lower = place.floor()
    share = (place - lower)[:, None]
    bins = [nn.functional.one_hot((lower + step).long() % AZIMUTH_BINS, AZIMUTH_BINS) for step in (0, 1)]
    return bins[0] * (1.0 - share) + bins[1] * share


def turn_probabilities(azimuths: Float[Tensor, "n k"]) -> Float[Tensor, "n n k"]:
    """How likely picture j is turned by k bins against picture i, if their azimuths have these probabilities."""
    return torch.stack([torch.einsum("ia,ja->ij", azimuths, azimuths.roll(-k, 1)) for k in range(AZIMUTH_BINS)], dim=2)


def _camera(row: list[float]) -> Camera:
    """The camera that one row of answers describes, at the default distance."""
    azimuth = math.degrees(math.atan2(row[0], row[1])) / 4.0 % 90.0
    elevation = max(-89.0, min(89.0, math.degrees(row[2])))
    focal = math.exp(max(-3.0, min(3.0, row[3]))) * DEFAULT_DISTANCE
    fov_deg = math.degrees(2.0 * math.atan(1.0 / focal))
    return Camera(azimuth, elevation, DEFAULT_DISTANCE, fov_deg, (row[4], row[5]))


def align_quarter_turns(cameras: list[Camera], azimuths: Float[Tensor, "n k"]) -> list[Camera]:
    """The cameras with the later ones turned by the multiples of 90 degrees that suit the pictures' azimuths best.

    azimuths: probabilities of each picture's azimuth over the full circle. Besides them it counts that people take
    pictures of different sides of an object: two within 45 degrees of each other are unlikely. The first JOINTLY
    pictures are turned together, later ones against all before them.
    """
    turns = turn_probabilities(azimuths).clamp_min(1e-6).log().numpy()

    def likelihood(angles: Sequence[float], first: int = 0) -> float:
        pairs = [(i, j) for j in range(max(first, 1), len(angles)) for i in range(j)]
        between = [_at_angle(turns[i, j], angles[j] - angles[i]) for i, j in pairs]
        close = sum(abs((angles[j] - angles[i] + 180.0) % 360.0 - 180.0) < SAME_SIDE_DEG for i, j in pairs)
        return sum(between) + close * SAME_SIDE_LOG

    found = [camera.azimuth_deg for camera in cameras]
    quarters = itertools.product((0.0, 90.0, 180.0, 270.0), repeat=min(len(cameras), JOINTLY) - 1)
    together = [[found[0], *(a + q for a, q in zip(found[1:], each, strict=False))] for each in quarters]
    chosen = max(together, key=likelihood)
    for azimuth in found[len(chosen) :]:
        more = [[*chosen, azimuth + quarter] for quarter in (0.0, 90.0, 180.0, 270.0)]
        chosen = max(more, key=lambda angles: likelihood(angles, len(angles) - 1))
    return [camera.turned(angle - camera.azimuth_deg) for camera, angle in zip(cameras, chosen, strict=True)]


def _at_angle(row: Float[np.ndarray, "k"], angle_deg: float) -> float:
    """The row's value at an angle, linear between the bins of the circle."""
    places = np.arange(AZIMUTH_BINS + 1) * 360.0 / AZIMUTH_BINS
    return float(np.interp(angle_deg % 360.0, places, np.append(row, row[0])))
