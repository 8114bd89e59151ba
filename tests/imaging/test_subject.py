"""Which of several things is meant: drawn ones whose places and sizes say it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from wavemesh.imaging.subject import beside_the_subject, worth_telling

SIZE = (300, 400)  # rows, columns


def drawn(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    """A mask of boxes: left, top, right and lower, each with its last pixel."""
    mask = np.zeros(SIZE, dtype=np.uint8)
    for left, top, right, lower in boxes:
        cv2.rectangle(mask, (left, top), (right, lower), 1, -1)
    return mask > 0


CHAIR = (150, 120, 240, 220)
SHADE, FOOT = (160, 30, 240, 100), (180, 230, 220, 250)  # of a lamp, whose pole was not seen


@pytest.mark.parametrize(
    ("others", "kept"),
    [
        pytest.param([(0, 0, 399, 60)], [CHAIR], id="a house behind, larger, cut by the border"),
        pytest.param([(340, 20, 395, 80)], [CHAIR], id="a lamp in a corner"),
        pytest.param([], [CHAIR], id="nothing else"),
        pytest.param([], [(60, 100, 180, 200), (220, 100, 340, 200)], id="a pair"),
        pytest.param([], [SHADE, FOOT], id="both ends of one thing"),
        pytest.param([], [CHAIR, (150, 224, 158, 260), (232, 224, 240, 260)], id="legs just apart"),
        pytest.param([], [(5, 5, 20, 20), (0, 40, 399, 299)], id="what fills the picture, and a scrap"),
    ],
)
def test_what_stands_beside_the_subject(
    others: list[tuple[int, int, int, int]], kept: list[tuple[int, int, int, int]]
) -> None:
    mask = drawn(*others, *kept)
    found = beside_the_subject(mask)
    np.testing.assert_array_equal(found, drawn(*others))
    large = sum((right - left) * (lower - top) for left, top, right, lower in others) > 0.2 * drawn(*kept).sum()
    assert worth_telling(found, mask) == large
    # As well at another size, and in a mirror.
    twice = np.kron(mask, np.ones((5, 5), dtype=bool))
    assert beside_the_subject(twice).mean() == pytest.approx(found.mean(), abs=1e-3)
    np.testing.assert_array_equal(beside_the_subject(np.ascontiguousarray(mask[:, ::-1])), found[:, ::-1])


def test_a_mask_without_anything_has_nothing_beside_it() -> None:
    assert not beside_the_subject(np.zeros((40, 30), dtype=bool)).any()
