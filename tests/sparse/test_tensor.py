import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from wavemesh.errors import InputError
from wavemesh.sparse.tensor import SparseTensor


@given(
    shape=st.tuples(*[st.integers(1, 5)] * 3),
    batch=st.integers(1, 3),
    channels=st.integers(1, 4),
    seed=st.integers(0, 99),
)
def test_sparse_tensor_returns_the_masked_volume(
    shape: tuple[int, int, int], batch: int, channels: int, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    volume = torch.randn(batch, channels, *shape, generator=generator)
    mask = torch.rand(batch, *shape, generator=generator) < 0.5
    sparse = SparseTensor.from_dense(volume, mask)
    assert len(sparse.features) == mask.sum()
    assert sparse.sites.counts == mask.flatten(1).sum(1).tolist()
    assert torch.equal(sparse.batch_index, sparse.coords[:, 0])
    assert torch.equal(sparse.to_dense(), volume * mask[:, None])


def test_full_grid_is_channels_last_memory_without_a_copy() -> None:
    features = torch.randn(2 * 3 * 4 * 5, 6)
    full = SparseTensor.full(2, (3, 4, 5), features)
    volume = full.to_dense()
    assert volume.shape == (2, 6, 3, 4, 5)
    assert volume.data_ptr() == features.data_ptr()
    assert volume.is_contiguous(memory_format=torch.channels_last_3d)
    assert torch.equal(SparseTensor.from_dense(volume).features, features)
    b, x, y, z = full.coords[77].tolist()
    assert torch.equal(volume[b, :, x, y, z], features[77])


def test_centres_are_the_middles_of_the_cells() -> None:
    centres = SparseTensor.full(1, (2, 4, 1), torch.zeros(8, 1)).sites.centres
    assert centres[0].tolist() == [-0.5, -0.75, 0.0]
    assert centres[-1].tolist() == [0.5, 0.75, 0.0]


def test_spread_gives_each_site_the_row_of_its_sample() -> None:
    coords = torch.tensor([[0, 0, 0, 0], [0, 1, 1, 1], [2, 0, 1, 0]])
    sparse = SparseTensor(torch.zeros(3, 1), coords, (2, 2, 2), 3)
    rows = torch.randn(3, 4)
    assert torch.equal(sparse.sites.spread(rows), rows[torch.tensor([0, 0, 2])])


def test_replaced_features_share_the_cache() -> None:
    sparse = SparseTensor(torch.zeros(1, 1), torch.zeros(1, 4, dtype=torch.int64), (2, 2, 2), 1)
    sparse.cache["map"] = 1
    assert sparse.replace(torch.ones(1, 5)).cache is sparse.cache


def test_to_dense_is_differentiable() -> None:
    sparse = SparseTensor.from_dense(torch.randn(1, 2, 3, 3, 3), torch.rand(1, 3, 3, 3) < 0.5)
    features = sparse.features.clone().requires_grad_()
    sparse.replace(features).to_dense().square().sum().backward()
    torch.testing.assert_close(features.grad, 2 * features.detach())


@pytest.mark.parametrize(
    "coords, shape, message",
    [
        ([[0, 0, 0, 1], [0, 0, 0, 0]], (2, 2, 2), "lexicographic"),
        ([[0, 0, 0, 0], [0, 0, 0, 0]], (2, 2, 2), "unique"),
        ([[0, 0, 0, 0], [0, 0, 0, 2]], (2, 2, 2), "lie in the grid"),
        ([[0, 0, 0, -1], [0, 0, 0, 0]], (2, 2, 2), "lie in the grid"),
        ([[0, 0, 0, 0], [1, 0, 0, 0]], (2, 2, 2), "lie in the grid"),
        ([[0, 0, 0, 0], [0, 0, 0, 1]], (2, 0, 2), "three sides"),
        ([[0, 0, 0, 0], [0, 0, 0, 1]], (2, 2), "three sides"),
    ],
)
def test_sites_that_do_not_fit_are_refused(coords: list[list[int]], shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        SparseTensor(torch.zeros(2, 1), torch.tensor(coords), shape, 1)


def test_features_that_do_not_fill_the_grid_are_refused() -> None:
    with pytest.raises(InputError, match=r"\(7, 1\) do not fit 8 sites"):
        SparseTensor.full(1, (2, 2, 2), torch.zeros(7, 1))


def test_a_mask_of_another_shape_is_refused() -> None:
    with pytest.raises(InputError, match=r"\(1, 2, 2, 3\)"):
        SparseTensor.from_dense(torch.zeros(1, 1, 2, 2, 2), torch.ones(1, 2, 2, 3, dtype=torch.bool))


def test_a_sparse_tensor_has_no_grid_view() -> None:
    with pytest.raises(InputError, match="full grid"):
        SparseTensor.from_dense(torch.zeros(1, 1, 2, 2, 2), torch.ones(1, 2, 2, 2, dtype=torch.bool)).to_grid()
