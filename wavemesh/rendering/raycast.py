"""Pictures of a mesh by ray casting on Embree: the renderer that runs anywhere.

Training views and depth come from here (`data.prepare`), and every picture on a machine without OpenGL. Textured and
lit: Lambert with an ambient and a sky term, computed in linear light, normals turned towards the camera since real
meshes are rarely oriented well. Silhouettes are anti-aliased by supersampling and show the geometry alone: texture
alpha is ignored, so that the mask always agrees with the solid that the SDF is made from.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import numpy as np
import trimesh
from jaxtyping import Float, UInt8

from wavemesh.errors import InputError
from wavemesh.geometry.camera import Camera
from wavemesh.geometry.colour import to_linear, to_srgb
from wavemesh.geometry.raycast import RayCaster
from wavemesh.rendering.appearance import Appearance


@dataclass(frozen=True)
class Light:
    """One distant lamp, a sky that is brightest overhead, and ambient light; strengths add up to about 1.

    direction: towards the lamp, in the world, or in camera axes (right, up, backward) when follows_camera.
    """

    direction: tuple[float, float, float] = (0.5, 0.8, 0.6)
    diffuse: float = 0.6
    sky: float = 0.3
    ambient: float = 0.25
    follows_camera: bool = False

    def __post_init__(self) -> None:
        strengths = (self.diffuse, self.sky, self.ambient)
        if not np.isfinite(strengths).all() or min(strengths) < 0 or not np.linalg.norm(self.direction) > 0:
            raise InputError(f"A light needs a direction and strengths of at least 0, not {self}.")

    @classmethod
    def flat(cls) -> Light:
        """Ambient light alone: the picture shows the surface colours themselves."""
        return cls(diffuse=0.0, sky=0.0, ambient=1.0)


@dataclass(frozen=True)
class RenderedView:
    """A picture with its geometry.

    rgba: (s, s, 4) uint8, straight alpha. depth: (s, s) float32 along the viewing direction (as `Camera.project` gives
    it), inf where empty. normal: (s, s, 3) float32 unit vectors in the world, towards the camera, zero where empty.
    """

    rgba: UInt8[np.ndarray, "s s 4"]
    depth: Float[np.ndarray, "s s"]
    normal: Float[np.ndarray, "s s 3"]


class RaycastRenderer:
    """Renders views of one mesh or scene; the ray caster and the textures are built once. InputError without faces."""

    def __init__(self, mesh: trimesh.Trimesh | trimesh.Scene) -> None:
        self._appearance = Appearance.of(mesh)
        self.caster = RayCaster(self._appearance.geometry())
        corners = self._appearance.corners.reshape(-1, 3)
        self._bounds = np.stack([corners.min(axis=0), corners.max(axis=0)]).astype(np.float64)

    def view(
        self,
        camera: Camera,
        size: int,
        light: Light | None = None,
        supersample: int = 2,
        background: tuple[float, float, float] | None = None,
        colour: tuple[float, float, float] | None = None,
    ) -> RenderedView:
        """The picture that the camera takes, size x size pixels.

        supersample: rays per pixel and axis. background: sRGB in [0, 1] to put behind the object (opaque picture).
        colour: sRGB in [0, 1] that replaces the mesh's own colours. Raises InputError for a size below 1.
        """
        if size < 1 or supersample < 1:
            raise InputError(f"A picture needs a positive size and supersampling, not {size} and {supersample}.")
        light = light or Light()
        fine = size * supersample
        window = self._window(camera, fine)
        shape = (window[1] - window[0], window[3] - window[2])
        origins, directions = (
            field[window[0] : window[1], window[2] : window[3]].reshape(-1, 3) for field in camera.rays(fine)
        )
        hits = self.caster.cast(origins, directions)
        seen = np.flatnonzero(hits.triangle >= 0)
        triangle, barycentric = hits.triangle[seen], hits.barycentric[seen]
        direction = directions[seen].astype(np.float32)
        pose = camera.camera_to_world()
        depth = hits.distance[seen] * -(direction @ pose[:, 2])
        normal = self._appearance.normal_at(triangle, barycentric)
        normal *= -np.where((normal * direction).sum(axis=1, keepdims=True) > 0, 1.0, -1.0).astype(np.float32)
        if colour is None:
            footprint = depth * (2.0 / (camera.focal * fine))
            albedo = self._appearance.colour_at(triangle, barycentric, footprint)
        else:
            albedo = np.broadcast_to(np.asarray(colour, dtype=np.float32), normal.shape)
        lit = to_linear(albedo) * _irradiance(light, normal, pose)[:, None]

        samples = np.zeros((fine, fine, 8), dtype=np.float32)
        samples[..., 7] = np.inf
        patch = samples[window[0] : window[1], window[2] : window[3]].reshape(-1, 8)
        patch[seen] = np.concatenate([lit, np.ones((len(seen), 1), np.float32), normal, depth[:, None]], axis=1)
        samples[window[0] : window[1], window[2] : window[3]] = patch.reshape(*shape, 8)
        return _resolve(samples, supersample, background)

    def _window(self, camera: Camera, size: int) -> tuple[int, int, int, int]:
        """(top, bottom, left, right) of the pixels that can see the mesh: its bounding box projected."""
        (x_0, y_0, z_0), (x_1, y_1, z_1) = self._bounds
        box = np.array([(x, y, z) for x in (x_0, x_1) for y in (y_0, y_1) for z in (z_0, z_1)])
        ndc, depth = camera.project(box)
        if depth.min() <= 1e-3:  # the camera stands inside or beside the box
            return 0, size, 0, size
        low = np.floor((np.array([-ndc[:, 1].max(), ndc[:, 0].min()]) + 1) / 2 * size).astype(int) - 1
        high = np.ceil((np.array([-ndc[:, 1].min(), ndc[:, 0].max()]) + 1) / 2 * size).astype(int) + 1
        (top, left), (bottom, right) = np.clip(low, 0, size), np.clip(high, 0, size)
        return int(top), int(bottom), int(left), int(right)


def raycast_view(
    mesh: trimesh.Trimesh | trimesh.Scene,
    camera: Camera,
    size: int,
    *,
    light: Light | None = None,
    supersample: int = 2,
    background: tuple[float, float, float] | None = None,
) -> RenderedView:
    """One picture of a mesh; see `RaycastRenderer.view`, which is faster for several pictures of the same mesh."""
    return RaycastRenderer(mesh).view(camera, size, light=light, supersample=supersample, background=background)


def _irradiance(light: Light, normal: Float[np.ndarray, "n 3"], pose: np.ndarray) -> Float[np.ndarray, "n"]:
    direction = np.asarray(light.direction, dtype=np.float32)
    if light.follows_camera:
        direction = pose[:, :3] @ direction
    direction = direction / np.linalg.norm(direction)
    lamp = np.maximum(normal @ direction.astype(np.float32), 0.0)
    return light.ambient + light.sky * (0.5 + 0.5 * normal[:, 1]) + light.diffuse * lamp


def _resolve(
    samples: Float[np.ndarray, "fine fine 8"], supersample: int, background: tuple[float, float, float] | None
) -> RenderedView:
    """Averages the samples of every pixel; colours are premultiplied by construction (zero where empty)."""
    # Sums over a handful of slices: over an axis of four numpy takes three times as long.
    slices = [samples[i::supersample, j::supersample] for i in range(supersample) for j in range(supersample)]
    mean = reduce(np.add, [each[..., :7] for each in slices]) / np.float32(len(slices))
    alpha = mean[..., 3]
    rgb = to_srgb(mean[..., :3] / np.maximum(alpha, 1e-6)[..., None])
    rgb[alpha == 0] = 0.0
    if background is not None:
        # Compositing in sRGB, as browsers and image libraries do.
        rgb = rgb * alpha[..., None] + np.asarray(background, dtype=np.float32) * (1.0 - alpha[..., None])
        rgba = np.concatenate([rgb, np.ones_like(rgb[..., :1])], axis=-1)
    else:
        rgba = np.concatenate([rgb, alpha[..., None]], axis=-1)
    # Samples behind the nearest surface of the pixel would put its depth between two surfaces.
    depths = [each[..., 7] for each in slices]
    nearest = np.minimum.reduce(depths)
    near = [each <= nearest * 1.02 for each in depths]
    finite = [np.where(close & np.isfinite(each), each, 0.0) for close, each in zip(near, depths, strict=True)]
    depth = np.where(np.isfinite(nearest), reduce(np.add, finite) / np.sum(near, axis=0), np.inf).astype(np.float32)
    normal = mean[..., 4:7]
    normal = normal / np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-8)
    return RenderedView(rgba=np.rint(rgba * 255.0).astype(np.uint8), depth=depth, normal=normal.astype(np.float32))
