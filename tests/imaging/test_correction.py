"""Cut-outs corrected by hand, compared with the shapes that were drawn."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from wavemesh.errors import InputError
from wavemesh.imaging import cut_out
from wavemesh.imaging.correction import MAX_POINTS, Correction, Stroke

WIDTH, HEIGHT = 320, 240
DISC, BOX = (90.0, 120.0), (235.0, 120.0)  # the middles of the two things


def two_things() -> tuple[Image.Image, np.ndarray, np.ndarray]:
    """A picture of a disc and a box on a plain ground, and the true mask of each."""
    rng = np.random.default_rng(0)
    disc, box = (np.zeros((HEIGHT, WIDTH), dtype=np.uint8) for _ in range(2))
    cv2.circle(disc, (90, 120), 50, 1, -1)
    cv2.rectangle(box, (200, 80), (270, 160), 1, -1)
    picture = np.full((HEIGHT, WIDTH, 3), 205.0) - 40 * np.linspace(0, 1, HEIGHT)[:, None, None]
    picture = np.where(disc[..., None] > 0, [170.0, 60, 40], picture)
    picture = np.where(box[..., None] > 0, [40.0, 80, 160], picture) + rng.normal(0, 3, picture.shape)
    return Image.fromarray(picture.clip(0, 255).astype(np.uint8)), disc > 0, box > 0


PICTURE, DISC_MASK, BOX_MASK = two_things()
BOTH = np.where(DISC_MASK | BOX_MASK, 255, 0).astype(np.uint8)
NOTHING = np.zeros_like(BOTH)


def overlap(now: Correction, truth: np.ndarray) -> float:
    found = now.alpha >= 128
    return float((found & truth).sum() / (found | truth).sum())


def click(point: tuple[float, float]) -> Stroke:
    return Stroke("object", (point,), 5.0)


def test_a_click_picks_one_of_two_things_and_another_click_the_other() -> None:
    start = Correction.of(PICTURE, BOTH)
    disc = start.stroked(click(DISC))
    assert overlap(disc, DISC_MASK) == 1.0
    box = disc.stroked(click(BOX))
    assert overlap(box, BOX_MASK) == 1.0
    assert start.alpha is BOTH
    assert np.array_equal(np.asarray(box.cutout())[..., :3], np.asarray(PICTURE))


def test_soft_edges_stay_with_the_thing_that_was_picked() -> None:
    soft = cv2.GaussianBlur(BOTH, (0, 0), 1.5)
    picked = Correction.of(PICTURE, soft).stroked(click(DISC)).alpha
    left = np.arange(WIDTH) < 160
    assert np.array_equal(picked[:, left], np.where(picked > 0, soft, 0)[:, left])
    assert (picked[DISC_MASK] == soft[DISC_MASK]).all()
    assert not picked[:, ~left].any()


def test_small_parts_near_what_was_picked_belong_to_it() -> None:
    apart = BOTH.copy()
    apart[78:80] = 0  # cuts a cap of eight rows off the disc
    assert overlap(Correction.of(PICTURE, apart).stroked(click(DISC)), DISC_MASK & (apart > 0)) == 1.0


def test_a_click_finds_what_the_first_cut_missed() -> None:
    missed = Correction.of(PICTURE, np.where(DISC_MASK, 255, 0).astype(np.uint8))
    assert overlap(missed.stroked(click(BOX)), BOX_MASK) > 0.95
    assert overlap(Correction.of(PICTURE, NOTHING).stroked(click(DISC)), DISC_MASK) > 0.95


def test_without_the_network_a_click_finds_what_has_its_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: np.ndarray) -> np.ndarray:
        raise InputError("There are no weights.")

    monkeypatch.setattr("wavemesh.imaging.u2netp.look", missing)
    assert overlap(Correction.of(PICTURE, NOTHING).stroked(click(BOX)), BOX_MASK) > 0.95


def test_a_stroke_of_keep_brings_back_what_looks_alike_around_it() -> None:
    start = Correction.of(PICTURE, np.where(DISC_MASK, 255, 0).astype(np.uint8))
    kept = start.stroked(Stroke("keep", ((215.0, 95.0), BOX, (255.0, 145.0)), 10.0))
    assert overlap(kept, DISC_MASK | BOX_MASK) > 0.95


def test_a_stroke_of_remove_takes_away_what_looks_alike_around_it() -> None:
    removed = Correction.of(PICTURE, BOTH).stroked(Stroke("remove", ((215.0, 95.0), BOX, (255.0, 145.0)), 10.0))
    assert overlap(removed, DISC_MASK) > 0.95


def test_what_was_kept_by_hand_stays_until_a_hand_removes_it() -> None:
    ground = ((160.0, 30.0), (170.0, 30.0))
    kept = Correction.of(PICTURE, BOTH).stroked(Stroke("keep", ground, 6.0))
    later = kept.stroked(Stroke("remove", ((160.0, 60.0),), 12.0))
    assert (later.alpha[28:33, 160:170] == 255).all()
    assert not later.stroked(Stroke("remove", ground, 6.0)).alpha[28:33, 160:170].any()


@settings(max_examples=30, deadline=None)
@given(
    tool=st.sampled_from(["keep", "remove"]),
    points=st.lists(st.tuples(st.floats(-20, WIDTH + 20), st.floats(-20, HEIGHT + 20)), min_size=1, max_size=4),
    radius=st.floats(0.5, 40),
    clear=st.booleans(),
)
def test_a_brush_does_what_its_name_says_where_it_was(
    tool: str, points: list[tuple[float, float]], radius: float, clear: bool
) -> None:
    picture = PICTURE.convert("RGBA")
    if clear:
        picture.putalpha(Image.fromarray(np.where(np.arange(HEIGHT)[:, None] < 120, BOTH, 255).astype(np.uint8)))
    bound = np.asarray(picture)[..., 3]
    before = Correction.of(picture, np.minimum(BOTH, bound))
    after = before.stroked(Stroke(tool, tuple(points), radius))
    inside = [(x, y) for x, y in points if 0 <= x < WIDTH and 0 <= y < HEIGHT]
    painted = np.array([after.alpha[int(y), int(x)] for x, y in inside])
    wanted = np.array([bound[int(y), int(x)] if tool == "keep" else 0 for x, y in inside])
    assert (painted == wanted).all()
    assert (after.alpha <= bound).all()
    grows = after.alpha.astype(int) - before.alpha
    assert (grows >= 0).all() if tool == "keep" else (grows <= 0).all()
    # Far from the stroke nothing changes.
    x, y = np.arange(WIDTH), np.arange(HEIGHT)[:, None]
    far = (
        (x < min(p[0] for p in points) - 10 * radius - 9)
        | (x > max(p[0] for p in points) + 10 * radius + 9)
        | (y < min(p[1] for p in points) - 10 * radius - 9)
        | (y > max(p[1] for p in points) + 10 * radius + 9)
    )
    assert not grows[far].any()
    assert np.array_equal(after.alpha, before.stroked(Stroke(tool, tuple(points), radius)).alpha)


def test_what_is_clear_in_the_picture_cannot_be_picked_and_stays_clear() -> None:
    picture = PICTURE.convert("RGBA")
    picture.putalpha(Image.fromarray(BOTH))
    start = Correction.of(picture, BOTH)
    with pytest.raises(InputError, match="nothing where you clicked"):
        start.stroked(click((160.0, 20.0)))
    assert not (start.stroked(Stroke("keep", ((160.0, 20.0),), 9.0)).alpha > BOTH).any()


def test_nothing_kept_is_refused_and_so_are_strokes_that_are_none() -> None:
    with pytest.raises(InputError, match="Nothing of the picture is kept"):
        Correction.of(PICTURE, NOTHING).cutout()
    for tool, points, radius, words in (
        ("lasso", (DISC,), 5.0, "one of object, keep, remove, not 'lasso'"),
        ("keep", (), 5.0, "not 0"),
        ("keep", (DISC,) * (MAX_POINTS + 1), 5.0, f"not {MAX_POINTS + 1}"),
        ("keep", ((float("nan"), 0.0),), 5.0, "numbers"),
        ("keep", (DISC,), 0.0, "above 0"),
        ("keep", (DISC,), float("inf"), "numbers"),
    ):
        with pytest.raises(InputError, match=words):
            Stroke(tool, points, radius)


def test_the_cut_out_of_two_things_is_corrected_from_start_to_end() -> None:
    found = cut_out(PICTURE)
    assert "2 separate things" in found.notes[0]
    corrected = Correction.of(PICTURE, np.array(found.picture.getchannel("A"))).stroked(click(DISC))
    assert cut_out(PICTURE, mask=Image.fromarray(corrected.alpha)).notes == ()
    assert overlap(corrected, DISC_MASK) > 0.95
