"""Scenes of objects with their masks: read, moved before another ground, photographed anew."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from wavemesh.data.scenes import Scenes, moved, photographed_anew
from wavemesh.errors import InputError

RED, GREEN, BLUE, YELLOW = (np.array(each) for each in ((200, 30, 30), (30, 180, 40), (20, 40, 200), (235, 225, 60)))


def scene(ground: np.ndarray, size: tuple[int, int] = (120, 160), thing: np.ndarray = RED) -> tuple:
    """A disc of one colour on a ground of another, and its mask."""
    down, across = np.mgrid[: size[0], : size[1]]
    disc = (down - 60) ** 2 + (across - 110) ** 2 < 30**2
    return np.where(disc[..., None], thing, ground).astype(np.uint8), disc.astype(np.float32)


def test_scenes_are_read_as_they_were_written(tmp_path: Path) -> None:
    picture, mask = scene(GREEN)
    for name in ("00000", "00001", "without-mask"):
        Image.fromarray(picture).save(tmp_path / f"{name}.jpg", quality=98)
    for name in ("00000", "00001"):
        Image.fromarray((255 * mask).astype(np.uint8)).save(tmp_path / f"{name}.png")
    scenes = Scenes(tmp_path)
    assert len(scenes) == 2
    read, opacity = scenes.scene(1)
    assert np.abs(read.astype(int) - picture).mean() < 3
    assert np.array_equal(opacity, mask)


def test_what_is_no_scene_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no scenes in"):
        Scenes(tmp_path)
    picture, mask = scene(GREEN)
    Image.fromarray(picture).save(tmp_path / "a.jpg")
    Image.fromarray((255 * mask[:50]).astype(np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(InputError, match="160, 50"):
        Scenes(tmp_path).scene(0)
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match="cannot be read"):
        Scenes(tmp_path).scene(0)


@given(seed=st.integers(0, 10_000))
def test_a_moved_object_stands_before_the_other_ground_alone(seed: int) -> None:
    rng = np.random.default_rng(seed)
    picture, mask = moved(*scene(GREEN), np.tile(BLUE, (70, 90, 1)).astype(np.uint8), rng)
    assert picture.shape[:2] == mask.shape
    assert abs(mask.sum() - scene(GREEN)[1].sum()) < 60  # as large as it was, whole
    is_red = picture[..., 0].astype(int) > picture[..., 2].astype(int)
    assert (is_red == (mask > 0.5)).mean() > 0.999
    assert picture[mask == 0].max(axis=0)[1] < 100  # nothing of its own green ground


def test_grounds_are_photographs_or_what_scenes_show_beside_their_objects(tmp_path: Path) -> None:
    picture, mask = scene(GREEN)
    Image.fromarray(picture).save(tmp_path / "a.jpg")
    Image.fromarray((255 * mask).astype(np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "grounds").mkdir()
    Image.fromarray(np.tile(BLUE, (80, 160, 1)).astype(np.uint8)).save(tmp_path / "grounds" / "sea.jpg")
    scenes, rng = Scenes(tmp_path), np.random.default_rng(0)
    assert len(scenes) == 1
    grounds = [scenes.ground(rng) for _ in range(30)]
    colours = np.array([each.reshape(-1, 3).mean(axis=0) for each in grounds])
    blue = colours[:, 2] > colours[:, 1]
    assert 0.3 < blue.mean() < 0.9
    assert np.abs(colours[~blue] - GREEN).max() < 12  # without the red disc
    assert min(min(each.shape[:2]) for each in grounds) >= 24


@given(seed=st.integers(0, 10_000))
def test_mask_and_picture_stay_together(seed: int) -> None:
    picture, mask = scene(BLUE, thing=YELLOW)
    seen, opacity = photographed_anew(picture, mask, np.random.default_rng(seed))
    assert seen.shape[:2] == opacity.shape
    assert 0.4 * mask.sum() < opacity.sum() <= mask.sum()
    # Light and colours change; the object stays brighter than what is not the object.
    inside, outside = seen[opacity > 0.5], seen[opacity < 0.5]
    if len(outside):
        assert inside.mean() > outside.mean() + 20


def test_borders_cut_a_part_of_some_objects() -> None:
    picture, mask = scene(BLUE, thing=YELLOW)
    rng = np.random.default_rng(0)
    left = np.array([photographed_anew(picture, mask, rng)[1].sum() / mask.sum() for _ in range(100)])
    assert 0.2 < (left < 0.97).mean() < 0.5
    assert left.min() > 0.5


def test_an_empty_mask_shows_the_whole_picture() -> None:
    picture, mask = scene(GREEN)
    rng = np.random.default_rng(0)
    assert moved(picture, np.zeros_like(mask), picture, rng)[0] is picture
    assert photographed_anew(picture, np.zeros_like(mask), rng)[0].shape == picture.shape
