"""OpenGL against ray casting: two independent implementations of the same camera."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import trimesh
from PIL import Image
from trimesh.visual import TextureVisuals

from wavemesh.errors import InputError
from wavemesh.geometry.camera import Camera
from wavemesh.rendering.pyrender_view import PyrenderRenderer, pyrender_problem
from wavemesh.rendering.raycast import Light, RaycastRenderer

CAMERAS = [
    Camera(),
    Camera(35.0, 20.0),
    Camera(-120.0, 70.0, distance=3.5, fov_deg=55.0),
    Camera(200.0, -30.0, offset=(0.25, -0.15)),
    Camera(30.0, 20.0).cropped(20.0, 50.0, 90.0, 128.0, 128.0),
]


def lopsided() -> trimesh.Trimesh:
    """A mesh without any symmetry, so that a mirrored or turned picture cannot pass."""
    parts = [
        trimesh.creation.box((0.9, 0.3, 0.5)),
        trimesh.creation.icosphere(3, 0.3),
        trimesh.creation.cylinder(0.1, 0.9),
    ]
    for part, place in zip(parts, [(0, -0.4, 0), (0.4, 0.2, 0.1), (-0.3, 0.2, -0.2)], strict=True):
        part.apply_translation(place)
    return trimesh.util.concatenate(parts)


@pytest.mark.parametrize("camera", CAMERAS)
def test_silhouette_depth_and_normals_agree_with_ray_casting(camera: Camera) -> None:
    mesh = lopsided()
    ours, theirs = RaycastRenderer(mesh).view(camera, 128), PyrenderRenderer(mesh).view(camera, 128)
    alpha = ours.rgba[..., 3] / 255.0, theirs.rgba[..., 3] / 255.0
    assert np.abs(alpha[0] - alpha[1]).mean() < 0.004
    both = (alpha[0] == 1) & (alpha[1] == 1) & np.isfinite(theirs.depth)
    # Multisampling takes the depth at one corner of a pixel, so single pixels differ by the surface's slope.
    difference = ours.depth[both] - theirs.depth[both]
    assert abs(np.median(difference)) < 5e-3
    assert np.quantile(np.abs(difference), 0.9) < 0.03
    assert np.median((ours.normal * theirs.normal).sum(-1)[both]) > 0.99


def test_texture_and_vertex_colours_agree_with_ray_casting() -> None:
    vertices = np.array([(-0.6, -0.6, 0), (0.6, -0.6, 0), (0.6, 0.6, 0), (-0.6, 0.6, 0)], dtype=float)
    uv = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], dtype=float)
    colours = np.array([[(250, 20, 30), (30, 240, 20)], [(20, 30, 250), (200, 200, 60)]], dtype=np.uint8)
    image = Image.fromarray(np.kron(colours, np.ones((32, 32, 1), dtype=np.uint8)))
    textured = trimesh.Trimesh(
        vertices, [(0, 1, 2), (0, 2, 3)], visual=TextureVisuals(uv=uv, image=image), process=False
    )
    plain = trimesh.creation.icosphere(3, 0.5)
    plain.visual.vertex_colors = np.tile((190, 90, 40, 255), (len(plain.vertices), 1))
    for mesh in (textured, plain):
        ours = RaycastRenderer(mesh).view(Camera(), 64, light=Light.flat()).rgba
        theirs = PyrenderRenderer(mesh).view(Camera(), 64, light=Light.flat()).rgba
        inner = np.s_[25:30, 25:30]
        assert np.abs(ours[inner].astype(int) - theirs[inner]).max() <= 9  # pyrender takes sRGB for a power of 2.2


def test_alpha_is_straight() -> None:
    ball = trimesh.creation.icosphere(4, 0.7)
    ball.visual.vertex_colors = np.tile((200, 200, 200, 255), (len(ball.vertices), 1))
    rgba = PyrenderRenderer(ball).view(Camera(), 64, light=Light.flat()).rgba
    edge = (rgba[..., 3] > 0) & (rgba[..., 3] < 255)
    assert edge.sum() > 20
    assert np.abs(rgba[edge][:, 0].astype(int) - int(rgba[32, 32, 0])).max() <= 6


def test_renderers_work_from_several_threads_and_sizes() -> None:
    renderer, seen = PyrenderRenderer(lopsided()), {}

    def draw(size: int) -> None:
        seen[size] = renderer.view(Camera(20.0, 10.0), size).rgba[..., 3].mean()

    threads = [threading.Thread(target=draw, args=(size,)) for size in (32, 64, 96)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(seen) == {32, 64, 96}
    assert max(seen.values()) - min(seen.values()) < 2.0


def test_opengl_works_here_and_sizes_are_checked() -> None:
    assert pyrender_problem() is None
    with pytest.raises(InputError, match="-1"):
        PyrenderRenderer(lopsided()).view(Camera(), -1)
