"""What the triplane system costs, row by row beside the figures that its reference states.

Forward passes, a training step and memory do not depend on the weights, so the networks are untrained: once at the
reference's default size (32 channels, pictures of 256^2), once at the shipped one (16 channels, 128^2). Rendering
depends on how much of the volume is empty: it is measured on a sampled triplane where there are trained weights, and on
a ball otherwise.

python -m wavemesh.bench.triplane '{"channels": 32, "batch": 2, "out": "memory.json"}'
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wavemesh.bench.processes import measured_apart
from wavemesh.bench.timing import bench_mesh, measure
from wavemesh.errors import InputError
from wavemesh.geometry.camera import Camera
from wavemesh.geometry.camera_tensors import stack_cameras
from wavemesh.machine import peak_resident_bytes
from wavemesh.models.precision import fast_dtypes
from wavemesh.models.triplane_renderer import TriplaneRenderer
from wavemesh.models.wavelet_triplane import TriplaneConfig, WaveletTriplaneDiffusion
from wavemesh.rendering import raycast_view
from wavemesh.weights import resolve

SIZES = {32: 256, 16: 128}  # channels -> side of the pictures; the reference's default first, then the shipped size
MEMORY_BATCH, TRAINING_BATCH = 2, 4
QUALITIES = {"fast preview": (64, 32), "balanced": (128, 64), "high quality": (256, 128)}  # pixels, samples per ray
# What the quick reference states: for an Intel i7, and for an RTX 3090.
STATED = {
    "cpu": {"forward 1": "2-3 s", "forward 4": "8-10 s", "training": "", "memory": "about 500 MB", "fits": ""},
    "cuda": {
        "forward 1": "100-150 ms",
        "forward 4": "300-400 ms",
        "training": "500-700 ms",
        "memory": "under 2 GB",
        "fits": "6-8 GB",
    },
}
STATED_RENDERING = {"fast preview": "1-2 s", "balanced": "5-10 s", "high quality": "30 s and more"}

Line = tuple[str, str, str]


def bench_triplane(
    source: str | None = None, device: str = "cpu", repeats: int = 3, sizes: dict[int, int] | None = None
) -> dict[str, Any]:
    """Seconds and MiB of both sizes, and of rendering at the three qualities of the reference.

    source: weights of the triplane system (None: the bundled ones, if there are any). sizes: channels -> side of the
    pictures. Raises InputError where the weights are named and not there.
    """
    repeats = min(repeats, 3)
    results = {}
    for channels, image_size in (SIZES if sizes is None else sizes).items():
        config = TriplaneConfig(triplane_channels=channels, image_size=image_size)
        trained = _trained(source, config, device)
        renderer, triplane = ball(channels) if trained is None else trained
        results[str(channels)] = {
            **_networks(config, device, repeats),
            "memory": _memory(channels, image_size, device),
            "rendering": _rendering(renderer.to(device), triplane.to(device), repeats, device),
            "rendered": "a ball" if trained is None else "a sampled triplane",
            "image_size": image_size,
            "device": device,
        }
    return results


def _networks(config: TriplaneConfig, device: str, repeats: int) -> dict[str, Any]:
    """Forward passes of 1 and 4 pictures in the faster precision, and a training step."""
    torch.manual_seed(0)
    model = WaveletTriplaneDiffusion(config=config).eval().to(device)
    count = sum(parameter.numel() for parameter in model.parameters())
    single = {str(dtype).removeprefix("torch."): _forward(model, 1, dtype, device) for dtype in fast_dtypes(device)}
    seconds = measure(single, repeats, device)
    precision = min(seconds, key=seconds.__getitem__)
    dtype = getattr(torch, precision)
    several = measure({"4": _forward(model, TRAINING_BATCH, dtype, device)}, min(repeats, 2), device)["4"]
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    training = measure({"step": _training_step(model.train(), dtype, device)}, 1, device)["step"]
    result = {
        "parameters": count,
        "precision": precision,
        "forward": {"1": seconds[precision], "4": several},
        "training": training,
    }
    if device == "cuda":
        result["training_mib"] = torch.cuda.max_memory_allocated() / 2**20
    return result


def _forward(model: WaveletTriplaneDiffusion, batch: int, dtype: torch.dtype, device: str) -> Callable[[], Any]:
    """Pictures to triplanes to rendered pictures, as `forward` does it."""
    size = model.config.image_size
    images = torch.rand(batch, 3, size, size, device=device)

    def run() -> None:
        precision = nullcontext() if dtype == torch.float32 else torch.autocast(device, dtype)
        with torch.inference_mode(), precision:
            model(images, return_intermediate=True)

    return run


def _training_step(model: WaveletTriplaneDiffusion, dtype: torch.dtype, device: str) -> Callable[[], Any]:
    """A forward pass, the gradient from the rendered pictures and the planes, and AdamW."""
    size = model.config.image_size
    images = torch.rand(TRAINING_BATCH, 3, size, size, device=device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)

    def run() -> None:
        precision = nullcontext() if dtype == torch.float32 else torch.autocast(device, dtype)
        with precision:
            outputs = model(images, return_intermediate=True)
        loss = (outputs["rendered_image"] - 0.5).square().mean() + outputs["triplane_highres"].square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    return run


def _memory(channels: int, image_size: int, device: str) -> dict[str, float]:
    """MiB that a forward pass of two pictures takes at its peak, in a process of its own."""
    options = {"channels": channels, "image_size": image_size, "device": device}
    return measured_apart(__name__, options)


def main(arguments: str) -> None:
    """Writes what a forward pass takes to the file that the JSON in `arguments` names."""
    options = {"channels": 32, "image_size": 256, "batch": MEMORY_BATCH, "device": "cpu"} | json.loads(arguments)
    before = peak_resident_bytes()
    config = TriplaneConfig(triplane_channels=options["channels"], image_size=options["image_size"])
    model = WaveletTriplaneDiffusion(config=config).eval().to(options["device"])
    _forward(model, options["batch"], torch.float32, options["device"])()
    peak = peak_resident_bytes()
    result = {"peak_resident_mib": peak / 2**20, "above_imports_mib": (peak - before) / 2**20}
    if options["device"] == "cuda":
        result["peak_device_mib"] = torch.cuda.max_memory_allocated() / 2**20
    Path(options["out"]).write_text(json.dumps(result), encoding="utf-8")


def _rendering(renderer: TriplaneRenderer, triplane: Tensor, repeats: int, device: str) -> dict[str, float]:
    """Seconds of one picture at each quality, empty space found anew each time."""
    camera = Camera(azimuth_deg=30.0, elevation_deg=20.0)

    def render(size: int, samples: int) -> Callable[[], Any]:
        def run() -> None:
            with torch.inference_mode():
                renderer.render_volume(triplane, num_samples=samples, image_size=size, camera=camera)

        return run

    return measure({name: render(*quality) for name, quality in QUALITIES.items()}, repeats, device)


def _trained(source: str | None, config: TriplaneConfig, device: str) -> tuple[TriplaneRenderer, Tensor] | None:
    """Decoder and a sampled triplane of the weights, None where there are none of this size."""
    try:
        folder = resolve(source, "triplane")
    except InputError:
        if source is not None:
            raise
        return None
    model = WaveletTriplaneDiffusion.load(folder).to(device)
    if model.config.triplane_channels != config.triplane_channels:
        return None
    camera = Camera(azimuth_deg=30.0, elevation_deg=20.0, fov_deg=32.0)
    view = raycast_view(bench_mesh(), camera, model.config.image_size)
    rgba = torch.from_numpy(view.rgba.copy()).permute(2, 0, 1).float() / 255.0
    images = torch.cat([rgba[:3] * rgba[3:], rgba[3:]])[None, None].to(device)
    poses, intrinsics = (tensor[None].to(device) for tensor in stack_cameras([camera]))
    sample = model.sample(images, poses=poses, intrinsics=intrinsics, generator=torch.Generator().manual_seed(0))
    return model.renderer, sample.triplane


def ball(channels: int, radius: float = 0.6, resolution: int = 128) -> tuple[TriplaneRenderer, Tensor]:
    """A decoder of the size that goes with so many channels, and a triplane (1, 3, C, m, m), of a ball.

    The first channel of the planes adds up to the squared distance from the centre. SiLU(a) - SiLU(-a) = a, so two of
    the hidden units carry a number through the activations unchanged; the others are nought and cost as much.
    """
    renderer = TriplaneRenderer(channels, 4 * channels)
    gain, pair = 1.0 / (2.0 * radius * renderer.truncation), torch.tensor([1.0, -1.0])
    first, second, last = renderer.mlp[0], renderer.mlp[2], renderer.mlp[4]
    with torch.no_grad():
        for layer in (first, second, last):
            layer.weight.zero_()
            layer.bias.zero_()
        first.weight[:2, ::channels] = gain * pair[:, None]
        first.bias[:2] = -gain * radius**2 * pair
        second.weight[:2, :2] = pair[:, None] * pair
        last.weight[0, :2] = pair
        last.bias[1:4] = torch.tensor([2.0, -1.0, -1.5])
    square = ((torch.arange(resolution) + 0.5) / resolution * 2.0 - 1.0).square()
    triplane = torch.zeros(1, 3, channels, resolution, resolution)
    triplane[0, 0, 0] = square[:, None] + square
    triplane[0, 1, 0] = square[:, None]
    return renderer, triplane


def triplane_lines(results: dict[str, Any]) -> list[Line]:
    """The rows of the report: what was measured, and what the reference states."""
    lines = []
    for channels, result in results.items():
        stated = STATED[result["device"]]
        size = f"{channels} channels, {result['image_size']}²"
        title = f"triplane, {size}, {result['parameters'] / 1e6:.1f} M parameters, {result['precision']}"
        for batch, seconds in result["forward"].items():
            lines.append((f"{title}: forward, B={batch}", _seconds(seconds), stated[f"forward {batch}"]))
        lines.append((f"the same: training step, B={TRAINING_BATCH}", _seconds(result["training"]), stated["training"]))
        memory = result["memory"]
        measured = (
            f"{memory['peak_resident_mib']:.0f} MiB resident, {memory['above_imports_mib']:.0f} above the imports"
        )
        if "peak_device_mib" in memory:
            measured = f"{memory['peak_device_mib']:.0f} MiB of device memory"
        lines.append((f"the same: memory of a forward pass, B={MEMORY_BATCH}, float32", measured, stated["memory"]))
        if "training_mib" in result:
            lines.append(("the same: memory of training", f"{result['training_mib']:.0f} MiB", stated["fits"]))
        for name, (pixels, samples) in QUALITIES.items():
            case = f"triplane, {channels} channels: {name} of {result['rendered']}, {pixels}², {samples} samples a ray"
            lines.append((case, _seconds(result["rendering"][name]), STATED_RENDERING[name]))
    return lines


def _seconds(value: float) -> str:
    return f"{value:.2f} s" if value >= 1.0 else f"{value * 1000:.0f} ms"


if __name__ == "__main__":
    main(sys.argv[1])
