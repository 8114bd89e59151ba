"""The same pictures in frames that are quarter turns apart, and the mean of the shapes that come out.

A network that is trained on shapes in all quarter turns is not quite symmetric, and neither are the wavelets: atoms of
bior2.2 stand beside their cells' centres. The mean over turned frames (geometric self-ensemble, arXiv:1707.02921) has
less of both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from wavemesh.pipelines.views import PreparedView, network_tensors


def frame_tensors(views: Sequence[PreparedView], num_frames: int) -> tuple[Tensor, Tensor, Tensor]:
    """Images (F, N, 4, H, W), poses (F, N, 3, 4) and intrinsics (F, N, 3) of F = num_frames frames.

    In frame k cameras and object are turned about the vertical axis by k * 90 degrees, from +z towards +x.
    """
    turned = [[replace(view, camera=view.camera.turned(90.0 * k)) for view in views] for k in range(num_frames)]
    frames = [network_tensors(each) for each in turned]
    images, poses, intrinsics = (torch.cat(parts) for parts in zip(*frames, strict=True))
    return images, poses, intrinsics


def mean_field(fields: Float[Tensor, "t n n n"]) -> Float[Tensor, "n n n"]:
    """The mean, in the first frame, of the fields of t frames with values in the centres of their cells."""
    return torch.stack([torch.rot90(field, k, dims=(0, 2)) for k, field in enumerate(fields)]).mean(dim=0)
