"""Crumbs: small islands that no silhouette asks for."""

import pytest
import torch

from tests.models.test_silhouettes import CELL, TRUNCATION, N, bar, hits, points, silhouettes
from wavemesh.geometry.camera import Camera
from wavemesh.models.crumbs import without_crumbs
from wavemesh.models.silhouettes import Silhouettes


def ball(x: float, y: float, z: float, radius: float) -> torch.Tensor:
    """Its distance, not truncated."""
    return (points() - torch.tensor([x, y, z])).norm(dim=-1) - radius


def truncated(*parts: torch.Tensor) -> torch.Tensor:
    return torch.stack(parts).amin(dim=0).clamp(-TRUNCATION, TRUNCATION)


BODY, CRUMB, PART = ball(0.0, 0.0, 0.0, 0.5), ball(0.75, 0.0, 0.0, 0.08), ball(-0.75, 0.0, 0.0, 0.2)


def test_an_island_under_a_hundredth_goes_and_a_larger_one_stays() -> None:
    field = without_crumbs(truncated(BODY, CRUMB, PART), TRUNCATION)
    expected = truncated(BODY, PART)
    assert torch.equal(field < 0, expected < 0)
    # What is filled in is the distance to what is left, to half a cell.
    assert (field - expected).abs().max() < 0.75 * CELL


@pytest.mark.parametrize("parts", [(BODY,), (BODY, PART), ()])
def test_a_field_without_crumbs_is_left_alone(parts: tuple[torch.Tensor, ...]) -> None:
    field = truncated(*parts) if parts else torch.full((N, N, N), TRUNCATION)
    assert without_crumbs(field, TRUNCATION) is field


def seen(columns: slice) -> Silhouettes:
    """From the front: the body, and a bar over these columns at its height."""
    mask = bar(slice(24, 40), slice(16, 48))
    mask[31:33, columns] = 1.0
    return silhouettes([mask], [Camera(0.0, 0.0)])


def test_an_island_that_a_silhouette_asks_for_stays() -> None:
    field = truncated(BODY, ball(0.75, 0.0, 0.0, 0.08))
    assert torch.equal(without_crumbs(field, TRUNCATION, seen(slice(44, 56))), field)
    assert not torch.equal(without_crumbs(field, TRUNCATION, seen(slice(24, 40))), field)


def test_an_island_behind_another_solid_is_not_asked_for() -> None:
    """Its rays meet the body as well."""
    hidden = truncated(BODY, ball(0.0, 0.0, -0.8, 0.08))
    field = without_crumbs(hidden, TRUNCATION, seen(slice(24, 40)))
    assert torch.equal(field < 0, BODY < 0)


def test_shares_are_those_of_the_rays_that_nothing_else_covers() -> None:
    """Against pictures of both parts: the silhouette shows them beside each other."""
    left, right, camera = ball(-0.4, 0.0, 0.0, 0.3), ball(0.4, 0.0, 0.0, 0.2), Camera(0.0, 0.0)
    field, rest = truncated(left, right), truncated(left)
    mask = hits(field, camera).float()
    shares = silhouettes([mask], [camera]).asked_for(field, rest, (right < CELL).long(), 1)
    expected = hits(truncated(right), camera).sum() / mask.sum()
    assert 0.2 < expected < 0.4
    assert shares.tolist() == pytest.approx([0.0, float(expected)], abs=0.03)
