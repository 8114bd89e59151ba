"""Seconds of the sparse against the dense U-Net, and their growth with the resolution.

Every number is a median over repetitions after a warm-up, and every ratio compares what ran in the same process, in
turn, on the same threads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import torch
import trimesh
from torch import Tensor

from wavemesh.bench.timing import bench_mesh, measure
from wavemesh.bench.wavelets import BANK
from wavemesh.geometry.sdf import mesh_to_sdf
from wavemesh.models.precision import fast_dtypes
from wavemesh.models.wavemesh import DenoiserConfig, WaveMeshConfig
from wavemesh.models.wavemesh_unet import WaveMeshUNet
from wavemesh.sparse.tensor import SparseTensor
from wavemesh.wavelets.sparse import active_sites


def surface_sites(resolutions: Sequence[int], mesh: trimesh.Trimesh | None = None) -> dict[int, Tensor]:
    """The active sites (1, n, n, n) of one mesh's surface on grids of several resolutions up to 128."""
    sdf = torch.from_numpy(mesh_to_sdf(bench_mesh() if mesh is None else mesh, 128))[None, None]
    sites = {}
    for resolution in resolutions:
        field = torch.nn.functional.avg_pool3d(sdf, 128 // resolution) if resolution < 128 else sdf
        sites[resolution] = active_sites(field, BANK)
    return sites


def bench_unet(
    config: DenoiserConfig | None = None, device: str = "cpu", repeats: int = 3, mesh: trimesh.Trimesh | None = None
) -> dict[str, Any]:
    """Sparse against dense WaveMeshUNet of the same weights on the 64^3 detail grid, and its growth with resolution.

    config: widths and blocks (None: the shipped detail network). Both run in float32 and, where the device has it, in
    bfloat16, and their better times count. Gives seconds, the ratio, the share of active sites, and seconds at 32^3,
    64^3 and 128^3.
    """
    config = WaveMeshConfig().detail if config is None else config
    sites = surface_sites((32, 64, 128), mesh)
    sparse = _unet(config, "auto", device)
    dense = _unet(config, "dense", device)
    dense.load_state_dict(sparse.state_dict())
    full = torch.ones_like(sites[64])
    variants = {}
    for dtype in fast_dtypes(device):
        name = str(dtype).removeprefix("torch.")
        variants[f"sparse {name}"] = _forward(sparse, sites[64], dtype, device)
        variants[f"dense {name}"] = _forward(dense, full, dtype, device)
    seconds = measure(variants, repeats, device)
    best_sparse = min((name for name in seconds if name.startswith("sparse")), key=seconds.__getitem__)
    best_dense = min(value for name, value in seconds.items() if name.startswith("dense"))
    dtype = getattr(torch, best_sparse.split()[1])
    by_resolution = {f"{n}³": _forward(sparse, mask, dtype, device) for n, mask in sites.items()}
    growth = dict(zip(sites, measure(by_resolution, repeats, device).values(), strict=True))
    counts = {resolution: int(mask.sum()) for resolution, mask in sites.items()}
    return {
        "widths": list(config.widths),
        "backend": sparse.conv_in.backend,
        "active_sites": counts,
        "active_share": counts[64] / 64**3,
        "seconds": seconds,
        "speedup": best_dense / seconds[best_sparse],
        "seconds_by_resolution": growth,
        "cost_per_doubling": {"32 to 64": growth[64] / growth[32], "64 to 128": growth[128] / growth[64]},
    }


def _unet(config: DenoiserConfig, backend: str, device: str) -> WaveMeshUNet:
    """A network of the detail stage's size; timings do not depend on the weights."""
    torch.manual_seed(0)
    return (
        WaveMeshUNet(
            in_channels=config.hidden,
            encoder_channels=config.widths,
            decoder_channels=config.widths[::-1],
            time_emb_dim=config.time_dim,
            context_dim=64,
            blocks_per_level=config.blocks,
            backend=backend,
        )
        .eval()
        .to(device)
    )


def _forward(network: WaveMeshUNet, mask: Tensor, dtype: torch.dtype, device: str) -> Callable[[], None]:
    """One evaluation of the network on the masked cells; each call finds the neighbours of its sites anew."""
    channels = network.conv_in.weight.shape[-1]
    coords = mask.nonzero().to(device)
    features = torch.randn(len(coords), channels, device=device)
    time_step = torch.full((1,), 500, device=device)
    context = torch.zeros(1, 8, 64, device=device)
    shape = tuple(mask.shape[1:])
    whole = bool(mask.all())

    def run() -> None:
        x = SparseTensor.full(1, shape, features) if whole else SparseTensor(features, coords, shape, 1)
        precision = nullcontext() if dtype == torch.float32 else torch.autocast(device, dtype)
        with torch.inference_mode(), precision:
            network(x, time_step, context)

    return run
