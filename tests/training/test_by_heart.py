"""Shapes learnt by heart: more steps of the diffusion must not lose what a single one knows."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tests.models.conftest import TINY
from wavemesh.diffusion.samplers import sample
from wavemesh.models.denoiser import Condition
from wavemesh.models.wavemesh import DiffusionConfig, WaveMeshModel
from wavemesh.training.presets import TINY_MODEL
from wavemesh.training.wavemesh import field_losses
from wavemesh.wavelets.transform import wavedec3d

SHAPES, STEPS = 10, 600


def solids(n: int) -> Tensor:
    """Truncated distances (10, n, n, n) of ten boxes and balls of random sizes and places."""
    draw = torch.Generator().manual_seed(3)
    axis = (torch.arange(n) + 0.5) / n * 2 - 1
    points = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"))
    fields = []
    for number in range(SHAPES):
        half = 0.25 + 0.35 * torch.rand(3, generator=draw).view(3, 1, 1, 1)
        away = points - 0.3 * (torch.rand(3, generator=draw).view(3, 1, 1, 1) - 0.5)
        box = (away.abs() - half).amax(dim=0)
        fields.append(box if number % 2 else away.norm(dim=0) - half[0])
    return torch.stack(fields).clamp(-0.09, 0.09)


def learnt(deviation: float) -> tuple[WaveMeshModel, Tensor, Condition]:
    """A model that knows ten shapes by a random code at every cell, their bands, and the codes."""
    torch.manual_seed(0)
    config = replace(TINY, diffusion=DiffusionConfig(data_deviation=deviation))
    pyramid = wavedec3d(solids(config.resolution).unsqueeze(1), config.bank, 2)
    bands = torch.cat([pyramid.approximation - config.empty, pyramid.details[0]], dim=1)
    scale = tuple(bands.square().mean(dim=(0, 2, 3, 4)).sqrt().tolist())
    model = WaveMeshModel(replace(config, coarse_scale=scale))
    bands = bands / model.coarse_scale
    truth = model.coarse_field(bands)
    cells = model.coarse.resolution**3
    codes = torch.randn(SHAPES, 1, model.coarse.condition_channels).repeat(1, cells, 1)
    codes[..., -model.coarse.bands :] = 0.0  # no hull
    context = torch.randn(SHAPES, 1, config.encoder.feature_dim)
    optimizer = torch.optim.AdamW(model.coarse.parameters(), lr=3e-3)
    weight = (model.coarse_scale / model.coarse_scale.max()).clamp_min(0.05)
    for step in range(STEPS):
        optimizer.param_groups[0]["lr"] = 3e-3 * min((step + 1) / 20, 0.5 + 0.5 * math.cos(math.pi * step / STEPS))
        draw = torch.Generator().manual_seed(step)
        some = torch.randperm(SHAPES, generator=draw)[:5]
        condition = Condition(codes[some].flatten(0, 1), context[some], torch.ones(5))
        done = model.diffusion.training_step(
            lambda x_t, t, condition=condition: model.coarse(x_t, t, condition),
            bands[some],
            weight=weight,
            generator=draw,
            terminal_prob=0.6,
        )
        surface, overlap = field_losses(model.coarse_field(done.prediction.x_0), truth[some], config.truncation)
        optimizer.zero_grad()
        (done.loss + surface.mean() + 2.0 * overlap.mean()).backward()
        torch.nn.utils.clip_grad_norm_(model.coarse.parameters(), 1.0)
        optimizer.step()
    return model.eval(), bands, Condition(codes.flatten(0, 1), context, torch.ones(SHAPES))


@torch.no_grad()
def overlap_with_truth(model: WaveMeshModel, bands: Tensor, condition: Condition, steps: int) -> float:
    noise = torch.randn(bands.shape, generator=torch.Generator().manual_seed(1))
    drawn = sample(lambda x_t, t: model.coarse(x_t, t, condition), model.diffusion, noise, steps, "ddim")
    inside, solid = model.coarse_field(drawn) < 0, model.coarse_field(bands) < 0
    return float(((inside & solid).sum((1, 2, 3)) / (inside | solid).sum((1, 2, 3))).mean())


@pytest.mark.slow
def test_ten_and_fifty_steps_lose_nothing_beside_one() -> None:
    known = learnt(TINY_MODEL["diffusion"]["data_deviation"])
    one, ten, fifty = (overlap_with_truth(*known, steps) for steps in (1, 10, 50))
    assert one > 0.95
    assert ten > one - 0.01
    assert fifty > one - 0.01
