"""Wavelet Triplane Diffusion from pictures to a mesh that has colours, and to pictures from anywhere: prepare, coarse
planes, diffusion of their detail bands, inverse transform, field, surface.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from scipy.ndimage import gaussian_filter
from torch import Tensor

from wavemesh.diffusion.samplers import SamplerStep
from wavemesh.geometry.texture import ColourAt
from wavemesh.models.camera_head import CameraHead
from wavemesh.models.plane_bands import BANDS
from wavemesh.models.posed_pictures import posed_pictures
from wavemesh.models.precision import autocast
from wavemesh.models.silhouettes import Silhouettes
from wavemesh.models.triplane_renderer import TriplaneRenderer
from wavemesh.models.wavelet_triplane import DetailCondition, TriplaneSample, WaveletTriplaneDiffusion
from wavemesh.pipelines.base import Callback, Pipeline, Run, resolve_device
from wavemesh.pipelines.outputs import TriplaneOutput, front_of, triplane_colours
from wavemesh.pipelines.views import PictureSource, PreparedView, View, binding_views, network_tensors, prepare_views
from wavemesh.settings import TriplaneSettings
from wavemesh.weights import camera_head, fingerprint, resolve

MESH_RESOLUTION = 128
SMOOTHING = 1 / 64  # deviation of the Gaussian, world units: a cell of the mesh's grid
REPORT_RESOLUTION = 64


class TriplanePipeline(Pipeline[WaveletTriplaneDiffusion]):
    """Pictures in, triplane and coloured mesh out. Make one with `from_pretrained`."""

    @classmethod
    def from_pretrained(cls, source: str | Path | None = None, device: str | torch.device = "auto") -> TriplanePipeline:
        """The pipeline with bundled weights (None), those of a folder, or those of a Hub id.

        The camera head is the folder's own, or else the bundled one. device: "auto", "cpu" or "cuda". Raises InputError
        for weights that are missing or damaged and for a device that is not there.
        """
        device = resolve_device(device)
        folder = resolve(source, "triplane")
        head = camera_head(folder)
        pipeline = cls(WaveletTriplaneDiffusion.load(folder), CameraHead.load(head), device)
        pipeline.fingerprint = fingerprint(folder, head)
        return pipeline

    @torch.inference_mode()
    def __call__(
        self,
        views: Sequence[View | PreparedView | PictureSource],
        num_inference_steps: int | tuple[int, ...] | None = None,
        guidance_scale: float | None = None,
        seed: int | None = None,
        callback: Callback | None = None,
        *,
        settings: TriplaneSettings | None = None,
        **changes: Any,
    ) -> TriplaneOutput:
        """Reconstruct the object in one to eight pictures.

        num_inference_steps: network evaluations of the detail bands' diffusion. guidance_scale: 1 is plain conditional;
        more goes further from what the LL band alone suggests. seed: the same one gives the same mesh; 0 if left out.
        callback: gets a `StepReport` after each evaluation; if it returns True the run ends there with what there is.
        settings, changes: everything that can be asked for, as one value and by name, see `TriplaneSettings`; what is
        None takes the shipped default. Raises InputError for values out of range, pictures that cannot be used, and
        where the triplane holds no surface.
        """
        changes = {"guidance_scale": guidance_scale, "seed": seed, **changes}
        asked = TriplaneSettings.asked(settings, num_inference_steps, **changes)
        run = _Run(self, asked, callback)
        with run.timed("prepare"):
            image_size = self.model.config.image_size
            prepared = prepare_views(views, image_size, self.estimate_cameras, asked.background, self.refiner(asked))
        return run(prepared)

    def predict_field(self, views: list[PreparedView]) -> Float[Tensor, "n n n"]:
        """The field of the LL band that the views lead to."""
        with autocast(self.device):
            images, poses, intrinsics = (tensor.to(self.device) for tensor in network_tensors(views))
            return self.model.planes(images, poses, intrinsics).field[0]

    @torch.inference_mode()
    def colours(self, views: list[PreparedView], seed: int = 0) -> ColourAt:
        """The colours of a triplane sampled with the shipped defaults, for a mesh that was made of the same views."""
        sample = _Run(self, TriplaneSettings(seed=seed), None).sample(views)
        return triplane_colours(self.model.renderer, sample.triplane[0])


def surface_field(
    renderer: TriplaneRenderer,
    triplane: Float[Tensor, "1 3 c h w"],
    views: Sequence[PreparedView] = (),
    resolution: int | None = None,
) -> Float[np.ndarray, "n n n"]:
    """The truncated distances that a triplane's mesh is made of, at n = resolution (128 if None).

    They are smoothed a little, since the planes' details are noisy, and made to agree with the silhouettes of the views
    that bind.
    """
    cells = MESH_RESOLUTION if resolution is None else resolution
    field = gaussian_filter(renderer.sdf_grid(triplane, cells)[0].float().cpu().numpy(), SMOOTHING * cells / 2)
    binding = [views[index] for index in binding_views(views)]
    if binding:
        pictures = posed_pictures(*network_tensors(binding))
        silhouettes = Silhouettes(pictures, cells, renderer.truncation)
        field = silhouettes.corrected_field(torch.from_numpy(field)).numpy()
    return field


class _Run(Run[TriplaneSettings]):
    """One reconstruction by the triplane."""

    model: WaveletTriplaneDiffusion

    def __init__(self, pipeline: TriplanePipeline, asked: TriplaneSettings, callback: Callback | None) -> None:
        super().__init__(pipeline, asked.filled(asdict(pipeline.model.config.sampling)), callback)

    def __call__(self, views: list[PreparedView]) -> TriplaneOutput:
        self.camera, self.front_deg = views[0].camera, front_of(views, self.settings)
        sample = self.sample(views)
        renderer = self.model.renderer
        with self.timed("decode"):
            sdf = surface_field(renderer, sample.triplane, views)
        with self.timed("surface"):
            mesh = self.surface(sdf, views)
        with self.timed("colour"):
            decoded = triplane_colours(renderer, sample.triplane[0])
            self.colour(mesh, views, None if self.settings.colours == "views" else decoded)
        planes, _, *space = sample.details.shape[1:]
        return TriplaneOutput(
            mesh=mesh,
            sdf=sdf,
            views=views,
            settings=self.settings,
            provenance=self.provenance,
            timings=self.timings,
            stopped=self.stopped,
            triplane_ll=sample.ll[0].cpu().numpy(),
            triplane_details=sample.details[0].view(planes, BANDS, -1, *space).cpu().numpy(),
            triplane_highres=sample.triplane[0].cpu().numpy(),
            renderer=renderer,
        )

    def sample(self, views: list[PreparedView]) -> TriplaneSample:
        """The triplane by diffusion from noise."""
        with autocast(self.device):
            with self.timed("coarse"):
                images, poses, intrinsics = (tensor.to(self.device) for tensor in network_tensors(views))
                coarse = self.model.planes(images, poses, intrinsics)
            with self.timed("triplane"):
                details = self.model.sample_details(
                    coarse,
                    self.steps["triplane"],
                    self.guidance_scale,
                    self.settings.sampler,
                    self.generator,
                    None if self.callback is None else lambda step: self.report_step(coarse, step),
                )
        return TriplaneSample(coarse.ll, details, self.model.reconstruct(coarse.ll, details))

    def report_step(self, coarse: DetailCondition, step: SamplerStep) -> bool:
        """Tell the callback about a step of the diffusion; True if it wants to stop."""
        with torch.autocast(self.device.type, enabled=False):
            triplane = self.model.reconstruct(coarse.ll, self.model.details(step.x_0, coarse))
            field = self.model.renderer.sdf_grid(triplane, REPORT_RESOLUTION)
        # Every site of the three detail bands is diffused: the planes are dense.
        return self.report("triplane", step, field, step.x_0[0, :, 0].numel())
