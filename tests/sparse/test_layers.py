"""Every backend against PyTorch's dense convolutions, forward and backward."""

import importlib.util

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from wavemesh.errors import InputError
from wavemesh.sparse.layers import DownConv3d, SubmanifoldConv3d, UpConv3d, resolve_backend
from wavemesh.sparse.tensor import SparseTensor

SPARSE_BACKENDS = ["reference", "spconv"]
cases = given(
    shape=st.tuples(*[st.integers(1, 3)] * 3).map(lambda halves: tuple(2 * n for n in halves)),
    batch=st.integers(1, 3),
    channels=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    density=st.sampled_from([0.1, 0.5, 1.0]),
    seed=st.integers(0, 999),
)


def random_tensor(shape: tuple[int, ...], batch: int, channels: int, density: float, seed: int) -> SparseTensor:
    torch.manual_seed(seed)
    mask = torch.rand(batch, *shape) < density
    mask[0, 0, 0, 0] = True
    sparse = SparseTensor.from_dense(torch.randn(batch, channels, *shape), mask)
    return sparse.replace(sparse.features.requires_grad_())


def filters(layer: nn.Module) -> Tensor:
    """The weight as PyTorch's convolutions take it."""
    return layer.weight.permute(0, 4, 1, 2, 3)


def at_sites(volume: Tensor, sparse: SparseTensor) -> Tensor:
    b, x, y, z = sparse.coords.unbind(1)
    return volume[b, :, x, y, z]


def assert_same(ours: Tensor, expected: Tensor, inputs: list[Tensor]) -> None:
    """Equal values, and equal gradients of a random weighted sum."""
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-4)
    weights = torch.randn_like(expected)
    grads = torch.autograd.grad((ours * weights).sum(), inputs, retain_graph=True)
    wanted = torch.autograd.grad((expected * weights).sum(), inputs, retain_graph=True)
    for one, other in zip(grads, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("backend", SPARSE_BACKENDS)
@cases
def test_submanifold_equals_dense_convolution(backend, shape, batch, channels, density, seed) -> None:
    x = random_tensor(shape, batch, channels[0], density, seed)
    layer = SubmanifoldConv3d(*channels, kernel=1 if seed % 5 == 0 else 3, backend=backend)
    nn.init.normal_(layer.bias)
    dense = F.conv3d(x.to_dense(), filters(layer), layer.bias, padding="same")
    assert_same(layer(x).features, at_sites(dense, x), [x.features, layer.weight, layer.bias])


@pytest.mark.parametrize("backend", SPARSE_BACKENDS)
@settings(max_examples=10)
@cases
def test_down_equals_strided_convolution(backend, shape, batch, channels, density, seed) -> None:
    x = random_tensor(shape, batch, channels[0], density, seed)
    layer = DownConv3d(*channels, backend=backend)
    nn.init.normal_(layer.bias)
    coarse = layer(x)
    occupied = F.max_pool3d(x.replace(torch.ones(len(x.sites), 1)).to_dense(), 2)
    assert torch.equal(coarse.coords, occupied[:, 0].nonzero())
    dense = F.conv3d(x.to_dense(), filters(layer), layer.bias, stride=2)
    assert_same(coarse.features, at_sites(dense, coarse), [x.features, layer.weight, layer.bias])


@pytest.mark.parametrize("backend", SPARSE_BACKENDS)
@settings(max_examples=10)
@cases
def test_up_equals_transposed_convolution(backend, shape, batch, channels, density, seed) -> None:
    finer = random_tensor(shape, batch, 1, density, seed)
    coarse = DownConv3d(1, channels[0], backend=backend)(finer)
    coarse = coarse.replace(torch.randn_like(coarse.features).requires_grad_())
    layer = UpConv3d(*channels, backend=backend)
    nn.init.normal_(layer.bias)
    dense = F.conv_transpose3d(coarse.to_dense(), filters(layer).transpose(0, 1), layer.bias, stride=2)
    assert_same(layer(coarse, finer).features, at_sites(dense, finer), [coarse.features, layer.weight, layer.bias])


def test_full_grids_go_the_dense_way_and_agree_with_all_sites_active() -> None:
    volume = torch.randn(2, 3, 4, 6, 2)
    full = SparseTensor.from_dense(volume)
    every = SparseTensor.from_dense(volume, torch.ones(2, 4, 6, 2, dtype=torch.bool))
    conv, down, up = SubmanifoldConv3d(3, 4), DownConv3d(4, 5), UpConv3d(5, 2)
    outs = []
    for x in (full, every):
        fine = conv(x)
        coarse = down(fine)
        outs.append((fine, coarse, up(coarse, fine)))
    for dense, sparse in zip(*outs, strict=True):
        assert dense.is_full
        assert not sparse.is_full
        torch.testing.assert_close(dense.features, sparse.features, rtol=1e-4, atol=1e-5)
    assert not full.cache.get(("neighbours", 3))


def test_the_reference_backend_takes_full_grids_too() -> None:
    full = SparseTensor.full(1, (4, 4, 4), torch.randn(64, 3))
    layer = SubmanifoldConv3d(3, 4, backend="reference")
    dense = F.conv3d(full.to_dense(), filters(layer), layer.bias, padding=1)
    torch.testing.assert_close(layer(full).to_dense(), dense, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("backend", SPARSE_BACKENDS)
def test_autocast_computes_in_bfloat16(backend: str) -> None:
    x = random_tensor((4, 4, 4), 2, 3, 0.5, 0)
    layer = SubmanifoldConv3d(3, 4, backend=backend)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = layer(x).features
    assert out.dtype == torch.bfloat16
    out.float().sum().backward()
    assert layer.weight.grad.dtype == torch.float32
    torch.testing.assert_close(out.float(), layer(x).features, rtol=0.05, atol=0.05)


@pytest.mark.parametrize("backend", SPARSE_BACKENDS)
def test_samples_do_not_see_each_other(backend: str) -> None:
    x = random_tensor((4, 4, 4), 2, 3, 1.0, 0)
    layer = SubmanifoldConv3d(3, 4, backend=backend)
    changed = x.replace(torch.where(x.batch_index[:, None] == 1, 0.0, x.features))
    assert torch.equal(layer(x).features[:64], layer(changed).features[:64])


def test_no_sites_give_no_features() -> None:
    empty = SparseTensor(torch.zeros(0, 3), torch.zeros(0, 4, dtype=torch.int64), (4, 4, 4), 1)
    for backend in SPARSE_BACKENDS:
        fine = SubmanifoldConv3d(3, 4, backend=backend)(empty)
        coarse = DownConv3d(4, 5, backend=backend)(fine)
        assert coarse.features.shape == (0, 5)
        assert UpConv3d(5, 2, backend=backend)(coarse, fine).features.shape == (0, 2)


@pytest.mark.parametrize("layer", [SubmanifoldConv3d, DownConv3d, UpConv3d])
def test_an_unknown_backend_is_refused(layer: type[nn.Module]) -> None:
    with pytest.raises(InputError, match="'minkowski'"):
        layer(1, 1, backend="minkowski")


def test_a_backend_that_is_not_installed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert resolve_backend("auto") == "reference"
    with pytest.raises(InputError, match="not installed"):
        resolve_backend("spconv")


def test_layers_refuse_what_does_not_fit() -> None:
    sparse = random_tensor((4, 4, 4), 1, 3, 0.5, 0)
    with pytest.raises(InputError, match="odd kernel"):
        SubmanifoldConv3d(3, 3, kernel=2)
    with pytest.raises(InputError, match="takes 5 channels, got 3"):
        SubmanifoldConv3d(5, 3)(sparse)
    with pytest.raises(InputError, match="full grid"):
        SubmanifoldConv3d(3, 3, backend="dense")(sparse)
    with pytest.raises(InputError, match="full grid"):
        DownConv3d(3, 3, backend="dense")(sparse)
    with pytest.raises(InputError, match="not the"):
        UpConv3d(3, 3)(sparse, sparse)


def test_a_layer_says_its_widths_and_backend() -> None:
    assert "2, 3, kernel=3, backend='reference'" in repr(SubmanifoldConv3d(2, 3, backend="reference"))
