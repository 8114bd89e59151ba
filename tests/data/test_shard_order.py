"""The order of a stream: every shape once a pass, shuffled, the same from anywhere, own shards for each process."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from wavemesh.data.shard_order import ShardOrder

COUNTS = [6, 3, 6, 6, 1, 6, 6, 2, 5, 6, 6]


def batch(order: ShardOrder, number: int, size: int = 4, seed: int = 0) -> list[int]:
    return order.batch(seed, number, range(number * size, (number + 1) * size))[0]


def shard_of(shape: int) -> int:
    return int(np.searchsorted(np.cumsum(COUNTS), shape, side="right"))


@pytest.mark.parametrize(("lanes", "window"), [(1, 1), (1, 4), (3, 2), (4, 4), (11, 1)])
def test_a_lane_gives_each_of_its_shapes_once_a_pass(lanes: int, window: int) -> None:
    order = ShardOrder(COUNTS, lanes, window)
    for lane in range(lanes):
        dealt = np.random.default_rng((0, 0)).permutation(len(COUNTS))[lane::lanes]
        held = sum(COUNTS[shard] for shard in dealt)
        taken = list(itertools.islice(itertools.chain(*(batch(order, n) for n in range(lane, 99, lanes))), held))
        assert len(set(taken)) == held
        assert {shard_of(shape) for shape in taken} == set(dealt.tolist())


def test_all_lanes_together_have_every_shape_and_passes_differ() -> None:
    order = ShardOrder([8] * 6, 3, 2)
    passes = [[batch(order, n) for n in range(start, start + 12)] for start in (0, 12)]
    for one in passes:
        assert sorted(itertools.chain(*one)) == list(range(48))
    assert passes[0] != passes[1]
    assert passes[0] != [batch(order, n, seed=1) for n in range(12)]
    # Shapes of different shards are mixed.
    assert len({shape // 8 for shape in itertools.chain(*passes[0][0::3][:2])}) == 2


def test_a_batch_is_the_same_without_those_before_it() -> None:
    order = ShardOrder(COUNTS, 4, 2)
    unbroken = [batch(order, n) for n in range(200)]
    for number in (199, 57, 120):
        assert batch(ShardOrder(COUNTS, 4, 2), number) == unbroken[number]
    assert batch(order, 3) == unbroken[3]  # back again


@pytest.mark.parametrize("processes", [2, 4])
def test_a_process_reads_its_own_lanes_and_what_comes_next_is_announced(processes: int) -> None:
    order = ShardOrder(COUNTS, 4, 2)
    read: list[set[int]] = []
    for rank in range(processes):
        announced: set[int] = set()
        numbers = range(rank, 3, processes) if processes == 4 else range(rank, 4, processes)
        for number in numbers:
            shapes, shards = order.batch(0, number, range(number * 4, number * 4 + 4))
            assert {shard_of(shape) for shape in shapes} <= set(shards)
            announced |= {shard_of(shape) for shape in shapes}
        read.append(announced)
    assert all(first.isdisjoint(second) for first, second in itertools.combinations(read, 2))
    before = order.batch(0, 0, range(4))[1]
    assert {shard_of(shape) for shape in batch(order, 4)} <= set(before)  # the lane's next batch


def test_batches_of_changing_size_stay_in_their_lane() -> None:
    order, sizes = ShardOrder([10] * 8, 2, 2), [3, 4, 3, 4, 4, 3, 3, 4]
    starts = np.cumsum([0, *sizes])
    taken = [order.batch(0, n, range(int(starts[n]), int(starts[n + 1])))[0] for n in range(len(sizes))]
    assert [len(each) for each in taken] == sizes
    read = [{shape // 10 for each in taken[lane::2] for shape in each} for lane in range(2)]
    assert read[0].isdisjoint(read[1])
