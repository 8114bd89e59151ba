"""Sparse sites as diffusion sees them: features, coordinates, a batch size and `replace`."""

from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor


@dataclass(frozen=True)
class Sites:
    """The part of SparseTensor that diffusion uses."""

    features: Tensor
    coords: Tensor
    batch_size: int

    def replace(self, features: Tensor) -> "Sites":
        return replace(self, features=features)


@pytest.fixture
def sites() -> Sites:
    """Six sites of three samples."""
    batch = torch.tensor([0, 0, 0, 1, 1, 2])
    coords = torch.cat([batch[:, None], torch.arange(18).reshape(6, 3)], dim=1)
    features = torch.randn(6, 2, generator=torch.Generator().manual_seed(0))
    return Sites(features, coords, 3)
