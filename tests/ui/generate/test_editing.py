"""A cut-out that is corrected on the page: strokes, undo, starting over, and what becomes of the picture."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from wavemesh.errors import InputError
from wavemesh.geometry.camera import Camera
from wavemesh.imaging.correction import Stroke
from wavemesh.ui.generate.cards import notes_html
from wavemesh.ui.generate.editing import MAX_UNDO, Editing, strokes_of
from wavemesh.ui.pictures import Picture, cut_out

LEFT = Stroke("object", ((60.0, 90.0),), 5.0)


@pytest.fixture
def pair(tmp_path: Path) -> Picture:
    """A picture of a red disc and a blue box, both taken as the object."""
    drawn = Image.new("RGB", (240, 180), (235, 235, 235))
    pen = ImageDraw.Draw(drawn)
    pen.ellipse((25, 55, 95, 125), fill=(190, 50, 40))
    pen.rectangle((150, 60, 210, 120), fill=(40, 80, 170))
    drawn.save(tmp_path / "a pair.png")
    return cut_out(tmp_path / "a pair.png")


def opaque(picture: Picture) -> np.ndarray:
    return np.asarray(picture.cutout)[..., 3] >= 128


def test_a_corrected_picture_loses_its_note_and_its_found_camera(pair: Picture) -> None:
    other = replace(pair, name="other.png")
    assert "2 separate things" in pair.notes[0]
    assert pair.cut_by == "u2netp"
    pair = replace(pair, found=(pair.cutout, Camera(30.0)))
    editing = Editing.of([other, pair], 1).stroked(LEFT)
    kept, corrected = editing.put_back([other, pair])
    assert kept is other
    assert opaque(corrected)[90, 60]
    assert not opaque(corrected)[90, 180]
    assert (corrected.cut_by, corrected.notes) == ("hand", ())
    assert corrected.found is None
    assert corrected.whole == pair.whole
    # Angles that a person set are no estimate.
    by_hand = editing.put_back([other, pair], keeps_angles=True)[1]
    assert by_hand.angles == (30.0, 0.0)
    assert not (np.asarray(by_hand.placed()[0])[..., 2] > 150)[np.asarray(by_hand.placed()[0])[..., 3] > 128].any()


def test_a_known_camera_stays(pair: Picture) -> None:
    known = replace(pair, camera=Camera(75.0, 5.0))
    (corrected,) = Editing.of([known], 0).stroked(LEFT).put_back([known])
    assert corrected.camera == Camera(75.0, 5.0)


def test_undo_and_start_over(pair: Picture) -> None:
    start = Editing.of([pair], 0)
    assert start.undone() is start
    once = start.stroked(LEFT)
    twice = once.stroked(Stroke("remove", ((60.0, 90.0),), 4.0))
    assert twice.undone() == once
    assert twice.restarted() == start
    assert start.put_back([pair]) == [pair]
    # Of a picture that was corrected earlier it goes back to what was found without a hand.
    (corrected,) = once.put_back([pair])
    again = Editing.of([corrected], 0).restarted().put_back([corrected])[0]
    assert np.array_equal(opaque(again), opaque(pair))


def test_old_masks_are_forgotten_but_the_first_stays(pair: Picture) -> None:
    editing = start = Editing.of([pair], 0)
    for number in range(MAX_UNDO + 3):
        editing = editing.stroked(Stroke("remove", ((40.0 + number, 90.0),), 1.0))
    assert len(editing.steps) == MAX_UNDO + 1
    assert editing.restarted() == start


def test_a_failed_correction_changes_nothing(pair: Picture) -> None:
    editing = Editing.of([pair], 0)
    everything = Stroke("remove", tuple((x, 20.0 * row) for row in range(10) for x in (0.0, 240.0)), 40.0)
    with pytest.raises(InputError, match="has no foreground"):
        editing.stroked(everything).put_back([pair])
    with pytest.raises(InputError, match=r"a pair\.png is no longer here"):
        editing.stroked(LEFT).put_back([replace(pair, name="another")])
    with pytest.raises(InputError, match="no picture 2"):
        Editing.of([pair], 1)


def test_what_the_page_shows_is_dimmed_where_it_is_cut_away(pair: Picture) -> None:
    def decoded(editing: Editing) -> np.ndarray:
        content = base64.b64decode(editing.shown().split(",")[1])
        return np.asarray(Image.open(io.BytesIO(content)).convert("RGBA"))

    shown = decoded(Editing.of([pair], 0).stroked(LEFT))
    assert shown.shape == (180, 240, 4)
    assert shown[90, 60, 3] == 255
    assert 40 < shown[90, 180, 3] < 128


def test_strokes_as_the_page_sends_them() -> None:
    sent = {"strokes": [{"tool": "keep", "radius": 3, "points": [[1, 2], [3, 4.5]]}]}
    assert strokes_of(sent) == [Stroke("keep", ((1.0, 2.0), (3.0, 4.5)), 3.0)]
    several: list[Any] = [
        None, {}, {"strokes": []}, {"strokes": [3]}, {"strokes": [{"tool": "keep"}]}, {"strokes": "keep"},
        {"strokes": [{"tool": "keep", "radius": 3, "points": [[1]]}]},
        {"strokes": [{"tool": "cut", "radius": 3, "points": [[1, 2]]}]},
    ]  # fmt: skip
    for bad in several:
        with pytest.raises(InputError):
            strokes_of(bad)


def test_notes_stand_on_the_card_without_the_name_of_the_picture(pair: Picture) -> None:
    assert notes_html(pair).startswith('<p class="wm-note">2 separate things')
    named = replace(pair, notes=("a pair.png: the object fills <b>: crop it.",))
    assert notes_html(named) == '<p class="wm-note">The object fills &lt;b&gt;: crop it.</p>'
    assert notes_html(replace(pair, keeps_background=True)) == ""
