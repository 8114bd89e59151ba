"""Batches whose shape, points, pictures and colours belong together, and the losses at points."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.data.conftest import analytic_shapes, prepared_root, sample_files  # noqa: F401 - fixtures
from wavemesh.data import colours as colours_module
from wavemesh.data.dataset import PreparedShapes
from wavemesh.geometry.camera_tensors import project_points
from wavemesh.models.projection import sample_maps
from wavemesh.models.triplane_renderer import Decoded, TriplaneRenderer
from wavemesh.training.triplane_batches import (
    FieldSamples,
    TriplaneBatches,
    TriplaneOptions,
    draw_samples,
    field_at,
    field_losses_at,
    jitter_together,
    total_variation,
)


# ruff: noqa: F811 - a fixture's name is its argument's name
@pytest.fixture
def shapes(prepared_root: Path, monkeypatch: pytest.MonkeyPatch) -> PreparedShapes:
    monkeypatch.setattr(colours_module, "NUM_POINTS", 512)
    return PreparedShapes(prepared_root, "train")


def _options(**changes: object) -> TriplaneOptions:
    return TriplaneOptions(
        **{"batch_size": 6, "view_counts": (2,), "view_weights": (1.0,), "mask_chance": 0.0, **changes}
    )


def test_augmented_points_lie_on_their_augmented_shapes(shapes: PreparedShapes) -> None:
    batch = TriplaneBatches(shapes, _options(), pictures=False).batch(0, 0)
    assert set(batch) == {"sdf", "volume", "points", "colours"}
    assert float(field_at(batch["sdf"], batch["points"]).abs().max()) < 0.02
    # Quarter turns and mirroring moved most of the shapes that are not in the middle.
    plain = TriplaneBatches(shapes, _options(augment=False), pictures=False).batch(0, 0)
    assert int((batch["points"].mean(dim=1) - plain["points"].mean(dim=1)).norm(dim=1).gt(0.05).sum()) >= 2


def test_pictures_show_the_points_in_their_colours(shapes: PreparedShapes) -> None:
    batch = TriplaneBatches(shapes, _options(), extra_views=1).batch(1, 0)
    assert batch["images"].shape == (6, 3, 4, 48, 48)  # two views and one more
    ndc, _ = project_points(torch.zeros(1, 3), batch["poses"], batch["intrinsics"])
    assert ndc.shape == (6, 3, 1, 2)
    alphas, differences = [], []
    for index in range(6):
        points, shades = batch["points"][index], batch["colours"][index]
        ndc, _ = project_points(points, batch["poses"][index], batch["intrinsics"][index])
        seen = sample_maps(batch["images"][index], ndc)
        alphas.append((seen[:, 3] > 0.2).float().mean())
        shown = (seen[:, :3].mean(dim=2) / seen[:, 3:].mean(dim=2)).mean(dim=0)
        differences.append((shown - shades.mean(dim=0)).abs().max())
    # Every point of a shape projects into its silhouette; its shades differ little from side to side.
    assert float(torch.stack(alphas).min()) > 0.97
    assert float(torch.stack(differences).max()) < 0.12


def test_batches_depend_on_seed_and_number_alone(shapes: PreparedShapes) -> None:
    batches = TriplaneBatches(shapes, _options(batch_size=2))
    through = batches(5, 0)
    for _ in range(2):
        last = next(through)
    direct = next(batches(5, 1))
    assert all(torch.equal(last[name], direct[name]) for name in last)


def test_equal_colours_stay_equal_in_points_and_pictures() -> None:
    shade = torch.tensor([[0.7, 0.4, 0.1], [0.2, 0.3, 0.9]])
    points = shade[:, None].expand(2, 5, 3)
    alpha = torch.ones(2, 3, 1, 4, 6)
    images = torch.cat([shade[:, None, :, None, None].expand(2, 3, 3, 4, 6), alpha], dim=2)
    colours, changed = jitter_together(points, images, torch.Generator().manual_seed(4))
    assert changed is not None
    assert changed.shape == images.shape
    torch.testing.assert_close(changed[:, :, 3:], alpha)
    torch.testing.assert_close(changed[:, :, :3], colours[:, :1, :, None, None].expand(2, 3, 3, 4, 6))
    assert float((colours[:, 0] - shade).abs().max()) > 0.02
    alone, none = jitter_together(points, None, torch.Generator().manual_seed(4))
    assert none is None
    torch.testing.assert_close(alone, colours)


def test_the_grid_is_read_along_x_y_z() -> None:
    place = (torch.arange(8) + 0.5) / 8 * 2 - 1
    x, y, z = torch.meshgrid(place, place, place, indexing="ij")
    points = (torch.rand(1, 50, 3) * 2 - 1) * 0.85  # between the outermost centres a linear field is exact
    expected = points @ torch.tensor([1.0, 2.0, -3.0]) + 0.5
    torch.testing.assert_close(field_at((x + 2 * y - 3 * z + 0.5)[None], points), expected)


def test_samples_are_on_the_surface_near_it_and_anywhere(shapes: PreparedShapes) -> None:
    batch = TriplaneBatches(shapes, _options(augment=False, batch_size=3), pictures=False).batch(0, 0)
    index = TriplaneBatches(shapes, _options(augment=False, batch_size=3), pictures=False).indices(0, 0).index(0)
    samples = draw_samples(batch, 200, torch.Generator().manual_seed(0))
    assert samples.points.shape == (3, 600, 3)
    assert samples.colours.shape == (3, 200, 3)
    distance = samples.points[index].norm(dim=1) - 0.6  # shape 0 is a ball in the middle
    torch.testing.assert_close(samples.sdf[index], distance.clamp(-0.09, 0.09), atol=0.02, rtol=0)
    on, near, anywhere = distance.abs().split(200)
    assert float(on.max()) < 0.03 < float(near.max()) < 0.15
    assert float(anywhere.mean()) > 0.2


class _Perfect(TriplaneRenderer):
    """Answers with a ball of radius 0.5 in one colour, displaced by a given error."""

    error = 0.0

    def decode(self, triplane: Tensor, coords: Tensor) -> Decoded:
        sdf = (coords.norm(dim=-1) - 0.5 + self.error).clamp(-0.09, 0.09)
        return Decoded(torch.full_like(coords, 0.25 + self.error), sdf, torch.zeros_like(sdf))


def test_losses_measure_distance_sign_overlap_and_colour() -> None:
    renderer = _Perfect(2, 4)
    points = torch.rand(2, 400, 3) * 1.6 - 0.8
    samples = FieldSamples(points, (points.norm(dim=-1) - 0.5).clamp(-0.09, 0.09), torch.full((2, 100, 3), 0.25))
    triplane = torch.zeros(2, 3, 2, 4, 4)
    exact = field_losses_at(renderer, triplane, samples)
    torch.testing.assert_close(exact.distance, torch.zeros(2))
    torch.testing.assert_close(exact.colour, torch.zeros(2))
    _Perfect.error = 0.045
    wrong = field_losses_at(renderer, triplane, samples)
    _Perfect.error = 0.0
    torch.testing.assert_close(wrong.colour, torch.full((2,), 0.045))
    assert float(wrong.distance.max()) <= 0.5 + 1e-6  # half a truncation, less where both are truncated
    assert bool((wrong.distance > 0.02).all())
    assert bool((wrong.sign > exact.sign).all())
    assert bool((wrong.overlap > exact.overlap + 0.05).all())
    torch.testing.assert_close(wrong.total(2.0), wrong.distance + wrong.sign + wrong.overlap + 0.09)


def test_the_overlap_is_that_of_the_solids() -> None:
    """At points anywhere, for a field that is sure of a ball of radius 0.4 where one of 0.5 is."""
    renderer = _Perfect(2, 4)
    points = torch.rand(1, 60_000, 3) * 2.0 - 1.0
    distance = points.norm(dim=-1) - 0.5
    samples = FieldSamples(points, distance.sign() * 0.09, torch.zeros(1, 10, 3))
    renderer.decode = lambda triplane, coords: Decoded(  # type: ignore[method-assign]
        torch.zeros_like(coords), (coords.norm(dim=-1) - 0.4).sign() * 10.0, torch.zeros_like(coords[..., 0])
    )
    losses = field_losses_at(renderer, torch.zeros(1, 3, 2, 4, 4), samples)
    assert float(losses.overlap) == pytest.approx(1.0 - (0.4 / 0.5) ** 3, abs=0.03)


def test_total_variation_of_a_ramp_is_its_slope() -> None:
    ramp = 0.3 * torch.arange(6.0).expand(2, 3, 4, 6, 6)
    torch.testing.assert_close(total_variation(ramp), torch.tensor(0.3))
    assert float(total_variation(torch.ones(1, 3, 2, 4, 4))) == 0.0
