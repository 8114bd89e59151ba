"""Training of the camera head, on cropped training views of one to eight at a time with their known cameras."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import pydantic
import torch
from jaxtyping import Float
from torch import Tensor, nn

from wavemesh.config import to_dict
from wavemesh.data.augment import colour_jitter, imperfect_masks, mirror_views, object_windows
from wavemesh.data.dataset import Shapes, to_network_image
from wavemesh.data.photographs import photographic
from wavemesh.data.procedural import ProceduralShapes
from wavemesh.data.stream import open_shapes
from wavemesh.models.camera_head import (
    CameraHead,
    CameraHeadConfig,
    azimuths_deg,
    camera_errors,
    camera_targets,
    circle_targets,
    turn_probabilities,
)
from wavemesh.training.depth import TRUNK_RATE
from wavemesh.training.muon import kernel_groups, slowed

_CIRCLE_WEIGHT, _TURN_WEIGHT = 0.3, 0.3
# Radians of elevation and NDC of offset count more than a unit of the azimuth's circle: they are small numbers. The
# distance hardly shows in a picture.
_WEIGHTS = (1.0, 1.0, 4.0, 4.0, 4.0, 4.0, 1.0)
_MADE_VIEWS, _MADE_TOGETHER = 8, 2  # pictures of a procedural shape, and shapes that are rendered for a batch
VIEW_COUNTS = (1, 2, 4, 8)
# Shares of the batches of several pictures: each about a quarter turn from the one before, as people walk around an
# object, and with one picture given twice.
WALKED, REPEATED = 0.5, 0.1
_STRAY_DEG = 20.0
MUON_RATE = 2.5  # at 8 a head had learnt nothing after 100 steps, with AdamW alone half as much after 220


class _MadeViews(NamedTuple):
    """The views of a procedural shape: (v, s, s, 4) uint8, (v, 3, 4) and (v, 3)."""

    pictures: Tensor
    poses: Tensor
    intrinsics: Tensor


@dataclass(frozen=True)
class CameraOptions:
    """What a preset may set. procedural: how many procedural shapes there are beside the prepared ones."""

    procedural: Annotated[int, pydantic.Field(ge=0, le=100_000)] = 0


class CameraTask:
    """The camera head; a batch is batch_size pictures of as many objects as there are of one, two, four or eight each.

    procedural: how many procedural shapes there are beside the prepared ones; every second picture is of one of them.
    Each batch has two more of them to draw from, until all are rendered.
    """

    def __init__(
        self, data: str | Path | Shapes, config: CameraHeadConfig, batch_size: int = 64, procedural: int = 0
    ) -> None:
        self.shapes = data if isinstance(data, Shapes) else open_shapes(data)
        self.settings, self.batch_size, self.procedural = config, batch_size, procedural
        self.model: nn.Module = CameraHead(config)

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        """Kernels by Muon, everything else by AdamW."""
        groups = kernel_groups(self.model, lr, ("place", "role", "cameras", "azimuths"), MUON_RATE)
        return slowed(groups, self.model.trunk, TRUNK_RATE) if self.settings.pretrained else groups

    def batches(self, seed: int, start_step: int) -> Iterator[dict[str, Tensor]]:
        """Endless batches of images (B, N, 4, h, w), poses (B, N, 3, 4) and intrinsics (B, N, 3)."""
        number = start_step
        made: list[_MadeViews] = []
        while True:
            self._add_made(made, min(self.procedural, _MADE_TOGETHER * (number + 1)))
            yield self._batch(made, seed, number)
            number += 1

    def _batch(self, made: Sequence[_MadeViews], seed: int, number: int) -> dict[str, Tensor]:
        """Pictures of batch_size / views objects, half of them made ones where there are any."""
        rng, views = np.random.default_rng((seed, number)), VIEW_COUNTS[number % len(VIEW_COUNTS)]
        count = max(2, self.batch_size // views)
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        of_made = count // 2 if made else 0
        indices = self.shapes.at_random(rng, seed, number, count - of_made)
        poses, _ = self.shapes.view_cameras(indices, [range(self.shapes.num_views)] * len(indices))
        chosen = [chosen_views(each, views, rng) for each in poses]
        images = self.shapes.images(indices, chosen)
        poses, intrinsics = self.shapes.view_cameras(indices, chosen)
        if of_made:
            others = [made[number] for number in rng.integers(len(made), size=of_made)]
            other = _shown(others, [chosen_views(each.poses, views, rng) for each in others])
            images, poses, intrinsics = (
                torch.cat(pair) for pair in zip((images, poses, intrinsics), other, strict=True)
            )
        images = imperfect_masks(photographic(colour_jitter(images, generator), generator), generator)
        mirrored = torch.from_numpy(rng.random(count) < 0.5)
        turned = mirror_views(images, poses, intrinsics)
        images, poses, intrinsics = (
            torch.where(mirrored.view(-1, *[1] * (plain.ndim - 1)), other, plain)
            for plain, other in zip((images, poses, intrinsics), turned, strict=True)
        )
        # As the pipeline crops pictures before it asks for their cameras.
        windows, moved = object_windows(images.flatten(0, 1), intrinsics.flatten(0, 1))
        shape = (count, views)
        return {"images": windows.unflatten(0, shape), "poses": poses, "intrinsics": moved.unflatten(0, shape)}

    def _add_made(self, made: list[_MadeViews], count: int) -> None:
        """Render procedural shapes until there are `count`."""
        shapes = ProceduralShapes(num_views=_MADE_VIEWS, image_size=self.shapes.image_size)
        while len(made) < count:
            numbers = range(len(made), min(len(made) + _MADE_TOGETHER, count))
            together = shapes.render(numbers, [range(_MADE_VIEWS) for _ in numbers])
            # Pictures and cameras alone are kept: a grid is eight MiB.
            rows = zip(together.pictures, together.poses, together.intrinsics, strict=True)
            made += [_MadeViews(*row) for row in rows]

    def loss(self, batch: dict[str, Tensor], generator: torch.Generator) -> tuple[Tensor, dict[str, Any]]:
        """Huber loss of the answers, and surprise at the azimuths and at the turns between all pairs of pictures."""
        target = camera_targets(batch["poses"], batch["intrinsics"])
        answer = self.model(batch["images"])
        cameras, azimuths = answer.cameras.float(), answer.azimuths.float()
        losses = nn.functional.smooth_l1_loss(cameras, target, beta=0.03, reduction="none")
        true = azimuths_deg(batch["poses"])
        circle = nn.functional.cross_entropy(azimuths.flatten(0, 1), circle_targets(true).flatten(0, 1))
        loss = (losses * losses.new_tensor(_WEIGHTS)).mean() + _CIRCLE_WEIGHT * circle
        with torch.no_grad():
            metrics = {name: value.mean() for name, value in camera_errors(cameras, target).items()}
        first, second = torch.triu_indices(true.shape[1], true.shape[1], offset=1)
        if len(first):
            likely = turn_probabilities(azimuths.softmax(dim=-1))[:, first, second]
            turns = true[:, second] - true[:, first]
            surprise = -(likely * circle_targets(turns)).sum(dim=-1).clamp_min(1e-6).log().mean()
            loss = loss + _TURN_WEIGHT * surprise
            off = (likely.argmax(dim=-1) * (360.0 / likely.shape[-1]) - turns + 180.0) % 360.0 - 180.0
            metrics |= {"turns": surprise.detach(), "turned_rightly": (off.abs() < 45.0).float().mean()}
        return loss, {"circle": circle.detach(), **metrics}

    def sample_pictures(self, ema_model: nn.Module) -> dict[str, np.ndarray]:
        """Nothing."""
        return {}

    def weights(self, model: nn.Module) -> dict[str, dict[str, Tensor]]:
        """The head's state."""
        return {"camera_head": model.state_dict()}

    def config(self) -> dict[str, Any]:
        """What is written beside the weights."""
        return to_dict(self.settings)


def chosen_views(poses: Float[Tensor, "v 3 4"], count: int, rng: np.random.Generator) -> list[int]:
    """The numbers of `count` views of an object, the first at random.

    The others are drawn at random too, or each about a quarter turn from the one before; one may be given twice.
    """
    views = rng.permutation(len(poses)).tolist()
    if count > 1 and rng.random() < WALKED:
        azimuths = (azimuths_deg(poses[views]) - azimuths_deg(poses[views[0]])).numpy()
        step = 90.0 * rng.choice((-1.0, 1.0))
        wanted = step * np.arange(count) + rng.normal(0.0, _STRAY_DEG, count) * (np.arange(count) > 0)
        for place, angle in enumerate(wanted[1 : len(views)], 1):
            off = np.abs((azimuths[place:] - angle + 180.0) % 360.0 - 180.0)
            nearest = place + int(off.argmin())
            views[place], views[nearest] = views[nearest], views[place]
            azimuths[[place, nearest]] = azimuths[[nearest, place]]
    chosen = [views[number % len(views)] for number in range(count)]
    if count > 1 and rng.random() < REPEATED:
        chosen[int(rng.integers(1, count))] = chosen[0]
    return chosen


def _shown(made: Sequence[_MadeViews], views: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor, Tensor]:
    """Images (b, n, 4, s, s), poses (b, n, 3, 4) and intrinsics (b, n, 3) of some views of each shape."""
    rows = [[part[list(chosen)] for part in shape] for shape, chosen in zip(made, views, strict=True)]
    pictures, poses, intrinsics = (torch.stack(part) for part in zip(*rows, strict=True))
    return to_network_image(pictures), poses, intrinsics
