"""The gate of the detail bands: scores against closed forms, and when it lets the diffusion be trained."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.data.conftest import analytic_shapes, prepared_root, sample_files  # noqa: F401 - fixtures
from wavemesh.data.colours import open_colours
from wavemesh.data.dataset import PreparedShapes
from wavemesh.models.triplane_autoencoder import TriplaneAutoencoder
from wavemesh.models.triplane_renderer import Decoded, TriplaneRenderer
from wavemesh.training.triplane_gate import BandScores, GateReport, run_gate, score_triplane


class _Ball(TriplaneRenderer):
    """Decodes every triplane to a grey ball."""

    radius, grey = 0.5, 0.5

    def sdf_grid(self, triplane: Tensor, resolution: int, max_points: int = 2**14) -> Tensor:
        return _ball(resolution, self.radius).expand(len(triplane), -1, -1, -1)

    def decode(self, triplane: Tensor, coords: Tensor) -> Decoded:
        flat = torch.zeros(coords.shape[:2])
        return Decoded(torch.full_like(coords, self.grey), flat, flat)


def _ball(resolution: int, radius: float) -> Tensor:
    place = (torch.arange(resolution) + 0.5) / resolution * 2 - 1
    x, y, z = torch.meshgrid(place, place, place, indexing="ij")
    return ((x**2 + y**2 + z**2).sqrt() - radius).clamp(-0.09, 0.09)[None]


def test_scores_of_a_copy_and_of_a_smaller_ball() -> None:
    renderer, triplane = _Ball(2, 4), torch.zeros(1, 3, 2, 8, 8)
    points, colours = torch.rand(1, 10, 3), torch.full((1, 10, 3), 0.5)
    same = score_triplane(renderer, triplane, _ball(48, 0.5), points, colours)
    assert same.iou == 1.0
    assert same.distance == pytest.approx(0.0, abs=1e-6)
    assert same.colour_db == pytest.approx(100.0)
    renderer.radius, renderer.grey = 0.45, 0.6
    other = score_triplane(renderer, triplane, _ball(48, 0.5), points, colours)
    assert other.iou == pytest.approx(0.9**3, abs=0.01)  # the share of the volumes
    assert 0.03 < other.distance < 0.05  # the displacement, less where it is truncated
    assert other.colour_db == pytest.approx(20.0, abs=0.01)  # an error of a tenth


def test_the_gate_compares_ll_alone_with_the_details(prepared_root: Path) -> None:  # noqa: F811
    shapes = PreparedShapes(prepared_root, "train")
    autoencoder, renderer = TriplaneAutoencoder(2, 16, width=8, blocks=1), TriplaneRenderer(2, 8)
    with torch.no_grad():
        renderer.mlp[-1].weight.mul_(20.0)
        autoencoder.conv_out.weight.mul_(5.0)
    coloured = open_colours(shapes, num_points=200)
    report = run_gate(autoencoder, renderer, shapes, coloured, limit=2)
    assert report.shapes == 2
    assert report.ll != report.full
    with torch.no_grad():  # without details both are the same
        autoencoder.conv_out.weight[2:] = 0.0
        autoencoder.conv_out.bias[2:] = 0.0
    silent = run_gate(autoencoder, renderer, shapes, coloured)
    assert silent.shapes == 3
    assert silent.ll == silent.full
    assert not silent.passed


@pytest.mark.parametrize(
    ("iou", "colour_db", "passed"), [(0.93, 20.2, True), (0.91, 21.1, True), (0.91, 20.9, False), (0.9, 20.0, False)]
)
def test_it_takes_two_points_of_iou_or_a_decibel(iou: float, colour_db: float, passed: bool) -> None:
    report = GateReport(BandScores(0.9, 0.01, 20.0), BandScores(iou, 0.01, colour_db), 5)
    assert report.passed is passed
