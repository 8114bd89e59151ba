"""Islands too small to be parts of an object, which no silhouette asks for, taken out of a field.

What a silhouette asks for stays: a piece of a chair's leg is an island where the rest of the leg was not found.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from scipy import ndimage
from torch import Tensor

from wavemesh.models.silhouettes import Silhouettes

CRUMB = 0.01  # of the volume of the solid
ASKED = 0.005  # of the rays of one silhouette; what fewer of them meet is its frayed edge
_TOUCHING = np.ones((3, 3, 3), dtype=bool)


def without_crumbs(
    field: Float[Tensor, "n n n"], truncation: float, silhouettes: Silhouettes | None = None
) -> Float[Tensor, "n n n"]:
    """The field, with the distance to the rest in place of its crumbs.

    truncation: of the field, world units. silhouettes: of the object, where they bind.
    """
    solid = (field < 0).cpu().numpy()
    islands, count = ndimage.label(solid, _TOUCHING)
    sizes = np.bincount(islands[solid], minlength=count + 1)
    crumbs = np.flatnonzero((sizes > 0) & (sizes < CRUMB * sizes.sum()))
    if len(crumbs) and silhouettes is not None:
        rest = _filled(field, np.isin(islands, crumbs), truncation)
        labels = ndimage.maximum_filter(islands, 3)  # a ray may graze an island between its cells' centres
        asked = silhouettes.asked_for(field, rest, torch.from_numpy(labels).to(field.device), count)
        crumbs = crumbs[asked[crumbs].cpu().numpy() < ASKED]
    return _filled(field, np.isin(islands, crumbs), truncation) if len(crumbs) else field


def _filled(field: Tensor, crumbs: np.ndarray, truncation: float) -> Tensor:
    """The field where these cells, and those nearer to them than to what is left, are no longer solid."""
    cell = 2.0 / len(field)
    rest = (field < 0).cpu().numpy() & ~crumbs
    to_rest, to_crumbs = ndimage.distance_transform_edt(~rest), ndimage.distance_transform_edt(~crumbs)
    outside = torch.from_numpy(np.minimum(to_rest * cell, truncation)).to(field)
    return torch.where(torch.from_numpy(to_crumbs < to_rest).to(field.device), outside, field)
