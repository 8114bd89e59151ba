"""Training of WaveMesh-Diff: the coarse task (encoder and coarse denoiser) and the detail task (detail denoiser).

    python -m wavemesh train --preset tiny --data DATA --out RUN          (a minute or two on two CPU cores)

Both draw their batches from (seed, batch number) alone, so a resumed run sees what an unbroken one would have seen.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wavemesh.config import to_dict
from wavemesh.data.augment import colour_jitter, imperfect_masks, mirror, mirror_views, turn_poses, turn_quarter
from wavemesh.data.dataset import Shapes, to_network_image
from wavemesh.data.photographs import photographic
from wavemesh.data.procedural import ProceduralShapes
from wavemesh.data.stream import LANES, open_shapes
from wavemesh.diffusion.guidance import drop_mask
from wavemesh.errors import InputError
from wavemesh.geometry.camera import Camera
from wavemesh.geometry.isosurface import sdf_to_mesh
from wavemesh.models.posed_pictures import PosedPictures
from wavemesh.models.symmetry import mirrors_of, with_mirror_images
from wavemesh.models.wavemesh import WaveMeshConfig, WaveMeshModel
from wavemesh.rendering import contact_sheet, shade_preview
from wavemesh.sparse.tensor import SparseTensor
from wavemesh.training.muon import RATE
from wavemesh.wavelets.sparse import gather_sites
from wavemesh.wavelets.transform import wavedec3d

GOLDEN_RATIO = (1 + 5**0.5) / 2
# Views of a batch that may have mirror images, and the share of those with a single mirror.
MOST_MIRRORED, ONE_MIRROR = 2, 0.7
# What is no kernel between hidden layers: modulations, embeddings and the output.
NO_KERNELS = ("time_mlp", "gate", "embedding", "unet.conv_out")


@dataclass(frozen=True)
class TaskOptions:
    """What a preset may set.

    batch_size: shapes per batch. view_counts: numbers of views, drawn with view_weights, one per batch. drop_prob:
    share of dropped conditions, for guidance. terminal_prob: share of batches elements at t = T, where the first
    sampling step is.
    surface_weight, overlap_weight: of the losses on the decoded field. limit: only the first shapes (to overfit).
    procedural_share: of the shapes are procedural ones, made anew for every batch (`data.procedural`), the others from
    the prepared set; from 0 to 1. train_encoder: with the coarse stage; otherwise the encoder stays as it is.
    augment: quarter turns, mirroring, colours, imperfect masks. mask_chance: share of views with an imperfect mask; the
    hull of four views already suffers from one that is eaten by a pixel. photographs: from 0, pictures as rendered, to
    1, as `data.photographs` changes them. mirrored: share of the batches of one or two views that have mirror images of
    them as well, where silhouettes allow it (`models.symmetry`). lanes: of a streamed set, best a multiple of the
    processes and their workers.
    """

    batch_size: int = 8
    view_counts: tuple[int, ...] = (1, 2, 3, 4)
    view_weights: tuple[float, ...] = (0.45, 0.15, 0.1, 0.3)
    drop_prob: float = 0.06
    terminal_prob: float = 0.6
    surface_weight: float = 1.0
    overlap_weight: float = 2.0
    limit: int | None = None
    augment: bool = True
    mask_chance: float = 0.1
    photographs: float = 1.0
    mirrored: float = 0.0
    procedural_share: float = 0.0
    train_encoder: bool = True
    lanes: int = LANES

    def __post_init__(self) -> None:
        for name in ("procedural_share", "drop_prob", "terminal_prob", "mask_chance", "photographs", "mirrored"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise InputError(f"{name} must be from 0 to 1, not {getattr(self, name)}.")
        for name in ("batch_size", "limit"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, not {getattr(self, name)}.")
        counts, weights = self.view_counts, self.view_weights
        if not counts or len(counts) != len(weights) or min(counts) < 1 or min(weights) < 0 or sum(weights) <= 0:
            raise InputError(f"view_counts and view_weights must be as many, and positive, not {counts} and {weights}.")


class ShapeBatches:
    """Endless batches of prepared shapes with posed pictures, each determined by the seed and its number."""

    def __init__(self, shapes: Shapes, options: TaskOptions) -> None:
        self.shapes, self.options = shapes, options
        self.count = min(options.limit or len(shapes), len(shapes))

    def __call__(self, seed: int, start: int) -> Iterator[dict[str, Tensor]]:
        """Batches from number `start` on: sdf (B, n, n, n), images (B, N, 4, h, w), poses, intrinsics."""
        number = start
        while True:
            yield self.batch(seed, number)
            number += 1

    def indices(self, seed: int, number: int) -> list[int]:
        """The prepared shapes of a batch, in shuffled passes over the set."""
        size = self.options.batch_size
        made = self.procedural_numbers(number)
        places = range(number * size - made.start, (number + 1) * size - made.stop)
        return self.shapes.drawn(seed, number, places, self.count)

    def procedural_numbers(self, number: int) -> range:
        """The numbers of the procedural shapes in a batch: each comes once in a run, their share is kept on average."""
        size, share = self.options.batch_size, self.options.procedural_share
        return range(math.floor(number * size * share), math.floor((number + 1) * size * share))

    def view_count(self, number: int) -> int:
        """The number of views in a batch. Multiples of the golden ratio spread evenly, so neighbours differ.

        With one count drawn per batch a run of batches with one view teaches the network to be timid.
        """
        options = self.options
        bounds = np.cumsum(options.view_weights) / sum(options.view_weights)
        place = int(np.searchsorted(bounds, (number + 0.5) * GOLDEN_RATIO % 1.0, side="right"))
        return options.view_counts[min(place, len(bounds) - 1)]

    def batch(self, seed: int, number: int) -> dict[str, Tensor]:
        """One batch, augmented."""
        options = self.options
        rng = np.random.default_rng((seed, number, 1))
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        indices = self.indices(seed, number)
        count = min(self.view_count(number), self.shapes.num_views)
        views = [rng.choice(self.shapes.num_views, count, replace=False).tolist() for _ in range(options.batch_size)]
        sdf, images, poses, intrinsics = self._unchanged(seed, number, indices, views)
        if options.augment:
            images = photographic(colour_jitter(images, generator), generator, options.photographs)
            images = imperfect_masks(images, generator, options.mask_chance)
        # In the frame that shapes are stored in, which have a front, before they are turned.
        if count <= MOST_MIRRORED and options.mirrored and rng.random() < options.mirrored:
            most = 1 if count > 1 or rng.random() < ONE_MIRROR else 3
            images, poses, intrinsics = _mirrored(PosedPictures(images, poses, intrinsics), most)
        if options.augment:
            turns, mirrored = rng.integers(4, size=len(sdf)), rng.random(len(sdf)) < 0.5
            rows = [
                _augmented(sdf[i], images[i], poses[i], intrinsics[i], int(turns[i]), bool(mirrored[i]))
                for i in range(len(sdf))
            ]
            sdf, images, poses, intrinsics = (torch.stack(parts) for parts in zip(*rows, strict=True))
        return {"sdf": sdf, "images": images, "poses": poses, "intrinsics": intrinsics}

    def _unchanged(
        self, seed: int, number: int, indices: list[int], views: list[list[int]]
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Grids, pictures, poses, intrinsics of a batch before augmentation: prepared shapes, then procedural ones."""
        parts: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
        if indices:
            shown = views[: len(indices)]
            cameras = self.shapes.view_cameras(indices, shown)
            parts.append((self.shapes.sdf(indices), self.shapes.images(indices, shown), *cameras))
        made = self.procedural_numbers(number)
        if made:
            source = ProceduralShapes(seed, self.shapes.resolution, self.shapes.num_views, self.shapes.image_size)
            new = source.render(made, views[len(indices) :])
            parts.append((new.sdf, to_network_image(new.pictures), new.poses, new.intrinsics))
        sdf, images, poses, intrinsics = (torch.cat(each) for each in zip(*parts, strict=True))
        return sdf, images, poses, intrinsics


def _augmented(
    sdf: Tensor, images: Tensor, poses: Tensor, intrinsics: Tensor, turns: int, mirrored: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    if mirrored:
        sdf = mirror(sdf)
        images, poses, intrinsics = mirror_views(images, poses, intrinsics)
    return turn_quarter(sdf, turns), images, turn_poses(poses, turns), intrinsics


def _mirrored(views: PosedPictures, most: int) -> tuple[Tensor, Tensor, Tensor]:
    """The pictures of each object with their images in as many mirrors as its silhouettes allow, at most so many.

    Where they allow fewer the pictures themselves are repeated, since a batch has as many of every object.
    """
    rows = []
    for item in range(len(views.images)):
        one = views.of_object(item)
        seen = with_mirror_images(one, mirrors_of(one, most=most))
        count = one.images.shape[1]
        order = [*range(seen.images.shape[1]), *list(range(count)) * most][: count * (1 + most)]
        rows.append((seen.images[0, order], seen.poses[0, order], seen.intrinsics[0, order]))
    images, poses, intrinsics = (torch.stack(parts) for parts in zip(*rows, strict=True))
    return images, poses, intrinsics


def measure_scales(shapes: Shapes, config: WaveMeshConfig, sample: int = 64) -> WaveMeshConfig:
    """The configuration with the root mean squares of the bands over (a sample of) the training set."""
    squares: list[Tensor] = []
    for index in shapes.spread(sample):
        pyramid = wavedec3d(shapes.sdf([index]).unsqueeze(1), config.bank, 2)
        coarse = torch.cat([pyramid.approximation - config.empty, pyramid.details[0]], dim=1)
        finest = pyramid.details[1]
        occupied = finest.abs().amax(dim=1, keepdim=True) > 1e-3
        shares = (finest.square() * occupied).sum(dim=(0, 2, 3, 4)) / occupied.sum().clamp_min(1)
        squares.append(torch.cat([coarse.square().mean(dim=(0, 2, 3, 4)), shares]))
    scales = torch.stack(squares).mean(dim=0).sqrt().tolist()
    rounded = tuple(float(f"{scale:.4g}") for scale in scales)
    return replace(config, coarse_scale=rounded[:8], detail_scale=rounded[8:])


class _WaveMeshTask:
    """What both tasks share: the data, the model and its export."""

    parts: tuple[str, ...]

    def __init__(self, data: str | Path | Shapes, config: WaveMeshConfig, options: TaskOptions) -> None:
        self.shapes = data if isinstance(data, Shapes) else open_shapes(data, "train", options.lanes)
        if self.shapes.resolution != config.resolution:
            raise InputError(f"The data set has {self.shapes.resolution}^3 grids, the model {config.resolution}^3.")
        self.options = options
        model = WaveMeshModel(config)
        self.settings = model.config  # with the architecture of a backbone from elsewhere
        self.model: nn.Module = model
        for name, network in model.networks().items():
            network.requires_grad_(name in self.parts and (name != "encoder" or options.train_encoder))
        self._batches = ShapeBatches(self.shapes, options)
        self.epoch_size = self._batches.count

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        """Kernels by Muon, everything else by AdamW; a pretrained backbone at a tenth of the rate."""
        pretrained = self.settings.encoder.backbone != "pyramid"
        groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
        for name, parameter in self.model.named_parameters():
            if parameter.requires_grad:
                slow = pretrained and name.startswith("encoder.vision_encoder")
                kernel = parameter.ndim >= 2 and not any(part in name for part in NO_KERNELS)
                groups.setdefault((slow, kernel and not slow), []).append(parameter)
        return [
            {
                "params": parameters,
                "lr": lr * (0.1 if slow else RATE if kernel else 1.0),
                "orthogonal": kernel,
                **({} if kernel else {"weight_decay": 0.0}),
            }
            for (slow, kernel), parameters in groups.items()
        ]

    def batches(self, seed: int, start_step: int) -> Iterator[dict[str, Tensor]]:
        """Endless batches from a number on."""
        return self._batches(seed, start_step)

    def weights(self, model: nn.Module) -> dict[str, dict[str, Tensor]]:
        """State dict per network."""
        assert isinstance(model, WaveMeshModel)
        return {name: network.state_dict() for name, network in model.networks().items()}

    def config(self) -> dict[str, Any]:
        """What is written beside the weights."""
        return to_dict(self.settings)


class CoarseTask(_WaveMeshTask):
    """Encoder and coarse denoiser: v-prediction on scaled bands, and losses on the decoded 64^3 field."""

    parts = ("encoder", "coarse")

    def loss(self, batch: dict[str, Tensor], generator: torch.Generator) -> tuple[Tensor, dict[str, Any]]:
        """Diffusion loss weighted by the bands' scale, plus surface and overlap losses of the predicted field."""
        model, options = self.model, self.options
        with torch.autocast(batch["sdf"].device.type, enabled=False):
            bands, _ = model.analyse(batch["sdf"])
            truth = model.coarse_field(bands)
        features = model.encode(batch["images"], batch["poses"], batch["intrinsics"])
        dropped = drop_mask(len(bands), options.drop_prob, generator, bands.device)
        condition = model.coarse.condition(features).dropped((~dropped).float())
        step = model.diffusion.training_step(
            lambda x_t, t: model.coarse(x_t, t, condition),
            bands,
            weight=(model.coarse_scale / model.coarse_scale.max()).clamp_min(0.05),
            generator=generator,
            terminal_prob=options.terminal_prob,
        )
        with torch.autocast(batch["sdf"].device.type, enabled=False):
            field = model.coarse_field(step.prediction.x_0.float())
            surface, overlap = field_losses(field, truth, self.settings.truncation)
        # Where the condition was dropped the posterior mean is no shape, so the field's losses do not apply.
        kept = (~dropped).float()
        surface, overlap = ((value * kept).sum() / kept.sum().clamp_min(1) for value in (surface, overlap))
        loss = step.loss + options.surface_weight * surface + options.overlap_weight * overlap
        with torch.no_grad():
            inside, solid = field < 0, truth < 0
            iou = (inside & solid).sum((1, 2, 3)) / (inside | solid).sum((1, 2, 3)).clamp_min(1)
            terminal = (step.t == model.diffusion.timesteps - 1) & ~dropped
            metrics: dict[str, Any] = {
                "diffusion": step.loss.detach(),
                "surface": surface.detach(),
                "overlap": overlap.detach(),
            }
            if bool(terminal.any()):
                metrics[f"train_iou_{batch['images'].shape[1]}v"] = iou[terminal].mean()
        return loss, metrics

    @torch.inference_mode()
    def sample_pictures(self, ema_model: nn.Module) -> dict[str, np.ndarray]:
        """The one-step prediction for four training shapes beside their truth."""
        model = ema_model.eval()
        batch = self._batches.batch(12345, 0)
        batch = {name: tensor[:4].to(next(model.parameters()).device) for name, tensor in batch.items()}
        features = model.encode(batch["images"], batch["poses"], batch["intrinsics"])
        bands, _ = model.analyse(batch["sdf"])
        noise = torch.randn(bands.shape, generator=torch.Generator().manual_seed(0)).to(bands.device)
        t = torch.full((len(bands),), model.diffusion.timesteps - 1, device=bands.device)
        output = model.coarse(noise, t, model.coarse.condition(features))
        field = model.coarse_field(model.diffusion.convert(output, noise, t).x_0)
        pictures: list[np.ndarray] = []
        for index in range(len(bands)):
            seen = (batch["images"][index, 0, :3].permute(1, 2, 0).cpu().numpy() * 255).astype(np.uint8)
            truth = model.coarse_field(bands[index : index + 1])[0]
            pictures += [seen, *(_preview(each, seen.shape[0]) for each in (field[index], truth))]
        return {"one_step": contact_sheet(pictures, columns=3)}


def field_losses(field: Tensor, truth: Tensor, truncation: float) -> tuple[Tensor, Tensor]:
    """Per shape: L1 plus sign cross-entropy near either surface (B,), and one minus the soft overlap of solids (B,).

    The overlap weighs thin and small shapes as much as large ones; without it their uncertain parts vanish.
    """
    dims = (1, 2, 3)
    seen = field.detach()
    close = (truth.abs() < 0.99 * truncation) | (seen.abs() < 0.99 * truncation)
    # The deep inside of a wrong solid is near to no surface and wrong all the same.
    near = (close | ((seen < 0) != (truth < 0))).float()
    area = near.sum(dims).clamp_min(1)
    solid = (truth < 0).float()
    logits = -field / (0.25 * truncation)
    distance = ((field - truth).abs() / truncation * near).sum(dims) / area
    sign = (F.binary_cross_entropy_with_logits(logits, solid, reduction="none") * near).sum(dims) / area
    # Only near a surface: far away each of very many cells would add its small remainder to the union.
    probability = torch.sigmoid(logits) * torch.maximum(near, solid)
    both = (probability * solid).sum(dims)
    either = (probability + solid - probability * solid).sum(dims)
    return distance + sign, 1.0 - both / either.clamp_min(1)


def _preview(field: Tensor, size: int) -> np.ndarray:
    try:
        mesh = sdf_to_mesh(field.float().cpu().numpy())
    except InputError:
        return np.full((size, size, 3), 255, np.uint8)
    return shade_preview(mesh, Camera(30.0, 20.0), size)


class DetailTask(_WaveMeshTask):
    """The detail denoiser, on sites and coarse fields made from noised coarse bands; the encoder stays as it is."""

    parts = ("detail",)
    MAX_COARSE_NOISE = 0.25

    def loss(self, batch: dict[str, Tensor], generator: torch.Generator) -> tuple[Tensor, dict[str, Any]]:
        """Diffusion loss weighted by the bands' scale at the sites that a noised coarse field finds."""
        model, options = self.model, self.options
        with torch.no_grad():
            bands, details = model.analyse(batch["sdf"])
            level = torch.rand(len(bands), 1, 1, 1, 1, generator=generator, device=generator.device).to(bands.device)
            noise = torch.randn(bands.shape, generator=generator, device=generator.device).to(bands.device)
            # Noise as a share of each band's deviation, most often little: sampling starts from bands that look clean.
            field = model.coarse_field(bands + self.MAX_COARSE_NOISE * level.square() * noise)
            target, coords = gather_sites(details, model.active_mask(field))
            features = model.encode(batch["images"], batch["poses"], batch["intrinsics"])
        dropped = drop_mask(len(bands), options.drop_prob, generator, bands.device)
        condition = model.detail.condition(features, field, coords).dropped((~dropped).float())
        sites = SparseTensor(target / model.detail_scale, coords, tuple(details.shape[2:]), len(bands))
        step = model.diffusion.training_step(
            lambda x_t, t: x_t.replace(model.detail(x_t.features, t, condition, sites)),
            sites,
            weight=(model.detail_scale / model.detail_scale.max()).clamp_min(0.1),
            generator=generator,
            terminal_prob=options.terminal_prob,
        )
        error = (step.prediction.x_0 - sites.features).abs().mean()
        return step.loss + 0.5 * error, {"diffusion": step.loss.detach(), "l1": error.detach(), "sites": len(coords)}

    def sample_pictures(self, ema_model: nn.Module) -> dict[str, np.ndarray]:
        """Nothing: details show in the evaluation's figures."""
        return {}
