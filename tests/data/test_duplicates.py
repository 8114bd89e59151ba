"""Near duplicates, groups of look-alikes, and the split that keeps them together."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scipy import ndimage

from wavemesh.data.duplicates import coarse_solid, group_look_alikes, look_alikes, similar_names
from wavemesh.data.sources import split_of


def block(*bounds: int, size: int = 32) -> np.ndarray:
    """A solid box from (x, y, z) to (x, y, z)."""
    solid = np.zeros((size,) * 3, dtype=bool)
    low, high = bounds[:3], bounds[3:]
    solid[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = True
    return solid


TABLE = block(2, 8, 6, 30, 20, 26)
TOWER = block(12, 1, 12, 20, 31, 20)
# By the first digits of `printf NAME | sha256sum`, read as a fraction: .240, .787, .825, .980.
KNOWN_SPLITS = {"chair": "train", "lamp": "train", "sofa": "val", "plane": "test"}


@pytest.mark.parametrize("size", [16, 32, 48, 64, 100, 128])
def test_a_coarse_solid_of_any_resolution(size: int) -> None:
    solid = np.random.default_rng(size).random((size,) * 3) < 0.002
    coarse = coarse_solid(solid)
    assert len(set(coarse.shape)) == 1
    assert coarse.shape[0] <= 64
    factor = size // coarse.shape[0]
    expected = np.zeros_like(coarse)
    expected[tuple((np.argwhere(solid) // factor).T)] = True
    np.testing.assert_array_equal(coarse, expected)
    # Quarter turns before and after are the same, or look-alikes would be missed.
    np.testing.assert_array_equal(coarse_solid(np.rot90(solid, 1, (0, 2))), np.rot90(coarse, 1, (0, 2)))


def test_the_prepared_resolution_becomes_32() -> None:
    assert coarse_solid(np.zeros((128,) * 3, dtype=bool)).shape == (32, 32, 32)
    assert coarse_solid(np.zeros((64,) * 3, dtype=bool)).shape == (32, 32, 32)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("Chair", "Blue chair", True),
        ("Office desk", "Desk lamp", True),
        ("Sofa 2", "Sofa 3", True),
        ("bed", "Bed", True),
        ("Chair", "Table", False),
        ("TV 1", "Car", False),
        ("Étagère", "étagère haute", True),
    ],
)
def test_similar_names(first: str, second: str, expected: bool) -> None:
    assert similar_names(first, second) is expected
    assert similar_names(second, first) is expected


def test_a_copy_under_a_like_name_is_dropped_even_if_turned() -> None:
    solids = [TABLE, TOWER, np.rot90(TABLE, 1, (0, 2))]
    grouping = group_look_alikes(["a", "b", "c"], ["Table", "Tower", "Red table"], solids)
    assert [(duplicate.key, duplicate.kept, duplicate.iou) for duplicate in grouping.duplicates] == [("c", "a", 1.0)]
    assert grouping.group == {"a": "a", "b": "b"}


def test_the_first_key_stays_whatever_the_order() -> None:
    grouping = group_look_alikes(["b", "a"], ["Table two", "Table one"], [TABLE, TABLE])
    assert [(duplicate.key, duplicate.kept) for duplicate in grouping.duplicates] == [("b", "a")]


def test_other_things_of_the_same_shape_share_a_group() -> None:
    keys, names = ["a", "b", "c", "d"], ["Door", "Window", "Tower", "Picture"]
    grouping = group_look_alikes(keys, names, [TABLE, TABLE, TOWER, TABLE])
    assert grouping.duplicates == []
    assert grouping.group == {"a": "a", "b": "a", "c": "c", "d": "a"}


def test_groups_join_over_a_dropped_model() -> None:
    """a and c are alike only through b, which is dropped as a copy of a: still one group."""
    a = block(0, 0, 0, 30, 30, 30)
    b, c = a.copy(), a.copy()
    b[0, :, :10] = False
    b[0, 20:, 10:20] = False
    c[0, :, :] = False
    c[1, :4, :] = False
    sizes = [int((first & second).sum()) / int((first | second).sum()) for first, second in ((a, b), (b, c), (a, c))]
    threshold = (sizes[2] + min(sizes[:2])) / 2
    assert sizes[2] < threshold < min(sizes[:2])
    grouping = group_look_alikes(["a", "b", "c"], ["Crate", "Crate", "Ottoman"], [a, b, c], threshold)
    assert [duplicate.key for duplicate in grouping.duplicates] == ["b"]
    assert grouping.group == {"a": "a", "c": "a"}


def test_shapes_below_the_threshold_stay_apart() -> None:
    smaller = block(2, 8, 6, 30, 19, 26)  # 11 of 12 layers: IoU .917
    grouping = group_look_alikes(["a", "b"], ["Table", "Table"], [TABLE, smaller])
    assert grouping.duplicates == []
    assert grouping.group == {"a": "a", "b": "b"}


@pytest.mark.parametrize("threshold", [0.6, 0.9])
def test_the_pairs_are_those_of_every_pair_compared(threshold: float) -> None:
    """Blobs, and copies of them that are turned and lack some cells."""
    rng = np.random.default_rng(0)
    solids = []
    for _ in range(12):
        blob = ndimage.gaussian_filter(rng.normal(size=(16, 16, 16)), 3.0)
        solids.append(blob > np.quantile(blob, rng.uniform(0.6, 0.9)))
        for share in (0.01, 0.07, 0.3):
            copy = np.rot90(solids[-1], int(rng.integers(4)), axes=(0, 2)).copy()
            solids.append(copy & (rng.random(copy.shape) > share))
    expected: list[dict[int, float]] = []
    for second, solid in enumerate(solids):
        best = {}
        for first in range(second):
            turned = [np.rot90(solid, turns, axes=(0, 2)) for turns in range(4)]
            best[first] = max((solids[first] & each).sum() / (solids[first] | each).sum() for each in turned)
        expected.append({first: iou for first, iou in best.items() if iou > threshold})
    assert sum(map(len, expected)) >= 12
    assert look_alikes(solids, threshold) == expected


def test_the_split_never_changes() -> None:
    assert {name: split_of(name) for name in KNOWN_SPLITS} == KNOWN_SPLITS


def test_the_split_is_80_10_10() -> None:
    counts = Counter(split_of(f"model-{number}") for number in range(4000))
    for split, share in (("train", 0.8), ("val", 0.1), ("test", 0.1)):
        assert counts[split] / 4000 == pytest.approx(share, abs=0.02)
