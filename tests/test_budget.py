"""What is computed for strangers ends when its seconds of the processor are used up, whatever the file was made of."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import trimesh

from wavemesh.budget import budget, keep_within_budget
from wavemesh.errors import InputError
from wavemesh.geometry.health import wall_thickness
from wavemesh.geometry.raycast import CHUNK, RayCaster
from wavemesh.rendering import render_multiview, turntable
from wavemesh.ui.compare.content import Truth
from wavemesh.ui.widgets.painting import paint_mesh


def soup(faces: int = 100_000) -> trimesh.Trimesh:
    """Large triangles that all overlap: a ray meets the boxes of most of them."""
    corners = np.random.default_rng(0).uniform(-0.9, 0.9, (3 * faces, 3))
    return trimesh.Trimesh(corners, np.arange(3 * faces).reshape(-1, 3), process=False, validate=False)


WORK: dict[str, Callable[[trimesh.Trimesh], Any]] = {
    "a film": lambda mesh: turntable(mesh, 48, 400),
    "views": lambda mesh: render_multiview(mesh, num_views=8, size=256, backend="embree"),
    "a picture": lambda mesh: paint_mesh(mesh, 30.0, 20.0, 1024),
    "walls": lambda mesh: wall_thickness(mesh, np.asarray(mesh.vertices), np.asarray(mesh.vertex_normals)),
    "the truth of a comparison": Truth.of_mesh,
}


@pytest.mark.parametrize("name", WORK)
def test_rays_through_a_soup_of_triangles_end_with_the_budget(name: str) -> None:
    mesh = soup()
    begin = time.thread_time()
    with pytest.raises(InputError, match="takes too long here"), budget(0.5):
        WORK[name](mesh)
    assert time.thread_time() - begin < 8.0  # one chunk of rays, and what is built before


def test_rays_in_chunks_are_those_in_one() -> None:
    mesh = trimesh.creation.icosphere(subdivisions=2)
    origins = np.random.default_rng(1).normal(size=(2 * CHUNK + 7, 3))
    caster = RayCaster(mesh)
    whole = caster.cast(origins, -origins)
    for place in (0, CHUNK - 1, CHUNK, 2 * CHUNK + 6):
        one = caster.cast(origins[place : place + 1], -origins[place : place + 1])
        assert one.triangle[0] == whole.triangle[place]
        assert one.distance[0] == whole.distance[place]
    assert len(caster.cast(origins[:0], origins[:0]).triangle) == 0


def test_the_earlier_end_counts_and_other_threads_have_none() -> None:
    keep_within_budget()
    with budget(100.0):
        keep_within_budget()
        with pytest.raises(InputError), budget(-1.0):
            keep_within_budget()
        keep_within_budget()
    with budget(-1.0):
        with pytest.raises(InputError), budget(100.0):
            keep_within_budget()
        free: list[bool] = []
        thread = threading.Thread(target=lambda: free.append(keep_within_budget() is None))
        thread.start()
        thread.join()
        assert free == [True]
    keep_within_budget()
