"""Several views at once: the roadmap's call, the shapes, and the choice of backend."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh

from wavemesh.errors import InputError
from wavemesh.geometry.camera import Camera
from wavemesh.geometry.camera_tensors import project_points
from wavemesh.rendering import multiview
from wavemesh.rendering.multiview import orbit_cameras, render_multiview, render_view, renderer_for
from wavemesh.rendering.raycast import RaycastRenderer


@pytest.fixture
def mesh_path(tmp_path: Path) -> Path:
    path = tmp_path / "box.ply"
    mesh = trimesh.creation.box((4.0, 2.0, 1.0))
    mesh.apply_translation((10, 0, 0))
    mesh.export(path)
    return path


@pytest.mark.parametrize("backend", ["auto", "embree", "pyrender"])
def test_the_roadmaps_call(mesh_path: Path, backend: str) -> None:
    images, poses = render_multiview(mesh_path, num_views=8, size=64, backend=backend)
    assert images.shape == (8, 4, 64, 64)
    assert images.dtype == torch.float32
    assert 0.0 <= images.min() <= images.max() <= 1.0
    assert poses.shape == (8, 3, 4)
    # The file was moved into the world frame: the box fills x in [-0.9, 0.9].
    views = render_multiview(mesh_path, num_views=1, size=64, backend=backend)
    corners = torch.tensor(np.array([(x, y, z) for x in (-0.9, 0.9) for y in (-0.45, 0.45) for z in (-0.225, 0.225)]))
    ndc, _ = project_points(corners.float(), views.poses, views.intrinsics)
    rows, columns = torch.nonzero(views.images[0, 3] > 0.5, as_tuple=True)
    low, high = (1 + ndc[0].amin(0)) * 32, (1 + ndc[0].amax(0)) * 32
    assert abs(columns.min() - low[0]) < 1.5
    assert abs(columns.max() + 1 - high[0]) < 1.5
    assert abs(rows.min() - (64 - high[1])) < 1.5
    assert abs(rows.max() + 1 - (64 - low[1])) < 1.5


def test_given_cameras_are_kept() -> None:
    cameras = [Camera(10.0, 5.0), Camera(80.0, 40.0, offset=(0.1, 0.0))]
    views = render_multiview(trimesh.creation.icosphere(2, 0.5), cameras=cameras, size=32, backend="embree")
    assert views.cameras == cameras
    assert views.intrinsics[1].tolist() == pytest.approx(cameras[1].intrinsics().tolist())
    np.testing.assert_array_equal(views.poses[0].numpy(), cameras[0].camera_to_world())


def test_orbits_are_evenly_spaced() -> None:
    assert [camera.azimuth_deg for camera in orbit_cameras(4, start_deg=10.0)] == [10, 100, 190, 280]


def test_auto_falls_back_to_embree_without_opengl_but_a_named_backend_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multiview, "pyrender_problem", lambda: "ImportError: no EGL")
    ball = trimesh.creation.icosphere(2, 0.5)
    assert isinstance(renderer_for(ball, "auto"), RaycastRenderer)
    with pytest.raises(InputError, match="no EGL"):
        renderer_for(ball, "pyrender")


def test_bad_requests_are_named() -> None:
    ball = trimesh.creation.icosphere(1, 0.5)
    with pytest.raises(InputError, match="vulkan"):
        render_view(ball, Camera(), 16, backend="vulkan")
    with pytest.raises(InputError, match="0"):
        render_multiview(ball, num_views=0)
    with pytest.raises(InputError, match="at least one"):
        render_multiview(ball, cameras=[])
    with pytest.raises(InputError, match=r"missing\.obj"):
        render_multiview("missing.obj")
