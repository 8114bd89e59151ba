"""WaveMesh-Diff from pictures to a mesh: prepare, encode, coarse diffusion, detail diffusion, inverse transform,
surface.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from wavemesh.checkpoint import resolve
from wavemesh.diffusion import samplers
from wavemesh.diffusion.guidance import BatchedGuidedModel
from wavemesh.errors import InputError
from wavemesh.models.camera_head import CameraHead
from wavemesh.models.denoiser import Condition
from wavemesh.models.multiview_encoder import ViewFeatures
from wavemesh.models.precision import autocast
from wavemesh.models.silhouettes import Silhouettes
from wavemesh.models.wavemesh import WaveMeshModel
from wavemesh.pipelines.base import Callback, Pipeline, Run, resolve_device
from wavemesh.pipelines.frames import TURNS, frame_tensors, mean_field
from wavemesh.pipelines.outputs import WaveMeshOutput
from wavemesh.pipelines.triplane import TriplanePipeline
from wavemesh.pipelines.views import PictureSource, PreparedView, View, cameras_fit, prepare_views
from wavemesh.sparse.tensor import SparseTensor
from wavemesh.wavelets.sparse import SparseCoefficients


class WaveMeshPipeline(Pipeline[WaveMeshModel]):
    """Pictures in, coloured mesh out. Make one with `from_pretrained`; it holds models and a device, no other state.

    triplane_source: weights of the triplane system for colours, as `TriplanePipeline.from_pretrained` takes them; they
    are loaded when colours from there are first asked for.
    """

    def __init__(
        self,
        model: WaveMeshModel,
        camera_head: CameraHead,
        device: str | torch.device = "auto",
        triplane_source: str | Path | None = None,
    ) -> None:
        super().__init__(model, camera_head, device)
        self.triplane_source = triplane_source
        self._triplane: TriplanePipeline | None = None

    @classmethod
    def from_pretrained(cls, source: str | Path | None = None, device: str | torch.device = "auto") -> WaveMeshPipeline:
        """The pipeline with bundled weights (None), those of a folder, or those of a Hub id.

        Colours come from the triplane of the folder, or else from the bundled one. device: "auto", "cpu" or "cuda".
        Raises InputError for weights that are missing or damaged and for a device that is not there.
        """
        device = resolve_device(device)
        folder = resolve(source)
        own = folder / "triplane"
        camera_head = CameraHead.load(folder / "camera_head")
        return cls(WaveMeshModel.load(folder), camera_head, device, own if own.is_dir() else None)

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
        colours: str = "views",
        turns: int | None = None,
    ) -> WaveMeshOutput:
        """Reconstruct the object in one to eight pictures.

        num_inference_steps: network evaluations per stage, or (coarse, detail). guidance_scale: 1 is plain conditional,
        it acts on the coarse stage. None takes the shipped defaults. callback: gets a `StepReport` after each
        evaluation; if it returns True the run ends there with what there is. background: how the object is cut out
        ("auto", "alpha", "rembg", "grabcut", "none"). resolution: that of the weights, or half of it, which leaves the
        detail stage out. detail_threshold: finest coefficients smaller than this are dropped before decoding, in the
        wavelets' units. colours: from the "views", where no picture shows anything from the nearest place that one
        does; for "mixed" from the triplane there; or all from the "triplane". turns: 1, 2 or 4 frames that are quarter
        turns apart, whose coarse shapes are averaged. Raises InputError for arguments out of range and pictures that
        cannot be used.
        """
        run = _Run(
            self,
            num_inference_steps,
            guidance_scale,
            seed,
            callback,
            sampler,
            colours,
            resolution,
            detail_threshold,
            turns,
        )
        with run.timed("prepare"):
            prepared = prepare_views(views, self.model.config.encoder.image_size, self.estimate_cameras, background)
        return run(prepared)

    def triplane(self) -> TriplanePipeline:
        """The pipeline that colours come from; raises InputError where its weights are missing or damaged."""
        if self._triplane is None:
            with torch.inference_mode(False):  # or its weights could never be used for a gradient
                self._triplane = TriplanePipeline.from_pretrained(self.triplane_source, self.device)
        return self._triplane


class _Run(Run):
    """One reconstruction by WaveMesh-Diff."""

    model: WaveMeshModel

    def __init__(
        self,
        pipeline: WaveMeshPipeline,
        steps: int | tuple[int, int] | None,
        guidance_scale: float | None,
        seed: int,
        callback: Callback | None,
        sampler: str | None,
        colours: str,
        resolution: int | None,
        detail_threshold: float,
        turns: int | None,
    ) -> None:
        super().__init__(pipeline, guidance_scale, seed, callback, sampler, colours)
        defaults = pipeline.model.config.sampling
        if steps is None:
            steps = (defaults.coarse_steps, defaults.detail_steps)
        coarse_steps, detail_steps = (steps, steps) if isinstance(steps, int) else steps
        self.coarse_steps, self.detail_steps = self.steps(coarse_steps), self.steps(detail_steps)
        full = pipeline.model.config.resolution
        self.resolution = full if resolution is None else resolution
        if self.resolution not in (full, full // 2):
            raise InputError(f"The resolution must be {full} or {full // 2}, not {resolution}.")
        if not 0.0 <= detail_threshold < float("inf"):
            raise InputError(f"The detail threshold must be a number from 0 on, not {detail_threshold}.")
        self.detail_threshold = float(detail_threshold)
        self.turns = defaults.turns if turns is None else turns
        if self.turns not in TURNS:
            raise InputError(f"The number of turned frames must be one of 1, 2 and 4, not {turns}.")
        # Before anything is computed, since weights may be missing.
        self.triplane = None if colours == "views" else pipeline.triplane()

    def __call__(self, views: list[PreparedView]) -> WaveMeshOutput:
        with autocast(self.device):
            with self.timed("encode"):
                images, poses, intrinsics = (each.to(self.device) for each in frame_tensors(views, self.turns))
                features = self.model.encoder.encode(images, poses, intrinsics)
            with self.timed("coarse"):
                bands = self.coarse(features, cameras_fit(views))
            with self.timed("detail"):
                coords, details = self.detail(features.of_object(0), bands)
        with self.timed("decode"):
            sdf = self.decode(bands, details, coords)[0].cpu().numpy()
        with self.timed("surface"):
            mesh = self.surface(sdf, views)
        with self.timed("colour"):
            self.colour(mesh, views, None if self.triplane is None else self.triplane.colours(views, self.seed))
        settings = {
            "method": "wavemesh",
            "num_inference_steps": [self.coarse_steps, self.detail_steps],
            "resolution": self.resolution,
            "detail_threshold": self.detail_threshold,
            "temperature": self.model.config.sampling.temperature,
            "turns": self.turns,
            **self.settings(),
        }
        if self.triplane is not None:
            settings["triplane_weights"] = self.triplane.fingerprint
        coefficients = self.coefficients(bands, details, coords)
        return WaveMeshOutput(mesh, sdf, coefficients, views, self.timings, settings, self.stopped)

    def coarse(self, features: ViewFeatures, fitting: bool) -> Tensor:
        """Scaled coarse bands (1, 8, n, n, n) by diffusion from noise: the mean over the frames of the features.

        fitting: whether the pictures' cameras fit together, so that every predicted shape is made to agree with their
        silhouettes.
        """
        model, coarse = self.model, self.model.coarse
        condition = coarse.condition(features)
        silhouettes: list[Silhouettes] = []
        if fitting and coarse.conditioning == "projective":
            silhouettes = [model.silhouettes(features.of_object(frame)) for frame in range(self.turns)]

        def agree(bands: Tensor) -> Tensor:
            return model.consistent_bands(bands, *silhouettes[: len(bands)]) if silhouettes else bands

        context = (condition.sites.unflatten(0, (self.turns, -1)), condition.context, condition.keep)

        def evaluate(x_t: Tensor, t: Tensor, context: tuple[Tensor, Tensor, Tensor]) -> Tensor:
            sites, tokens, keep = context
            return coarse(x_t, t, Condition(sites.flatten(0, 1), tokens, keep))

        def report(step: samplers.SamplerStep) -> bool:
            bands = self.united(step.x_0)
            field = model.coarse_field(bands)
            coefficients = self.coefficients(bands, *self.no_details(bands))
            return self.report("coarse", step, field, int(model.active_mask(field).sum()), coefficients)

        n = coarse.resolution
        noise = torch.randn(self.turns, coarse.bands, n, n, n, generator=self.generator).to(self.device)
        noise = noise * model.config.sampling.temperature
        guided = BatchedGuidedModel(evaluate, context, self.guidance_scale)
        bands = self.sample(guided, noise, self.coarse_steps, report if self.callback else None, agree)
        return bands if self.turns == 1 else agree(self.united(bands))

    def united(self, bands: Tensor) -> Tensor:
        """Scaled coarse bands (1, 8, n, n, n) of the mean shape of all frames."""
        if len(bands) == 1:
            return bands
        # At full resolution, where values stand in the centres of their cells, so that a turn only moves them.
        fields = self.model.decode(bands, *self.no_details(bands))
        return self.model.analyse(mean_field(fields).unsqueeze(0))[0]

    def detail(self, features: ViewFeatures, bands: Tensor) -> tuple[Tensor, Tensor]:
        """Coordinates (M, 4) of the active sites and their scaled details (M, 7); zeros where the run was stopped
        before.
        """
        model, detail = self.model, self.model.detail
        if self.resolution < model.config.resolution:
            details, coords = self.no_details(bands)
            return coords, details
        field = model.coarse_field(bands)
        coords = model.active_mask(field).nonzero()
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
        field = self.model.decode(bands, details, coords)
        if self.resolution < self.model.config.resolution:
            # The lowpass band would do but for a shift: atoms of odd length stand beside their cells' centres.
            return functional.avg_pool3d(field.unsqueeze(1), 2)[:, 0]
        return field

    def sample(
        self, model: Any, x_T: Any, steps: int, callback: samplers.Callback | None, clip_x0: samplers.Clip = None
    ) -> Any:
        """The sampler's result from noise x_T."""
        diffusion, draw = self.model.diffusion, self.generator
        return samplers.sample(model, diffusion, x_T, steps, self.sampler, draw, callback, clip_x0=clip_x0)

    def coefficients(self, bands: Tensor, details: Tensor, coords: Tensor) -> SparseCoefficients:
        """The pyramid in the wavelets' own units, on the CPU."""
        unscaled = (bands * self.model.coarse_scale)[0].float().cpu()
        unscaled[:1] += self.model.config.empty
        features = (details.float() * self.model.detail_scale).cpu()
        config = self.model.config
        return SparseCoefficients(
            unscaled[:1], unscaled[1:], coords[:, 1:].cpu(), features, config.bank, config.resolution
        )
