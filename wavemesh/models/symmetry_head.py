"""Whether an object is the same on both sides of an upright plane, or all around, from one picture with a camera.

Silhouettes alone cannot tell (`models.symmetry`): a jug seen from the front could have a second handle behind it. The
network compares the picture with what it shows at the mirror images of its own surfaces, front and back, as a depth
network places them: a handle whose mirror image lies before the background is on one side only. What is round is the
same on both sides of the plane through its axis and the camera, and bulges towards it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from wavemesh.config import Count, Widths
from wavemesh.geometry.camera_tensors import project_points
from wavemesh.models.blocks import resize_images
from wavemesh.models.depth_network import DepthNetwork, PosedDepths
from wavemesh.models.multiview_encoder import PyramidBackbone
from wavemesh.models.projection import sample_maps

# Picture (4), front and back with the logarithms of their spreads (4), for each of both what lies at the mirror image:
# picture (4), how far behind the surfaces there (2), their spreads (2); and the plane's normal (3).
CHANNELS = 4 + 4 + 2 * 8 + 3
_LOG_SPREAD = 4.0  # brings logarithms of spreads to order one
_DROPOUT = 0.2
_QUARTER_TURN = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (-1.0, 0.0, 0.0))


@dataclass(frozen=True)
class SymmetryHeadConfig:
    """Size of the network, which sees maps of the depth network's size. hidden: between its maps and the answer."""

    widths: Widths = (24, 48, 64)
    blocks: Count = 1
    hidden: Count = 64


class Symmetries(NamedTuple):
    """How likely left and right are alike (x to -x), front and back (z to -z), and all sides; and the IoU with the
    silhouette inflated about the planes x = 0, z = 0 and the upright one that faces the camera.

    doubt: the geometric mean of the spreads of the object's depths, world units.
    """

    sides: float = 0.0
    depths: float = 0.0
    around: float = 0.0
    inflated: tuple[float, ...] = (0.0, 0.0, 0.0)
    doubt: float = 0.0


class SymmetryHead(nn.Module):
    """A small network from `mirror_evidence` to three logits, see `forward`."""

    def __init__(self, config: SymmetryHeadConfig | None = None) -> None:
        super().__init__()
        self.config = config or SymmetryHeadConfig()
        width = self.config.widths[-1]
        self.backbone = PyramidBackbone(CHANNELS, self.config.widths, self.config.blocks)
        self.answer = nn.Sequential(
            nn.Linear(2 * width, self.config.hidden),
            nn.SiLU(),
            nn.Dropout(_DROPOUT),
            nn.Linear(self.config.hidden, 3),
        )

    def forward(self, evidence: Float[Tensor, "b c s s"]) -> Float[Tensor, "b 3"]:
        """Logits that the plane x = 0 is one of symmetry, that the object is round about the vertical axis, asked where
        the plane goes through the camera, and of the IoU of the object with its silhouette inflated about the plane.
        """
        maps = self.backbone(evidence)[-1]
        return self.answer(torch.cat([maps.mean(dim=(2, 3)), maps.amax(dim=(2, 3))], dim=1))

    @torch.inference_mode()
    def probabilities(
        self,
        depth: DepthNetwork,
        images: Float[Tensor, "b 4 h w"],
        poses: Float[Tensor, "b 3 4"],
        intrinsics: Float[Tensor, "b 3"],
    ) -> tuple[Float[Tensor, "b 3"], Float[Tensor, "b 3"]]:
        """The numbers of `Symmetries` for each picture: the three likelihoods, and the three IoUs.

        images: as the pipeline crops them, since the axis of what is round is taken to be in their middle.
        """
        facing_poses, facing_intrinsics = facing(poses, intrinsics)
        frames = [(poses, intrinsics), (quarter_turned(poses), intrinsics), (facing_poses, facing_intrinsics)]
        frames.append((quarter_turned(facing_poses), facing_intrinsics))
        answers = torch.stack([self(mirror_evidence(depth, images, *frame)).float().sigmoid() for frame in frames])
        alike = torch.stack([answers[0, :, 0], answers[1, :, 0], answers[2, :, 1]], dim=1)
        return alike, answers[[0, 1, 3], :, 2].T


def quarter_turned(poses: Float[Tensor, "b 3 4"]) -> Float[Tensor, "b 3 4"]:
    """The cameras in a frame in which their plane z = 0 is x = 0."""
    return poses.new_tensor(_QUARTER_TURN) @ poses


def facing(
    poses: Float[Tensor, "b 3 4"], intrinsics: Float[Tensor, "b 3"]
) -> tuple[Float[Tensor, "b 3 4"], Float[Tensor, "b 3"]]:
    """The cameras at azimuth 0, the world's axis in the middle of their pictures."""
    x, z = F.normalize(poses[:, [0, 2], 3], dim=1).unbind(dim=1)
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    rows = [(z, zero, -x), (zero, one, zero), (x, zero, z)]
    turn = torch.stack([torch.stack(row, dim=1) for row in rows], dim=1)
    return turn @ poses, intrinsics * intrinsics.new_tensor([1.0, 0.0, 1.0])


@torch.no_grad()
def mirror_evidence(
    depth: DepthNetwork,
    images: Float[Tensor, "b 4 h w"],
    poses: Float[Tensor, "b 3 4"],
    intrinsics: Float[Tensor, "b 3"],
) -> Float[Tensor, "b c s s"]:
    """Maps of CHANNELS channels: each pixel beside what the picture shows at the mirror images of its surfaces.

    The mirror is the plane x = 0. images: premultiplied RGBA in [0, 1] of single views.
    """
    found: PosedDepths = depth.of_views(images[:, None], poses[:, None], intrinsics[:, None])
    surfaces, spread = found.depth[:, 0].float(), found.spread[:, 0].float().log() / _LOG_SPREAD
    size = surfaces.shape[-1]
    small = resize_images(images, size)
    shown = torch.cat([small, surfaces, spread], dim=1)
    directions = _pixel_directions(size, intrinsics)
    distance = poses[:, :, 3].norm(dim=1)
    maps = [small, surfaces, spread]
    for surface in surfaces.unbind(dim=1):
        local = directions * (distance[:, None] + surface.flatten(1))[:, None]
        points = torch.einsum("bij,bjp->bpi", poses[:, :, :3].float(), local) + poses[:, None, :, 3]
        mirrored = points * points.new_tensor([-1.0, 1.0, 1.0])
        seen = [project_points(mirrored[item], poses[item], intrinsics[item]) for item in range(len(poses))]
        ndc, away = (torch.stack(part) for part in zip(*seen, strict=True))
        there = sample_maps(shown, ndc).unflatten(-1, (size, size))
        behind = (away - distance[:, None]).view(-1, 1, size, size) - there[:, 4:6]
        maps += [there[:, :4], behind.clamp(-1.0, 1.0), there[:, 6:]]
    normal = poses[:, 0, :3, None, None].expand(-1, 3, size, size)
    return torch.cat([*maps, normal], dim=1) * small[:, 3:].clamp(0.0, 1.0)


def _pixel_directions(size: int, intrinsics: Float[Tensor, "b 3"]) -> Float[Tensor, "b 3 p"]:
    """Directions through the pixels' centres in the axes of the cameras, one unit deep."""
    centres = (torch.arange(size, device=intrinsics.device) + 0.5) / size * 2.0 - 1.0
    y, x = torch.meshgrid(-centres, centres, indexing="ij")
    across = (torch.stack([x, y]).flatten(1) - intrinsics[:, 1:, None]) / intrinsics[:, :1, None]
    return F.pad(across, (0, 0, 0, 1), value=-1.0)
