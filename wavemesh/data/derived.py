"""Arrays computed from a split's shapes, kept beside its unpacked cache: colours of surface points, depths of views.

They are computed when they are first asked for, and anew for other shapes or settings; a build that was interrupted
goes on where it stopped. A streamed set has no place for them: there they are computed shape by shape as they are used.
"""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import shutil
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from wavemesh.data.dataset import PreparedShapes, Shapes
from wavemesh.errors import InputError
from wavemesh.files import read_json, write_text

_FLUSH_EVERY = 20
_KEPT = 64  # shapes of a stream whose arrays stay in memory

log = logging.getLogger(__name__)

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Recipe:
    """What is computed of every shape.

    name: of the arrays together. entries: shape and type of each array for one shape. compute: those of the shape of a
    number, raises InputError where it has none. version: changes with whatever makes kept arrays wrong.
    """

    name: str
    entries: Mapping[str, tuple[tuple[int, ...], type]]
    compute: Callable[[Shapes, int], Arrays]
    version: int = 1


def derived_rows(shapes: Shapes, recipe: Recipe) -> Callable[[int], Arrays]:
    """Gives the arrays of a shape by its number: stored ones of an unpacked set, new ones of a streamed one.

    Raises InputError like `derived_arrays`, of a stream only when the shape is asked for.
    """
    if isinstance(shapes, PreparedShapes):
        arrays = derived_arrays(shapes, recipe)
        return lambda index: {name: array[index] for name, array in arrays.items()}

    @functools.lru_cache(maxsize=_KEPT)
    def computed(index: int) -> Arrays:
        return _computed(shapes, index, recipe)

    return computed


def _computed(shapes: Shapes, index: int, recipe: Recipe) -> Arrays:
    try:
        return recipe.compute(shapes, index)
    except InputError as error:
        raise InputError(f"Shape {shapes.keys[index]} has no {recipe.name}: {error}") from None


def derived_arrays(shapes: PreparedShapes, recipe: Recipe) -> Arrays:
    """The arrays of all shapes, (n, ...), memory-mapped; computed first where they are missing or of other shapes.

    Raises InputError where they cannot be written, and for a shape that has none.
    """
    folder = shapes.root / f"{recipe.name}-{shapes.split}"
    source = _fingerprint(shapes, recipe)
    if not _holds(folder, source):
        try:
            with FileLock(shapes.root / f".{recipe.name}-{shapes.split}.lock"):
                if not _holds(folder, source):  # another process may have built them while this one waited
                    _build(shapes, folder, source, recipe)
        except OSError as error:
            message = f"The {recipe.name} of {shapes.split} cannot be written to {shapes.root}: {error}."
            raise InputError(message) from None
    return {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in recipe.entries}


def _holds(folder: Path, source: str) -> bool:
    """Whether the folder has the arrays of that fingerprint, all of them."""
    index = folder / "index.json"
    return index.is_file() and read_json(index).get("source") == source


def _fingerprint(shapes: PreparedShapes, recipe: Recipe) -> str:
    """Changes with the shapes, their cameras, and what is computed."""
    entries = {name: [list(shape), np.dtype(kind).name] for name, (shape, kind) in recipe.entries.items()}
    text = json.dumps([recipe.version, entries, shapes.keys, shapes.meta], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _build(shapes: PreparedShapes, folder: Path, source: str, recipe: Recipe) -> None:
    """Fills arrays in a folder of another name, noting how far it came, and moves them into place."""
    partial = folder.with_name(f"{folder.name}-{source[:12]}.partial")
    progress = partial / "index.json"
    partial.mkdir(exist_ok=True)
    done = int(read_json(progress)["done"]) if progress.is_file() else 0
    arrays: dict[str, Any] = {
        name: np.lib.format.open_memmap(
            partial / f"{name}.npy", mode="r+" if done else "w+", dtype=kind, shape=(len(shapes), *shape)
        )
        for name, (shape, kind) in recipe.entries.items()
    }
    log.info("computing the %s of %d shapes of %s", recipe.name, len(shapes) - done, shapes.split)
    for index in range(done, len(shapes)):
        computed = _computed(shapes, index, recipe)
        for name, array in arrays.items():
            array[index] = computed[name]
        if (index + 1) % _FLUSH_EVERY == 0 or index + 1 == len(shapes):
            for array in arrays.values():
                array.flush()
            write_text(progress, json.dumps({"source": source, "done": index + 1}))
    if folder.exists():
        # Moved away first: a folder that another process reads must not be half of each.
        stale = folder.rename(folder.with_name(f"{folder.name}-{uuid.uuid4().hex[:8]}.old"))
        shutil.rmtree(stale, ignore_errors=True)
    partial.rename(folder)
