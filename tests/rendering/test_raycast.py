"""Ray-cast pictures: every expectation comes from geometry on paper, not from the renderer."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from trimesh.visual import TextureVisuals
from trimesh.visual.material import MultiMaterial, PBRMaterial, SimpleMaterial

from wavemesh.errors import InputError
from wavemesh.geometry.camera import Camera
from wavemesh.rendering.raycast import Light, RaycastRenderer, raycast_view

FLAT = Light.flat()
RED, GREEN, BLUE, YELLOW = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)


def coloured_sphere(colour: tuple[int, int, int], radius: float = 0.8) -> trimesh.Trimesh:
    mesh = trimesh.creation.icosphere(subdivisions=5, radius=radius)
    mesh.visual.vertex_colors = np.tile((*colour, 255), (len(mesh.vertices), 1))
    return mesh


def quad(material: object, uv: np.ndarray | None = None) -> trimesh.Trimesh:
    """A square of side 1 in the plane z = 0, facing +z, with its texture the right way up."""
    vertices = np.array([(-0.5, -0.5, 0), (0.5, -0.5, 0), (0.5, 0.5, 0), (-0.5, 0.5, 0)], dtype=float)
    uv = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], dtype=float) if uv is None else uv
    return trimesh.Trimesh(
        vertices, [(0, 1, 2), (0, 2, 3)], visual=TextureVisuals(uv=uv, material=material), process=False
    )


def four_colours() -> Image.Image:
    picture = np.array([[RED, GREEN], [BLUE, YELLOW]], dtype=np.uint8)
    return Image.fromarray(np.kron(picture, np.ones((16, 16, 1), dtype=np.uint8)))


def pixel_of(camera: Camera, point: tuple[float, float, float], size: int) -> tuple[int, int]:
    (x, y), _ = (a[0] for a in camera.project(np.array([point], dtype=float)))
    return int((1 - y) / 2 * size), int((x + 1) / 2 * size)


cameras = st.builds(
    Camera,
    azimuth_deg=st.floats(-180, 180),
    elevation_deg=st.floats(-80, 80),
    distance=st.floats(3, 7),
    fov_deg=st.floats(30, 60),
    offset=st.tuples(st.floats(-0.2, 0.2), st.floats(-0.2, 0.2)),
)


@settings(max_examples=20, deadline=None)
@given(camera=cameras, point=st.tuples(*[st.floats(-0.6, 0.6)] * 3))
def test_a_small_ball_appears_where_the_camera_projects_it(camera: Camera, point: tuple[float, float, float]) -> None:
    radius = 0.06
    ball = trimesh.creation.icosphere(subdivisions=3, radius=radius)
    ball.apply_translation(point)
    ndc, _ = camera.project(np.array([point]))
    view = raycast_view(ball, camera, 128)
    alpha = view.rgba[..., 3] / 255.0
    rows, columns = np.mgrid[:128, :128] + 0.5
    centre = np.array([(columns * alpha).sum(), (rows * alpha).sum()]) / alpha.sum()
    expected = np.array([(ndc[0, 0] + 1) / 2 * 128, (1 - ndc[0, 1]) / 2 * 128])
    assert np.abs(centre - expected).max() < 0.25
    # The ball is a few pixels wide, so the nearest depth that is seen is that of the rays through pixel centres.
    origins, directions = camera.rays(128)
    away = origins - np.array(point)
    half_b = (away * directions).sum(-1)
    discriminant = half_b**2 - (away**2).sum(-1) + radius**2
    distance = -half_b - np.sqrt(np.maximum(discriminant, 0))
    along_axis = distance * -(directions @ camera.camera_to_world()[:, 2])
    nearest = along_axis[discriminant > 0].min()
    depth = RaycastRenderer(ball).view(camera, 128, supersample=1).depth
    assert depth[np.isfinite(depth)].min() == pytest.approx(nearest, abs=0.005)


def test_depth_and_normals_of_a_sphere_equal_the_formula() -> None:
    camera = Camera(35.0, 25.0, offset=(0.1, -0.05))
    view = RaycastRenderer(trimesh.creation.icosphere(subdivisions=6, radius=0.8)).view(camera, 64, supersample=1)
    origins, directions = camera.rays(64)
    half_b = (origins * directions).sum(-1)
    discriminant = half_b**2 - (origins**2).sum(-1) + 0.8**2
    inside, outside = discriminant > 0.02, discriminant < -0.02
    distance = -half_b - np.sqrt(np.maximum(discriminant, 0))
    points = origins + distance[..., None] * directions
    forward = -camera.camera_to_world()[:, 2]
    assert np.isinf(view.depth[outside]).all()
    assert not view.rgba[outside].any()
    assert np.abs(view.depth - distance * (directions @ forward))[inside].max() < 2e-3
    assert ((view.normal * points / 0.8).sum(-1))[inside].min() > 0.999


def test_alpha_is_straight_and_covers_the_area_of_the_disc() -> None:
    camera = Camera(10.0, 5.0)
    rgba = raycast_view(coloured_sphere((200, 120, 40)), camera, 96, light=FLAT).rgba
    edge = (rgba[..., 3] > 0) & (rgba[..., 3] < 255)
    assert edge.sum() > 50
    assert np.abs(rgba[rgba[..., 3] > 0][:, :3].astype(int) - (200, 120, 40)).max() <= 1
    # The outline of a sphere is the cone of tangents: a circle of radius f * r / sqrt(d^2 - r^2).
    radius = camera.focal * 0.8 / np.sqrt(camera.distance**2 - 0.8**2) * 48
    assert rgba[..., 3].sum() / 255 == pytest.approx(np.pi * radius**2, rel=0.01)


def test_a_texture_is_the_right_way_up() -> None:
    camera = Camera()
    view = raycast_view(quad(SimpleMaterial(image=four_colours())), camera, 128, light=FLAT)
    for (x, y), colour in zip(
        [(-0.25, 0.25), (0.25, 0.25), (-0.25, -0.25), (0.25, -0.25)], [RED, GREEN, BLUE, YELLOW], strict=True
    ):
        assert tuple(view.rgba[pixel_of(camera, (x, y, 0.0), 128)]) == (*colour, 255)


def test_texture_coordinates_repeat() -> None:
    camera = Camera()
    uv = np.array([(-1, 3), (1, 3), (1, 5), (-1, 5)], dtype=float)
    view = raycast_view(quad(SimpleMaterial(image=four_colours()), uv), camera, 128, light=FLAT)
    for x in (-0.375, 0.125):
        assert tuple(view.rgba[pixel_of(camera, (x, 0.375, 0.0), 128)][:3]) == RED
        assert tuple(view.rgba[pixel_of(camera, (x + 0.25, -0.375, 0.0), 128)][:3]) == YELLOW


def test_a_fine_checkerboard_far_away_turns_grey() -> None:
    board = (np.indices((512, 512)).sum(axis=0) % 2 * 255).astype(np.uint8)
    view = raycast_view(quad(SimpleMaterial(image=Image.fromarray(board))), Camera(), 32, light=FLAT)
    middle = view.rgba[13:19, 13:19, :3].astype(int)
    assert np.ptp(middle) <= 4
    assert np.abs(middle - 128).max() <= 4


def test_material_colours() -> None:
    camera, half = Camera(), np.array((127, 255, 255, 255), dtype=np.uint8)
    white = Image.new("RGB", (4, 4), (255, 255, 255))
    grey_beside_texture = SimpleMaterial(image=white, diffuse=(163, 163, 163, 255))
    glass = Image.new("RGBA", (4, 4), (0, 255, 0, 0))
    looks = {
        (10, 200, 30): SimpleMaterial(diffuse=(10, 200, 30, 255)),
        (127, 255, 255): PBRMaterial(baseColorFactor=half, baseColorTexture=white),
        (255, 255, 255): grey_beside_texture,
        (9, 8, 7): SimpleMaterial(image=glass, diffuse=(9, 8, 7, 255)),
    }
    for colour, material in looks.items():
        view = raycast_view(quad(material), camera, 32, light=FLAT)
        assert np.abs(view.rgba[16, 16, :3].astype(int) - colour).max() <= 1


def test_faces_of_one_mesh_may_have_different_materials() -> None:
    mesh = quad(None)
    materials = MultiMaterial(
        [SimpleMaterial(image=Image.new("RGB", (2, 2), RED)), SimpleMaterial(diffuse=(*BLUE, 255))]
    )
    mesh.visual = TextureVisuals(uv=mesh.visual.uv, material=materials, face_materials=np.array([0, 1]))
    camera = Camera()
    view = raycast_view(mesh, camera, 64, light=FLAT)
    assert tuple(view.rgba[pixel_of(camera, (0.3, -0.3, 0), 64)][:3]) == RED
    assert tuple(view.rgba[pixel_of(camera, (-0.3, 0.3, 0), 64)][:3]) == BLUE


def test_face_colours_and_scenes_with_transforms() -> None:
    box = trimesh.creation.box((0.4, 0.4, 0.4))
    box.visual.face_colors = np.tile((*GREEN, 255), (12, 1))
    scene = trimesh.Scene()
    scene.add_geometry(box, transform=trimesh.transformations.translation_matrix((0.5, 0, 0)))
    scene.add_geometry(quad(SimpleMaterial(diffuse=(*RED, 255))), transform=np.diag((0.4, 0.4, 1, 1)))
    camera = Camera()
    view = raycast_view(scene, camera, 64, light=FLAT)
    assert tuple(view.rgba[pixel_of(camera, (0.5, 0, 0.2), 64)][:3]) == GREEN
    assert tuple(view.rgba[pixel_of(camera, (0, 0, 0), 64)][:3]) == RED
    assert view.rgba[pixel_of(camera, (-0.5, 0, 0), 64)][3] == 0


def test_vertex_colours_are_interpolated() -> None:
    mesh = quad(None)
    colours = np.array([(*RED, 255), (*BLUE, 255), (*BLUE, 255), (*RED, 255)], dtype=np.uint8)
    mesh.visual = trimesh.visual.ColorVisuals(mesh, vertex_colors=colours)
    camera = Camera()
    for x in (-0.25, 0.1, 0.4):
        rgb = raycast_view(mesh, camera, 128, light=FLAT).rgba[pixel_of(camera, (x, 0.1, 0), 128)][:3]
        assert np.abs(rgb.astype(int) - (255 * (0.5 - x), 0, 255 * (0.5 + x))).max() <= 4


def test_an_inside_out_mesh_looks_the_same() -> None:
    mesh = coloured_sphere((180, 180, 180))
    turned = mesh.copy()
    turned.invert()
    camera = Camera(20.0, 30.0)
    first, second = raycast_view(mesh, camera, 48), raycast_view(turned, camera, 48)
    assert np.abs(first.rgba.astype(int) - second.rgba).max() <= 1
    assert first.rgba[8:20, 20:28, 0].mean() > first.rgba[30:40, 20:28, 0].mean() + 10  # lit from above


def test_a_cropped_camera_sees_the_crop_of_the_picture() -> None:
    mesh, camera = coloured_sphere((90, 150, 210)), Camera(30.0, 20.0)
    whole = raycast_view(mesh, camera, 128)
    part = raycast_view(mesh, camera.cropped(16.0, 40.0, 64.0, 128.0, 128.0), 64)
    difference = np.abs(part.rgba.astype(int) - whole.rgba[40:104, 16:80])[part.rgba[..., 3] == 255]
    assert difference.max() <= 2


def test_a_background_makes_the_picture_opaque() -> None:
    rgba = raycast_view(coloured_sphere((0, 0, 0)), Camera(), 48, light=FLAT, background=(1.0, 1.0, 0.0)).rgba
    assert (rgba[..., 3] == 255).all()
    assert tuple(rgba[0, 0, :3]) == (255, 255, 0)
    assert tuple(rgba[24, 24, :3]) == (0, 0, 0)


def test_a_camera_inside_the_mesh_sees_it_everywhere() -> None:
    view = raycast_view(trimesh.creation.box((8, 8, 8)), Camera(distance=2.0), 16)
    assert (view.rgba[..., 3] == 255).all()
    assert view.depth[8, 8] == pytest.approx(6.0, rel=1e-3)


@pytest.mark.parametrize("size, supersample", [(0, 2), (-3, 2), (8, 0)])
def test_bad_sizes_are_named(size: int, supersample: int) -> None:
    with pytest.raises(InputError, match=str(size)):
        raycast_view(coloured_sphere(RED), Camera(), size, supersample=supersample)


def test_a_mesh_without_faces_and_a_dark_light_direction_are_refused() -> None:
    with pytest.raises(InputError, match="no faces"):
        RaycastRenderer(trimesh.Trimesh(np.zeros((3, 3)), np.zeros((0, 3), dtype=int), process=False))
    with pytest.raises(InputError, match="direction"):
        Light(direction=(0.0, 0.0, 0.0))
