"""Preparing pictures: the camera follows the crop, nothing is invented beyond the border."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from wavemesh.errors import InputError
from wavemesh.geometry.camera import Camera
from wavemesh.geometry.frame import Side
from wavemesh.pipelines.views import (
    View,
    as_views,
    binding_views,
    network_tensors,
    object_window,
    prepare_views,
    resize_premultiplied,
)


def no_estimate(pictures: list[Image.Image], sides: list[Side | None]) -> list[Camera]:
    raise AssertionError("cameras were given")


def test_camera_follows_the_crop(ellipse: Image.Image) -> None:
    camera = Camera(30.0, 20.0)
    [view] = prepare_views([View(ellipse, camera)], 32, no_estimate)
    assert not view.estimated
    # The centre of the ellipse is pixel (50, 40) of the picture and the middle of the crop.
    crop = view.crop
    assert (crop.left + crop.size / 2, crop.top + crop.size / 2) == pytest.approx((50.5, 40.5), abs=1.0)
    point = np.array([[0.1, -0.05, 0.2]])
    ndc = camera.project(point)[0][0]
    # NDC of a wide picture runs from -1 to 1 over its height.
    pixel = 50.0 + ndc[0] * 40.0, 40.0 - ndc[1] * 40.0
    inside = view.camera.project(point)[0][0]
    expected = (pixel[0] - crop.left) / crop.size * 2 - 1, 1 - (pixel[1] - crop.top) / crop.size * 2
    assert inside == pytest.approx(expected, abs=1e-6)


def test_window_ends_where_the_object_touches_the_border(cut_picture: Image.Image) -> None:
    window = object_window(cut_picture)
    assert window.left == 0.0
    assert window.left + window.size > 30
    full = Image.new("RGBA", (50, 50), (255, 0, 0, 255))
    window = object_window(full)
    assert (window.left, window.top, window.size) == (0.0, 0.0, 50.0)


def test_window_has_a_margin_elsewhere(ellipse: Image.Image) -> None:
    window = object_window(ellipse, margin=0.1)
    assert window.size == pytest.approx(41 * 1.2, abs=1)


def test_resizing_does_not_bleed_colours() -> None:
    pixels = np.zeros((40, 40, 4), np.uint8)
    pixels[:, :, 1] = 255  # bright green under transparency
    pixels[10:30, 10:30] = (200, 0, 0, 255)
    small = np.asarray(resize_premultiplied(Image.fromarray(pixels), 13))
    assert small[..., 1][small[..., 3] > 0].max() == 0


def test_estimates_are_used_only_where_needed(ellipse: Image.Image) -> None:
    given, guess = Camera(10.0, 5.0), Camera(77.0, 7.0)
    views = prepare_views([View(ellipse, given), ellipse], 32, lambda pictures, sides: [guess for _ in pictures])
    assert [view.estimated for view in views] == [False, True]
    assert views[0].camera.azimuth_deg == 10.0
    assert views[1].camera == guess


def test_sides_reach_the_estimate_and_bind_the_silhouettes(ellipse: Image.Image) -> None:
    seen = []

    def estimate(pictures: list[Image.Image], sides: list[Side | None]) -> list[Camera]:
        seen.append(sides)
        return [Camera(10.0 * index) for index in range(len(pictures))]

    views = prepare_views([View(ellipse, side="right"), View(ellipse, side="top"), ellipse], 32, estimate)
    assert seen == [["right", "top", None]]
    assert [view.side for view in views] == ["right", "top", None]
    assert binding_views(views[:2]) == [0, 1]
    assert binding_views(views) == []
    assert binding_views(views[2:]) == [0]
    # What was compared binds as it was found.
    compared = [replace(view, binds=agrees) for view, agrees in zip(views, (True, False, True), strict=True)]
    assert binding_views(compared) == [0, 2]


def test_network_tensors_are_premultiplied(ellipse: Image.Image) -> None:
    views = prepare_views([View(ellipse, Camera()), View(ellipse, Camera(90.0))], 32, no_estimate)
    images, poses, intrinsics = network_tensors(views)
    assert images.shape == (1, 2, 4, 32, 32)
    assert poses.shape == (1, 2, 3, 4)
    assert intrinsics.shape == (1, 2, 3)
    assert (images[:, :, :3] <= images[:, :, 3:] + 1e-6).all()
    assert torch.isfinite(intrinsics).all()


@pytest.mark.parametrize("count", [0, 9])
def test_number_of_views(ellipse: Image.Image, count: int) -> None:
    with pytest.raises(InputError, match=str(count)):
        prepare_views([ellipse] * count, 32, no_estimate)


def test_more_views_than_cameras(ellipse: Image.Image) -> None:
    with pytest.raises(InputError, match="2 pictures were given with 1 cameras"):
        as_views([ellipse, ellipse], [Camera()])


def test_no_foreground() -> None:
    with pytest.raises(InputError, match="foreground"):
        prepare_views([Image.new("RGBA", (20, 20), (0, 0, 0, 0))], 32, no_estimate)


def test_a_mask_takes_the_place_of_the_pictures_alpha(ellipse: Image.Image) -> None:
    opaque = Image.new("RGB", ellipse.size, (120, 120, 120))
    [masked] = prepare_views([View(opaque, Camera(), ellipse.getchannel("A"))], 32, no_estimate)
    [given] = prepare_views([View(ellipse, Camera())], 32, no_estimate)
    assert (masked.cut_by, given.cut_by) == ("mask", "alpha")
    assert masked.crop == given.crop
    assert masked.camera == given.camera
    assert np.array_equal(np.asarray(masked.picture)[..., 3], np.asarray(given.picture)[..., 3])
    with pytest.raises(InputError, match="Picture 2"):
        prepare_views([View(ellipse, Camera()), View(opaque, Camera(), Image.new("L", (9, 80)))], 32, no_estimate)


def test_one_stray_pixel_changes_nothing(ellipse: Image.Image) -> None:
    dirty = ellipse.copy()
    dirty.putpixel((99, 79), (255, 255, 255, 255))
    [clean], [gated] = (prepare_views([View(picture, Camera())], 32, no_estimate) for picture in (ellipse, dirty))
    assert gated.crop == clean.crop
    assert np.array_equal(np.asarray(gated.picture), np.asarray(clean.picture))


def test_remarks_name_the_picture(ellipse: Image.Image, cut_picture: Image.Image) -> None:
    views = prepare_views([View(ellipse, Camera()), View(cut_picture, Camera())], 32, no_estimate)
    assert views[0].notes == ()
    [note] = views[1].notes
    assert note.startswith("Picture 2: the object touches the left border")
    assert prepare_views(views, 32, no_estimate) == views
