"""Small islands of a predicted solid: crumbs go, and what the silhouettes ask of the others is grown from the rest.

Where the network does not know how far away a leg is, `models.silhouettes` gives each of its pixels a solid where the
field is lowest along that pixel's own ray, so the pieces of one leg may stand at many depths. Objects hang together.
Here the pieces are taken out again, and each ray that they leave bare gets a solid where it is reached from the rest at
the least cost: through the hull, along what the network takes for likely. (Minimal paths: Cohen and Kimmel 1997.)
"""

from __future__ import annotations

import itertools

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy import ndimage, sparse
from scipy.sparse import csgraph
from torch import Tensor

from wavemesh.models.silhouettes import DEPTH, HULL_MARGIN, REACH, Silhouettes, lowered_field

SMALL = 0.05  # of the volume of the solid; larger islands stay
ASKED = 0.005  # of the rays of one silhouette; what fewer of them ask for is its frayed edge
# The cost of a cell on the way, in cells of the field outside of a surface: of any, and of one that is solid already.
STEP, INSIDE = 0.5, 1e-3
FARTHEST = 64.0
_TOUCHING = np.ones((3, 3, 3), dtype=bool)
_NEIGHBOURS = [step for step in itertools.product((-1, 0, 1), repeat=3) if step > (0, 0, 0)]


def connected_field(
    field: Float[Tensor, "n n n"], truncation: float, silhouettes: Silhouettes | None = None
) -> Float[Tensor, "n n n"]:
    """The field without small islands, whose pixels are met by solids that hang on the rest.

    Without silhouettes, which say what must be there, only crumbs under a fifth of SMALL go. truncation: of the field,
    world units.
    """
    solid = (field < 0).cpu().numpy()
    islands, count = ndimage.label(solid, _TOUCHING)
    sizes = np.bincount(islands[solid], minlength=count + 1)
    share = SMALL if silhouettes is not None else SMALL / 5
    small = np.flatnonzero((sizes > 0) & (sizes < share * sizes.sum()))
    if len(small) == 0:
        return field
    rest = _without(field, np.isin(islands, small), truncation)
    return rest if silhouettes is None else _grown(rest, field, silhouettes)


def _without(field: Tensor, islands: Bool[np.ndarray, "n n n"], truncation: float) -> Tensor:
    """The field where these cells, and those nearer to them than to what is left, have the distance to the rest."""
    cell = 2.0 / len(field)
    rest = (field < 0).cpu().numpy() & ~islands
    to_rest, to_islands = ndimage.distance_transform_edt(~rest), ndimage.distance_transform_edt(~islands)
    outside = torch.from_numpy(np.minimum(to_rest * cell, truncation)).to(field)
    return torch.where(torch.from_numpy(to_islands < to_rest).to(field.device), outside, field)


def _grown(rest: Tensor, field: Tensor, silhouettes: Silhouettes) -> Tensor:
    """The rest with a solid on each ray that met the field and no longer meets it, joined by the cheapest way."""
    n, cell = len(field), 2.0 / len(field)
    bare = [(points, allowed) for points, allowed, share in silhouettes.bare_rays(field, rest) if share >= ASKED]
    if not bare:
        return rest
    price = STEP + field.clamp_min(0.0) / cell
    ways = _Ways(*(each.cpu().numpy() for each in (price, rest < 0, silhouettes.hull < HULL_MARGIN * cell)))
    found = np.concatenate([ways.to_rays(points.cpu().numpy(), allowed.cpu().numpy()) for points, allowed in bare])
    places = torch.from_numpy(np.unique(found, axis=0)).to(field.device)
    depths = rest[places.unbind(dim=1)] + DEPTH * cell
    grown = lowered_field(rest, (places + 0.5) / n * 2.0 - 1.0, depths, REACH)
    return torch.maximum(grown, torch.minimum(rest, silhouettes.hull - HULL_MARGIN * cell))


class _Ways:
    """The cheapest ways from a solid to all cells of a domain, over faces, edges and corners of cells."""

    def __init__(
        self, price: Float[np.ndarray, "n n n"], solid: Bool[np.ndarray, "n n n"], domain: Bool[np.ndarray, "n n n"]
    ) -> None:
        self.border = solid & ~ndimage.binary_erosion(solid)
        self.open = self.border | (domain & ~solid)
        self.cells = np.argwhere(self.open)
        self.number = np.full(price.shape, -1)
        self.number[self.open] = np.arange(len(self.cells))
        self.cost, self.before, _ = csgraph.dijkstra(
            self._graph(np.where(solid, 0.0, price)),
            directed=False,
            indices=self.number[self.border],
            min_only=True,
            return_predecessors=True,
            limit=FARTHEST,
        )

    def _graph(self, price: np.ndarray) -> sparse.csr_matrix:
        """Half of the sum of two neighbours' prices, times their distance."""
        n, ends, costs = len(price), [], []
        for step in _NEIGHBOURS:
            here = tuple(slice(max(0, -along), n - max(0, along)) for along in step)
            there = tuple(slice(max(0, along), n - max(0, -along)) for along in step)
            joined = self.open[here] & self.open[there]
            ends.append((self.number[here][joined], self.number[there][joined]))
            costs.append((price[here] + price[there])[joined] * 0.5 * np.linalg.norm(step))
        size = (len(self.cells),) * 2
        return sparse.csr_matrix((np.concatenate(costs), np.concatenate(ends, axis=1)), size)

    def to_rays(self, points: Float[np.ndarray, "r s 3"], allowed: Bool[np.ndarray, "r s"]) -> Int[np.ndarray, "m 3"]:
        """The cells outside of the solid on the cheapest way to each ray, which is given by points; none where no way
        leads to an allowed one.
        """
        n = len(self.open)
        cells = ((points + 1.0) / 2.0 * n).astype(np.int64).clip(0, n - 1)
        number = self.number[tuple(np.moveaxis(cells, -1, 0))]
        cost = np.where(allowed & (number >= 0), self.cost[number], np.inf)
        nearest = cost.argmin(axis=1)[:, None]
        reached = np.isfinite(np.take_along_axis(cost, nearest, axis=1))
        ends = np.unique(np.take_along_axis(number, nearest, axis=1)[reached])
        way = np.zeros(len(self.cells), dtype=bool)
        while len(ends):
            way[ends] = True
            ends = np.unique(self.before[ends])
            ends = ends[ends >= 0]
            ends = ends[~way[ends]]
        border = self.border[self.open]
        return self.cells[way & ~border]
