"""How far the camera head is off on pictures of held-out shapes whose cameras are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from wavemesh.data.dataset import PreparedShapes
from wavemesh.models.camera_head import CameraHead, camera_errors, camera_targets


@dataclass(frozen=True)
class CameraErrors:
    """Medians over pictures.

    azimuth_deg: modulo a quarter turn. scale: as a share. offset: in NDC.
    """

    azimuth_deg: float
    elevation_deg: float
    scale: float
    offset: float
    pictures: int

    def __str__(self) -> str:
        return (
            f"median error {self.azimuth_deg:.1f}° of azimuth (modulo 90°), {self.elevation_deg:.1f}° of elevation, "
            f"{self.scale:.0%} of scale, over {self.pictures} pictures"
        )


@torch.inference_mode()
def held_out_errors(
    head: CameraHead, shapes: PreparedShapes, keys: Sequence[str] | None = None, views: int = 8
) -> CameraErrors:
    """Median errors on the cropped views of a split's shapes; keys: of these shapes only."""
    device = next(head.parameters()).device
    chosen = [list(range(min(views, shapes.num_views)))]
    errors: dict[str, list[Tensor]] = {}
    for index in range(len(shapes)) if keys is None else [shapes.keys.index(key) for key in keys]:
        answer = head(shapes.images([index], chosen)[0].to(device)).float().cpu()
        poses, intrinsics = shapes.view_cameras([index], chosen)
        for name, value in camera_errors(answer, camera_targets(poses[0], intrinsics[0])).items():
            errors.setdefault(name, []).append(value)
    joined = {name: torch.cat(values) for name, values in errors.items()}
    medians = {name: float(values.median()) for name, values in joined.items()}
    return CameraErrors(**medians, pictures=len(joined["azimuth_deg"]))
