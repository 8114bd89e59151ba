"""Metrics against brute force, scipy and closed forms of spheres and boxes."""

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist, directed_hausdorff

from wavemesh.errors import InputError
from wavemesh.evaluation import metrics
from wavemesh.geometry.sdf import SurfacePoints


def sphere_surface(radius: float, count: int, seed: int) -> SurfacePoints:
    directions = np.random.default_rng(seed).normal(size=(count, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return SurfacePoints((directions * radius).astype(np.float32), directions.astype(np.float32))


def grid_points(n: int) -> np.ndarray:
    axis = (np.arange(n) + 0.5) / n * 2 - 1
    return np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1)


def sphere_sdf(radius: float, n: int, centre: tuple[float, float, float] = (0, 0, 0)) -> np.ndarray:
    distance = np.linalg.norm(grid_points(n) - np.array(centre), axis=-1) - radius
    return np.clip(distance, -0.09, 0.09).astype(np.float32)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 80), st.integers(1, 80), st.sampled_from([0.0, 1.0, 30.0]))
def test_nearest_points_equal_brute_force(seed: int, n: int, m: int, apart: float) -> None:
    rng = np.random.default_rng(seed)
    pred, gt = rng.normal(size=(n, 3)), rng.normal(size=(m, 3)) + apart
    normals = rng.normal(size=(m, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    table = cdist(pred, gt)
    same = SurfacePoints(pred, np.tile((0.0, 0.0, 1.0), (n, 1)))
    found = metrics.compare_surfaces(same, SurfacePoints(gt, normals))
    np.testing.assert_allclose(found.to_gt, table.min(axis=1), rtol=1e-12)
    np.testing.assert_allclose(found.to_pred, table.min(axis=0), rtol=1e-12)
    # Which point is nearest shows in the normals.
    expected = (np.abs(normals[table.argmin(axis=1), 2]).mean() + np.abs(normals[:, 2]).mean()) / 2
    assert found.normal_consistency == pytest.approx(expected)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 60), st.integers(1, 60), st.floats(0.02, 1.0))
def test_point_metrics_equal_brute_force(seed: int, n: int, m: int, threshold: float) -> None:
    rng = np.random.default_rng(seed)
    pred, gt = rng.uniform(-1, 1, (n, 3)), rng.uniform(-1, 1, (m, 3))
    table = cdist(pred, gt)
    to_gt, to_pred = table.min(axis=1), table.min(axis=0)
    assert metrics.chamfer_distance(pred, gt) == pytest.approx((to_gt.mean() + to_pred.mean()) / 2)
    assert metrics.hausdorff(pred, gt) == pytest.approx(
        max(directed_hausdorff(pred, gt)[0], directed_hausdorff(gt, pred)[0])
    )
    precision, recall = (to_gt <= threshold).mean(), (to_pred <= threshold).mean()
    expected = 0.0 if precision + recall == 0 else 2 * precision * recall / (precision + recall)
    assert metrics.f_score(pred, gt, threshold) == pytest.approx(expected)


def test_concentric_spheres_have_the_distances_of_geometry() -> None:
    inner, outer = sphere_surface(0.60, 20_000, 0), sphere_surface(0.64, 20_000, 1)
    assert metrics.chamfer_distance(inner, outer) == pytest.approx(0.04, abs=2e-3)
    assert metrics.f_score(inner, outer, 0.02) == 0.0
    assert metrics.f_score(inner, outer, 0.05) > 0.99
    assert metrics.normal_consistency(inner, outer) > 0.999
    assert 0.04 <= metrics.hausdorff(inner, outer) < 0.06


def test_normal_consistency_ignores_orientation_and_sees_right_angles() -> None:
    points = np.random.default_rng(0).uniform(-1, 1, (500, 3)).astype(np.float32)
    up = np.tile(np.array([0, 1, 0], np.float32), (500, 1))
    right = np.tile(np.array([1, 0, 0], np.float32), (500, 1))
    assert metrics.normal_consistency(SurfacePoints(points, up), SurfacePoints(points, -up)) == pytest.approx(1.0)
    assert metrics.normal_consistency(SurfacePoints(points, up), SurfacePoints(points, right)) == pytest.approx(0.0)


def test_iou_of_boxes_is_exact_at_every_input_resolution() -> None:
    # Boxes whose sides fall on cell borders of 64^3: |x| < 0.5 against -0.5 < x < 0.25 in one axis.
    for n in (64, 128):
        points = grid_points(n)
        first = np.abs(points).max(axis=-1) < 0.5
        second = first & (points[..., 0] < 0.25)
        assert metrics.compute_iou(first, second) == pytest.approx(0.75)
        assert metrics.compute_iou(np.where(first, -0.05, 0.05), np.where(second, -0.05, 0.05)) == pytest.approx(0.75)


def test_iou_of_spheres_approaches_the_ratio_of_volumes() -> None:
    iou = metrics.compute_iou(sphere_sdf(0.6, 128), sphere_sdf(0.8, 128))
    assert iou == pytest.approx((0.6 / 0.8) ** 3, abs=5e-3)
    mixed = metrics.compute_iou(sphere_sdf(0.6, 128), sphere_sdf(0.6, 64))
    assert mixed > 0.98


def test_a_coarse_cell_follows_the_mean_of_its_block() -> None:
    sdf = np.full((4, 4, 4), 0.01, dtype=np.float32)
    sdf[:2, :2, :2] = np.array([-0.09] + [0.01] * 7).reshape(2, 2, 2)
    solid = metrics.solid_grid(sdf, 2)
    assert solid[0, 0, 0]
    assert np.count_nonzero(solid) == 1
    half = np.zeros((4, 4, 4), dtype=bool)
    half[:2, :2, 0] = True
    assert metrics.solid_grid(half, 2)[0, 0, 0]
    half[0, 0, 0] = False
    assert not metrics.solid_grid(half, 2).any()


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 5), (48, 48, 48), ()])
def test_grids_that_do_not_divide_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="cannot be made"):
        metrics.solid_grid(np.zeros(shape, dtype=np.float32), 64)


def test_meshes_are_scored_on_their_visible_surface() -> None:
    sphere = trimesh.creation.icosphere(subdivisions=4, radius=0.8)
    hidden = trimesh.util.concatenate([sphere, trimesh.creation.icosphere(subdivisions=2, radius=0.3)])
    # An inner ball that nobody sees changes nothing but the sampling.
    assert metrics.chamfer_distance(sphere, hidden) < 0.02
    assert metrics.f_score(sphere, hidden, 0.05) > 0.99
    assert metrics.compute_iou(sphere, sphere_sdf(0.8, 64)) > 0.93


def test_an_empty_prediction_scores_nothing() -> None:
    truth = sphere_surface(0.8, 1000, 0)
    empty = trimesh.Trimesh()
    scores = metrics.evaluate_pair(empty, np.full((64, 64, 64), 0.09, np.float32), truth, sphere_sdf(0.8, 128))
    assert (
        scores.f_score_001 == scores.f_score_002 == scores.f_score_005 == scores.iou == scores.normal_consistency == 0.0
    )
    assert scores.chamfer == scores.hausdorff == metrics.EMPTY_DISTANCE
    assert metrics.evaluate_pair(None, np.full((64, 64, 64), 0.09, np.float32), truth, sphere_sdf(0.8, 128)) == scores


def test_an_empty_ground_truth_is_refused() -> None:
    with pytest.raises(InputError, match="ground truth"):
        metrics.chamfer_distance(np.zeros((3, 3)), np.zeros((0, 3)))
    with pytest.raises(InputError, match=r"\(n, 3\)"):
        metrics.chamfer_distance(np.zeros((3, 2)), np.zeros((3, 3)))


def test_evaluate_pair_of_the_true_shape_is_nearly_perfect() -> None:
    sdf = sphere_sdf(0.8, 64)
    scores = metrics.evaluate_pair(sphere_surface(0.8, 40_000, 1), sdf, sphere_surface(0.8, 40_000, 0), sdf)
    assert scores.iou == scores.iou_full == 1.0
    assert scores.f_score_002 > 0.99
    assert scores.chamfer < 0.01
    assert scores.normal_consistency > 0.99


def test_quarter_turns_move_points_and_grid_together() -> None:
    sdf = sphere_sdf(0.3, 64, centre=(0.1, 0.2, 0.6))
    point = SurfacePoints(np.array([[0.1, 0.2, 0.6]], np.float32), np.array([[0, 0, 1.0]], np.float32))
    for turns in range(4):
        turned = metrics.quarter_turned_grid(sdf, turns)
        where = metrics.quarter_turned_points(point, turns).points[0]
        index = tuple(((where + 1) / 2 * 64).astype(int))
        assert turned[index] == turned.min()
        np.testing.assert_allclose(turned, sphere_sdf(0.3, 64, tuple(where)), atol=1e-5)
        assert metrics.best_quarter_turn(turned, sdf) == (4 - turns) % 4
    # Azimuth grows from the front (+z) to the right (+x).
    np.testing.assert_allclose(metrics.quarter_turned_points(point, 1).normals, [[1, 0, 0]])


def test_mean_scores_averages_and_refuses_nothing() -> None:
    low, high = metrics.Scores(*[0.0] * 8), metrics.Scores(*[1.0] * 8)
    assert metrics.mean_scores([low, high]) == metrics.Scores(*[0.5] * 8)
    with pytest.raises(InputError):
        metrics.mean_scores([])
