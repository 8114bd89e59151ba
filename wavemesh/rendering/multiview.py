"""Pictures of a mesh from several cameras at once, with their poses: what the encoder takes.

The command `python -m wavemesh render` and the examples stand on this; the prepared data set renders its own views
through `raycast` because it keeps the renderer of a model across many cameras.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import trimesh
from jaxtyping import Float
from torch import Tensor

from wavemesh.errors import InputError
from wavemesh.geometry.camera import Camera
from wavemesh.geometry.camera_tensors import stack_cameras
from wavemesh.geometry.mesh import load_mesh, normalise
from wavemesh.rendering.pyrender_view import PyrenderRenderer, pyrender_problem
from wavemesh.rendering.raycast import Light, RaycastRenderer, RenderedView

BACKENDS = ("auto", "pyrender", "embree")
ORBIT_ELEVATION_DEG = 20.0


@dataclass(frozen=True)
class MultiView:
    """Pictures with their cameras; unpacks as `images, poses`.

    images: (n, 4, s, s) float32 in [0, 1], straight alpha. poses: (n, 3, 4) camera_to_world.
    intrinsics: (n, 3) focal length and offset. views: the same pictures as uint8, with depth and normals.
    """

    images: Float[Tensor, "n 4 s s"]
    poses: Float[Tensor, "n 3 4"]
    intrinsics: Float[Tensor, "n 3"]
    cameras: list[Camera]
    views: list[RenderedView]

    def __iter__(self) -> Iterator[Tensor]:
        yield self.images
        yield self.poses


def orbit_cameras(num_views: int, elevation_deg: float = ORBIT_ELEVATION_DEG, start_deg: float = 0.0) -> list[Camera]:
    """Cameras on a circle around the object, evenly spaced, the first at azimuth start_deg."""
    if num_views < 1:
        raise InputError(f"The number of views must be at least 1, not {num_views}.")
    return [Camera(start_deg + 360.0 * number / num_views, elevation_deg) for number in range(num_views)]


def renderer_for(mesh: trimesh.Trimesh | trimesh.Scene, backend: str = "auto") -> RaycastRenderer | PyrenderRenderer:
    """A renderer of the mesh: pyrender where OpenGL works, else Embree; a backend asked for by name is not replaced.

    Raises InputError for an unknown backend, and for pyrender where OpenGL does not work.
    """
    if backend not in BACKENDS:
        raise InputError(f"The rendering backend must be one of {', '.join(BACKENDS)}, not {backend!r}.")
    if backend == "embree":
        return RaycastRenderer(mesh)
    problem = pyrender_problem()
    if problem is None:
        return PyrenderRenderer(mesh)
    if backend == "pyrender":
        raise InputError(f"pyrender does not work on this machine: {problem}.")
    return RaycastRenderer(mesh)


def render_view(
    mesh: trimesh.Trimesh | trimesh.Scene,
    camera: Camera,
    size: int = 224,
    backend: str = "auto",
    light: Light | None = None,
) -> RenderedView:
    """One picture of a mesh that already stands in the world frame."""
    return renderer_for(mesh, backend).view(camera, size, light=light)


def render_multiview(
    mesh: trimesh.Trimesh | str | Path,
    num_views: int = 8,
    size: int = 224,
    cameras: Sequence[Camera] | None = None,
    backend: str = "auto",
) -> MultiView:
    """Pictures of a mesh from num_views cameras on a circle, or from the given cameras.

    mesh: a file, which is moved into the world frame (centred, longest side 1.8), or a mesh that already stands there.
    Raises InputError for an unreadable file, no faces, no views, an unknown backend or a size below 1.
    """
    if isinstance(mesh, str | Path):
        mesh = normalise(load_mesh(mesh))
    chosen = orbit_cameras(num_views) if cameras is None else list(cameras)
    if not chosen:
        raise InputError("Rendering needs at least one camera.")
    renderer = renderer_for(mesh, backend)
    views = [renderer.view(camera, size) for camera in chosen]
    images = torch.stack([torch.from_numpy(view.rgba).permute(2, 0, 1) for view in views]).float() / 255.0
    poses, intrinsics = stack_cameras(chosen)
    return MultiView(images=images, poses=poses, intrinsics=intrinsics, cameras=chosen, views=views)
