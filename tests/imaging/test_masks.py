"""The gate for masks: crumbs go, the object stays as it is, and what will go wrong is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage

from wavemesh.errors import InputError
from wavemesh.imaging import cut_out, read_picture
from wavemesh.imaging.masks import gated

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SIDE = 200


def table(leg: int = 3) -> np.ndarray:
    """A table top on thin legs, in the middle of the picture."""
    alpha = np.zeros((SIDE, SIDE), dtype=np.uint8)
    alpha[70:80, 60:140] = 255
    for left in (62, 100, 136):
        alpha[80:150, left : left + leg] = 255
    return alpha


def notes(alpha: np.ndarray) -> str:
    return " ".join(gated(alpha, "it.png")[1])


def test_a_sound_mask_passes_untouched_and_silently() -> None:
    alpha = table(leg=1)
    alpha[70, 60:140] = 90  # a soft edge
    passed, said = gated(alpha, "it.png")
    assert np.array_equal(passed, alpha)
    assert said == ()


@given(
    strays=st.lists(st.tuples(st.integers(0, SIDE - 1), st.integers(0, SIDE - 1), st.integers(1, 3)), max_size=8),
    leg=st.integers(1, 6),
)
def test_crumbs_far_from_the_object_are_dropped(strays: list[tuple[int, int, int]], leg: int) -> None:
    alpha = table(leg)
    distance = ndimage.distance_transform_edt(alpha == 0)
    dirty = alpha.copy()
    for row, column, side in strays:
        if distance[row : row + side, column : column + side].min() > 15:
            dirty[row : row + side, column : column + side] = 255
    passed, _ = gated(dirty, "it.png")
    assert np.array_equal(passed, alpha)


@given(gap=st.integers(0, 2), share=st.floats(0.001, 1.0))
def test_parts_that_are_near_stay_however_small(gap: int, share: float) -> None:
    alpha = table()
    # A chain of parts, each near the next one: the last ones are far from the table.
    side = max(1, round(20 * share))
    for step in range(4):
        right = 60 - gap - step * (side + gap)
        alpha[72 : 72 + side, max(1, right - side) : right] = 255
    assert np.array_equal(gated(alpha, "it.png")[0], alpha)


@given(size=st.integers(8, 40))
def test_a_second_part_of_some_size_stays_wherever_it_is(size: int) -> None:
    alpha = table()
    alpha[180 - size : 180, 5 : 5 + size // 2] = 255
    passed, _ = gated(alpha, "it.png")
    whole = size * (size // 2) >= 0.02 * (table() > 0).sum()
    assert np.array_equal(passed, alpha if whole else table())


def test_views_of_the_examples_lose_at_most_a_leaf() -> None:
    for path in sorted(EXAMPLES.glob("*/view*.webp")):
        alpha = np.asarray(read_picture(path))[..., 3]
        passed, said = gated(alpha, path.name)
        assert ((alpha >= 128) & (passed < 128)).sum() <= 2, path
        assert said == (), path


def test_large_masks_are_gated_as_small_ones() -> None:
    small = table()
    small[3, 3] = 255
    large = np.kron(small, np.ones((15, 15), dtype=np.uint8))
    assert np.array_equal(gated(large, "it.png")[0], np.kron(table(), np.ones((15, 15), dtype=np.uint8)))


@pytest.mark.parametrize(
    ("shift", "words"),
    [
        ((-75, 0), "touches the upper border"),
        ((0, 100), "touches the right border"),
        ((60, -70), "touches the left and lower border"),
    ],
)
def test_an_object_cut_by_borders_is_said(shift: tuple[int, int], words: str) -> None:
    moved = ndimage.shift(table(leg=8), shift, order=0)
    assert f"it.png: the object {words}" in notes(moved)
    assert "leave some room around it." in notes(moved)


def test_several_things_are_said() -> None:
    alpha = np.zeros((SIDE, SIDE), dtype=np.uint8)
    alpha[50:90, 20:70] = alpha[60:100, 120:170] = 255
    assert "it.png: 2 separate things stand out" in notes(alpha)
    alpha[60:70, 60:125] = 255
    assert notes(alpha) == ""


def test_too_small_and_too_large_are_said() -> None:
    alpha = np.zeros((SIDE, SIDE), dtype=np.uint8)
    alpha[90:100, 90:100] = 255
    assert "fills only 0.2% of the picture" in notes(alpha)
    alpha[2:-2, 2:-2] = 255
    assert "fills 96% of the picture" in notes(alpha)
    for sentence in gated(alpha, "it.png")[1]:
        assert sentence.endswith(".")
        assert len(sentence) < 200


def test_scraps_are_refused() -> None:
    alpha = np.zeros((SIDE, SIDE), dtype=np.uint8)
    alpha[20:180:8, 20:180:8] = 255
    with pytest.raises(InputError, match=r"it\.png falls into 400 scraps, the largest 0% of them") as error:
        gated(alpha, "it.png")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("method", ["auto", "alpha"])
def test_pictures_with_alpha_pass_the_gate_too(method: str) -> None:
    dirty = table()
    dirty[0, 0] = dirty[-1, -1] = 255
    picture = Image.merge("RGBA", [Image.new("L", (SIDE, SIDE), 90)] * 3 + [Image.fromarray(dirty)])
    cutout = cut_out(picture, method)
    assert cutout.method == "alpha"
    assert np.array_equal(np.asarray(cutout.picture)[..., 3], table())
    untouched = cut_out(picture, "none")
    assert np.array_equal(np.asarray(untouched.picture), np.asarray(picture))
