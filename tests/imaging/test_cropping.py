"""Crops: what comes back is the window they name, and a camera that follows them sees the same points."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from wavemesh.errors import InputError
from wavemesh.geometry.camera import Camera
from wavemesh.imaging import Crop, crop_foreground, pad_to_square

SIDES = st.integers(1, 40)


def numbered(width: int, height: int) -> Image.Image:
    """A picture in which every pixel's colour tells its place."""
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    pixels = np.stack([columns, rows, columns * 0, columns * 0 + 255], axis=-1)
    return Image.fromarray(pixels.astype(np.uint8), "RGBA")


@settings(max_examples=40, deadline=None)
@given(width=SIDES, height=SIDES)
def test_padding_keeps_every_pixel_in_the_middle(width: int, height: int) -> None:
    padded, crop = pad_to_square(numbered(width, height))
    side = max(width, height)
    assert padded.size == (side, side)
    assert (crop.width, crop.height) == (width, height)
    assert crop.size == side
    pixels = np.asarray(padded)
    inside = pixels[..., 3] > 0
    assert inside.sum() == width * height
    rows, columns = np.nonzero(inside)
    assert np.array_equal(pixels[inside][:, 0], columns + crop.left)
    assert np.array_equal(pixels[inside][:, 1], rows + crop.top)
    assert abs((columns.min()) - (side - 1 - columns.max())) <= 1
    assert abs((rows.min()) - (side - 1 - rows.max())) <= 1


@settings(max_examples=40, deadline=None)
@given(
    box=st.tuples(st.integers(0, 30), st.integers(0, 20), st.integers(1, 9), st.integers(1, 9)),
    margin=st.floats(0, 0.5),
)
def test_the_foreground_lies_inside_with_its_margin(box: tuple[int, int, int, int], margin: float) -> None:
    left, top, width, height = box
    pixels = np.array(numbered(40, 30))
    pixels[..., 3] = 0
    pixels[top : top + height, left : left + width, 3] = 255
    cropped, crop = crop_foreground(Image.fromarray(pixels, "RGBA"), margin)
    found = np.asarray(cropped)
    assert (found[..., 3] > 0).sum() == width * height
    assert crop.size == max(1, round(max(width, height) * (1 + 2 * margin)))
    rows, columns = np.nonzero(found[..., 3])
    assert columns.min() + crop.left == left
    assert rows.min() + crop.top == top
    assert np.array_equal(found[rows, columns, 0], columns + crop.left)


@pytest.mark.parametrize(("width", "height"), [(64, 40), (40, 64), (64, 64)])
def test_a_camera_follows_the_crop(width: int, height: int) -> None:
    camera = Camera(30.0, 20.0, offset=(0.05, -0.1))
    points = np.random.default_rng(1).uniform(-0.6, 0.6, (20, 3))
    ndc, _ = camera.project(points)
    # Pixels of the original, whose vertical field of view the camera has.
    pixels = np.stack([width / 2 + ndc[:, 0] * height / 2, height / 2 - ndc[:, 1] * height / 2], axis=-1)
    for crop in (
        pad_to_square(Image.new("RGBA", (width, height)))[1],
        Crop(-7.0, 11.0, 23.0, float(width), float(height)),
    ):
        moved = camera.cropped(crop.left, crop.top, crop.size, crop.width, crop.height)
        ndc_moved, _ = moved.project(points)
        in_crop = np.stack([(ndc_moved[:, 0] + 1) * crop.size / 2, (1 - ndc_moved[:, 1]) * crop.size / 2], axis=-1)
        assert np.allclose(in_crop + np.array([crop.left, crop.top]), pixels, atol=1e-6)


def test_nothing_to_crop_to_is_refused() -> None:
    with pytest.raises(InputError, match=r"12 x 8 pixels.* no foreground"):
        crop_foreground(Image.new("RGBA", (12, 8)))
    with pytest.raises(InputError, match=r"not 3\.0"):
        crop_foreground(numbered(4, 4), margin=3.0)
