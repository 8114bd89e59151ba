"""Training of Wavelet Triplane Diffusion in the three stages of its reference, after the autoencoder.

    python -m wavemesh train --preset triplane-coarse --data DATA -o RUN --init WEIGHTS --export WEIGHTS2
    ... --preset triplane-detail --init WEIGHTS2 --export WEIGHTS3, then triplane-joint in the same way

Coarse: pictures to the LL band that the autoencoder gives their shape. Detail: diffusion of the autoencoder's detail
bands with the coarse stage frozen. Joint: both together. The colours of the targets are those that more views than the
given ones show on the surface that LL decodes to: on a surface that is a cell beside the true one the true planes'
textures would be in the wrong places. Every stage is also judged by the field that its triplanes
decode to, since errors of the planes do not all matter alike, and those with details by rendered patches of a view that
was not given. Where LL is learned together with the details, the renderer stays as it is: otherwise both learn to do
without them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from wavemesh.checkpoint import load_weights
from wavemesh.config import from_dict
from wavemesh.data.colours import colour_volume, open_colours
from wavemesh.data.dataset import Shapes
from wavemesh.diffusion.gaussian import TrainingStep
from wavemesh.diffusion.guidance import drop_mask
from wavemesh.errors import InputError
from wavemesh.models.colour_planes import colour_bands, colour_channels
from wavemesh.models.painted_surface import painted_planes
from wavemesh.models.plane_bands import BANDS, PlaneBands
from wavemesh.models.posed_pictures import PosedPictures
from wavemesh.models.triplane_autoencoder import TriplaneAutoencoder
from wavemesh.models.wavelet_triplane import DetailCondition, TriplaneConfig
from wavemesh.rendering import contact_sheet
from wavemesh.training.triplane_autoencoder import (
    PREVIEW_PX,
    AutoencoderTask,
    TriplaneTask,
    as_uint8,
    load_parts,
)
from wavemesh.training.triplane_batches import FieldLosses, TriplaneOptions, draw_samples, field_losses_at

RECONSTRUCTION_WEIGHT = 0.1
EXTRA_VIEWS = 4  # of which the last is rendered
DISSIMILARITY_WEIGHT = 0.25
LEAST_SCALE = 1e-3  # of a detail channel
DISSIMILARITY_WINDOW = 7  # pixels


class ViewsTask(TriplaneTask):
    """What the stages that see pictures share: a batch has more views than the networks are given."""

    extra_views = EXTRA_VIEWS

    def network_inputs(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """The views that the networks get, as arguments."""
        return {name: batch[name][:, : -self.extra_views] for name in ("images", "poses", "intrinsics")}


class CoarseTriplaneTask(ViewsTask):
    """The coarse generator: L1 to the target's LL band, and losses of the field that LL alone decodes to."""

    parts = ("coarse_gen",)

    def loss(self, batch: dict[str, Tensor], generator: torch.Generator) -> tuple[Tensor, dict[str, Any]]:
        """L1 of the band plus the losses at points."""
        coarse = self.model.system.planes(**self.network_inputs(batch))
        target = target_bands(self.model, batch, coarse)
        band = (coarse.ll - target.ll).abs().mean()
        triplane = PlaneBands(coarse.ll, torch.zeros_like(target.details)).triplane()
        samples = draw_samples(batch, self.options.points, generator)
        losses = field_losses_at(self.model.system.renderer, triplane, samples)
        loss = band + self.options.field_weight * losses.total(self.options.colour_weight).mean()
        views = batch["images"].shape[1] - self.extra_views
        return loss, {"band": band.detach(), **logged_losses(losses, f"_{views}v")}

    def sample_pictures(self, ema_model: nn.Module) -> dict[str, np.ndarray]:
        """A picture, what LL alone renders to, and what the autoencoder's LL renders to, for four training shapes."""
        return {"coarse": _preview(self, ema_model, details=False)}


class DetailTriplaneTask(ViewsTask):
    """The detail diffusion and the renderer, with the coarse generator frozen, and patches of a view not given.

    Some objects are decoded without details, so that LL alone goes on giving a shape.
    """

    parts = ("detail_diffusion", "renderer")

    def loss(self, batch: dict[str, Tensor], generator: torch.Generator) -> tuple[Tensor, dict[str, Any]]:
        """Diffusion loss of the scaled details, and the field and rendering losses of the predicted clean triplane."""
        options = self.options
        with torch.no_grad():
            coarse = self.model.system.planes(**self.network_inputs(batch))
            target = target_bands(self.model, batch, coarse)
        guess = diffuse_details(self, target, coarse, generator)
        keep = ~drop_mask(len(coarse.ll), options.drop_details, generator, coarse.ll.device)
        triplane = PlaneBands(coarse.ll, guess.details).triplane(keep.float())
        decoded, metrics = self.decoded_loss(triplane, batch, generator)
        loss = options.diffusion_weight * guess.step.loss + decoded
        return loss, {"diffusion": guess.step.loss.detach(), **metrics}

    def decoded_loss(
        self, triplane: Float[Tensor, "b 3 c h w"], batch: dict[str, Tensor], generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Any]]:
        """The weighted losses of what a triplane decodes to, at points and in rendered patches."""
        options = self.options
        losses = field_losses_at(self.model.system.renderer, triplane, draw_samples(batch, options.points, generator))
        rendering = self.rendering_loss(triplane, batch, generator)
        total = options.field_weight * losses.total(options.colour_weight).mean() + options.render_weight * rendering
        return total, {"render": rendering.detach(), **logged_losses(losses)}

    def rendering_loss(
        self, triplane: Float[Tensor, "b 3 c h w"], batch: dict[str, Tensor], generator: torch.Generator
    ) -> Float[Tensor, ""]:
        """L1 of colour and opacity, and structural dissimilarity over white, on patches of each object's last view."""
        options, images = self.options, batch["images"][:, -1]
        patches = options.patches, options.patch_size
        pixels = torch.stack([patch_pixels(image[3], *patches, generator) for image in images])
        rgb, opacity = self.model.system.renderer.render_pixels(
            triplane,
            pixels,
            images.shape[-1],
            batch["poses"][:, -1],
            batch["intrinsics"][:, -1],
            options.ray_samples,
            options.ray_samples // 2,
            generator=generator,
        )
        truth = images.flatten(2).gather(2, pixels[:, None].expand(-1, 4, -1))
        drawn = torch.cat([rgb, opacity[..., None]], dim=2).transpose(1, 2)
        size = options.patch_size
        whitened = (
            (each[:, :3] + 1.0 - each[:, 3:]).unflatten(2, (options.patches, size, size)) for each in (drawn, truth)
        )
        unlike = dissimilarity(*(each.transpose(1, 2).flatten(0, 1) for each in whitened))
        return (drawn - truth).abs().mean() + DISSIMILARITY_WEIGHT * unlike

    def sample_pictures(self, ema_model: nn.Module) -> dict[str, np.ndarray]:
        """A picture, the one-pass rendering, and that of the autoencoder, for four training shapes."""
        return {"detail": _preview(self, ema_model, details=True)}


class JointTriplaneTask(DetailTriplaneTask):
    """Coarse generator and detail diffusion together."""

    parts = ("coarse_gen", "detail_diffusion")

    def loss(self, batch: dict[str, Tensor], generator: torch.Generator) -> tuple[Tensor, dict[str, Any]]:
        """Diffusion, reconstruction of LL, field and rendering losses of one pass."""
        coarse = self.model.system.planes(**self.network_inputs(batch))
        target = target_bands(self.model, batch, coarse)
        band = (coarse.ll - target.ll).abs().mean()
        guess = diffuse_details(self, target, coarse, generator)
        decoded, metrics = self.decoded_loss(PlaneBands(coarse.ll, guess.details).triplane(), batch, generator)
        loss = self.options.diffusion_weight * guess.step.loss + RECONSTRUCTION_WEIGHT * band + decoded
        return loss, {"diffusion": guess.step.loss.detach(), "band": band.detach(), **metrics}

    def sample_pictures(self, ema_model: nn.Module) -> dict[str, np.ndarray]:
        """A picture, the one-pass rendering, and that of the autoencoder, for four training shapes."""
        return {"joint": _preview(self, ema_model, details=True)}


@dataclass
class DetailGuess:
    """A diffusion step on the details, and the clean details (B, 3, 3 C, n, n) that it implies, in planes' units."""

    step: TrainingStep
    details: Tensor


@torch.no_grad()
def target_bands(model: nn.Module, batch: dict[str, Tensor], coarse: DetailCondition) -> PlaneBands:
    """What the autoencoder makes of the batch, with the colours that all its views show on the surface at hand."""
    target: PlaneBands = model.autoencoder(batch["sdf"], batch["volume"])
    channels = target.ll.shape[2]
    colours = colour_channels(channels)
    if colours:
        pictures = PosedPictures(batch["images"], batch["poses"], batch["intrinsics"])
        painted = colour_bands(painted_planes(coarse.field, pictures).colours, channels)
        target.ll[:, :, :colours] = painted.ll[:, :, :colours]
        mine, theirs = (each.details.unflatten(2, (BANDS, channels)) for each in (target, painted))
        mine[:, :, :, :colours] = theirs[:, :, :, :colours]
    return target


def diffuse_details(
    task: TriplaneTask, target: PlaneBands, coarse: DetailCondition, generator: torch.Generator
) -> DetailGuess:
    """One training step of the detail diffusion towards the target's details, given a coarse triplane.

    The planes of an object share their timestep. Features of the coarse stage are dropped at random, for guidance.
    """
    system, options = task.model.system, task.options
    kept = ~drop_mask(len(target.ll), options.drop_prob, generator, target.ll.device)
    features = coarse.features * kept.view(-1, 1, 1, 1, 1).to(coarse.features.dtype)
    seen = replace(coarse, features=features)
    step = system.diffusion.training_step(
        lambda x_t, t: system.denoise(x_t, t, seen),
        system.detail_residual(target.details, coarse),
        generator=generator,
        terminal_prob=options.terminal_prob,
    )
    return DetailGuess(step, system.details(step.prediction.x_0, coarse))


def patch_pixels(alpha: Float[Tensor, "h w"], count: int, size: int, generator: torch.Generator) -> Tensor:
    """Flat pixel numbers (count * size^2,) of square patches, each around a random pixel of the object.

    Where a picture shows nothing, anywhere.
    """
    height, width = alpha.shape
    places = (alpha > 0.5).flatten().nonzero().flatten()
    if len(places) == 0:
        places = torch.arange(height * width, device=alpha.device)
    drawn = torch.randint(len(places), (count,), generator=generator, device=generator.device).to(alpha.device)
    top = (places[drawn] // width - size // 2).clamp(0, max(0, height - size))
    left = (places[drawn] % width - size // 2).clamp(0, max(0, width - size))
    steps = torch.arange(size, device=alpha.device)
    rows = (top[:, None] + steps).clamp(max=height - 1)
    columns = (left[:, None] + steps).clamp(max=width - 1)
    return (rows[:, :, None] * width + columns[:, None, :]).flatten()


def dissimilarity(first: Float[Tensor, "n c h w"], second: Float[Tensor, "n c h w"]) -> Float[Tensor, ""]:
    """Half of one minus the structural similarity (Wang et al. 2004) of pictures in [0, 1], with square windows."""

    def mean(values: Tensor) -> Tensor:
        return F.avg_pool2d(values, min(DISSIMILARITY_WINDOW, *values.shape[-2:]), stride=1)

    mean_1, mean_2 = mean(first), mean(second)
    covariance = mean(first * second) - mean_1 * mean_2
    variances = mean(first.square()) - mean_1.square() + mean(second.square()) - mean_2.square()
    alike = (2.0 * mean_1 * mean_2 + 0.01**2) * (2.0 * covariance + 0.03**2)
    alike = alike / ((mean_1.square() + mean_2.square() + 0.01**2) * (variances + 0.03**2))
    return (0.5 - 0.5 * alike).mean()


def logged_losses(losses: FieldLosses, suffix: str = "") -> dict[str, Tensor]:
    """The losses for the log."""
    return {
        f"distance{suffix}": losses.distance.detach().mean(),
        f"sign{suffix}": losses.sign.detach().mean(),
        f"overlap{suffix}": losses.overlap.detach().mean(),
        f"colour{suffix}": losses.colour.detach().mean(),
    }


@torch.inference_mode()
def _preview(task: ViewsTask, ema_model: nn.Module, details: bool) -> np.ndarray:
    """Rows of a given picture, what the system makes of all given ones, and what the autoencoder makes."""
    model = ema_model.eval()
    device = next(model.parameters()).device
    batch = task.preview_batch(device)
    coarse = model.system.planes(**task.network_inputs(batch))
    target = model.autoencoder(batch["sdf"], batch["volume"])
    none = torch.zeros_like(target.details)
    guess = model.system.mean_details(coarse) if details else none
    triplanes = PlaneBands(coarse.ll, guess).triplane(), target.triplane(None if details else none.new_zeros(len(none)))
    camera = {"poses": batch["poses"][:, 0], "intrinsics": batch["intrinsics"][:, 0]}
    rendered = [model.system.renderer.render_volume(each, 64, PREVIEW_PX, **camera) for each in triplanes]
    size = (PREVIEW_PX, PREVIEW_PX)
    given = F.interpolate(batch["images"][:, 0, :3], size=size, mode="bilinear", align_corners=False)
    pictures = [as_uint8(each[index]) for index in range(len(none)) for each in (given, *rendered)]
    return contact_sheet(pictures, columns=3)


@torch.inference_mode()
def measure_detail_scale(autoencoder: TriplaneAutoencoder, shapes: Shapes, sample: int = 48) -> tuple[float, ...]:
    """Root mean squares of the 3 C detail channels over (a sample of) the shapes of a split."""
    coloured, squares = open_colours(shapes), []
    for index in shapes.spread(sample):
        volume = colour_volume(coloured.points([index]), coloured.colours([index]), shapes.resolution)
        details = autoencoder(shapes.sdf([index]), volume).details
        squares.append(details.square().mean(dim=(0, 1, 3, 4)))
    scales = torch.stack(squares).mean(dim=0).sqrt().clamp_min(LEAST_SCALE)
    return tuple(float(f"{scale:.4g}") for scale in scales.tolist())


def build_triplane_task(
    task: str, shapes: Shapes, model: Mapping[str, Any], options: TriplaneOptions, init: str | Path | None
) -> TriplaneTask:
    """The task of that name; `init` has the weights of the stage before. model: changes to the configuration.

    Raises InputError where a stage after the first has nothing to begin from.
    """
    if task == "triplane-autoencoder":
        stored = dict(model) if init is None else load_weights(init)[1]
        return AutoencoderTask(shapes, from_dict(TriplaneConfig, stored, fill_defaults=True), options)
    if init is None:
        raise InputError(f"The task {task} needs --init with the weights of the stage before it.")
    parts = load_parts(init)
    config = parts.system.config
    if task == "triplane-detail":
        config = replace(config, detail_scale=measure_detail_scale(parts.autoencoder, shapes))
    return TASKS[task](shapes, config, options)


TASKS: dict[str, type[TriplaneTask]] = {
    "triplane-autoencoder": AutoencoderTask,
    "triplane-coarse": CoarseTriplaneTask,
    "triplane-detail": DetailTriplaneTask,
    "triplane-joint": JointTriplaneTask,
}
