"""The shape of every tensor on the way from pictures to mesh, in both systems.

Runs the networks of the given weights (or untrained ones with --untrained) once on noise and lists what each stage
takes and returns, with the number of parameters of each network.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from wavemesh.cli.arguments import integer
from wavemesh.errors import InputError
from wavemesh.settings import METHODS

if TYPE_CHECKING:
    from torch import Tensor, nn

    from wavemesh.models.wavelet_triplane import WaveletTriplaneDiffusion
    from wavemesh.models.wavemesh import WaveMeshModel


EXAMPLE = """example, a few seconds on a CPU:
  python -m wavemesh shapes --untrained --views 2
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("--views", type=integer(1, 64), default=4, metavar="N", help="number of pictures (default 4)")
    parser.add_argument(
        "--methods", nargs="+", choices=METHODS, default=list(METHODS), help="which systems (default: both)"
    )
    parser.add_argument("--weights", metavar="SOURCE", help="a folder or Hub id; the bundled weights if left out")
    parser.add_argument("--triplane-weights", metavar="SOURCE", help="the same for the triplane system")
    parser.add_argument("--untrained", action="store_true", help="random weights at the default sizes")


def run(args: argparse.Namespace) -> None:
    """Write a table for each system to standard output."""
    import torch

    torch.manual_seed(0)
    if "wavemesh" in args.methods:
        model = _wavemesh(args)
        _show("WaveMesh-Diff", model, ("encoder", "coarse", "detail"), stages(model, args.views))
    if "triplane" in args.methods:
        triplane = _triplane(args)
        if triplane is not None:
            parts = ("coarse_gen", "detail_diffusion", "renderer")
            _show("Wavelet Triplane Diffusion", triplane, parts, triplane_stages(triplane, args.views))


def _show(title: str, model: nn.Module, parts: tuple[str, ...], rows: Iterator[tuple[str, tuple[int, ...]]]) -> None:
    """A table of parameters and shapes."""
    import torch

    sys.stdout.write(f"{title}\n")
    for part in parts:
        count = sum(parameter.numel() for parameter in getattr(model, part).parameters())
        sys.stdout.write(f"{part + ' parameters':<34}{count:,}\n")
    with torch.inference_mode():
        for name, shape in rows:
            sys.stdout.write(f"{name:<34}{tuple(shape)}\n")
    sys.stdout.write("\n")


def _wavemesh(args: argparse.Namespace) -> WaveMeshModel:
    """The networks of WaveMesh-Diff."""
    from wavemesh.models.wavemesh import WaveMeshConfig, WaveMeshModel
    from wavemesh.weights import resolve

    return WaveMeshModel(WaveMeshConfig()).eval() if args.untrained else WaveMeshModel.load(resolve(args.weights))


def _triplane(args: argparse.Namespace) -> WaveletTriplaneDiffusion | None:
    """The networks of the triplane system; None, with a note, where no weights are bundled and none named."""
    from wavemesh.models.wavelet_triplane import WaveletTriplaneDiffusion
    from wavemesh.weights import resolve

    if args.untrained:
        return WaveletTriplaneDiffusion().eval()
    try:
        return WaveletTriplaneDiffusion.load(resolve(args.triplane_weights, "triplane"))
    except InputError as error:
        if args.triplane_weights is not None or args.methods == ["triplane"]:
            raise
        sys.stderr.write(f"The triplane system is left out. {error}\n")
        return None


def stages(model: WaveMeshModel, num_views: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Name and shape of what each stage takes or returns, for one object, in order."""
    import torch

    from wavemesh.sparse.tensor import SparseTensor

    config = model.config
    images, poses, intrinsics = _noise(num_views, config.encoder.image_size)
    features = model.encode(images, poses, intrinsics)
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
    coords = model.active_mask(field).nonzero()
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


def triplane_stages(model: WaveletTriplaneDiffusion, num_views: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Name and shape of what each stage of the triplane system takes or returns, for one object, in order."""
    import torch

    from wavemesh.models.planes import fold_planes

    images, poses, intrinsics = _noise(num_views, model.config.image_size)
    yield "pictures", images.shape
    yield "poses", poses.shape
    coarse = model.planes(images, poses, intrinsics)
    yield "coarse features for the details", coarse.features.shape
    outputs = model(images, return_intermediate=True, poses=poses, intrinsics=intrinsics)
    details = outputs["triplane_details"]
    yield "detail diffusion, planes in batch", fold_planes(details).shape
    for name, tensor in outputs.items():
        yield name, tensor.shape
    points = torch.rand(1, 1000, 3) * 2 - 1
    decoded = model.renderer.decode(outputs["triplane_highres"], points)
    yield "features at 1000 points", model.renderer.query_triplane(outputs["triplane_highres"], points).shape
    yield "colour there", decoded.rgb.shape
    yield "signed distance there", decoded.sdf.shape


def _noise(num_views: int, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Pictures (1, N, 4, size, size) of noise, poses and intrinsics of cameras around the object."""
    import torch

    from wavemesh.geometry.camera import Camera
    from wavemesh.geometry.camera_tensors import stack_cameras

    cameras = [Camera(360.0 * index / num_views, 20.0) for index in range(num_views)]
    poses, intrinsics = stack_cameras(cameras)
    return torch.rand(1, num_views, 4, size, size), poses[None], intrinsics[None]
