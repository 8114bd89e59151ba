"""U-2-Net small: what stands out in a picture, by a network that has seen many photographs.

Qin et al. 2020, "U^2-Net: Going Deeper with Nested U-Structure for Salient Object Detection": a U-Net whose stages are
U-Nets themselves. 1.1 million parameters; batch norms are folded into the convolutions, so only convolutions are left.
It knows nothing of this project's shapes: `background` takes its answer as the first guess of a cut by colour. The
weights and where they come from: `assets/weights/cutout`. Always float32: in bfloat16 it is off by up to .47.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional

from wavemesh.checkpoint import load_module
from wavemesh.config import Width
from wavemesh.imaging.subject import beside_the_subject, worth_telling
from wavemesh.weights import resolve

SIDE = 320  # pixels a side of what the network sees; it was trained on this
_MARGIN, _NEARLY_ALL = 0.2, 0.7  # around what stood out, of its longer side; of the picture's area
# Of ImageNet.
_MEAN = np.array([0.485, 0.456, 0.406], dtype=np.float32)
_DEVIATION = np.array([0.229, 0.224, 0.225], dtype=np.float32)


@dataclass(frozen=True)
class U2NetpConfig:
    """Channels of the stages and, narrower, inside them."""

    width: Width = 64
    inner: Width = 16


class Seen(NamedTuple):
    """How far each pixel belongs to the picture's subject, (h, w) float32 in [0, 1]; whether something else of a size
    worth telling stands out too.
    """

    likelihood: Float[np.ndarray, "h w"]
    others: bool


def saliency(rgb: UInt8[np.ndarray, "h w 3"]) -> Seen:
    """What stands out in a picture and is its subject, by the bundled network.

    It looks twice: at the whole picture, and again at the part that has the subject, where thin parts get more of the
    SIDE x SIDE pixels that it sees. Raises InputError where the weights are missing or damaged.
    """
    found, others = _of_the_subject(look(rgb))
    stands_out = found >= 0.5
    rows, columns = np.flatnonzero(stands_out.any(axis=1)), np.flatnonzero(stands_out.any(axis=0))
    if rows.size == 0:
        return Seen(found, others)
    pad = 8 + round(_MARGIN * max(np.ptp(rows), np.ptp(columns)))
    part = np.s_[max(0, rows[0] - pad) : rows[-1] + pad + 1, max(0, columns[0] - pad) : columns[-1] + pad + 1]
    if found[part].size > _NEARLY_ALL * found.size:
        return Seen(found, others)
    closer = np.zeros_like(found)
    closer[part] = look(np.ascontiguousarray(rgb[part]))
    found, still = _of_the_subject(closer)
    return Seen(found, others or still)


def _of_the_subject(found: Float[np.ndarray, "h w"]) -> tuple[Float[np.ndarray, "h w"], bool]:
    stands_out = found >= 0.5
    others = beside_the_subject(stands_out)
    return np.where(others, np.float32(0.0), found), worth_telling(others, stands_out)


@torch.inference_mode()
def look(rgb: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, "h w"]:
    """As `saliency`, by a single look at the whole picture."""
    height, width = rgb.shape[:2]
    with torch.autocast("cpu", enabled=False):
        found = _bundled()(network_input(rgb)[None])[0, 0]
    return cv2.resize(found.numpy(), (width, height), interpolation=cv2.INTER_LINEAR).clip(0.0, 1.0)


def network_input(rgb: UInt8[np.ndarray, "h w 3"]) -> Float[Tensor, "3 320 320"]:
    """A picture of any proportions as the network sees it."""
    shrinks = max(rgb.shape[:2]) > SIDE
    small = cv2.resize(rgb, (SIDE, SIDE), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    pixels = small.astype(np.float32) / max(1.0, float(small.max()))
    return torch.from_numpy((pixels - _MEAN) / _DEVIATION).permute(2, 0, 1)


@functools.lru_cache(maxsize=1)
def _bundled() -> U2Netp:
    with torch.inference_mode(False):
        # Channels last: a third faster on a CPU.
        return U2Netp.load(resolve(None, "cutout")).to(memory_format=torch.channels_last)


class U2Netp(nn.Module):
    """Normalised pictures (b, 3, h, w) -> what stands out in them (b, 1, h, w) in [0, 1]."""

    def __init__(self, config: U2NetpConfig | None = None) -> None:
        super().__init__()
        wide, inner = (config or U2NetpConfig()).width, (config or U2NetpConfig()).inner
        depths = (7, 6, 5, 4, 0, 0)  # of the nested U; 0: too few pixels are left to halve them, it dilates instead
        self.encoder = nn.ModuleList(
            _stage(depth, 3 if level == 0 else wide, inner, wide) for level, depth in enumerate(depths)
        )
        self.decoder = nn.ModuleList(_stage(depth, 2 * wide, inner, wide) for depth in reversed(depths[:-1]))
        self.sides = nn.ModuleList(nn.Conv2d(wide, 1, 3, padding=1) for _ in depths)
        self.fuse = nn.Conv2d(len(depths), 1, 1)

    @classmethod
    def load(cls, folder: str | Path) -> U2Netp:
        """The network with the weights of a folder; raises InputError where they are missing or damaged."""
        return load_module(folder, U2NetpConfig, cls, lambda network: {"u2netp": network})

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 1 h w"]:
        """What stands out in the pictures."""
        return self.logits(images)[0].sigmoid()

    def logits(self, images: Float[Tensor, "b 3 h w"]) -> list[Float[Tensor, "b 1 h w"]]:
        """The answer before its sigmoid, and those of the levels that it is made of, the finest first."""
        skips: list[Tensor] = []
        x = images
        for level, stage in enumerate(self.encoder):
            x = stage(_halved(x) if level else x)
            skips.append(x)
        levels = [skips.pop()]
        for stage in self.decoder:
            skip = skips.pop()
            levels.append(stage(torch.cat([_as_large(levels[-1], skip), skip], dim=1)))
        maps = [side(x) for side, x in zip(self.sides, reversed(levels), strict=True)]
        maps = [_as_large(each, maps[0]) for each in maps]
        return [self.fuse(torch.cat(maps, dim=1)), *maps]


class _NestedU(nn.Module):
    """A U-Net of 3x3 convolutions around a residual connection; `down`, `bottom` and `up` are dilations.

    Where all dilations of `down` are 1 it halves the pixels between its steps, else it keeps them.
    """

    def __init__(
        self, channels: tuple[int, int, int], down: tuple[int, ...], bottom: int, up: tuple[int, ...], halves: bool
    ) -> None:
        super().__init__()
        given, inner, out = channels
        self.halves = halves
        self.inside = _convolution(given, out)
        self.down = nn.ModuleList(
            _convolution(inner if index else out, inner, dilation) for index, dilation in enumerate(down)
        )
        self.bottom = _convolution(inner, inner, bottom)
        last = len(up) - 1
        self.up = nn.ModuleList(
            _convolution(2 * inner, out if index == last else inner, dilation) for index, dilation in enumerate(up)
        )

    def forward(self, x: Float[Tensor, "b i h w"]) -> Float[Tensor, "b o h w"]:
        """Features at the same size."""
        inside = self.inside(x)
        skips: list[Tensor] = []
        x = inside
        for index, step in enumerate(self.down):
            x = step(_halved(x) if self.halves and index else x)
            skips.append(x)
        x = self.bottom(x)
        for step in self.up:
            skip = skips.pop()
            x = step(torch.cat([_as_large(x, skip), skip], dim=1))
        return x + inside


def _stage(depth: int, given: int, inner: int, out: int) -> _NestedU:
    """RSU-depth of the paper, and RSU-4F for depth 0."""
    channels = (given, inner, out)
    if depth == 0:
        return _NestedU(channels, down=(1, 2, 4), bottom=8, up=(4, 2, 1), halves=False)
    return _NestedU(channels, down=(1,) * (depth - 1), bottom=2, up=(1,) * (depth - 1), halves=True)


def _convolution(given: int, out: int, dilation: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(given, out, 3, padding=dilation, dilation=dilation), nn.ReLU(inplace=True))


def _halved(x: Tensor) -> Tensor:
    return functional.max_pool2d(x, 2, ceil_mode=True)


def _as_large(x: Tensor, like: Tensor) -> Tensor:
    if x.shape[2:] == like.shape[2:]:
        return x
    return functional.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=False)
