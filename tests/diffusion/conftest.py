"""Sparse sites of three samples with different numbers of sites."""

import pytest
import torch

from wavemesh.sparse.tensor import SparseTensor


@pytest.fixture
def sites() -> SparseTensor:
    """Six sites of three samples, two channels."""
    mask = torch.zeros(3, 2, 2, 2, dtype=torch.bool)
    mask[0, 0] = mask[1, 1, 1, 1] = mask[2, 0, 1, 0] = True
    return SparseTensor.from_dense(torch.randn(3, 2, 2, 2, 2, generator=torch.Generator().manual_seed(0)), mask)
