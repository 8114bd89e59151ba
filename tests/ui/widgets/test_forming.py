"""Shapes that form, as files for the viewer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import trimesh

from tests.ui.conftest import sphere_sdf
from wavemesh.ui.widgets.forming import CELLS, write_forming


@pytest.mark.parametrize("side", [24, CELLS, 2 * CELLS])
def test_the_file_has_the_surface_of_the_field(side: int, tmp_path: Path) -> None:
    assert write_forming(sphere_sdf(0.6, side), 0.0, tmp_path / "shape.glb")
    mesh = trimesh.load(tmp_path / "shape.glb", force="mesh")
    assert mesh.is_watertight
    radii = np.linalg.norm(mesh.vertices, axis=1)
    np.testing.assert_allclose(radii, 0.6, atol=0.02)
    assert (tmp_path / "shape.glb").stat().st_size < 500_000


def test_its_front_is_turned_to_z(tmp_path: Path) -> None:
    axis = (np.arange(32) + 0.5) / 16 - 1
    x, y, z = np.meshgrid(axis, axis, axis, indexing="ij")
    aside = (np.sqrt((x - 0.5) ** 2 + y**2 + z**2) - 0.3).astype(np.float32)  # seen in front from azimuth 90
    assert write_forming(aside, 90.0, tmp_path / "shape.glb")
    centre = trimesh.load(tmp_path / "shape.glb", force="mesh").vertices.mean(axis=0)
    np.testing.assert_allclose(centre, [0.0, 0.0, 0.5], atol=0.02)


def test_a_field_without_a_surface_leaves_no_file(tmp_path: Path) -> None:
    assert not write_forming(np.ones((24, 24, 24), dtype=np.float32), 0.0, tmp_path / "shape.glb")
    assert list(tmp_path.iterdir()) == []
