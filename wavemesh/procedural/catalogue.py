"""Which procedural shapes there are, and shape number k of seed s, which is always the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from wavemesh.errors import InputError
from wavemesh.procedural import figures, freeform, household, lamps, plants, seating, storage, vehicles
from wavemesh.procedural.builder import Builder, pack
from wavemesh.procedural.solids import Solids

# Generators with their weights: furniture is the most frequent, as it is in the libraries of real models.
_WEIGHTED: tuple[tuple[str, Callable[[np.random.Generator], Builder], float], ...] = (
    ("chair", seating.chair, 11),
    ("stool", seating.stool, 4),
    ("bench", seating.bench, 3),
    ("sofa", seating.sofa, 8),
    ("pouf", seating.pouf, 2),
    ("bed", seating.bed, 5),
    ("table", storage.table, 10),
    ("desk", storage.desk, 4),
    ("shelf", storage.shelf, 6),
    ("cabinet", storage.cabinet, 8),
    ("appliance", storage.appliance, 5),
    ("television", storage.television, 2),
    ("lamp", lamps.lamp, 8),
    ("bottle", household.bottle, 3),
    ("vase", household.vase, 4),
    ("mug", household.mug, 3),
    ("bowl", household.bowl, 3),
    ("plant", plants.plant, 6),
    ("car", vehicles.car, 5),
    ("truck", vehicles.truck, 3),
    ("aircraft", vehicles.aircraft, 2),
    ("boat", vehicles.boat, 2),
    ("animal", figures.animal, 3),
    ("person", figures.person, 2),
    ("house", figures.house, 2),
    ("free form", freeform.free_form, 10),
)
GENERATORS: Mapping[str, Callable[[np.random.Generator], Builder]] = {name: make for name, make, _ in _WEIGHTED}
_SHARES = np.array([weight for *_, weight in _WEIGHTED], dtype=np.float64) / sum(weight for *_, weight in _WEIGHTED)


def _generator(seed: int, number: int) -> np.random.Generator:
    if seed < 0 or number < 0:
        raise InputError(f"Seeds and numbers of procedural shapes begin at 0, not {seed}, {number}.")
    return np.random.default_rng((seed, number, 77))


def make_shape(seed: int, number: int, category: str | None = None) -> Builder:
    """Shape `number` of a seed in the world frame; of that category if one is named.

    Raises InputError for a negative number and an unknown category.
    """
    rng = _generator(seed, number)
    drawn = int(rng.choice(len(_SHARES), p=_SHARES))
    if category is not None and category not in GENERATORS:
        raise InputError(f"There are no procedural shapes {category!r}; there are {', '.join(GENERATORS)}.")
    make = _WEIGHTED[drawn][1] if category is None else GENERATORS[category]
    return make(rng).finish()


def make_solids(seed: int, numbers: Sequence[int], category: str | None = None) -> Solids:
    """Several shapes of a seed as one batch, on the CPU. Raises InputError like `make_shape`."""
    return pack([make_shape(seed, number, category) for number in numbers])
