"""EfficientNet-Lite0: folded weights answer what convolutions with batch norms answer, padded as TensorFlow pads."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from tools.efficientnet_weights import copy_folded
from wavemesh.models.efficientnet import FEATURES, EfficientNetLite

# As the paper's table has them: repeats, kernel, stride, expansion, channels.
STAGES = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112))


def stored_weights() -> dict[str, Tensor]:
    """Random weights under the names that the published file has."""
    torch.manual_seed(0)
    stored: dict[str, Tensor] = {}

    def add(conv: str, norm: str, after: int, before: int, kernel: int) -> None:
        stored[f"{conv}.weight"] = torch.randn(after, before, kernel, kernel) / (before * kernel**2) ** 0.5
        stored[f"{norm}.weight"], stored[f"{norm}.bias"] = 1.0 + torch.rand(after), torch.randn(after)
        stored[f"{norm}.running_mean"], stored[f"{norm}.running_var"] = torch.randn(after), 0.5 + torch.rand(after)

    add("_conv_stem", "_bn0", 32, 3, 3)
    before, number = 32, 0
    for repeats, kernel, _, expansion, channels in STAGES:
        for _ in range(repeats):
            place = f"_blocks.{number}."
            if expansion > 1:
                add(f"{place}_expand_conv", f"{place}_bn0", before * expansion, before, 1)
            add(f"{place}_depthwise_conv", f"{place}_bn1", before * expansion, 1, kernel)
            add(f"{place}_project_conv", f"{place}_bn2", channels, before * expansion, 1)
            before, number = channels, number + 1
    return stored


def normed(stored: dict[str, Tensor], conv: str, norm: str, x: Tensor, stride: int = 1) -> Tensor:
    """A convolution that is padded to keep the size, more behind than before, and its batch norm."""
    weight = stored[f"{conv}.weight"]
    total = weight.shape[-1] - stride if weight.shape[-1] > 1 else 0
    x = F.pad(x, (total // 2, total - total // 2) * 2)
    x = F.conv2d(x, weight, stride=stride, groups=x.shape[1] // weight.shape[1])
    parts = (stored[f"{norm}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
    return F.batch_norm(x, *parts, eps=1e-3)


def reference_maps(stored: dict[str, Tensor], x: Tensor) -> list[Tensor]:
    x = normed(stored, "_conv_stem", "_bn0", x, 2).clamp(0, 6)
    number, maps = 0, []
    for repeats, _, stride, expansion, _ in STAGES:
        if stride == 2:
            maps.append(x)
        for repeat in range(repeats):
            place, skip = f"_blocks.{number}.", x
            if expansion > 1:
                x = normed(stored, f"{place}_expand_conv", f"{place}_bn0", x).clamp(0, 6)
            x = normed(stored, f"{place}_depthwise_conv", f"{place}_bn1", x, stride if repeat == 0 else 1).clamp(0, 6)
            x = normed(stored, f"{place}_project_conv", f"{place}_bn2", x)
            x = x + skip if repeat else x
            number += 1
    return [*maps, x]


def test_folded_weights_answer_what_batch_norms_answer() -> None:
    stored = stored_weights()
    trunk = EfficientNetLite(fixed=0)
    copy_folded(stored, trunk)
    pictures = torch.rand(2, 3, 64, 64)
    found = trunk(torch.cat([pictures, torch.ones(2, 1, 64, 64)], dim=1))
    expected = reference_maps(stored, (pictures * 255.0 - 127.0) / 128.0)
    assert [tuple(each.shape) for each in found] == [(2, c, 32 >> n, 32 >> n) for n, c in enumerate(FEATURES)]
    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=2e-3, atol=2e-3 * float(theirs.abs().max()))


def test_what_is_transparent_has_the_mean_colour() -> None:
    torch.manual_seed(0)
    trunk = EfficientNetLite(fixed=0)
    clear = torch.zeros(1, 4, 32, 32)
    grey = torch.cat([torch.full((1, 3, 32, 32), 127.0 / 255.0), torch.ones(1, 1, 32, 32)], dim=1)
    torch.testing.assert_close(trunk(clear)[-1], trunk(grey)[-1], atol=1e-3, rtol=0)


def test_fixed_blocks_are_not_trained() -> None:
    trunk = EfficientNetLite(fixed=3)
    trunk(torch.rand(1, 4, 32, 32))[-1].sum().backward()
    trained = [any(each.grad is not None for each in block.parameters()) for block in trunk.blocks]
    assert trained == [False] * 3 + [True] * 8
    assert trunk.stem.weight.grad is None
