"""Novel views: which they are, the naive picture, and scores of pictures."""

from pathlib import Path

import numpy as np
import pytest

from tests.data.conftest import NUM_VIEWS, analytic_shapes, prepared_root, sample_files  # noqa: F401 - fixtures
from wavemesh.data.dataset import PreparedShapes
from wavemesh.errors import InputError
from wavemesh.evaluation.image_metrics import flip, ssim
from wavemesh.evaluation.novel_views import mean_of_given, novel_views, over_white, score_pictures
from wavemesh.evaluation.samples import EvaluationSample


def test_novel_views_are_those_after_the_four_given_ones(prepared_root: Path) -> None:  # noqa: F811
    shapes = PreparedShapes(prepared_root, "train")
    views = novel_views(shapes, "ball.1")
    # The fixture's view k stands at azimuth 30 + 70 k; it has six views, so only two are left of the three asked for.
    assert [camera.azimuth_deg for camera in views.cameras] == [30.0 + 70.0 * view for view in range(4, NUM_VIEWS)]
    index = shapes.keys.index("ball.1")
    stored = shapes.pictures([index], [list(range(NUM_VIEWS))])[0].numpy()
    for shown, raw in zip([*views.given, *views.pictures], stored, strict=True):
        outside, inside = raw[..., 3] == 0, raw[..., 3] == 255
        assert outside.any()
        assert inside.any()
        assert (shown[outside] == 255).all()
        np.testing.assert_array_equal(shown[inside], raw[inside][:, :3])
    assert len(novel_views(shapes, "ball.1", count=1).cameras) == 1
    shapes.num_views = 4
    with pytest.raises(InputError, match="not 4"):
        novel_views(shapes, "ball.1")


def test_half_transparent_pixels_are_mixed_with_white() -> None:
    assert over_white(np.array([[[0, 100, 255, 51]]], np.uint8)).tolist() == [[[204, 224, 255]]]


def test_the_naive_picture_is_the_mean_of_what_was_given(prepared_root: Path) -> None:  # noqa: F811
    views = novel_views(PreparedShapes(prepared_root, "train"), "box")
    sample = EvaluationSample("box", "", np.zeros((1, 1, 1), np.float32), [], [])
    np.testing.assert_array_equal(mean_of_given(1, sample, views)[1], views.given[0])
    mean = mean_of_given(3, sample, views)
    assert len(mean) == len(views.cameras)
    expected = (views.given[0].astype(float) + views.given[1] + views.given[2]) / 3
    assert np.abs(mean[0] - expected).max() <= 0.5 + 1e-4
    with pytest.raises(InputError, match="not 5"):
        mean_of_given(5, sample, views)


def test_scores_are_means_over_views_and_equal_pictures_count_as_60_db() -> None:
    rng = np.random.default_rng(0)
    first, second = (rng.integers(0, 256, (32, 32, 3), dtype=np.uint8) for _ in range(2))
    grey = np.clip(first.astype(int) + 26, 0, 255).astype(np.uint8)
    found = score_pictures([first, grey], [first, first])
    error = np.mean((grey / 255.0 - first / 255.0) ** 2)
    assert found.psnr == pytest.approx((60.0 - 10.0 * np.log10(error)) / 2, abs=1e-3)
    assert found.ssim == pytest.approx((1.0 + ssim(grey, first)) / 2)
    assert found.flip == pytest.approx(flip(grey, first) / 2, abs=1e-6)
    worse = score_pictures([second], [first])
    assert worse.ssim < found.ssim
    assert worse.flip > found.flip
    for drawn in ([], [first]):
        with pytest.raises(InputError, match=f"{len(drawn)} pictures"):
            score_pictures(drawn, [first, second])
