"""EfficientNet-Lite0 up to stride 16: features of a network that has learnt to tell things in photographs.

Tan and Le 2019, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks"; Lite is the variant without
squeeze-and-excitation and with ReLU6. Batch norms are folded into the convolutions, so that only convolutions are left.
`tools/efficientnet_weights.py` makes such weights from those that were trained on ImageNet.
"""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

FEATURES = (16, 24, 40, 112)  # channels at strides 2, 4, 8 and 16
# Of the inverted residual blocks: expansion, kernel, stride, channels.
_BLOCKS = (
    (1, 3, 1, 16),
    (6, 3, 2, 24),
    (6, 3, 1, 24),
    (6, 5, 2, 40),
    (6, 5, 1, 40),
    (6, 3, 2, 80),
    (6, 3, 1, 80),
    (6, 3, 1, 80),
    (6, 5, 1, 112),
    (6, 5, 1, 112),
    (6, 5, 1, 112),
)
_LAST = (0, 2, 4, 10)  # the last block of each stride
_STEM = 32
_MEAN = (0.498, 0.498, 0.498)  # of the pictures that the weights were trained on, and their deviation
_DEVIATION = 0.502


class SameConv(nn.Conv2d):
    """A convolution padded as TensorFlow does it, in which the weights were trained: strides have no padding before."""

    def forward(self, x: Tensor) -> Tensor:
        pads = []
        for size, kernel, stride in zip(x.shape[:-3:-1], self.kernel_size[::-1], self.stride[::-1], strict=True):
            total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            pads += [total // 2, total - total // 2]
        if pads[::2] == pads[1::2]:
            return F.conv2d(x, self.weight, self.bias, self.stride, (pads[2], pads[0]), groups=self.groups)
        return F.conv2d(F.pad(x, pads), self.weight, self.bias, self.stride, groups=self.groups)


class InvertedResidual(nn.Module):
    """Channels expanded, each filtered by itself, and projected, around a skip connection where shapes allow it."""

    def __init__(self, before: int, expansion: int, kernel: int, stride: int, after: int) -> None:
        super().__init__()
        inner = before * expansion
        self.expand = nn.Conv2d(before, inner, 1) if expansion > 1 else nn.Identity()
        self.filter = SameConv(inner, inner, kernel, stride, groups=inner)
        self.project = nn.Conv2d(inner, after, 1)
        self.expands, self.skips = expansion > 1, stride == 1 and before == after

    def forward(self, x: Tensor) -> Tensor:
        inner = F.relu6(self.expand(x)) if self.expands else x
        answer = self.project(F.relu6(self.filter(inner)))
        return x + answer if self.skips else answer


class EfficientNetLite(nn.Module):
    """The stem and the first eleven blocks.

    fixed: so many blocks are not trained, nor is the stem: what small strides know serves any task and costs most.
    """

    def __init__(self, fixed: int) -> None:
        super().__init__()
        self.stem = SameConv(3, _STEM, 3, stride=2)
        channels = (_STEM, *(block[-1] for block in _BLOCKS))
        self.blocks = nn.ModuleList(
            InvertedResidual(before, *block) for before, block in zip(channels, _BLOCKS, strict=False)
        )
        self.stem.requires_grad_(False)
        self.blocks[:fixed].requires_grad_(False)

    def forward(self, images: Float[Tensor, "b 4 h w"]) -> list[Float[Tensor, "b c i j"]]:
        """Maps of FEATURES channels, of premultiplied RGBA pictures in [0, 1]; what is transparent has mean colour."""
        rgb, alpha = images[:, :3], images[:, 3:]
        # Over the mean colour; a normalised picture is zero there.
        x = F.relu6(self.stem((rgb - alpha * rgb.new_tensor(_MEAN)[:, None, None]) / _DEVIATION))
        maps = []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in _LAST:
                maps.append(x)
        return maps
