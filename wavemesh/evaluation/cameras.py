"""How far the camera head is off on pictures of held-out shapes whose cameras are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from wavemesh.data.augment import object_windows
from wavemesh.data.dataset import PreparedShapes
from wavemesh.models.camera_head import (
    CameraHead,
    azimuths_deg,
    camera_errors,
    camera_targets,
)

SET = 4  # pictures that are estimated together


@dataclass(frozen=True)
class CameraErrors:
    """Medians over pictures, and how often two pictures are set against each other rightly.

    azimuth_deg: modulo a quarter turn. scale, distance: as shares. offset: in NDC. These are of pictures by themselves.
    turns: share of the pairs of four pictures of one shape whose turn against each other is off by less than 45
    degrees.
    """

    azimuth_deg: float
    elevation_deg: float
    scale: float
    offset: float
    distance: float
    turns: float
    pictures: int

    def __str__(self) -> str:
        return (
            f"median error {self.azimuth_deg:.1f}° of azimuth (modulo 90°), {self.elevation_deg:.1f}° of elevation, "
            f"{self.scale:.0%} of scale, over {self.pictures} pictures; {self.turns:.0%} of pairs of four pictures "
            "turned against each other rightly (within 45°)"
        )


@torch.inference_mode()
def held_out_errors(
    head: CameraHead, shapes: PreparedShapes, keys: Sequence[str] | None = None, views: int = 8
) -> CameraErrors:
    """Median errors on the views of a split's shapes, cropped as the pipeline does it; keys: of these shapes only."""
    device = next(head.parameters()).device
    chosen = [list(range(min(views, shapes.num_views)))]
    errors: dict[str, list[Tensor]] = {}
    off: list[Tensor] = []
    for index in range(len(shapes)) if keys is None else [shapes.keys.index(key) for key in keys]:
        poses, intrinsics = shapes.view_cameras([index], chosen)
        images, intrinsics = object_windows(shapes.images([index], chosen)[0], intrinsics[0])
        answer = head.mirror_averaged(images.to(device)[:, None]).cameras[:, 0].cpu()
        for name, value in camera_errors(answer, camera_targets(poses[0], intrinsics)).items():
            errors.setdefault(name, []).append(value)
        for some, theirs in zip(images.split(SET), poses[0].split(SET), strict=True):
            found = torch.tensor([camera.azimuth_deg for camera in head.located(some.to(device))])
            off.append(_between(found - azimuths_deg(theirs)))
    joined = {name: torch.cat(values) for name, values in errors.items()}
    medians = {name: float(values.median()) for name, values in joined.items()}
    pairs = torch.cat(off)
    turns = float((pairs < 45.0).float().mean()) if len(pairs) else 1.0
    return CameraErrors(**medians, turns=turns, pictures=len(joined["azimuth_deg"]))


def _between(off_deg: Float[Tensor, "n"]) -> Float[Tensor, "p"]:
    """How far each pair of cameras is off against each other, in degrees, from how far each is off."""
    first, second = torch.triu_indices(len(off_deg), len(off_deg), offset=1)
    return ((off_deg[second] - off_deg[first] + 180.0) % 360.0 - 180.0).abs()
