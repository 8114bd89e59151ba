"""Procedural shapes: distances against trimesh, brute force and eikonal, frames, determinism, pruning, redistancing."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from wavemesh.errors import InputError
from wavemesh.geometry.sdf import TRUNCATION
from wavemesh.procedural.blocks import surface_blocks
from wavemesh.procedural.builder import Builder, pack
from wavemesh.procedural.catalogue import GENERATORS, make_shape, make_solids
from wavemesh.procedural.field import signed_field, surface_colours
from wavemesh.procedural.grid import solids_to_sdf
from wavemesh.procedural.materials import Paint
from wavemesh.procedural.solids import Role, Solids

RED, BLUE = Paint((1.0, 0.0, 0.0)), Paint((0.0, 0.0, 1.0))
TURN = (20.0, -35.0, 50.0)


def _single(add: Callable[[Builder], None]) -> Solids:
    builder = Builder()
    add(builder)
    return pack([builder])


def _points(count: int = 400, reach: float = 0.9) -> torch.Tensor:
    return (torch.rand(1, count, 3, generator=torch.Generator().manual_seed(1)) * 2 - 1) * reach


def cell_centres(resolution: int) -> torch.Tensor:
    """World coordinates of the cells' centres along an axis."""
    return (torch.arange(resolution) + 0.5) / resolution * 2.0 - 1.0


def _distances_to(mesh: trimesh.Trimesh, points: torch.Tensor) -> np.ndarray:
    """Signed distances to a mesh: to a dense sample of its surface, signs by ray casting."""
    surface, _ = trimesh.sample.sample_surface(mesh, 300_000, seed=0)
    query = points[0].numpy().astype(np.float64)
    distance, _ = cKDTree(surface).query(query)
    return np.where(mesh.contains(query), -distance, distance)


def _arc_mesh() -> trimesh.Trimesh:
    return trimesh.creation.torus(0.5, 0.15, major_sections=128, minor_sections=64)  # about z, as arcs are


_EXACT = {
    "box": (lambda b: b.box((0, 0, 0), (1.0, 0.6, 0.8), RED), lambda: trimesh.creation.box((1.0, 0.6, 0.8))),
    "cone": (
        lambda b: b.lathe((0, 0, 0), [(0, -0.4), (0.5, -0.4), (0.2, 0.4), (0, 0.4)], RED),
        lambda: trimesh.creation.revolve([(0, -0.4), (0.5, -0.4), (0.2, 0.4), (0, 0.4)], sections=180),
    ),
    "ellipsoid": (
        lambda b: b.ellipsoid((0, 0, 0), (1.2, 0.5, 0.8), RED),
        lambda: trimesh.creation.icosphere(5).apply_scale((0.6, 0.25, 0.4)),
    ),
    "torus": (lambda b: b.arc((0, 0, 0), 0.5, 0.15, RED), _arc_mesh),
    "prism": (
        lambda b: b.extrusion((0, 0, 0), [(-0.5, -0.4), (0.5, -0.4), (0.0, -0.1), (0.1, 0.5)], 0.6, RED),
        lambda: _prism([(-0.5, -0.4), (0.5, -0.4), (0.0, -0.1), (0.1, 0.5)], 0.6),
    ),
}


def _prism(outline: list[tuple[float, float]], depth: float) -> trimesh.Trimesh:
    """A concave quadrilateral whose third vertex is the reflex one, drawn out along z."""
    low = np.array([(*point, -depth / 2) for point in outline])
    corners = np.concatenate([low, low + np.array([0, 0, depth])])
    caps = np.array([(0, 1, 2), (0, 2, 3)])
    sides = [(i, (i + 1) % 4, (i + 1) % 4 + 4) for i in range(4)] + [(i, (i + 1) % 4 + 4, i + 4) for i in range(4)]
    return trimesh.Trimesh(corners, np.concatenate([caps[:, ::-1], caps + 4, sides]), process=False)


@pytest.mark.parametrize("name", _EXACT)
def test_distances_are_those_to_a_mesh(name: str) -> None:
    add, mesh = _EXACT[name]
    solid = mesh()
    if name == "cone":  # trimesh revolves about z
        solid.apply_transform(trimesh.transformations.rotation_matrix(-np.pi / 2, (1, 0, 0)))
    assert solid.is_volume
    points = _points()
    ours = signed_field(_single(add), points)[0].numpy()
    np.testing.assert_allclose(ours, _distances_to(solid, points), atol=6e-3)


def test_cut_off_cones_and_lathes_agree_and_rounding_grows_them() -> None:
    lathe = _single(lambda b: b.lathe((0, 0.1, 0), [(0, -0.3), (0.4, -0.3), (0.15, 0.3), (0, 0.3)], RED, tilt=TURN))
    cone = _single(lambda b: b.cylinder((0, 0.1, 0), 0.6, 0.4, RED, top=0.15, tilt=TURN))
    grown = _single(lambda b: b.cylinder((0, 0.1, 0), 0.7, 0.45, RED, top=0.2, rounding=0.05, tilt=TURN))
    points = _points()
    torch.testing.assert_close(signed_field(cone, points), signed_field(lathe, points), atol=1e-5, rtol=0)
    torch.testing.assert_close(signed_field(grown, points), signed_field(cone, points) - 0.05, atol=1e-5, rtol=0)


def test_shells_rods_and_arcs_are_distances_to_curves() -> None:
    points = _points()
    rod = signed_field(_single(lambda b: b.rod((-0.3, 0.1, 0), (0.4, -0.2, 0.3), 0.1, RED)), points)[0]
    steps = torch.linspace(0, 1, 2001)[:, None]
    line = torch.tensor([-0.3, 0.1, 0.0]) + steps * torch.tensor([0.7, -0.3, 0.3])
    torch.testing.assert_close(rod, torch.cdist(points[0], line).amin(dim=1) - 0.1, atol=1e-4, rtol=0)
    arc = signed_field(_single(lambda b: b.arc((0, 0, 0), 0.5, 0.08, RED, angle_deg=200)), points)[0]
    angle = torch.deg2rad((steps[:, 0] - 0.5) * 200.0)
    bow = 0.5 * torch.stack([angle.sin(), angle.cos(), torch.zeros_like(angle)], dim=1)
    torch.testing.assert_close(arc, torch.cdist(points[0], bow).amin(dim=1) - 0.08, atol=1e-4, rtol=0)


@given(number=st.integers(0, 10_000))
@settings(max_examples=8)
def test_shapes_stand_in_the_frame_and_are_always_the_same(number: int) -> None:
    first, again = make_shape(3, number), make_shape(3, number)
    low, high = first.bounds()
    assert (high - low).max() == pytest.approx(1.8, abs=1e-4)
    np.testing.assert_allclose(low + high, 0.0, atol=1e-4)
    one, two = pack([first]), pack([again])
    for name in ("kind", "role", "position", "rotation", "size", "profile", "colours", "pattern"):
        assert torch.equal(getattr(one, name), getattr(two, name))


@pytest.mark.parametrize("category", GENERATORS)
def test_every_kind_fills_its_box_and_hits_its_bounds(category: str) -> None:
    solids = make_solids(1, [5], category)
    sdf = solids_to_sdf(solids, 64).sdf[0]
    cells = (sdf < 0).nonzero()
    assert len(cells) > 60
    reach = cell_centres(64)[torch.stack([cells.amin(dim=0), cells.amax(dim=0)])]
    # Thin ends may miss the last cells of this coarse grid, but nothing stands beyond the bounds.
    assert ((reach - solids.bounds[0]).abs() < 4 * 2 / 64).all()
    assert (reach.abs() <= 0.9 + 1e-4).all()


def test_other_numbers_and_seeds_are_other_shapes() -> None:
    sizes = [make_solids(seed, [number], "chair").size for seed, number in ((0, 0), (0, 1), (1, 0))]
    assert all(one.shape != two.shape or not torch.equal(one, two) for one, two in pairwise(sizes))
    with pytest.raises(InputError, match="teapot"):
        make_shape(0, 0, "teapot")
    with pytest.raises(InputError, match="-1"):
        make_shape(0, -1)


def test_the_field_is_a_distance_near_the_surface() -> None:
    grids = solids_to_sdf(make_solids(0, range(6)), 64)
    points = grids.samples.points + 0.01 * grids.samples.normals
    chosen = torch.randperm(len(points))[:2000]
    shape, points = grids.samples.shape[chosen], points[chosen].requires_grad_()
    values = signed_field(grids.solids, points[None].expand(6, -1, -1)).gather(0, shape[None])[0]
    (gradient,) = torch.autograd.grad(values.sum(), points)
    assert ((gradient.norm(dim=1) - 1).abs() < 1e-3).float().mean() > 0.99
    assert ((values - 0.01).abs() < 2e-3).float().mean() > 0.9  # less in corners


def test_pruned_lists_give_the_whole_field() -> None:
    solids = make_solids(2, range(5))
    blocks = surface_blocks(solids, 16, TRUNCATION)
    rows = torch.randperm(len(blocks.place))[:800]
    inside = torch.rand(800, 3)
    points = (blocks.place[rows, 1:] + inside) * (2 / 16) - 1
    pruned = blocks.lists.field(rows, points[:, None])[:, 0].clamp(-TRUNCATION, TRUNCATION)
    whole = signed_field(solids, points[None].expand(5, -1, -1)).gather(0, blocks.place[None, rows, 0])[0]
    torch.testing.assert_close(pruned, whole.clamp(-TRUNCATION, TRUNCATION), atol=1e-6, rtol=0)


def test_empty_blocks_are_as_far_from_surfaces_as_they_say() -> None:
    solids = make_solids(2, range(3))
    blocks = surface_blocks(solids, 8, TRUNCATION)
    points = torch.rand(3, 4000, 3) * 2 - 1
    place = blocks.flat_index(torch.arange(3).repeat_interleave(4000), points.flatten(0, 1))
    empty = blocks.row.flatten()[place] < 0
    bound, field = blocks.reach.flatten()[place][empty], signed_field(solids, points).flatten()[empty]
    assert empty.any()
    assert (bound.abs() <= field.abs() + 1e-5).all()
    assert (bound.sign() == field.sign()).all()


def test_grids_hold_true_distances_where_the_field_is_a_bound() -> None:
    """Two overlapping boxes with a hole: every cell against the distance to a dense sample of the true surface."""
    builder = Builder()
    builder.box((-0.2, 0, 0), (0.8, 0.5, 0.5), RED)
    builder.box((0.25, 0.2, 0), (0.5, 0.9, 0.5), RED)
    builder.box((-0.3, 0.2, 0), (0.3, 0.3, 0.8), BLUE, role=Role.CUT)
    resolution = 64
    grids = solids_to_sdf(pack([builder]), resolution)
    fine = torch.linspace(-0.9, 0.9, 200)
    faces = []  # points on all planes that carry the surface; those on it have a field of zero
    for axis, planes in enumerate(((-0.6, 0.2, 0.0, 0.5, -0.45, -0.15), (-0.25, 0.25, 0.65, 0.05), (-0.25, 0.25))):
        for plane in planes:
            grid = torch.cartesian_prod(fine, fine)
            faces.append(torch.cat([grid[:, :axis], torch.full((len(grid), 1), plane), grid[:, axis:]], dim=1))
    candidates = torch.cat(faces)
    on_surface = signed_field(grids.solids, candidates[None])[0].abs() < 1e-6
    moved = torch.cat([candidates[on_surface] + 1e-3 * d for d in torch.cat([torch.eye(3), -torch.eye(3)])])
    outside = (signed_field(grids.solids, moved[None])[0] > 0).view(6, -1).any(dim=0)
    centres = cell_centres(resolution)
    cells = torch.cartesian_prod(centres, centres, centres)
    near = grids.sdf[0].flatten().abs() < TRUNCATION
    distance, _ = cKDTree(candidates[on_surface][outside].numpy()).query(cells.numpy())
    truth = np.minimum(distance, TRUNCATION)
    error = np.abs(grids.sdf[0].flatten().abs().numpy() - truth)
    band = (near.numpy()) | (truth < TRUNCATION)
    cell = 2 / resolution
    assert np.quantile(error[band], 0.99) < 0.2 * cell
    assert error[band].max() < 0.4 * cell
    bound = signed_field(grids.solids, cells[None])[0].abs().clamp_max(TRUNCATION).numpy()
    assert ((truth - bound)[band] > 0.5 * cell).sum() > 50  # so there was something to mend


def test_a_grid_is_the_truncated_distance_of_a_ball() -> None:
    builder = Builder()
    builder.ellipsoid((0, 0, 0), (1, 1, 1), RED)
    sdf = solids_to_sdf(pack([builder.finish()]), 32).sdf[0]
    centres = cell_centres(32)
    radius = torch.stack(torch.meshgrid(centres, centres, centres, indexing="ij")).norm(dim=0)
    torch.testing.assert_close(sdf, (radius - 0.9).clamp(-TRUNCATION, TRUNCATION), atol=0.1 * 2 / 32, rtol=0)
    with pytest.raises(InputError, match="48"):
        solids_to_sdf(pack([builder]), 48)


def test_colours_are_those_of_the_primitive_that_decides() -> None:
    builder = Builder()
    builder.box((0, 0, 0), (1, 1, 1), RED)
    builder.box((0, 0.5, 0), (0.4, 0.4, 0.4), BLUE, role=Role.CUT)
    builder.box((0.5, 0, 0), (0.2, 0.2, 0.2), Paint((0.0, 1.0, 0.0)), role=Role.PART)
    points = torch.tensor([[[-0.5, 0.0, 0.0], [0.0, 0.3, 0.0], [0.6, 0.0, 0.0], [0.4, 0.5, 0.4]]])
    colours = surface_colours(pack([builder]), points)[0]
    torch.testing.assert_close(colours, torch.tensor([[1.0, 0, 0], [0, 0, 1], [0, 1, 0], [1, 0, 0]]))
