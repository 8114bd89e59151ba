"""The wavelet bands of a triplane, one level of the Haar transform of each plane."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from wavemesh.models.planes import fold_planes, unfold_planes
from wavemesh.wavelets.transform import idwt2d

BANDS = 3


@dataclass
class PlaneBands:
    """Haar bands of the three planes: ll (B, 3, C, n, n) and details (B, 3, 3 C, n, n), both in [-2, 2].

    The details are LH, HL, HH stacked, as everywhere in the triplane system. LL carries a factor 2: planes made of it
    alone lie between -1 and 1.
    """

    ll: Tensor
    details: Tensor

    def triplane(self, keep: Float[Tensor, "b"] | None = None) -> Float[Tensor, "b 3 c h w"]:
        """The triplane (B, 3, C, 2 n, 2 n). keep: share of the details to use for each object; None for all."""
        details = self.details if keep is None else self.details * keep.view(-1, 1, 1, 1, 1).to(self.details.dtype)
        return unfold_planes(idwt2d(fold_planes(self.ll), fold_planes(details), "haar"))
