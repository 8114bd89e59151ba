"""Training of the triplane autoencoder, which makes the targets of the other stages, and what all stages share.

    python -m wavemesh train --preset triplane-autoencoder --data DATA -o RUN --export WEIGHTS

The decoder that it trains is the renderer of the whole system. Exported weights hold every part of the system, trained
yet or not, so that each stage begins from the folder of the one before. With --init autoencoder and renderer go on
from those weights.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from wavemesh.checkpoint import load_module
from wavemesh.config import to_dict
from wavemesh.data.dataset import Shapes
from wavemesh.data.stream import open_shapes
from wavemesh.errors import InputError
from wavemesh.geometry.camera import Camera
from wavemesh.models.triplane_autoencoder import TriplaneAutoencoder
from wavemesh.models.wavelet_triplane import PARTS, TriplaneConfig, WaveletTriplaneDiffusion
from wavemesh.rendering import contact_sheet
from wavemesh.training.muon import RATE
from wavemesh.training.triplane_batches import (
    TriplaneBatches,
    TriplaneOptions,
    draw_samples,
    field_losses_at,
    total_variation,
)

AUTOENCODER = "autoencoder"
PREVIEW_PX = 96
# Output layers by the beginning of their names, and what else is no kernel: modulations and embeddings.
OUTPUTS = ("conv_out", "mlp.4")
NO_KERNELS = ("modulation", "time_embedding", "place")


class TriplaneParts(nn.Module):
    """The system that generates, and the autoencoder that it learns from."""

    def __init__(self, config: TriplaneConfig) -> None:
        super().__init__()
        self.system = WaveletTriplaneDiffusion(config=config)
        self.autoencoder = TriplaneAutoencoder(config.triplane_channels, config.resolution, config.truncation)

    def part(self, name: str) -> nn.Module:
        """One of `PARTS`, or the autoencoder."""
        return self.autoencoder if name == AUTOENCODER else getattr(self.system, name)


def load_parts(folder: str | Path) -> TriplaneParts:
    """System and autoencoder from exported weights; raises InputError where parts are missing or do not fit."""

    def networks(parts: TriplaneParts) -> dict[str, nn.Module]:
        return {name: parts.part(name) for name in (*PARTS, AUTOENCODER)}

    return load_module(folder, TriplaneConfig, TriplaneParts, networks)


def optimizer_groups(network: nn.Module, lr: float) -> list[dict[str, Any]]:
    """Kernels between hidden layers for Muon, everything else for AdamW and without decay."""
    kernels: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, parameter in network.named_parameters():
        kernel = parameter.ndim >= 2 and not name.startswith(OUTPUTS) and not any(part in name for part in NO_KERNELS)
        (kernels if kernel else others).append(parameter)
    return [
        {"params": kernels, "lr": RATE * lr, "orthogonal": True},
        {"params": others, "lr": lr, "weight_decay": 0.0},
    ]


class TriplaneTask(ABC):
    """What the tasks share: data, model, the parts that are trained and the weights that are written.

    parts: names of the trained parts. pictures: whether batches have views.
    extra_views: views in a batch beyond those that are given to the networks.
    Raises InputError where the data set's resolution is not that of the model.
    """

    parts: tuple[str, ...]
    pictures = True
    extra_views = 0

    def __init__(self, data: str | Path | Shapes, config: TriplaneConfig, options: TriplaneOptions) -> None:
        self.shapes = data if isinstance(data, Shapes) else open_shapes(data, "train", options.lanes)
        if self.shapes.resolution != 2 * config.resolution:
            needed = f"{2 * config.resolution}^3"
            raise InputError(f"The data set has {self.shapes.resolution}^3 grids, the triplanes need {needed}.")
        self.settings, self.options = config, options
        self.model: nn.Module = TriplaneParts(config)
        for name in (*PARTS, AUTOENCODER):
            self.model.part(name).requires_grad_(name in self.parts)
        self._batches = TriplaneBatches(self.shapes, options, self.pictures, self.extra_views)
        self.epoch_size = self._batches.count

    @abstractmethod
    def loss(self, batch: dict[str, Tensor], generator: torch.Generator) -> tuple[Tensor, dict[str, Any]]:
        """Scalar loss of a batch, and numbers to log."""

    @abstractmethod
    def sample_pictures(self, ema_model: nn.Module) -> dict[str, np.ndarray]:
        """Pictures by name of what the averaged model makes of four training shapes."""

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        """The parameters of the trained parts."""
        return [group for name in self.parts for group in optimizer_groups(self.model.part(name), lr)]

    def batches(self, seed: int, start_step: int) -> Iterator[dict[str, Tensor]]:
        """Endless batches from a number on."""
        return self._batches(seed, start_step)

    def preview_batch(self, device: torch.device) -> dict[str, Tensor]:
        """Four objects at most, always the same ones, for pictures."""
        return {name: tensor[:4].to(device) for name, tensor in self._batches.batch(12345, 0).items()}

    def weights(self, model: nn.Module) -> dict[str, dict[str, Tensor]]:
        """State dict of every part."""
        return {name: model.part(name).state_dict() for name in (*PARTS, AUTOENCODER)}

    def config(self) -> dict[str, Any]:
        """What is written beside the weights."""
        return to_dict(self.settings)


class AutoencoderTask(TriplaneTask):
    """Autoencoder and renderer: distances, signs and colours at points, of triplanes with and without their details."""

    parts = (AUTOENCODER, "renderer")
    pictures = False
    may_be_new = (AUTOENCODER,)

    def loss(self, batch: dict[str, Tensor], generator: torch.Generator) -> tuple[Tensor, dict[str, Any]]:
        """Losses at points plus the regularisers of the planes."""
        options, renderer = self.options, self.model.system.renderer
        bands = self.model.autoencoder(batch["sdf"], batch["volume"])
        drawn = torch.rand(len(bands.ll), generator=generator, device=generator.device).to(bands.ll.device)
        keep = (drawn >= options.drop_details).float()
        triplane = bands.triplane(keep)
        samples = draw_samples(batch, options.points, generator)
        losses = field_losses_at(renderer, triplane, samples)
        variation, details = total_variation(triplane), bands.details.abs().mean()
        regulariser = options.variation_weight * variation + options.detail_weight * details
        metrics: dict[str, Any] = {"variation": variation.detach(), "details": details.detach()}
        with torch.no_grad():
            for name, chosen in (("full", keep > 0), ("ll", keep == 0)):
                if bool(chosen.any()):
                    metrics |= {
                        f"distance_{name}": losses.distance[chosen].mean(),
                        f"sign_{name}": losses.sign[chosen].mean(),
                        f"colour_{name}": losses.colour[chosen].mean(),
                    }
        return losses.total(options.colour_weight).mean() + regulariser, metrics

    @torch.inference_mode()
    def sample_pictures(self, ema_model: nn.Module) -> dict[str, np.ndarray]:
        """For four training shapes a view of their coloured points, of LL alone, and of LL with the details."""
        model = ema_model.eval()
        batch = self.preview_batch(next(model.parameters()).device)
        bands = model.autoencoder(batch["sdf"], batch["volume"])
        columns = [bands.triplane(bands.ll.new_zeros(len(bands.ll))), bands.triplane()]
        camera = Camera(azimuth_deg=30.0, elevation_deg=20.0, fov_deg=26.0)
        rendered = [model.system.renderer.render_volume(each, 64, PREVIEW_PX, camera) for each in columns]
        pictures: list[np.ndarray] = []
        for index in range(len(bands.ll)):
            points, colours = batch["points"][index].cpu().numpy(), batch["colours"][index].cpu().numpy()
            pictures.append(draw_points(points, colours, camera, PREVIEW_PX))
            pictures += [as_uint8(each[index]) for each in rendered]
        return {"autoencoder": contact_sheet(pictures, columns=3)}


def as_uint8(image: Tensor) -> np.ndarray:
    """A picture (3, h, w) in [0, 1] as (h, w, 3) uint8."""
    return (image.float().clamp(0, 1).permute(1, 2, 0).cpu().numpy() * 255.0).round().astype(np.uint8)


def draw_points(points: np.ndarray, colours: np.ndarray, camera: Camera, size: int) -> np.ndarray:
    """The points (n, 3) as a camera sees them, nearest last, on white: (size, size, 3) uint8."""
    ndc, depth = camera.project(points)
    picture = np.full((size, size, 3), 255, np.uint8)
    order = np.argsort(-depth)
    column = ((ndc[order, 0] + 1.0) / 2.0 * size).astype(int).clip(0, size - 1)
    row = ((1.0 - ndc[order, 1]) / 2.0 * size).astype(int).clip(0, size - 1)
    picture[row, column] = (colours[order] * 255.0).round().astype(np.uint8)
    return picture
