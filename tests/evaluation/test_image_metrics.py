"""Image metrics against closed forms and properties."""

import math

import numpy as np
import pytest

from wavemesh.errors import InputError
from wavemesh.evaluation import image_metrics


@pytest.fixture
def picture() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.clip(np.linspace(0, 0.8, 48)[:, None, None] + rng.uniform(0, 0.1, (48, 48, 3)), 0, 1).astype(np.float32)


def test_psnr_of_a_known_error(picture: np.ndarray) -> None:
    assert image_metrics.psnr(picture * 0.5 + 0.1, picture * 0.5) == pytest.approx(20.0, abs=1e-3)
    assert image_metrics.psnr(picture, picture) == math.inf


def test_equal_pictures_are_perfect_and_noise_is_worse(picture: np.ndarray) -> None:
    noisy = np.clip(picture + np.random.default_rng(1).normal(0, 0.1, picture.shape), 0, 1)
    assert image_metrics.ssim(picture, picture) == pytest.approx(1.0)
    assert image_metrics.flip(picture, picture) == pytest.approx(0.0, abs=1e-6)
    assert image_metrics.ssim(noisy, picture) < 0.9
    assert 0.02 < image_metrics.flip(noisy, picture) < 1.0


def test_ssim_of_constants_is_the_formula() -> None:
    first, second = np.full((32, 32, 3), 0.4), np.full((32, 32, 3), 0.6)
    expected = (2 * 0.4 * 0.6 + 1e-4) / (0.4**2 + 0.6**2 + 1e-4)
    assert image_metrics.ssim(first, second) == pytest.approx(expected, rel=1e-4)


def test_bytes_and_floats_agree(picture: np.ndarray) -> None:
    as_bytes = (picture * 255).round().astype(np.uint8)
    assert image_metrics.psnr(as_bytes, picture) > 50


def test_unequal_or_flat_pictures_are_refused(picture: np.ndarray) -> None:
    with pytest.raises(InputError, match="different sizes"):
        image_metrics.psnr(picture, picture[:-1])
    with pytest.raises(InputError, match=r"\(h, w, 3\)"):
        image_metrics.ssim(picture[..., 0], picture[..., 0])
