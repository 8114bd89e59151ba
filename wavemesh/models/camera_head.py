"""Camera estimation for pictures that come without one: azimuth modulo a quarter turn, elevation, scale and offset.

An object's front cannot be known from one picture, and the frame that reconstruction uses is as good turned by 90
degrees; so the network answers modulo a quarter turn, the first picture fixes the frame, and the turns of further
pictures are chosen by how well all silhouettes agree on one visual hull. Distance and field of view act alike on a
crop: the default distance is assumed and the focal length carries the scale.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor, nn

from wavemesh.checkpoint import load_module, save_weights
from wavemesh.config import to_dict
from wavemesh.geometry.camera import DEFAULT_DISTANCE, Camera, project_points, stack_cameras
from wavemesh.models.multiview_encoder import PyramidBackbone, ViewFeatures
from wavemesh.models.projection import grid_points, soft_hull

OUTPUTS = 6  # sin and cos of four times the azimuth, elevation in radians, log of focal over distance, offset x and y


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
        self.head = nn.Sequential(
            nn.Conv2d(width, width, 3, stride=2, padding=1),
            nn.SiLU(),
            nn.Flatten(),
            nn.Linear(width * cells, 2 * width),
            nn.SiLU(),
            nn.Linear(2 * width, OUTPUTS),
        )

    def forward(self, images: Float[Tensor, "b 4 h w"]) -> Float[Tensor, "b 6"]:
        """The raw answers for premultiplied RGBA pictures in [0, 1] of any size; see OUTPUTS."""
        size = (self.config.image_size,) * 2
        if images.shape[-2:] != size:
            images = nn.functional.interpolate(images, size, mode="bilinear", antialias=True)
        return self.head(self.backbone(images)[-1])

    @torch.inference_mode()
    def estimate(self, pictures: list[Image.Image]) -> list[Camera]:
        """Cameras of RGBA crops; the first has an azimuth in [0, 90), the others are relative to it."""
        device = next(self.parameters()).device
        size = self.config.image_size
        resized = np.stack([np.asarray(picture.convert("RGBA").resize((size, size))) for picture in pictures])
        pixels = torch.from_numpy(resized).permute(0, 3, 1, 2).float().to(device) / 255.0
        images = torch.cat([pixels[:, :3] * pixels[:, 3:], pixels[:, 3:]], dim=1)
        cameras = [_camera(row) for row in self(images).float().cpu().tolist()]
        return align_quarter_turns(cameras, pixels[:, 3:].cpu())

    def save(self, folder: str | Path) -> None:
        """Write configuration, fp16 weights and manifest."""
        save_weights(folder, {"camera_head": self.state_dict()}, to_dict(self.config))

    @classmethod
    def load(cls, folder: str | Path) -> CameraHead:
        """The head stored in a folder. Raises InputError where files are missing, damaged or do not fit."""
        return load_module(folder, CameraHeadConfig, cls, lambda head: {"camera_head": head})


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


def _camera(row: list[float]) -> Camera:
    """The camera that one row of answers describes, at the default distance."""
    azimuth = math.degrees(math.atan2(row[0], row[1])) / 4.0 % 90.0
    elevation = max(-89.0, min(89.0, math.degrees(row[2])))
    focal = math.exp(max(-3.0, min(3.0, row[3]))) * DEFAULT_DISTANCE
    fov_deg = math.degrees(2.0 * math.atan(1.0 / focal))
    return Camera(azimuth, elevation, DEFAULT_DISTANCE, fov_deg, (row[4], row[5]))


def align_quarter_turns(cameras: list[Camera], alpha: Float[Tensor, "n 1 h w"]) -> list[Camera]:
    """The cameras with the later ones turned by the multiples of 90 degrees that suit the silhouettes best.

    Greedy: each picture in turn takes the one of four turns at which the visual hull of all pictures so far covers most
    of their silhouettes.
    """
    chosen = cameras[:1]
    for camera in cameras[1:]:
        candidates = [camera.turned(90.0 * turn) for turn in range(4)]
        masks = alpha[: len(chosen) + 1]
        chosen.append(max(candidates, key=lambda candidate: _hull_coverage([*chosen, candidate], masks)))
    return chosen


def _hull_coverage(cameras: list[Camera], alpha: Float[Tensor, "n 1 h w"], resolution: int = 48) -> float:
    """The share of the silhouettes that their visual hull covers, mean over the views."""
    poses, intrinsics = stack_cameras(cameras)
    empty = torch.zeros(1, len(cameras), 0)
    features = ViewFeatures(empty, alpha[None].float(), empty, empty, poses[None], intrinsics[None])
    points = grid_points(resolution)
    solid = points[soft_hull(features, points)[0] > 0.5]
    cells = 32
    covered = []
    for index in range(len(cameras)):
        mask = nn.functional.interpolate(alpha[index : index + 1].float(), size=(cells, cells), mode="area")[0, 0] > 0.5
        ndc, _ = project_points(solid, poses[index], intrinsics[index])
        pixel = ((ndc + 1.0) / 2.0 * cells).floor().long()
        inside = ((pixel >= 0) & (pixel < cells)).all(dim=-1)
        seen = torch.zeros(cells, cells, dtype=torch.bool)
        seen[cells - 1 - pixel[inside, 1], pixel[inside, 0]] = True
        covered.append(float((seen & mask).sum() / mask.sum().clamp_min(1)))
    return sum(covered) / len(covered)
