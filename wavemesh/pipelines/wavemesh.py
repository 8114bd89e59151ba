"""WaveMesh-Diff from pictures to a mesh: prepare, encode, coarse diffusion, detail diffusion, inverse transform,
surface.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from wavemesh.diffusion import samplers
from wavemesh.diffusion.guidance import BatchedGuidedModel
from wavemesh.errors import InputError
from wavemesh.models.camera_head import CameraHead
from wavemesh.models.denoiser import Condition
from wavemesh.models.inflation import PLANE_NAMES, PLANES, SHARE, inflated_field
from wavemesh.models.multiview_encoder import ViewFeatures
from wavemesh.models.posed_pictures import PosedPictures
from wavemesh.models.precision import autocast
from wavemesh.models.silhouettes import Silhouettes
from wavemesh.models.wavemesh import WaveMeshModel
from wavemesh.pipelines.base import Callback, Pipeline, Run, resolve_device
from wavemesh.pipelines.frames import field_of_revolution, frame_tensors, mean_field
from wavemesh.pipelines.outputs import WaveMeshOutput, front_of
from wavemesh.pipelines.triplane import TriplanePipeline
from wavemesh.pipelines.unseen import assume
from wavemesh.pipelines.views import (
    PictureSource,
    PreparedView,
    View,
    binding_views,
    network_tensors,
    prepare_views,
)
from wavemesh.settings import WaveMeshSettings
from wavemesh.sparse.layers import choose_backend, resolve_backend
from wavemesh.sparse.tensor import SparseTensor
from wavemesh.wavelets.sparse import SparseCoefficients
from wavemesh.weights import camera_head, fingerprint, resolve


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
    def from_pretrained(
        cls, source: str | Path | None = None, device: str | torch.device = "auto", backend: str = "auto"
    ) -> WaveMeshPipeline:
        """The pipeline with bundled weights (None), those of a folder, or those of a Hub id.

        Colours come from the triplane of the folder, or else from the bundled one. device: "auto", "cpu" or "cuda".
        backend: of the sparse convolutions, "auto", "reference" or "spconv" (see `sparse.layers`). Raises InputError
        for weights that are missing or damaged and for a device or backend that is not there.
        """
        device = resolve_device(device)
        resolve_backend(backend)
        folder = resolve(source)
        own, head = folder / "triplane", camera_head(folder)
        pipeline = cls(WaveMeshModel.load(folder), CameraHead.load(head), device, own if own.is_dir() else None)
        pipeline.fingerprint = fingerprint(folder, head)
        if backend != "auto":
            choose_backend(pipeline.model, backend)
        return pipeline

    @torch.inference_mode()
    def __call__(
        self,
        views: Sequence[View | PreparedView | PictureSource],
        num_inference_steps: int | tuple[int, int] | None = None,
        guidance_scale: float | None = None,
        seed: int | None = None,
        callback: Callback | None = None,
        *,
        settings: WaveMeshSettings | None = None,
        **changes: Any,
    ) -> WaveMeshOutput:
        """Reconstruct the object in one to eight pictures.

        num_inference_steps: network evaluations per stage, or (coarse, detail). guidance_scale: 1 is plain conditional,
        it acts on the coarse stage. seed: the same one gives the same mesh; 0 if left out. callback: gets a
        `StepReport` after each evaluation; if it returns True the run ends there with what there is. settings, changes:
        everything that can be asked for, as one value and by name, see `WaveMeshSettings`; what is None takes the
        shipped default. Raises InputError for values out of range and pictures that cannot be used.
        """
        changes = {"guidance_scale": guidance_scale, "seed": seed, **changes}
        asked = WaveMeshSettings.asked(settings, num_inference_steps, **changes)
        run = _Run(self, asked, callback)
        with run.timed("prepare"):
            image_size = self.model.config.encoder.image_size
            prepared = prepare_views(views, image_size, self.estimate_cameras, asked.background, self.refiner(asked))
        return run(prepared)

    def predict_field(self, views: list[PreparedView]) -> Float[Tensor, "n n n"]:
        """The field that the coarse stage expects from the views, without noise and in one step."""
        model, device = self.model, self.device
        with autocast(device):
            features = model.encode(*(each.to(device) for each in network_tensors(views)))
            condition = model.coarse.condition(features)
            n = model.coarse.resolution
            none = torch.zeros(1, model.coarse.bands, n, n, n, device=device)
            bands = samplers.sample(lambda x_t, t: model.coarse(x_t, t, condition), model.diffusion, none, 1, "ddim")
        no_details = none.new_zeros(0, 7), torch.zeros(0, 4, dtype=torch.long, device=device)
        return model.decode(bands, *no_details)[0]

    def triplane(self) -> TriplanePipeline:
        """The pipeline that colours come from; raises InputError where its weights are missing or damaged."""
        if self._triplane is None:
            with torch.inference_mode(False):  # or its weights could never be used for a gradient
                self._triplane = TriplanePipeline.from_pretrained(self.triplane_source, self.device)
        return self._triplane


class _Run(Run[WaveMeshSettings]):
    """One reconstruction by WaveMesh-Diff."""

    model: WaveMeshModel

    def __init__(self, pipeline: WaveMeshPipeline, asked: WaveMeshSettings, callback: Callback | None) -> None:
        config = pipeline.model.config
        full = config.resolution
        settings = asked.filled({**asdict(config.sampling), "resolution": full})
        if settings.resolution not in (full, full // 2):
            raise InputError(f"The resolution must be {full} or {full // 2}, not {settings.resolution}.")
        super().__init__(pipeline, settings, callback)
        assert settings.frames is not None
        self.frames = settings.frames
        self.is_full = settings.resolution == full
        self.is_round = False
        self.inflated: Tensor | None = None
        self.provenance["temperature"] = config.sampling.temperature
        # Before anything is computed, since weights may be missing.
        self.triplane = None if settings.colours == "views" else pipeline.triplane()
        if self.triplane is not None:
            self.provenance["triplane_weights"] = self.triplane.fingerprint

    def __call__(self, views: list[PreparedView]) -> WaveMeshOutput:
        with self.timed("prepare"):
            seen = self.assume(views)
            views = [replace(views[0], camera=seen[0].camera)] if self.is_round else views
        self.camera, self.front_deg = views[0].camera, front_of(views, self.settings)
        with autocast(self.device):
            with self.timed("encode"):
                images, poses, intrinsics = (each.to(self.device) for each in frame_tensors(seen, self.frames))
                features = self.model.encode(images, poses, intrinsics)
            with self.timed("coarse"):
                bands = self.coarse(features, binding_views(seen))
            with self.timed("detail"):
                coords, details = self.detail(features.of_object(0), bands)
        with self.timed("decode"):
            sdf = self.decode(bands, details, coords)[0].cpu().numpy()
        with self.timed("surface"):
            mesh = self.surface(sdf, views)
        with self.timed("colour"):
            unseen = None if self.triplane is None else self.triplane.colours(seen, self.settings.seed)
            self.colour(mesh, seen, unseen, len(seen) - len(views))
        return WaveMeshOutput(
            mesh=mesh,
            sdf=sdf,
            views=views,
            settings=self.settings,
            provenance=self.provenance,
            timings=self.timings,
            stopped=self.stopped,
            coefficients=self.coefficients(bands, details, coords),
        )

    def assume(self, views: list[PreparedView]) -> list[PreparedView]:
        """The views with what is assumed of unseen sides, which the run keeps as well."""
        assumed = assume(self.model, views, self.settings)
        if assumed.likenesses is not None:
            self.provenance["likenesses"] = assumed.likenesses
        self.is_round = assumed.is_round
        if self.is_round:
            self.frames = 1  # turned by quarters its views are the same ones, and the mean over all turns comes later
        if assumed.plane is not None:
            self.provenance["inflated_about"] = PLANE_NAMES[PLANES.index(assumed.plane)]
            config = self.model.config
            picture = PosedPictures(*(tensor.to(self.device) for tensor in network_tensors(views)))
            coarse = inflated_field(picture, assumed.plane, config.resolution // 2, config.truncation)
            self.inflated = functional.interpolate(coarse[None, None], scale_factor=2, mode="trilinear")[0, 0]
        return assumed.views

    def coarse(self, features: ViewFeatures, binding: list[int]) -> Tensor:
        """Scaled coarse bands (1, 8, n, n, n) by diffusion from noise: the mean over the frames of the features.

        binding: the views whose silhouettes every predicted shape is made to agree with.
        """
        model, coarse = self.model, self.model.coarse
        condition = coarse.condition(features)
        silhouettes: list[Silhouettes] = []
        if binding and coarse.conditioning == "projective":
            silhouettes = [
                model.silhouettes(features.of_object(frame).of_views(binding)) for frame in range(self.frames)
            ]

        def consistent(bands: Tensor) -> Tensor:
            return model.consistent_bands(bands, *silhouettes[: len(bands)]) if silhouettes else bands

        context = (condition.sites.unflatten(0, (self.frames, -1)), condition.context, condition.keep)

        def evaluate(x_t: Tensor, t: Tensor, context: tuple[Tensor, Tensor, Tensor]) -> Tensor:
            sites, tokens, keep = context
            return coarse(x_t, t, Condition(sites.flatten(0, 1), tokens, keep))

        def report(step: samplers.SamplerStep) -> bool:
            bands = self.mean_bands(step.x_0)
            field = model.coarse_field(bands)
            coefficients = self.coefficients(bands, *self.no_details(bands))
            return self.report("coarse", step, field, int(model.active_mask(field).sum()), coefficients)

        n = coarse.resolution
        noise = torch.randn(self.frames, coarse.bands, n, n, n, generator=self.generator).to(self.device)
        noise = noise * model.config.sampling.temperature
        guided = BatchedGuidedModel(evaluate, context, self.guidance_scale)
        bands = self.sample(guided, noise, self.steps["coarse"], report if self.callback else None, consistent)
        if self.is_round:
            # Its picture is never quite alike on both sides, and what agrees with each of eight is round no more.
            return self.mean_bands(bands)
        if self.frames > 1 or self.inflated is not None:
            bands = consistent(self.mean_bands(bands))
        return model.connected_bands(bands, silhouettes[0] if silhouettes else None)

    def mean_bands(self, bands: Tensor) -> Tensor:
        """Scaled coarse bands (1, 8, n, n, n) of the mean shape of all frames, and of what is round over all turns, and
        of what is inflated with that.
        """
        if len(bands) == 1 and not self.is_round and self.inflated is None:
            return bands
        # At full resolution, where values stand in the centres of their cells, so that a turn only moves them.
        field = mean_field(self.model.decode(bands, *self.no_details(bands)))
        field = field_of_revolution(field) if self.is_round else field
        if self.inflated is not None:
            field = torch.lerp(field.float(), self.inflated, SHARE)
        return self.model.analyse(field.unsqueeze(0))[0]

    def detail(self, features: ViewFeatures, bands: Tensor) -> tuple[Tensor, Tensor]:
        """Coordinates (M, 4) of the active sites and their scaled details (M, 7); zeros where the run was stopped
        before.
        """
        model, detail = self.model, self.model.detail
        if not self.is_full:
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
            kept, features = self.kept_details(coords, step.x_0.features)
            coefficients = self.coefficients(bands, features, kept)
            return self.report("detail", step, model.decode(bands, features, kept), len(kept), coefficients)

        result = self.sample(evaluate, sites, self.steps["detail"], report if self.callback else None)
        return self.kept_details(coords, result.features)

    def no_details(self, bands: Tensor) -> tuple[Tensor, Tensor]:
        """Details (0, 7) and coordinates (0, 4) of no site."""
        return bands.new_zeros(0, 7), torch.zeros(0, 4, dtype=torch.long, device=bands.device)

    def kept_details(self, coords: Tensor, details: Tensor) -> tuple[Tensor, Tensor]:
        """The sites with a coefficient that reaches the threshold, and their scaled details, smaller ones zero."""
        threshold = self.settings.detail_threshold
        if threshold == 0.0:
            return coords, details
        is_large = (details.float() * self.model.detail_scale).abs() >= threshold
        sites = is_large.any(dim=1)
        return coords[sites], (details * is_large)[sites]

    def decode(self, bands: Tensor, details: Tensor, coords: Tensor) -> Tensor:
        """The field (1, n, n, n) at the resolution asked for, world units."""
        field = self.model.decode(bands, details, coords)
        if not self.is_full:
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
