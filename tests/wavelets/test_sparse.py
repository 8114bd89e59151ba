import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from torch import Tensor

from wavemesh.errors import InputError
from wavemesh.wavelets.filters import BANK_NAMES
from wavemesh.wavelets.sparse import (
    SparseCoefficients,
    active_sites,
    create_sparse_tensor_from_wavelet,
    gather_sites,
    scatter_sites,
    sdf_to_sparse_wavelet,
    sparse_wavelet_to_sdf,
)
from wavemesh.wavelets.transform import field_scale, idwt3d, wavedec3d

TRUNCATION = 0.09


def shape_sdf(shape: str, size: int = 128) -> Tensor:
    """Analytic signed distances, negative inside, truncated."""
    axis = (torch.arange(size) + 0.5) / size * 2 - 1
    points = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1)
    if shape == "sphere":
        sdf = points.norm(dim=-1) - 0.7
    elif shape == "box":
        excess = (points - torch.tensor([0.01, 0.02, 0.03])).abs() - torch.tensor([0.8, 0.51, 0.33])
        sdf = excess.clamp_min(0).norm(dim=-1) + excess.amax(dim=-1).clamp_max(0)
    else:
        ring = points[..., [0, 2]].norm(dim=-1) - 0.6
        sdf = torch.stack([ring, points[..., 1]], dim=-1).norm(dim=-1) - 0.2
    return sdf.clamp(-TRUNCATION, TRUNCATION)


def iou(first: Tensor, second: Tensor) -> float:
    return float(((first < 0) & (second < 0)).sum() / ((first < 0) | (second < 0)).sum())


@pytest.mark.parametrize("shape", ("sphere", "box", "torus"))
@pytest.mark.parametrize("bank", BANK_NAMES)
def test_the_active_sites_keep_the_shape(shape: str, bank: str) -> None:
    sdf = shape_sdf(shape)
    sparse = SparseCoefficients.from_sdf(sdf, bank)
    assert iou(sparse.to_sdf(), sdf) >= 0.99
    assert len(sparse.coords) < 0.11 * 64**3
    assert sparse.approximation.shape == (1, 32, 32, 32)
    assert sparse.features.shape == (len(sparse.coords), 7)


def test_the_finest_details_are_what_makes_it_exact() -> None:
    sdf = shape_sdf("box")
    sparse = SparseCoefficients.from_sdf(sdf, "haar")
    without = SparseCoefficients(
        sparse.approximation, sparse.details_coarse, sparse.coords[:0], sparse.features[:0], "haar"
    )
    assert iou(without.to_sdf(), sdf) < 0.97 < iou(sparse.to_sdf(), sdf)


def test_decoding_finds_the_same_sites_again() -> None:
    sparse = SparseCoefficients.from_sdf(shape_sdf("torus", 64), "bior2.2")
    field = sparse.coarse_field()
    assert torch.equal(active_sites(field[None, None])[0].nonzero(), sparse.coords)
    # The field is in SDF units: far away it is the truncation.
    assert float(field[0, 0, 0]) == pytest.approx(TRUNCATION, abs=1e-3)


def test_the_threshold_rule_without_a_threshold_is_exact() -> None:
    sdf = shape_sdf("torus", 32)
    sparse = SparseCoefficients.from_sdf(sdf.numpy(), "bior4.4", rule="threshold")
    torch.testing.assert_close(sparse.to_sdf(), sdf, atol=1e-5, rtol=0)
    larger = SparseCoefficients.from_sdf(sdf, "bior4.4", rule="threshold", threshold=0.02)
    assert 0 < len(larger.coords) < len(sparse.coords)
    assert float(larger.features.abs().amax(dim=1).min()) > 0.02


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 2))
def test_active_sites_are_the_dilated_sign_changes(seed: int, dilation: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    field = torch.rand(2, 1, 6, 5, 7, generator=generator) - 0.03
    mask = active_sites(field, dilation=dilation)
    for one, expected_of in zip(mask, field[:, 0].numpy() < 0, strict=True):
        # Independent: a cell changes sign if growing the inside or the outside by its six neighbours reaches it.
        expected = (ndimage.binary_dilation(expected_of) & ~expected_of) | (
            ndimage.binary_dilation(~expected_of) & expected_of
        )
        if dilation:
            expected = ndimage.binary_dilation(expected, iterations=dilation)
        np.testing.assert_array_equal(one.numpy(), expected)


def test_small_values_count_as_active_on_request() -> None:
    field = torch.ones(1, 1, 4, 4, 4)
    field[0, 0, 1, 2, 3] = 0.01
    assert not active_sites(field).any()
    assert active_sites(field, dilation=0, threshold=0.05).nonzero().tolist() == [[0, 1, 2, 3]]


def test_gathering_and_scattering_are_inverse_and_differentiable() -> None:
    generator = torch.Generator().manual_seed(0)
    details = torch.randn(2, 7, 3, 4, 5, generator=generator).requires_grad_()
    mask = torch.rand(2, 3, 4, 5, generator=generator) < 0.3
    features, coords = gather_sites(details, mask)
    assert features.shape == (int(mask.sum()), 7)
    batch, x, y, z = coords[3].tolist()
    assert torch.equal(features[3], details[batch, :, x, y, z])
    dense = scatter_sites(features, coords, 2, (3, 4, 5))
    assert torch.equal(dense, details * mask[:, None])
    dense.sum().backward()
    assert torch.equal(details.grad, mask[:, None].expand_as(details).float())


def test_the_packed_form_round_trips() -> None:
    sdf = shape_sdf("sphere", 32)
    coeffs, coords = sdf_to_sparse_wavelet(sdf)
    assert coeffs.shape == (len(coords), 1)
    assert coords.dtype == torch.int64
    sparse = SparseCoefficients.from_sdf(sdf)
    torch.testing.assert_close(sparse_wavelet_to_sdf(coeffs, coords, 32), sparse.to_sdf())
    # The approximation fills the first eighth of every axis' quarter, in the roadmap's order of axes.
    tensor = create_sparse_tensor_from_wavelet(coeffs, coords, (32, 32, 32))
    torch.testing.assert_close(tensor.to_dense()[0, :, :8, :8, :8], sparse.approximation)
    pyramid = wavedec3d(sdf[None, None], "bior2.2", 2)
    torch.testing.assert_close(tensor.to_dense()[0, 0, :8, :8, 8:16], pyramid.details[0][0, 0])
    torch.testing.assert_close(tensor.to_dense()[0, 0, 8:16, :8, 8:16], pyramid.details[0][0, 4])


def test_a_batch_of_coefficients_becomes_one_sparse_tensor() -> None:
    coords = torch.tensor([[0, 1, 2, 3], [0, 0, 0, 1]])
    coeffs = torch.tensor([[1.0], [2.0]])
    tensor = create_sparse_tensor_from_wavelet(coeffs.expand(3, 2, 1), coords.expand(3, 2, 4), (4, 4, 4))
    assert tensor.batch_size == 3
    assert tensor.coords[:2].tolist() == [[0, 0, 0, 1], [0, 1, 2, 3]]
    assert tensor.features[:2, 0].tolist() == [2.0, 1.0]
    assert tensor.coords[-1].tolist() == [2, 1, 2, 3]


@pytest.mark.parametrize("sites", ([[0, 4, 0, 0]], [[0, -1, 0, 0]], [[0, 1, 1, 1], [0, 1, 1, 1]]))
def test_sites_outside_the_grid_or_twice_are_refused(sites: list[list[int]]) -> None:
    with pytest.raises(InputError):
        create_sparse_tensor_from_wavelet(torch.ones(len(sites), 1), torch.tensor(sites), (4, 4, 4))


def test_misuse_is_refused_with_the_value() -> None:
    sdf = shape_sdf("sphere", 16)
    with pytest.raises(InputError, match="'biggest'"):
        SparseCoefficients.from_sdf(sdf, rule="biggest")
    with pytest.raises(InputError, match=r"\(16, 16, 8\)"):
        SparseCoefficients.from_sdf(sdf[..., :8])
    with pytest.raises(InputError, match=r"\(18, 18, 18\)"):
        SparseCoefficients.from_sdf(torch.zeros(18, 18, 18))
    with pytest.raises(InputError, match=r"\(16, 16, 16\)"):
        active_sites(sdf)
    with pytest.raises(InputError, match="-1"):
        active_sites(sdf[None, None], dilation=-1)
    with pytest.raises(InputError, match=r"\(3, 2\) and \(3, 3\)"):
        create_sparse_tensor_from_wavelet(torch.ones(3, 2), torch.ones(3, 3), (4, 4, 4))
    sparse = SparseCoefficients.from_sdf(sdf)
    with pytest.raises(InputError, match="features"):
        SparseCoefficients(
            sparse.approximation, sparse.details_coarse, sparse.coords, sparse.features[:, :3], resolution=16
        )


def test_the_coarse_field_is_the_first_level_of_the_transform() -> None:
    sdf = shape_sdf("sphere", 32)
    sparse = SparseCoefficients.from_sdf(sdf, "bior6.8").to("cpu")
    expected = wavedec3d(sdf[None, None], "bior6.8", 1).approximation[0, 0] / field_scale(1)
    torch.testing.assert_close(sparse.coarse_field(), expected, atol=1e-5, rtol=0)
    bands = sparse.to_bands()
    torch.testing.assert_close(
        idwt3d(bands.approximation, bands.details[0], "bior6.8")[0, 0] / field_scale(1), expected
    )
