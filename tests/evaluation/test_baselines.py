"""Baselines on shapes whose answers are known."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from wavemesh.errors import InputError
from wavemesh.evaluation import baselines, metrics
from wavemesh.geometry.camera import Camera

RING = [Camera(30.0 + 90.0 * turn, 20.0) for turn in range(4)]


def sphere_sdf(radius: float, n: int = 64, centre: tuple[float, float, float] = (0, 0, 0)) -> np.ndarray:
    axis = (np.arange(n) + 0.5) / n * 2 - 1
    points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1)
    return np.clip(np.linalg.norm(points - np.array(centre), axis=-1) - radius, -0.09, 0.09).astype(np.float32)


def sphere_mask(camera: Camera, radius: float, size: int = 128) -> np.ndarray:
    """The silhouette of a sphere at the origin: rays that pass within `radius` of it."""
    origins, directions = camera.rays(size)
    closest = origins - (origins * directions).sum(-1, keepdims=True) * directions
    return np.linalg.norm(closest, axis=-1) < radius


def test_the_hull_contains_the_sphere_and_touches_it() -> None:
    cameras = [
        Camera(float(azimuth), elevation)
        for azimuth in np.arange(0.0, 360.0, 30.0)
        for elevation in (-60.0, -30.0, 0.0, 30.0, 60.0)
    ]
    hull = baselines.visual_hull([sphere_mask(camera, 0.7) for camera in cameras], cameras, 64)
    truth = sphere_sdf(0.7)
    assert metrics.compute_iou(hull, truth) > 0.9
    missing = (truth < -0.01) & (hull > 0)
    assert not missing.any()


def test_one_view_leaves_the_cone_within_the_box() -> None:
    hull = baselines.visual_hull([sphere_mask(RING[0], 0.5)], RING[:1], 64)
    axis = (np.arange(64) + 0.5) / 64 * 2 - 1
    points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    origin = RING[0].position()
    directions = points - origin
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    miss = np.linalg.norm(origin - (directions @ origin)[:, None] * directions, axis=1)
    expected = ((miss < 0.5) & (np.abs(points).max(axis=1) < 0.9)).reshape(64, 64, 64)
    assert metrics.occupancy_iou(hull < 0, expected) > 0.97


def test_beyond_a_border_that_the_silhouette_touches_all_is_kept() -> None:
    # A camera whose window shows the middle of the sphere only: no cell outside the window may be carved.
    close = Camera(0.0, 0.0).cropped(48.0, 48.0, 32.0, 128.0, 128.0)
    mask = sphere_mask(close, 0.8)
    assert mask.all()
    hull = baselines.visual_hull([mask], [close], 64)
    axis = (np.arange(64) + 0.5) / 64 * 2 - 1
    inside = np.abs(axis) < 0.9
    assert ((hull < 0) == (inside[:, None, None] & inside[None, :, None] & inside[None, None, :])).all()


def test_an_empty_silhouette_carves_everything_it_sees() -> None:
    hull = baselines.visual_hull([np.zeros((32, 32), bool)], RING[:1], 32)
    assert (hull > 0).all()


def test_masks_and_cameras_must_pair() -> None:
    with pytest.raises(InputError, match="not 4 for 1"):
        baselines.visual_hull([np.ones((8, 8), bool)], RING)
    with pytest.raises(InputError):
        baselines.visual_hull([], [])


def training_sample(key: str, radius: float, shift: float = 0.0) -> SimpleNamespace:
    pictures = []
    for camera in RING:
        rgba = np.zeros((128, 128, 4), np.uint8)
        rgba[..., 3] = sphere_mask(camera, radius) * 255
        rgba[..., :3] = np.random.default_rng(0).integers(0, 255, 3)
        pictures.append(rgba)
    return SimpleNamespace(key=key, sdf=sphere_sdf(radius, centre=(shift, 0, 0)), pictures=pictures)


def test_retrieval_finds_the_same_shape_and_the_oracle_agrees_with_brute_force(tmp_path: Path) -> None:
    samples = [training_sample(f"s{radius}", radius) for radius in (0.3, 0.5, 0.7)] + [
        training_sample("moved", 0.5, 0.2)
    ]
    shapes = baselines.TrainingShapes.from_samples(samples)
    shapes.save(tmp_path / "t.npz")
    shapes = baselines.TrainingShapes.load(tmp_path / "t.npz")
    assert shapes.nearest_by_feature(training_sample("q", 0.68).pictures[:1]) == 2
    assert shapes.nearest_by_feature(training_sample("q", 0.32).pictures) == 0
    for query in (sphere_sdf(0.55), sphere_sdf(0.5, centre=(0.15, 0, 0)), sphere_sdf(0.66)):
        every = [metrics.compute_iou(query, sample.sdf) for sample in samples]
        index, iou = shapes.oracle_nearest(query)
        assert index == int(np.argmax(every))
        assert iou == pytest.approx(max(every))


def test_retrieval_refuses_more_views_than_it_has() -> None:
    shapes = baselines.TrainingShapes.from_samples([training_sample("a", 0.5)], num_views=1)
    with pytest.raises(InputError, match="1 to 1 views, not 2"):
        shapes.nearest_by_feature(training_sample("q", 0.5).pictures[:2])
    with pytest.raises(InputError):
        baselines.TrainingShapes.from_samples([])


def test_feature_ignores_colour_under_transparency() -> None:
    first, second = training_sample("a", 0.5).pictures[0], training_sample("a", 0.5).pictures[0].copy()
    second[second[..., 3] == 0, :3] = 255
    np.testing.assert_array_equal(baselines.picture_feature([first]), baselines.picture_feature([second]))


def test_codec_ceiling_is_nearly_lossless_for_a_smooth_shape() -> None:
    sdf = sphere_sdf(0.6, 128)
    assert metrics.compute_iou(baselines.codec_ceiling(sdf), sdf, 128) > 0.995


def test_regression_asks_for_one_step_without_guidance() -> None:
    seen = {}

    def pipeline(views: list, **options: object) -> str:
        seen.update(options, views=views)
        return "out"

    assert baselines.regression(pipeline, ["view"]) == "out"
    assert seen == {"views": ["view"], "num_inference_steps": 1, "guidance_scale": 1.0, "seed": 0}
