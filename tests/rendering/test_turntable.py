"""Clay previews, turntables and contact sheets."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from wavemesh.errors import InputError
from wavemesh.geometry.camera import Camera
from wavemesh.rendering.turntable import contact_sheet, shade_preview, turntable


def red_box() -> trimesh.Trimesh:
    mesh = trimesh.creation.box((1.4, 0.8, 0.4))
    mesh.visual.face_colors = np.tile((255, 0, 0, 255), (12, 1))
    return mesh


def test_clay_hides_the_meshs_colours_and_shows_its_sides() -> None:
    picture = shade_preview(red_box(), Camera(40.0, 30.0), 64)
    assert picture.shape == (64, 64, 3)
    assert picture.dtype == np.uint8
    assert tuple(picture[0, 0]) == (255, 255, 255)
    clay = picture[(picture != 255).any(axis=-1)].astype(int)
    assert (np.ptp(clay, axis=1) < 40).all()
    assert np.ptp(clay.mean(axis=1)) > 40  # the three visible sides differ in brightness


def test_a_turntable_goes_once_around() -> None:
    frames = turntable(red_box(), 8, 48)
    widths = [(frame != 255).any(axis=(0, 2)).sum() for frame in frames]
    assert len(frames) == 8
    assert np.abs(frames[0].astype(int) - frames[4]).mean() < 1.0  # a box looks alike from behind, lamp included
    assert widths[0] > widths[2] + 8
    assert turntable(red_box(), 2, 16, background=None)[0].shape == (16, 16, 4)


def test_contact_sheets_fill_rows_first_and_lay_alpha_over_paper() -> None:
    tiles = [np.full((4, 6, 3), value, dtype=np.uint8) for value in (10, 20, 30)]
    tiles[2] = np.dstack([tiles[2], np.zeros((4, 6), dtype=np.uint8)])
    sheet = contact_sheet(tiles, columns=2, gap=1)
    assert sheet.shape == (9, 13, 3)
    assert (sheet[:4, :6] == 10).all()
    assert (sheet[:4, 7:] == 20).all()
    assert (sheet[5:] == 255).all()
    assert contact_sheet(tiles[:2], columns=9).shape == (4, 14, 3)


def test_bad_sheets_are_refused() -> None:
    with pytest.raises(InputError, match="0"):
        contact_sheet([], 3)
    with pytest.raises(InputError, match="one size"):
        contact_sheet([np.zeros((2, 2, 3), np.uint8), np.zeros((3, 2, 3), np.uint8)], 2)
