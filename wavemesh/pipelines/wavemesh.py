"""WaveMesh-Diff from pictures to a mesh: prepare, encode, coarse diffusion, detail diffusion, inverse transform,
surface.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from wavemesh.checkpoint import fingerprint, resolve
from wavemesh.diffusion import samplers
from wavemesh.diffusion.guidance import BatchedGuidedModel
from wavemesh.errors import InputError
from wavemesh.geometry.camera import Camera
from wavemesh.geometry.isosurface import sdf_to_mesh
from wavemesh.geometry.texture import vertex_colours_from_views
from wavemesh.models.camera_head import CameraHead
from wavemesh.models.denoiser import Condition
from wavemesh.models.multiview_encoder import ViewFeatures
from wavemesh.models.wavemesh import WaveMeshModel
from wavemesh.pipelines.outputs import StepReport, WaveMeshOutput
from wavemesh.pipelines.views import PictureSource, PreparedView, View, network_tensors, prepare_views
from wavemesh.sparse.tensor import SparseTensor
from wavemesh.wavelets.sparse import SparseCoefficients

Callback = Callable[[StepReport], bool | None]
MAX_STEPS = 1000


class WaveMeshPipeline:
    """Pictures in, coloured mesh out. Make one with `from_pretrained`; it holds models and a device, no other state."""

    def __init__(self, model: WaveMeshModel, camera_head: CameraHead, device: str | torch.device = "auto") -> None:
        self.device = resolve_device(device)
        self.model = model.eval().to(self.device)
        self.camera_head = camera_head.eval().to(self.device)

    @classmethod
    def from_pretrained(cls, source: str | Path | None = None, device: str | torch.device = "auto") -> WaveMeshPipeline:
        """The pipeline with bundled weights (None), those of a folder, or those of a Hub id.

        device: "auto", "cpu" or "cuda". Raises InputError for weights that are missing or damaged and for a device that
        is not there.
        """
        device = resolve_device(device)
        folder = resolve(source)
        return cls(WaveMeshModel.load(folder), CameraHead.load(folder / "camera_head"), device)

    @torch.inference_mode()
    def __call__(
        self,
        views: Sequence[View | PreparedView | PictureSource],
        num_inference_steps: int | tuple[int, int] | None = None,
        guidance_scale: float | None = None,
        seed: int = 0,
        callback: Callback | None = None,
        sampler: str | None = None,
        background: str = "auto",
        resolution: int | None = None,
        detail_threshold: float = 0.0,
    ) -> WaveMeshOutput:
        """Reconstruct the object in one to eight pictures.

        num_inference_steps: network evaluations per stage, or (coarse, detail). guidance_scale: 1 is plain conditional,
        it acts on the coarse stage. None takes the shipped defaults. callback: gets a `StepReport` after each
        evaluation; if it returns True the run ends there with what there is. background: how the object is cut out
        ("auto", "alpha", "rembg", "grabcut", "none"). resolution: that of the weights, or half of it, which leaves the
        detail stage out. detail_threshold: finest coefficients smaller than this are dropped before decoding, in the
        wavelets' units. Raises InputError for arguments out of range and pictures that
        cannot be used.
        """
        run = _Run(self, num_inference_steps, guidance_scale, seed, callback, sampler, resolution, detail_threshold)
        with run.timed("prepare"):
            prepared = prepare_views(views, self.model.config.encoder.image_size, self.estimate_cameras, background)
        return run(prepared)

    @functools.cached_property
    def fingerprint(self) -> str:
        """What tells these weights from others; see `checkpoint.fingerprint`."""
        return fingerprint(self.model.state_dict(), self.camera_head.state_dict())

    @torch.inference_mode()
    def estimate_cameras(self, pictures: list[Image.Image]) -> list[Camera]:
        """The cameras of cropped pictures; the first one fixes the frame, the others are relative to it."""
        return self.camera_head.estimate(pictures)


class _Run:
    """One reconstruction: its settings, clock and callback."""

    def __init__(
        self,
        pipeline: WaveMeshPipeline,
        steps: int | tuple[int, int] | None,
        guidance_scale: float | None,
        seed: int,
        callback: Callback | None,
        sampler: str | None,
        resolution: int | None,
        detail_threshold: float,
    ) -> None:
        defaults = pipeline.model.config.sampling
        if steps is None:
            steps = (defaults.coarse_steps, defaults.detail_steps)
        self.coarse_steps, self.detail_steps = (steps, steps) if isinstance(steps, int) else steps
        for value in (self.coarse_steps, self.detail_steps):
            if not 1 <= value <= min(MAX_STEPS, pipeline.model.diffusion.timesteps):
                raise InputError(f"The number of steps must lie between 1 and {MAX_STEPS}, not {value}.")
        self.guidance_scale = defaults.guidance_scale if guidance_scale is None else float(guidance_scale)
        if not 0.0 <= self.guidance_scale <= 20.0:
            raise InputError(f"The guidance scale must lie between 0 and 20, not {guidance_scale}.")
        full = pipeline.model.config.resolution
        self.resolution = full if resolution is None else resolution
        if self.resolution not in (full, full // 2):
            raise InputError(f"The resolution must be {full} or {full // 2}, not {resolution}.")
        if not 0.0 <= detail_threshold < float("inf"):
            raise InputError(f"The detail threshold must be a number from 0 on, not {detail_threshold}.")
        self.detail_threshold = float(detail_threshold)
        self.sampler = defaults.sampler if sampler is None else sampler
        self.seed = seed
        self.fingerprint = pipeline.fingerprint
        self.model, self.device = pipeline.model, pipeline.device
        self.generator = torch.Generator().manual_seed(seed)
        self.callback = callback
        self.start = time.perf_counter()
        self.timings: dict[str, float] = {}
        self.stopped = False

    def __call__(self, views: list[PreparedView]) -> WaveMeshOutput:
        with torch.autocast(self.device.type, torch.bfloat16):
            with self.timed("encode"):
                images, poses, intrinsics = (tensor.to(self.device) for tensor in network_tensors(views))
                features = self.model.encoder.encode(images, poses, intrinsics)
            with self.timed("coarse"):
                bands = self.coarse(features)
            with self.timed("detail"):
                coords, details = self.detail(features, bands)
        with self.timed("decode"):
            sdf = self.decode(bands, details, coords)[0].cpu().numpy()
        with self.timed("surface"):
            mesh = sdf_to_mesh(sdf)
        with self.timed("colour"):
            colours = vertex_colours_from_views(
                mesh, [np.asarray(view.picture) for view in views], [view.camera for view in views]
            )
            mesh.visual.vertex_colors = colours
        settings = {
            "method": "wavemesh",
            "num_inference_steps": [self.coarse_steps, self.detail_steps],
            "resolution": self.resolution,
            "detail_threshold": self.detail_threshold,
            "guidance_scale": self.guidance_scale,
            "sampler": self.sampler,
            "temperature": self.model.config.sampling.temperature,
            "seed": self.seed,
            "device": self.device.type,
            "weights": self.fingerprint,
        }
        coefficients = self.coefficients(bands, details, coords)
        return WaveMeshOutput(mesh, sdf, coefficients, views, self.timings, settings, self.stopped)

    def coarse(self, features: ViewFeatures) -> Tensor:
        """Scaled coarse bands (1, 8, n, n, n) by diffusion from noise."""
        model, coarse = self.model, self.model.coarse
        condition = coarse.condition(features)
        context = (condition.sites.unsqueeze(0), condition.context, condition.keep)

        def evaluate(x_t: Tensor, t: Tensor, context: tuple[Tensor, Tensor, Tensor]) -> Tensor:
            sites, tokens, keep = context
            return coarse(x_t, t, Condition(sites.flatten(0, 1), tokens, keep))

        def report(step: samplers.SamplerStep) -> bool:
            field = model.coarse_field(step.x_0)
            coefficients = self.coefficients(step.x_0, *self.no_details(step.x_0))
            return self.report("coarse", step, field, int(model.active(field).sum()), coefficients)

        n = coarse.resolution
        noise = torch.randn(1, coarse.bands, n, n, n, generator=self.generator).to(self.device)
        noise = noise * model.config.sampling.temperature
        guided = BatchedGuidedModel(evaluate, context, self.guidance_scale)
        return self.sample(guided, noise, self.coarse_steps, report if self.callback else None)

    def detail(self, features: ViewFeatures, bands: Tensor) -> tuple[Tensor, Tensor]:
        """Coordinates (M, 4) of the active sites and their scaled details (M, 7); zeros where the run was stopped
        before.
        """
        model, detail = self.model, self.model.detail
        if self.resolution < model.config.resolution:
            details, coords = self.no_details(bands)
            return coords, details
        field = model.coarse_field(bands)
        coords = model.active(field).nonzero()
        if self.stopped or len(coords) == 0:
            return coords, bands.new_zeros(len(coords), detail.bands)
        condition = detail.condition(features, field, coords)
        shape = (detail.resolution,) * 3
        noise = torch.randn(len(coords), detail.bands, generator=self.generator).to(self.device)
        sites = SparseTensor(noise, coords, shape, 1)

        def evaluate(x_t: SparseTensor, t: Tensor) -> SparseTensor:
            return sites.replace(detail(x_t.features, t, condition, sites))

        def report(step: samplers.SamplerStep) -> bool:
            kept, features = self.large(coords, step.x_0.features)
            coefficients = self.coefficients(bands, features, kept)
            return self.report("detail", step, model.decode(bands, features, kept), len(kept), coefficients)

        result = self.sample(evaluate, sites, self.detail_steps, report if self.callback else None)
        return self.large(coords, result.features)

    def no_details(self, bands: Tensor) -> tuple[Tensor, Tensor]:
        """Details (0, 7) and coordinates (0, 4) of no site."""
        return bands.new_zeros(0, 7), torch.zeros(0, 4, dtype=torch.long, device=bands.device)

    def large(self, coords: Tensor, details: Tensor) -> tuple[Tensor, Tensor]:
        """The sites with a coefficient that reaches the threshold, and their scaled details, smaller ones zero."""
        if self.detail_threshold == 0.0:
            return coords, details
        is_large = (details.float() * self.model.detail_scale).abs() >= self.detail_threshold
        sites = is_large.any(dim=1)
        return coords[sites], (details * is_large)[sites]

    def decode(self, bands: Tensor, details: Tensor, coords: Tensor) -> Tensor:
        """The field (1, n, n, n) at the resolution asked for, world units."""
        if self.resolution < self.model.config.resolution:
            return self.model.coarse_field(bands)
        return self.model.decode(bands, details, coords)

    def sample(self, model: Any, x_T: Any, steps: int, callback: samplers.Callback | None) -> Any:
        """The sampler's result from noise x_T."""
        return samplers.sample(
            model, self.model.diffusion, x_T, steps, self.sampler, generator=self.generator, callback=callback
        )

    def report(
        self,
        stage: Literal["coarse", "detail"],
        step: samplers.SamplerStep,
        field: Tensor,
        active_sites: int,
        coefficients: SparseCoefficients,
    ) -> bool:
        """Tell the callback about a step; True if it wants to stop."""
        assert self.callback is not None
        noise_level = float(self.model.diffusion.schedule.noise[step.t])
        sdf = field[0].float().cpu().numpy()
        elapsed = time.perf_counter() - self.start
        report = StepReport(
            stage,
            step.step,
            step.num_steps,
            step.t,
            noise_level,
            sdf,
            active_sites,
            step.guidance_norm,
            elapsed,
            coefficients,
        )
        if self.callback(report):
            self.stopped = True
        return self.stopped

    def coefficients(self, bands: Tensor, details: Tensor, coords: Tensor) -> SparseCoefficients:
        """The pyramid in the wavelets' own units, on the CPU."""
        unscaled = (bands * self.model.coarse_scale)[0].float().cpu()
        unscaled[:1] += self.model.config.empty
        features = (details.float() * self.model.detail_scale).cpu()
        config = self.model.config
        return SparseCoefficients(
            unscaled[:1], unscaled[1:], coords[:, 1:].cpu(), features, config.bank, config.resolution
        )

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the seconds of a block to the timings."""
        begin = time.perf_counter()
        yield
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        self.timings[stage] = self.timings.get(stage, 0.0) + time.perf_counter() - begin


def resolve_device(device: str | torch.device) -> torch.device:
    """The torch device for "auto", "cpu" or "cuda"; raises InputError where it is unknown or not there."""
    if isinstance(device, torch.device):
        return device
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device not in ("cpu", "cuda"):
        raise InputError(f"The device must be auto, cpu or cuda, not {device!r}.")
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("The device 'cuda' was asked for, but there is no CUDA GPU here.")
    return torch.device(device)
