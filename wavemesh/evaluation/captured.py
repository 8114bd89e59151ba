"""How far the camera head is off on real pictures: turns between the frames of CO3Dv2's sequences.

The world of a sequence stands anyhow, so what is compared is how two cameras are turned against each other. The shares
of pairs within 15 and 30 degrees are what papers on camera poses call relative rotation accuracy (RRA@15, RRA@30).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from wavemesh.data.augment import object_windows
from wavemesh.data.co3d import CapturedObject
from wavemesh.data.dataset import to_network_image
from wavemesh.geometry.camera_tensors import stack_cameras
from wavemesh.models.camera_head import CameraHead

SIDE_PX = 256  # a frame in its square, before it is cropped to the object


@dataclass(frozen=True)
class CapturedErrors:
    """Angles between true and estimated turns of pairs of frames: the median, the shares within 15 and 30 degrees."""

    median_deg: float
    within_15: float
    within_30: float
    pairs: int
    objects: int

    def __str__(self) -> str:
        return (
            f"median error {self.median_deg:.1f}° of the turn between two frames; {self.within_15:.0%} within 15°, "
            f"{self.within_30:.0%} within 30°, over {self.pairs} pairs of {self.objects} objects"
        )


@torch.inference_mode()
def captured_errors(head: CameraHead, objects: Sequence[CapturedObject], frames: int = 4) -> CapturedErrors:
    """Errors over all pairs of so many frames of each object, spread over its sequence and estimated together.

    Frames are cropped to their masks as the pipeline does it. Objects with fewer than two frames are left out.
    """
    device = next(head.parameters()).device
    errors: list[Tensor] = []
    for each in objects:
        places = sorted({round(place) for place in np.linspace(0, len(each.frames) - 1, frames)})
        if len(places) < 2:
            continue
        chosen = [each.frames[place] for place in places]
        squares = [frame.square(SIDE_PX) for frame in chosen]
        images = to_network_image(np.stack([rgba for rgba, _ in squares]))
        intrinsics = torch.from_numpy(np.stack([numbers for _, numbers in squares]))
        windows, _ = object_windows(images, intrinsics)
        found, _ = stack_cameras(head.located(windows.to(device)))
        truth = torch.from_numpy(np.stack([frame.pose for frame in chosen])).float()
        errors.append(relative_turns_deg(found[..., :3], truth[..., :3]))
    pairs = torch.cat(errors) if errors else torch.zeros(0)
    if not len(pairs):
        return CapturedErrors(0.0, 1.0, 1.0, 0, 0)
    within_15, within_30 = (float((pairs < limit).float().mean()) for limit in (15.0, 30.0))
    return CapturedErrors(float(pairs.median()), within_15, within_30, len(pairs), len(errors))


def relative_turns_deg(found: Float[Tensor, "n 3 3"], truth: Float[Tensor, "n 3 3"]) -> Float[Tensor, "p"]:
    """For each pair of cameras the angle between the turns that both sets of camera axes have from one to the other."""
    first, second = torch.triu_indices(len(found), len(found), offset=1)
    between = [axes[first].transpose(1, 2) @ axes[second] for axes in (found, truth)]
    cosine = ((between[0] * between[1]).sum(dim=(1, 2)) - 1.0) / 2.0
    return torch.rad2deg(torch.acos(cosine.clamp(-1.0, 1.0)))
