"""The gate before the triplane's detail diffusion is trained: what do the detail bands carry?

Held-out shapes go through the autoencoder and are decoded twice, from LL alone and with the details. If the gap is
under 2 points of IoU and under 1 dB of colour, the details carry nothing and the autoencoder must change first.
The second column is also the ceiling of everything that the system can generate.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from wavemesh.data.colours import ColouredPoints, colour_volume
from wavemesh.data.dataset import PreparedShapes
from wavemesh.models.triplane_autoencoder import TriplaneAutoencoder
from wavemesh.models.triplane_renderer import TriplaneRenderer

LEAST_IOU_GAP = 0.02
LEAST_COLOUR_GAP_DB = 1.0


@dataclass(frozen=True)
class BandScores:
    """Means over the shapes. iou: of solids. distance: mean absolute error within the truncation of the surface, world
    units. colour_db: peak signal-to-noise ratio of the colours at surface points.
    """

    iou: float
    distance: float
    colour_db: float


@dataclass(frozen=True)
class GateReport:
    """Scores of LL alone and of LL with the details, over `shapes` shapes."""

    ll: BandScores
    full: BandScores
    shapes: int

    @property
    def passed(self) -> bool:
        """Whether the details are worth a diffusion model."""
        iou_gap, colour_gap = self.full.iou - self.ll.iou, self.full.colour_db - self.ll.colour_db
        return iou_gap >= LEAST_IOU_GAP or colour_gap >= LEAST_COLOUR_GAP_DB


@torch.inference_mode()
def run_gate(
    autoencoder: TriplaneAutoencoder,
    renderer: TriplaneRenderer,
    shapes: PreparedShapes,
    coloured: ColouredPoints,
    limit: int | None = None,
) -> GateReport:
    """The gate over the first `limit` shapes spread evenly over a split (None: all)."""
    count = min(limit or len(shapes), len(shapes))
    scores: list[tuple[BandScores, BandScores]] = []
    for index in np.linspace(0, len(shapes) - 1, count).astype(int).tolist():
        sdf, points, colours = shapes.sdf([index]), coloured.points([index]), coloured.colours([index])
        bands = autoencoder(sdf, colour_volume(points, colours, shapes.resolution))
        lowpass, whole = (
            score_triplane(renderer, planes, sdf, points, colours)
            for planes in (bands.triplane(sdf.new_zeros(1)), bands.triplane())
        )
        scores.append((lowpass, whole))
    ll, full = ([pair[column] for pair in scores] for column in (0, 1))
    return GateReport(_mean(ll), _mean(full), count)


def score_triplane(
    renderer: TriplaneRenderer,
    triplane: Float[Tensor, "1 3 c h w"],
    sdf: Float[Tensor, "1 n n n"],
    points: Float[Tensor, "1 p 3"],
    colours: Float[Tensor, "1 p 3"],
) -> BandScores:
    """What a triplane is worth as a copy of a shape."""
    field, truth = renderer.sdf_grid(triplane, sdf.shape[-1]), sdf
    inside, solid = field < 0, truth < 0
    iou = float((inside & solid).sum() / (inside | solid).sum().clamp_min(1))
    near = truth.abs() < 0.99 * renderer.truncation
    distance = float((field - truth)[near].abs().mean()) if bool(near.any()) else 0.0
    error = float((renderer.decode(triplane, points).rgb - colours).square().mean())
    return BandScores(iou, distance, float(-10.0 * np.log10(max(error, 1e-10))))


def _mean(scores: list[BandScores]) -> BandScores:
    columns = np.array([[each.iou, each.distance, each.colour_db] for each in scores]).mean(axis=0)
    return BandScores(*(float(value) for value in columns))
