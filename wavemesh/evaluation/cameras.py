"""How far the camera head is off on pictures of held-out shapes whose cameras are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from wavemesh.data.augment import object_windows
from wavemesh.data.dataset import PreparedShapes
from wavemesh.models.camera_head import (
    AZIMUTH_BINS,
    CameraHead,
    azimuths_deg,
    camera_errors,
    camera_targets,
    turn_probabilities,
)


@dataclass(frozen=True)
class CameraErrors:
    """Medians over pictures, and how often two pictures are set against each other rightly.

    azimuth_deg: modulo a quarter turn. scale: as a share. offset: in NDC. turns: share of the pairs of pictures of one
    shape whose likeliest turn against each other is off by less than 45 degrees.
    """

    azimuth_deg: float
    elevation_deg: float
    scale: float
    offset: float
    turns: float
    pictures: int

    def __str__(self) -> str:
        return (
            f"median error {self.azimuth_deg:.1f}° of azimuth (modulo 90°), {self.elevation_deg:.1f}° of elevation, "
            f"{self.scale:.0%} of scale, over {self.pictures} pictures; {self.turns:.0%} of pairs of pictures turned "
            "against each other rightly (within 45°)"
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
        answer, azimuths = (each.cpu() for each in head.mirror_averaged(images.to(device)))
        for name, value in camera_errors(answer, camera_targets(poses[0], intrinsics)).items():
            errors.setdefault(name, []).append(value)
        azimuth = azimuths_deg(poses[0])
        found = turn_probabilities(azimuths).argmax(dim=2)
        turned = found * (360.0 / AZIMUTH_BINS) - (azimuth[None] - azimuth[:, None])
        pairs = ~torch.eye(len(azimuth), dtype=torch.bool)
        off.append(((turned + 180.0) % 360.0 - 180.0).abs()[pairs])
    joined = {name: torch.cat(values) for name, values in errors.items()}
    medians = {name: float(values.median()) for name, values in joined.items()}
    turns = float((torch.cat(off) < 45.0).float().mean())
    return CameraErrors(**medians, turns=turns, pictures=len(joined["azimuth_deg"]))
