"""Small islands of a solid: crumbs go, and what the silhouettes ask for grows from the rest."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from tests.models.test_silhouettes import CELL, TRUNCATION, N, hits, points, silhouettes
from wavemesh.geometry.camera import Camera
from wavemesh.models.islands import connected_field

CAMERA = Camera(0.0, 0.0)


def ball(x: float, y: float, z: float, radius: float) -> torch.Tensor:
    """Its distance, not truncated."""
    return (points() - torch.tensor([x, y, z])).norm(dim=-1) - radius


def truncated(*parts: torch.Tensor) -> torch.Tensor:
    return torch.stack(parts).amin(dim=0).clamp(-TRUNCATION, TRUNCATION)


def pieces(field: torch.Tensor) -> int:
    return int(ndimage.label((field < 0).numpy(), np.ones((3, 3, 3)))[1])


BODY, CRUMB, PART = ball(0.0, 0.0, 0.0, 0.5), ball(0.75, 0.0, 0.0, 0.08), ball(-0.8, 0.0, 0.0, 0.2)
LEG = (points() - torch.tensor([0.0, -0.6, 0.0])).abs() - torch.tensor([0.06, 0.3, 0.06])


def test_an_island_under_a_hundredth_goes_and_a_larger_one_stays() -> None:
    field = connected_field(truncated(BODY, CRUMB, PART), TRUNCATION)
    expected = truncated(BODY, PART)
    assert torch.equal(field < 0, expected < 0)
    # What is filled in is the distance to what is left, to half a cell.
    assert (field - expected).abs().max() < 0.75 * CELL


@pytest.mark.parametrize("parts", [(BODY,), (BODY, PART), ()])
def test_a_field_without_small_islands_is_left_alone(parts: tuple[torch.Tensor, ...]) -> None:
    field = truncated(*parts) if parts else torch.full((N, N, N), TRUNCATION)
    assert connected_field(field, TRUNCATION) is field


def test_a_far_island_that_no_silhouette_asks_for_goes() -> None:
    """Its rays meet the body as well."""
    body = ball(0.0, 0.0, 0.3, 0.5)
    given = silhouettes([hits(truncated(body), CAMERA).float()], [CAMERA])
    hidden = truncated(body, ball(0.0, 0.0, -0.8, 0.08))
    assert torch.equal(connected_field(hidden, TRUNCATION, given) < 0, body < 0)


def test_a_near_island_is_joined_where_it_is() -> None:
    near = ball(0.0, -0.68, 0.0, 0.1)
    given = silhouettes([hits(truncated(BODY, LEG.amax(dim=-1)), CAMERA).float()], [CAMERA])
    field = connected_field(truncated(BODY, near), TRUNCATION, given)
    assert pieces(field) == 1
    assert (field[near < 0] < 0).all()
    assert (field[BODY < 0] < 0).all()


def test_pieces_of_a_leg_at_odd_depths_become_a_leg_that_hangs_on_the_body() -> None:
    leg = LEG.amax(dim=-1)
    given = silhouettes([hits(truncated(BODY, leg), CAMERA).float()], [CAMERA])
    odd = truncated(BODY, ball(0.0, -0.62, 0.9, 0.07), ball(0.0, -0.82, -0.9, 0.07))
    assert pieces(odd) == 3
    field = connected_field(odd, TRUNCATION, given)
    assert pieces(field) == 1
    asked = given.points[0][0].shape[0]
    assert sum(len(rays) for rays, *_ in given.bare_rays(odd, field)) < 0.005 * asked
    # Nothing grew beside the silhouette by more than its own border.
    assert (field[given.hull > 1.5 * CELL] > 0).all()
    # The way is the shortest: right under the body, not at the depths of the pieces.
    below = points()[(field < 0) & (points()[..., 1] < -0.6)]
    assert len(below) > 4
    assert below[:, 2].abs().max() < 0.6


def test_bare_rays_are_those_that_nothing_else_covers() -> None:
    """Against pictures of both parts, which the silhouette shows beside each other."""
    left, right = ball(-0.4, 0.0, 0.0, 0.3), ball(0.4, 0.0, 0.0, 0.2)
    field, rest = truncated(left, right), truncated(left)
    mask = hits(field, CAMERA).float()
    ((bare, allowed, share),) = silhouettes([mask], [CAMERA]).bare_rays(field, rest)
    expected = float(hits(truncated(right), CAMERA).sum() / mask.sum())
    assert 0.2 < expected < 0.4
    assert share == pytest.approx(expected, abs=0.03)
    assert bare.shape[:2] == allowed.shape
    assert (bare[..., 0] > 0).all()


@pytest.mark.parametrize("bound", [False, True])
def test_of_dust_the_largest_grain_stays(bound: bool) -> None:
    """Where all islands are small there is still something that the others can hang on."""
    places = (-0.7, -0.35, 0.0, 0.35, 0.7)
    dust = truncated(*(ball(x, y, z, 0.08) for x in places for y in places for z in places))
    assert pieces(dust) == 125
    given = silhouettes([hits(dust, CAMERA).float()], [CAMERA]) if bound else None
    assert (connected_field(dust, TRUNCATION, given) < 0).any()
