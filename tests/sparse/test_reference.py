import itertools

import pytest
import torch

from wavemesh.errors import InputError
from wavemesh.sparse import reference
from wavemesh.sparse.tensor import SparseTensor


def random_tensor(shape: tuple[int, int, int] = (4, 6, 2), batch: int = 2, density: float = 0.4) -> SparseTensor:
    return SparseTensor.from_dense(torch.randn(batch, 3, *shape), torch.rand(batch, *shape) < density)


def test_neighbour_map_agrees_with_a_dictionary() -> None:
    sparse = random_tensor()
    rows = {tuple(site): row for row, site in enumerate(sparse.coords.tolist())}
    expected = [
        [rows.get((b, x + dx, y + dy, z + dz), len(rows)) for dx, dy, dz in itertools.product((-1, 0, 1), repeat=3)]
        for b, x, y, z in sparse.coords.tolist()
    ]
    assert reference.neighbour_map(sparse.sites, 3).tolist() == expected


def test_down_maps_invert_each_other() -> None:
    sparse = random_tensor()
    coarse = reference.coarse_sites(sparse.sites)
    cells, slots = reference.down_maps(sparse.sites)
    assert {tuple(site) for site in coarse.coords.tolist()} == {
        (b, x // 2, y // 2, z // 2) for b, x, y, z in sparse.coords.tolist()
    }
    assert torch.equal(cells.flatten()[slots], torch.arange(len(sparse.sites)))
    assert int((cells < len(sparse.sites)).sum()) == len(sparse.sites)
    for row, children in enumerate(cells.tolist()):
        for place, child in enumerate(children):
            if child < len(sparse.sites):
                b, x, y, z = coarse.coords[row].tolist()
                site = [b, 2 * x + place // 4, 2 * y + place // 2 % 2, 2 * z + place % 2]
                assert sparse.coords[child].tolist() == site


def test_maps_are_built_once() -> None:
    sites = random_tensor().sites
    assert reference.neighbour_map(sites, 3) is reference.neighbour_map(sites, 3)
    assert reference.coarse_sites(sites) is reference.coarse_sites(sites)
    assert reference.down_maps(sites) is reference.down_maps(sites)


def test_an_odd_side_cannot_be_halved() -> None:
    with pytest.raises(InputError, match=r"\(4, 3, 2\)"):
        reference.coarse_sites(random_tensor((4, 3, 2)).sites)


def test_gradients_agree_with_finite_differences() -> None:
    sparse = random_tensor(batch=1)
    sites = sparse.sites
    features = sparse.features.double().requires_grad_()
    kernel = torch.randn(2, 3, 3, 3, 3, dtype=torch.float64, requires_grad=True)
    step = torch.randn(2, 2, 2, 2, 3, dtype=torch.float64, requires_grad=True)
    coarse = torch.randn(len(reference.coarse_sites(sites)), 3, dtype=torch.float64, requires_grad=True)
    # The weight's gradient is summed in float32, hence the tolerance.
    assert torch.autograd.gradcheck(lambda x, w: reference.submanifold(x, w, sites), (features, kernel), atol=1e-4)
    assert torch.autograd.gradcheck(lambda x, w: reference.down(x, w, sites), (features, step))
    assert torch.autograd.gradcheck(lambda x, w: reference.up(x, w, sites), (coarse, step))


def test_chunks_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    sparse = random_tensor()

    def run() -> list[torch.Tensor]:
        features = sparse.features.clone().requires_grad_()
        weight = torch.linspace(-1, 1, 4 * 27 * 3).view(4, 3, 3, 3, 3).requires_grad_()
        out = reference.submanifold(features, weight, sparse.sites)
        out.square().sum().backward()
        return [out.detach(), features.grad, weight.grad]

    whole = run()
    monkeypatch.setattr(reference, "CHUNK_VALUES", {"cpu": 27 * 3 * 5, "cuda": 1})
    for one, other in zip(whole, run(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-4)


def test_the_result_repeats_bit_for_bit() -> None:
    sparse = random_tensor((8, 8, 8))
    weight = torch.randn(4, 3, 3, 3, 3)
    first = reference.submanifold(sparse.features, weight, sparse.sites)
    assert torch.equal(first, reference.submanifold(sparse.features, weight, sparse.sites))
