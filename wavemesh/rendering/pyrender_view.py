"""Pictures of a mesh through OpenGL (pyrender on EGL or OSMesa): for people's eyes and as independent test views.

pyrender is imported at the first use, and one renderer lives in one thread for the whole process: OpenGL contexts
belong to the thread that made them, and deleting a pyrender renderer breaks every other one of the process.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import Future
from functools import cache
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy as np
import trimesh

from wavemesh.errors import InputError
from wavemesh.extras import missing
from wavemesh.geometry.camera import Camera
from wavemesh.geometry.colour import to_linear
from wavemesh.rendering.appearance import Appearance
from wavemesh.rendering.raycast import Light, RenderedView

if TYPE_CHECKING:
    import pyrender

NEAR, FAR = 0.05, 100.0


class _OpenGLThread:
    """The thread that owns the process's OpenGL context and its one renderer.

    A daemon thread, which is frozen rather than unwound when Python ends: pyrender's destructors import modules, and
    fail loudly when they run that late.
    """

    def __init__(self) -> None:
        self._jobs: SimpleQueue[tuple[Future[RenderedView], Callable[[Any], RenderedView]]] = SimpleQueue()
        threading.Thread(target=self._serve, name="opengl", daemon=True).start()

    def call(self, job: Callable[[Any], RenderedView]) -> RenderedView:
        """What the job returns (or raises) when called with the renderer."""
        future: Future[RenderedView] = Future()
        self._jobs.put((future, job))
        return future.result()

    def _serve(self) -> None:
        renderer = None
        while True:
            future, job = self._jobs.get()
            try:
                if renderer is None:
                    renderer = _new_renderer()
                future.set_result(job(renderer))
            except BaseException as error:
                future.set_exception(error)
            del future, job  # they hold the mesh


@cache
def _thread() -> _OpenGLThread:
    return _OpenGLThread()


def _new_renderer() -> pyrender.OffscreenRenderer:
    os.environ.setdefault("PYOPENGL_PLATFORM", "egl")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # from inside pyrender and PyOpenGL
        import pyrender

        return pyrender.OffscreenRenderer(256, 256)


@cache
def pyrender_problem() -> str | None:
    """Why pyrender cannot draw here, or None where it can; the answer is found once, by drawing a triangle."""
    triangle = trimesh.Trimesh([(-0.5, -0.5, 0), (0.5, -0.5, 0), (0, 0.5, 0)], [(0, 1, 2)], process=False)
    try:
        drawn = PyrenderRenderer(triangle).view(Camera(), 16)
    except ModuleNotFoundError as error:
        return str(missing(error)).rstrip(".")
    except Exception as error:  # a missing library, driver or display shows as almost any exception
        return f"{type(error).__name__}: {error}"
    return None if drawn.rgba[8, 8, 3] == 255 else "OpenGL draws nothing"


class PyrenderRenderer:
    """Renders views of one mesh or scene by OpenGL; the counterpart of `RaycastRenderer`."""

    def __init__(self, mesh: trimesh.Trimesh | trimesh.Scene) -> None:
        self._appearance = Appearance.of(mesh)
        self._mesh: Any = None

    def view(self, camera: Camera, size: int, light: Light | None = None) -> RenderedView:
        """The picture that the camera takes, size x size pixels; normals come from the depth map.

        Raises InputError for a size below 1, and whatever OpenGL raises where it does not work.
        """
        if size < 1:
            raise InputError(f"A picture needs a positive size, not {size}.")
        return _thread().call(lambda renderer: self._draw(renderer, camera, size, light or Light()))

    def _draw(self, renderer: pyrender.OffscreenRenderer, camera: Camera, size: int, light: Light) -> RenderedView:
        import pyrender

        renderer.viewport_width = renderer.viewport_height = size
        if self._mesh is None:
            self._mesh = _pyrender_mesh(self._appearance)
        rgba, depth = renderer.render(self._scene(camera, light), flags=pyrender.RenderFlags.RGBA)
        # Multisampling mixes edge pixels with the transparent black around them: premultiplied. Undo that.
        alpha = rgba[..., 3:].astype(np.float32) / 255.0
        straight = np.minimum(rgba[..., :3] / np.maximum(alpha, 1 / 255.0), 255.0)
        depth = np.where(depth > 0.0, depth, np.inf).astype(np.float32)
        return RenderedView(
            rgba=np.concatenate([np.rint(straight), rgba[..., 3:]], axis=-1).astype(np.uint8),
            depth=depth,
            normal=_normals_of_depth(depth, camera),
        )

    def _scene(self, camera: Camera, light: Light) -> pyrender.Scene:
        import pyrender

        matrix = np.eye(4)
        matrix[:3] = camera.camera_to_world()
        scene = pyrender.Scene(bg_color=(0.0, 0.0, 0.0, 0.0), ambient_light=[light.ambient + light.sky / 2.0] * 3)
        scene.add(self._mesh)
        scene.add(_offset_camera(camera), pose=matrix)
        direction = np.asarray(light.direction, dtype=np.float64)
        if light.follows_camera:
            direction = matrix[:3, :3] @ direction
        # pyrender's Lambert term divides by pi.
        lamp = pyrender.DirectionalLight(color=np.ones(3), intensity=np.pi * light.diffuse)
        scene.add(lamp, pose=_looking_along(-direction))
        return scene


def _pyrender_mesh(appearance: Appearance) -> pyrender.Mesh:
    """One primitive per texture, drawn from both sides."""
    import pyrender

    primitives = []
    for number in np.unique(appearance.texture):
        rows = np.flatnonzero(appearance.texture == number)
        material = pyrender.MetallicRoughnessMaterial(
            baseColorFactor=(1.0, 1.0, 1.0, 1.0), metallicFactor=0.0, roughnessFactor=1.0, doubleSided=True
        )
        if number > 0:
            picture = appearance.textures.pictures[number]
            material.baseColorTexture = pyrender.Texture(source=picture, source_channels="RGB")
        colours = to_linear(appearance.colours[rows].reshape(-1, 3))  # pyrender takes vertex colours as linear light
        primitives.append(
            pyrender.Primitive(
                positions=appearance.corners[rows].reshape(-1, 3),
                normals=appearance.normals[rows].reshape(-1, 3),
                texcoord_0=appearance.uv[rows].reshape(-1, 2) if number > 0 else None,
                color_0=np.concatenate([colours, np.ones_like(colours[:, :1])], axis=1),
                material=material,
            )
        )
    return pyrender.Mesh(primitives=primitives)


def _offset_camera(camera: Camera) -> pyrender.Camera:
    """A pyrender camera with the principal point of ours, which its own classes measure in pixels."""
    import pyrender

    class OffsetCamera(pyrender.Camera):
        def get_projection_matrix(self, width: int | None = None, height: int | None = None) -> np.ndarray:
            matrix = np.zeros((4, 4))
            matrix[0, 0] = matrix[1, 1] = camera.focal
            # clip.xy / clip.w = focal * xy / -z + offset with clip.w = -z.
            matrix[0, 2], matrix[1, 2] = -camera.offset[0], -camera.offset[1]
            matrix[2, 2], matrix[2, 3] = (FAR + NEAR) / (NEAR - FAR), 2 * FAR * NEAR / (NEAR - FAR)
            matrix[3, 2] = -1.0
            return matrix

    return OffsetCamera(znear=NEAR, zfar=FAR)


def _looking_along(direction: np.ndarray) -> np.ndarray:
    """A pose whose -z axis is the direction."""
    backward = -direction / np.linalg.norm(direction)
    helper = np.array([0.0, 1.0, 0.0]) if abs(backward[1]) < 0.9 else np.array([1.0, 0.0, 0.0])
    right = np.cross(helper, backward)
    right /= np.linalg.norm(right)
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack([right, np.cross(backward, right), backward], axis=1)
    return matrix


def _normals_of_depth(depth: np.ndarray, camera: Camera) -> np.ndarray:
    """(s, s, 3) unit normals towards the camera from differences of neighbouring surface points; zero where empty."""
    size = len(depth)
    origins, directions = camera.rays(size)
    forward = -camera.camera_to_world()[:, 2].astype(np.float64)
    distance = np.where(np.isfinite(depth), depth, 0.0) / (directions @ forward)
    points = origins + directions * distance[..., None]
    if size < 2:
        normal = -directions
    else:
        normal = np.cross(np.gradient(points, axis=0), np.gradient(points, axis=1))
        normal /= np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-12)
        normal *= -np.where((normal * directions).sum(axis=-1, keepdims=True) > 0, 1.0, -1.0)
    return np.where(np.isfinite(depth)[..., None], normal, 0.0).astype(np.float32)
