"""The same pictures in frames that are quarter turns apart, and the mean of the shapes that come out, or of all turns.

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


def field_of_revolution(field: Float[Tensor, "n n n"]) -> Float[Tensor, "n n n"]:
    """The mean of the field over all turns about the vertical axis."""
    n = len(field)
    centres = torch.arange(n, device=field.device) - (n - 1) / 2.0
    radius = (centres[:, None].square() + centres[None].square()).sqrt().flatten()
    inner = radius.floor().long()
    outward = radius - inner
    columns = field.transpose(1, 2).flatten(0, 1).float()  # (n * n, n): the values above each place
    total, weight = columns.new_zeros(n, n), columns.new_zeros(n, 1)
    for ring, share in ((inner, 1.0 - outward), (inner + 1, outward)):
        total.index_add_(0, ring, columns * share[:, None])
        weight.index_add_(0, ring, share[:, None])
    profile = total / weight.clamp_min(1e-6)
    around = profile[inner] * (1.0 - outward)[:, None] + profile[inner + 1] * outward[:, None]
    return around.unflatten(0, (n, n)).transpose(1, 2).to(field.dtype)
