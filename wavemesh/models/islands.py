"""Small islands of a predicted solid are joined to the rest, or grown from it anew.

Where the network does not know how far away a leg is, `models.silhouettes` gives each of its pixels a solid where the
field is lowest along that pixel's own ray, so the pieces of one leg may stand at many depths. Objects hang together.
Here an island near the rest is joined to it. One that is far away is taken out, and each ray that it leaves bare gets a
solid where it is reached from the rest at the least cost: through the hull, along what the network takes for likely.
(Minimal paths: Cohen and Kimmel 1997.)
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

SMALL = 0.05  # of the volume of the solid; larger islands stay as they are
CRUMB = 0.01  # the same, where no silhouettes say what must be there
ASKED = 0.005  # of the rays of one silhouette; what fewer of them ask for is its frayed edge
STEP = 0.5  # the cost of a cell beside the surface; farther outside it costs as much more as the field has cells
NEAR = 6.0  # the cost up to which an island is joined
FARTHEST = 64.0
# In cells, how far outside the hull what grows may be: from 0 to 1 it hangs together better and gets thicker.
BESIDE = 0.25
_LEAST = 1e-3  # of any step: a graph has no edges that cost nothing
_TOUCHING = np.ones((3, 3, 3), dtype=bool)
_NEIGHBOURS = [step for step in itertools.product((-1, 0, 1), repeat=3) if step > (0, 0, 0)]


def connected_field(
    field: Float[Tensor, "n n n"], truncation: float, silhouettes: Silhouettes | None = None
) -> Float[Tensor, "n n n"]:
    """The field whose small islands hang on the rest.

    Without silhouettes, which say what must be there, crumbs are taken out and that is all. truncation: of the field,
    world units.
    """
    solid = (field < 0).cpu().numpy()
    islands, count = ndimage.label(solid, _TOUCHING)
    sizes = np.bincount(islands[solid], minlength=count + 1)
    share = CRUMB if silhouettes is None else SMALL
    limit = min(share * sizes.sum(), sizes.max())  # of dust the largest grain stays
    small = np.flatnonzero((sizes > 0) & (sizes < limit))
    if len(small) == 0:
        return field
    if silhouettes is None:
        return _without(field, np.isin(islands, small), truncation)
    price, domain = _prices(field), _domain(silhouettes, len(field))
    ways = _Ways(np.where(solid, 0.0, price), solid & ~np.isin(islands, small), domain | solid)
    nearest = np.array(ndimage.minimum_position(ways.cost, islands, small))
    near = ways.cost[tuple(nearest.T)] <= NEAR
    joined = _lowered(field, ways.along(nearest[near]), silhouettes)
    far = np.isin(islands, small[~near])
    return _regrown(joined, far, price, truncation, silhouettes) if far.any() else joined


def _regrown(
    field: Tensor, islands: Bool[np.ndarray, "n n n"], price: np.ndarray, truncation: float, silhouettes: Silhouettes
) -> Tensor:
    """The field without these islands; the rays that asked for them meet solids that grow from the rest."""
    rest = _without(field, islands, truncation)
    bare = [(points, allowed) for points, allowed, share in silhouettes.bare_rays(field, rest) if share >= ASKED]
    if not bare:
        return rest
    solid = (rest < 0).cpu().numpy()
    ways = _Ways(np.where(solid, 0.0, price), solid, _domain(silhouettes, len(field)) | solid)
    ends = [_cheapest(ways.cost, points.cpu().numpy(), allowed.cpu().numpy()) for points, allowed in bare]
    return _lowered(rest, ways.along(np.concatenate(ends)), silhouettes)


def _without(field: Tensor, islands: Bool[np.ndarray, "n n n"], truncation: float) -> Tensor:
    """The field where these cells, and those nearer to them than to what is left, have the distance to the rest."""
    cell = 2.0 / len(field)
    rest = (field < 0).cpu().numpy() & ~islands
    to_rest, to_islands = ndimage.distance_transform_edt(~rest), ndimage.distance_transform_edt(~islands)
    outside = torch.from_numpy(np.minimum(to_rest * cell, truncation)).to(field)
    return torch.where(torch.from_numpy(to_islands < to_rest).to(field.device), outside, field)


def _lowered(field: Tensor, cells: Int[np.ndarray, "m 3"], silhouettes: Silhouettes) -> Tensor:
    """The field with a solid around these cells."""
    n, cell = len(field), 2.0 / len(field)
    places = torch.from_numpy(cells).to(field.device)
    depths = field[places.unbind(dim=1)] + DEPTH * cell
    lowered = lowered_field(field, (places + 0.5) / n * 2.0 - 1.0, depths, REACH)
    return torch.maximum(lowered, torch.minimum(field, silhouettes.hull - BESIDE * cell))


def _prices(field: Tensor) -> Float[np.ndarray, "n n n"]:
    return (STEP + field.clamp_min(0.0) * len(field) / 2.0).cpu().numpy()


def _domain(silhouettes: Silhouettes, n: int) -> Bool[np.ndarray, "n n n"]:
    return (silhouettes.hull < HULL_MARGIN * 2.0 / n).cpu().numpy()


def _cheapest(
    cost: Float[np.ndarray, "n n n"], points: Float[np.ndarray, "r s 3"], allowed: Bool[np.ndarray, "r s"]
) -> Int[np.ndarray, "m 3"]:
    """The cell of least cost on each ray, which is given by points; none where no allowed one has a finite cost."""
    n = len(cost)
    cells = ((points + 1.0) / 2.0 * n).astype(np.int64).clip(0, n - 1)
    costs = np.where(allowed, cost[tuple(np.moveaxis(cells, -1, 0))], np.inf)
    best = costs.argmin(axis=1)
    rays = np.arange(len(cells))
    return cells[rays, best][np.isfinite(costs[rays, best])]


class _Ways:
    """The cheapest ways from a solid through the cells of a domain, over faces, edges and corners.

    cost: of each cell, (n, n, n), infinite for those that no way leads to.
    """

    def __init__(
        self, price: Float[np.ndarray, "n n n"], solid: Bool[np.ndarray, "n n n"], domain: Bool[np.ndarray, "n n n"]
    ) -> None:
        border = solid & ~ndimage.binary_erosion(solid)  # what lies deeper only takes time
        self.open = border | (domain & ~solid)
        self.cells = np.argwhere(self.open)
        self.number = np.full(price.shape, -1)
        self.number[self.open] = np.arange(len(self.cells))
        self.outside = (price > 0)[self.open]
        costs, self.before, _ = csgraph.dijkstra(
            self._graph(price),
            directed=False,
            indices=self.number[border],
            min_only=True,
            return_predecessors=True,
            limit=FARTHEST,
        )
        self.cost = np.full(price.shape, np.inf)
        self.cost[self.open] = costs

    def _graph(self, price: np.ndarray) -> sparse.csr_matrix:
        """Half of the sum of two neighbours' prices, times their distance."""
        n, ends, costs = len(price), [], []
        for step in _NEIGHBOURS:
            here = tuple(slice(max(0, -along), n - max(0, along)) for along in step)
            there = tuple(slice(max(0, along), n - max(0, -along)) for along in step)
            both = self.open[here] & self.open[there]
            ends.append((self.number[here][both], self.number[there][both]))
            costs.append((price[here] + price[there])[both] * 0.5 * np.linalg.norm(step) + _LEAST)
        size = (len(self.cells),) * 2
        return sparse.csr_matrix((np.concatenate(costs), np.concatenate(ends, axis=1)), size)

    def along(self, ends: Int[np.ndarray, "k 3"]) -> Int[np.ndarray, "m 3"]:
        """The cells outside of any solid on the ways to these cells."""
        way = np.zeros(len(self.cells), dtype=bool)
        steps = np.unique(self.number[tuple(ends.T)])
        while len(steps):
            way[steps] = True
            steps = np.unique(self.before[steps])
            steps = steps[steps >= 0]
            steps = steps[~way[steps]]
        return self.cells[way & self.outside]
