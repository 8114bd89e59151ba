"""Pictures between upload and pipeline: cut-outs, framing, angles and the box."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wavemesh.errors import InputError
from wavemesh.geometry.camera import Camera
from wavemesh.ui.pictures import (
    KEPT_SIDE,
    SHOWN_SIDE,
    Picture,
    cut_out,
    in_order,
    parse_cameras,
    parse_sides,
    reordered,
    shown,
    with_angles,
    with_background,
    with_side,
)


def test_large_pictures_are_kept_small(tmp_path: Path) -> None:
    pixels = np.full((1500, 2000, 3), 240, dtype=np.uint8)
    pixels[500:1000, 700:1300] = (30, 80, 160)
    Image.fromarray(pixels).save(tmp_path / "large.png")
    picture = cut_out(tmp_path / "large.png")
    assert max(picture.cutout.size) == KEPT_SIDE
    assert picture.name == "large.png"
    assert 0.08 < (np.asarray(picture.cutout)[..., 3] > 128).mean() < 0.12


def test_hand_set_angles_frame_the_object_like_the_default_camera(pictures: list[Path]) -> None:
    cutout, camera = cut_out(pictures[0]).placed()
    rows = np.flatnonzero((np.asarray(cutout)[..., 3] > 128).any(axis=1))
    share = (rows[-1] - rows[0] + 1) / cutout.height
    # A ball as wide as the longest side, seen by the default camera.
    expected = 0.9 / np.sqrt(4.56**2 - 0.9**2) / np.tan(np.radians(20))
    assert share == pytest.approx(expected, abs=0.1)
    assert camera == Camera(0.0, 15.0)


def test_angles_that_nobody_touched_change_nothing(pictures: list[Path]) -> None:
    known = Picture("a", Image.new("RGBA", (8, 8)), Camera(200.4, 10.3, 3.0))
    new = cut_out(pictures[0])
    azimuths, elevations = zip(*[(round(p.angles[0]), round(p.angles[1])) for p in (known, new)], strict=True)
    assert with_angles([known, new], azimuths, elevations) == [known, new]
    turned = with_angles([known, new], [0.0, 90.0], [None, 45.0])
    assert turned[0].camera == Camera(0.0, 10.3, 3.0)
    assert turned[1].camera is None
    assert turned[1].angles == (90.0, 45.0)
    assert turned[1].placed()[1] == Camera(90.0, 45.0)


def test_the_box_follows_the_camera(pictures: list[Path]) -> None:
    plain = cut_out(pictures[0])
    without = np.asarray(shown(plain, True))
    camera = Camera(30.0, 20.0)
    known = Picture("a", plain.cutout, camera)
    image = shown(known, False)
    assert image.size == (SHOWN_SIDE, SHOWN_SIDE)
    pixels = np.asarray(image).astype(int)
    blue = (pixels[..., 2] > pixels[..., 0] + 40) & (pixels[..., 3] > 60)
    assert not ((without[..., 2].astype(int) > without[..., 0].astype(int) + 40) & (without[..., 3] > 60)).any()
    corner, _ = camera.project(np.array([[0.9, 0.9, 0.9]]))
    column, row = (corner[0] * [1, -1] + 1) / 2 * SHOWN_SIDE
    assert blue[int(row) - 4 : int(row) + 5, int(column) - 4 : int(column) + 5].any()
    assert not np.array_equal(pixels, np.asarray(shown(with_angles([known], [60.0], [20.0])[0], False)))


def test_a_background_is_shown_beside_the_cut_out_and_can_stay(pictures: list[Path]) -> None:
    """The second disc is on white, the first one has its own transparency."""
    clear, opaque = cut_out(pictures[0]), cut_out(pictures[1])
    assert clear.whole is None
    assert shown(clear, True).width == shown(clear, True).height
    both = np.asarray(shown(opaque, True))
    side = both.shape[0]
    assert both.shape[1] > 2 * side
    assert (both[:, :side, 3] == 255).all()
    assert (both[0, -side:, 3] == 0).all()
    found = (opaque.cutout, Camera(10.0, 35.0, fov_deg=20.0))
    kept = with_background([clear, replace(opaque, found=found)], True)
    assert kept[0] is clear
    # The angles stay; the rest of the camera belonged to what was there before.
    assert kept[1].angles == (10.0, 35.0)
    assert kept[1].placed()[1] == Camera(10.0, 35.0)
    assert kept[1].placed()[0] == replace(opaque, keeps_background=True).placed()[0]
    assert np.asarray(kept[1].used)[..., 3].min() == 255
    assert with_background(with_background([clear, opaque], True), False) == [clear, opaque]


def test_cameras_of_programs() -> None:
    assert parse_cameras(None, 2) == [None, None]
    cameras = parse_cameras([{"azimuth_deg": 30, "offset": [0, 0.5]}, None], 2)
    assert cameras == [Camera(30.0, offset=(0.0, 0.5)), None]
    for bad, words in (
        ([None], "one entry for each of the 2 pictures, not 1"),
        ("north", "not str"),
        ([{"azimuth_deg": "north"}, None], "numbers azimuth_deg.*'north'"),
        ([{"roll": 3}, None], "only the entries .*'roll'"),
        ([3, None], "an object .*not 3"),
        ([{"offset": [1]}, None], "numbers azimuth_deg"),
        ([{"offset": 1}, None], "numbers azimuth_deg"),
        ([{"elevation_deg": 100}, None], "not 100.0"),
    ):
        with pytest.raises(InputError, match=words):
            parse_cameras(bad, 2)


def test_sides_orders_and_places(pictures: list[Path]) -> None:
    found = (Image.new("RGBA", (8, 8)), Camera(12.0, 7.0))
    four = [replace(cut_out(pictures[0]), name=str(index), found=found) for index in range(4)]
    named = in_order(four)
    assert [picture.side for picture in named] == ["front", "right", "back", "left"]
    # What was found for them was found without their sides.
    assert [picture.angles for picture in named] == [(0.0, 15.0), (90.0, 15.0), (-180.0, 15.0), (-90.0, 15.0)]
    [*_, last] = with_side(four, 3, "top")
    assert last.side == "top"
    assert last.angles[1] > 60.0
    assert with_side([last], 0, None)[0].side is None
    assert [picture.name for picture in reordered(four, 3, 0)] == ["3", "0", "1", "2"]
    assert reordered(four, 0, 4) == reordered(four, -1, 0) == four


def test_sides_of_programs() -> None:
    assert parse_sides([], 2) == parse_sides(None, 2) == (None, None)
    assert parse_sides(["front", None], 2) == ("front", None)
    for bad, words in (
        (["front"], "one entry for each of the 2 pictures, not 1"),
        ("front", "not str"),
        (["front", "north"], "front, right, back, left, top, not 'north'"),
    ):
        with pytest.raises(InputError, match=words):
            parse_sides(bad, 2)
