"""The shape of every tensor on the way from pictures to mesh.

Runs the networks of the given weights (or untrained ones with --untrained) once on noise and lists what each stage
takes and returns, with the number of parameters of each network.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from wavemesh.cli.arguments import integer

if TYPE_CHECKING:
    from wavemesh.models.wavemesh import WaveMeshModel

EXAMPLE = """example, a few seconds on a CPU:
  python -m wavemesh shapes --untrained --views 2
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("--views", type=integer(1), default=4, metavar="N", help="number of pictures (default 4)")
    parser.add_argument("--weights", metavar="SOURCE", help="a folder or Hub id; the bundled weights if left out")
    parser.add_argument("--untrained", action="store_true", help="random weights at the default sizes")


def run(args: argparse.Namespace) -> None:
    """Write a table to standard output."""
    import torch

    from wavemesh.checkpoint import resolve
    from wavemesh.models.wavemesh import WaveMeshConfig, WaveMeshModel

    torch.manual_seed(0)
    if args.untrained:
        model = WaveMeshModel(WaveMeshConfig()).eval()
    else:
        model = WaveMeshModel.load(resolve(args.weights))
    for part in ("encoder", "coarse", "detail"):
        count = sum(parameter.numel() for parameter in getattr(model, part).parameters())
        sys.stdout.write(f"{part + ' parameters':<34}{count:,}\n")
    with torch.inference_mode():
        for name, shape in stages(model, args.views):
            sys.stdout.write(f"{name:<34}{tuple(shape)}\n")


def stages(model: WaveMeshModel, num_views: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Name and shape of what each stage takes or returns, for one object, in order."""
    import torch

    from wavemesh.geometry.camera import Camera, stack_cameras
    from wavemesh.sparse.tensor import SparseTensor

    config = model.config
    cameras = [Camera(360.0 * index / num_views, 20.0) for index in range(num_views)]
    poses, intrinsics = (tensor[None] for tensor in stack_cameras(cameras))
    images = torch.rand(1, num_views, 4, config.encoder.image_size, config.encoder.image_size)
    features = model.encoder.encode(images, poses, intrinsics)
    yield "pictures", images.shape
    yield "poses", poses.shape
    yield "feature maps", features.maps.shape
    yield "view tokens", features.tokens.shape
    yield "global features", features.global_features.shape

    # A ball stands for the object, so that the active sites are those of a closed surface.
    n = config.resolution
    axis = (torch.arange(n) + 0.5) / n * 2 - 1
    x, y, z = torch.meshgrid(axis, axis, axis, indexing="ij")
    sdf = ((x**2 + y**2 + z**2).sqrt() - 0.7).clamp(-config.truncation, config.truncation)[None]
    coarse, finest = model.analyse(sdf)
    field = model.coarse_field(coarse)
    coords = model.active(field).nonzero()
    yield "signed distance field", sdf.shape
    yield "coarse bands (LL + 7 details)", coarse.shape
    yield "finest bands, dense", finest.shape
    yield "coarse field", field.shape
    yield "active sites (batch, x, y, z)", coords.shape

    t = torch.full((1,), model.diffusion.timesteps - 1)
    condition = model.coarse.condition(features)
    yield "coarse denoiser returns", model.coarse(torch.randn_like(coarse), t, condition).shape
    noise = torch.randn(len(coords), 7)
    sites = SparseTensor(noise, coords, (model.detail.resolution,) * 3, 1)
    details = model.detail(noise, t, model.detail.condition(features, field, coords), sites)
    yield "detail denoiser returns", details.shape
    yield "decoded field", model.decode(coarse, details, coords).shape
