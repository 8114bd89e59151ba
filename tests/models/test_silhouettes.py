"""Silhouettes imposed on fields: carved where nothing can be, covered where something must be."""

import pytest
import torch

from wavemesh.geometry.camera import Camera
from wavemesh.geometry.camera_tensors import stack_cameras
from wavemesh.geometry.isosurface import sdf_to_mesh
from wavemesh.models.multiview_encoder import ViewFeatures
from wavemesh.models.projection import grid_points
from wavemesh.models.silhouettes import REACH, Silhouettes, hull_distance, lowered_field, sample_field
from wavemesh.rendering.rays import camera_rays

SIZE, N, TRUNCATION = 64, 32, 0.09
CELL = 2.0 / N


def points() -> torch.Tensor:
    return grid_points(N).view(N, N, N, 3)


def box(*half: float, truncation: float = TRUNCATION) -> torch.Tensor:
    """The truncated field of a box around the origin (its faces' distance)."""
    return (points().abs() - torch.tensor(half)).amax(dim=-1).clamp(-truncation, truncation)


def silhouettes(masks: list[torch.Tensor], cameras: list[Camera], shift_cells: float = 0.0) -> Silhouettes:
    """Of masks (SIZE, SIZE)."""
    poses, intrinsics = stack_cameras(cameras)
    empty = torch.zeros(1, len(masks), 0)
    features = ViewFeatures(empty, torch.stack(masks)[None, :, None], empty, empty, poses[None], intrinsics[None])
    return Silhouettes(features, N, TRUNCATION, shift_cells)


def bar(columns: slice, rows: slice) -> torch.Tensor:
    mask = torch.zeros(SIZE, SIZE)
    mask[rows, columns] = 1.0
    return mask


def hits(field: torch.Tensor, camera: Camera) -> torch.Tensor:
    """The share of solid along the ray of each pixel, as a mask (SIZE, SIZE): what a picture of the field shows."""
    poses, intrinsics = stack_cameras([camera])
    rays = camera_rays(poses[0], intrinsics[0], SIZE)
    along = rays.at(torch.arange(2.8, 6.3, CELL / 4).expand(len(rays), -1))
    return (sample_field(field, along).amin(dim=1) < 0).view(SIZE, SIZE)


def test_what_lies_outside_the_silhouette_is_carved_away() -> None:
    mask = bar(slice(24, 40), slice(16, 48))
    given = silhouettes([mask], [Camera(0.0, 0.0)])
    whole = box(0.4, 0.4, 0.4, truncation=1.0)  # predictions are not clipped
    field = given.corrected_field(whole)
    shown = hits(field, Camera(0.0, 0.0))
    assert (field[given.hull >= 0] > 0).all()
    assert shown[mask > 0].float().mean() > 0.9 > 0.7 > hits(whole, Camera(0.0, 0.0))[mask > 0].float().mean()


def test_a_ray_that_meets_nothing_gets_a_solid_where_the_field_is_lowest() -> None:
    """A leg that the network is unsure of: no solid, but a field that is lower along a line of x = z = 0.3."""
    x, _, z = points().unbind(dim=-1)
    doubt = (0.06 + 0.1 * ((x - 0.3).square() + (z - 0.3).square()).sqrt()).clamp_max(TRUNCATION)
    mask = bar(slice(36, 38), slice(20, 44))
    given = silhouettes([mask], [Camera(0.0, 0.0)])
    field = given.corrected_field(doubt)
    assert not (doubt < 0).any()
    assert hits(field, Camera(0.0, 0.0))[mask > 0].float().mean() > 0.9
    solid = points()[field < 0]
    assert len(solid) > 0
    # Right on the line: depth is the field's, not the middle of the ray.
    assert (solid[:, 2] - 0.3).abs().max() < 2 * CELL


def test_a_field_that_agrees_already_is_left_alone() -> None:
    """Under its own front view, a little smaller, a box stays the box it is."""
    field = box(0.4, 0.4, 0.4)
    mask = hits(field + CELL / 2, Camera(0.0, 0.0)).float()
    given = silhouettes([mask], [Camera(0.0, 0.0)])
    given.hull = torch.full_like(field, -TRUNCATION)
    assert mask.sum() > 100
    assert torch.equal(given.corrected_field(field), field)


def test_silhouettes_that_contradict_each_other_prove_nothing() -> None:
    """Bars at different heights, a quarter turn apart: no place is inside both."""
    masks = [bar(slice(24, 40), slice(8, 16)), bar(slice(24, 40), slice(48, 56))]
    given = silhouettes(masks, [Camera(0.0, 0.0), Camera(90.0, 0.0)])
    field = box(0.4, 0.4, 0.4)
    assert given.points == []
    assert torch.equal(given.corrected_field(field), field)


def test_a_field_is_lowered_around_places() -> None:
    """Against the definition, at all cells at once."""
    places = torch.tensor([[0.1, 0.2, -0.3], [0.15, 0.2, -0.3], [0.95, -0.98, 0.0]])
    depths = torch.tensor([0.05, 0.03, 0.09])
    field = lowered_field(torch.full((N, N, N), TRUNCATION), places, depths, REACH)
    distance = torch.cdist(points().flatten(0, 2), places, compute_mode="donot_use_mm_for_euclid_dist") / (REACH * CELL)
    expected = TRUNCATION - (depths * (1.0 - distance.square()).clamp_min(0.0).square()).amax(dim=1)
    torch.testing.assert_close(field.flatten(), expected, atol=1e-6, rtol=0)


def test_a_leg_that_is_guessed_is_one_smooth_piece() -> None:
    """Its field is uneven along it, as predictions are; a solid for each ray alone would be full of holes."""
    x, y, z = points().unbind(dim=-1)
    distance = ((x - 0.3).square() + (z - 0.3).square()).sqrt()
    doubt = (0.06 + 0.1 * distance + 0.01 * torch.sin(40.0 * y)).clamp_max(TRUNCATION)
    field = silhouettes([bar(slice(34, 40), slice(20, 44))], [Camera(0.0, 0.0)]).corrected_field(doubt)
    mesh = sdf_to_mesh(field.numpy())
    assert mesh.body_count == 1
    assert mesh.euler_number == 2


@pytest.mark.parametrize("shift_cells", (0.0, -0.25))
def test_a_shifted_field_is_covered_at_the_same_place(shift_cells: float) -> None:
    """The values of a wavelet's lowpass stand beside their cells' centres."""
    x, y, _ = (points() + shift_cells * CELL).unbind(dim=-1)
    doubt = (0.06 + 0.1 * ((x - 0.3).square() + (y - 0.1).square()).sqrt()).clamp_max(TRUNCATION)
    given = silhouettes([bar(slice(22, 42), slice(27, 29))], [Camera(90.0, 0.0)], shift_cells)
    solid = points()[given.corrected_field(doubt) < 0] + shift_cells * CELL
    assert len(solid) > 0
    assert abs(float(solid[:, 0].mean()) - 0.3) < 0.5 * CELL


def test_the_distance_to_a_hull_is_exact_along_the_axes() -> None:
    inside = (points()[..., 0].abs() < 0.5).float()[None]
    expected = (points()[..., 0].abs() - 0.5).clamp(-TRUNCATION, TRUNCATION)
    field = hull_distance(inside, TRUNCATION)[0]
    near = expected.abs() < TRUNCATION - CELL
    torch.testing.assert_close(field[near], expected[near], atol=1e-6, rtol=0)
    assert torch.equal(field < 0, expected < 0)


def test_a_field_that_says_nothing_is_not_covered() -> None:
    """As far as it is clipped everywhere: no place along a ray is better than another."""
    given = silhouettes([bar(slice(24, 40), slice(16, 48))], [Camera(0.0, 0.0)])
    assert (given.corrected_field(torch.full((N, N, N), TRUNCATION)) > 0).all()
