"""Vertex colours out of pictures: who sees a vertex decides, and hidden ones take the colour of their like."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from wavemesh.geometry.camera import Camera
from wavemesh.geometry.texture import (
    NEUTRAL_GREY,
    interpolated_colours,
    vertex_colours,
    vertex_colours_from_views,
)

RED, BLUE = (220, 20, 10), (10, 30, 200)
FRONT, BACK = Camera(0.0, 0.0), Camera(180.0, 0.0)


def plain(colour: tuple[int, int, int], size: int = 32, alpha: int = 255) -> np.ndarray:
    return np.broadcast_to(np.array((*colour, alpha), dtype=np.uint8), (size, size, 4)).copy()


def ball(radius: float = 0.6, place: tuple[float, float, float] = (0, 0, 0)) -> trimesh.Trimesh:
    mesh = trimesh.creation.icosphere(subdivisions=3, radius=radius)
    mesh.apply_translation(place)
    return mesh


def test_a_sphere_of_two_colours_seen_from_front_and_back() -> None:
    mesh = ball()
    colours = vertex_colours_from_views(mesh, [plain(RED), plain(BLUE)], [FRONT, BACK])
    z = mesh.vertices[:, 2]
    assert colours.dtype == np.uint8
    assert (colours[:, 3] == 255).all()
    assert (colours[z > 0.12, :3] == RED).all()
    assert (colours[z < -0.12, :3] == BLUE).all()


def test_colours_land_where_the_picture_has_them() -> None:
    """A picture painted by the world's coordinates, right and up, comes back as those coordinates."""
    size = 128
    origins, directions = FRONT.rays(size)
    on_plane = origins - directions * (origins[..., 2:] / directions[..., 2:])  # at z = 0
    painted = np.full((size, size, 4), 255, dtype=np.uint8)
    painted[..., :2] = (on_plane[..., :2] * 100 + 128).round()
    x, y = np.meshgrid(np.linspace(-0.8, 0.8, 9), np.linspace(-0.8, 0.8, 9), indexing="ij")
    vertices = np.stack([x.ravel(), y.ravel(), np.zeros(81)], axis=1)
    first = (np.arange(8)[:, None] * 9 + np.arange(8)).ravel()
    faces = np.concatenate([np.stack([first, first + 9, first + 10], 1), np.stack([first, first + 10, first + 1], 1)])
    mesh = trimesh.Trimesh(vertices, faces, process=False)
    assert (mesh.face_normals[:, 2] > 0).all()
    colours = vertex_colours_from_views(mesh, [painted], [FRONT])
    np.testing.assert_allclose(colours[:, :2], vertices[:, :2] * 100 + 128, atol=1.5)


def test_what_stands_in_front_hides_what_is_behind() -> None:
    large, small = ball(0.5, (0, 0, 0.4)), ball(0.15, (0, 0, -0.5))
    mesh = trimesh.util.concatenate([large, small])
    colours = vertex_colours_from_views(mesh, [plain(RED), plain(BLUE)], [FRONT, BACK])
    assert (colours[len(large.vertices) :, :3] == BLUE).all()
    assert (colours[: len(large.vertices)][large.vertices[:, 2] > 0.6, :3] == RED).all()


def test_two_pictures_of_the_same_side_are_mixed() -> None:
    mesh = ball()
    colours = vertex_colours_from_views(mesh, [plain((200, 0, 0)), plain((100, 0, 0))], [FRONT, FRONT])
    assert (colours[mesh.vertices[:, 2] > 0.12, 0] == 150).all()


def test_transparent_parts_of_a_picture_do_not_count() -> None:
    mesh = ball()
    half = plain(RED)
    half[:, :16] = (0, 255, 0, 0)  # what lies under transparent pixels is undefined
    seen = vertex_colours_from_views(mesh, [half], [FRONT])
    assert (seen[:, :3] == RED).all()


def test_the_unseen_side_mirrors_the_seen_one() -> None:
    """Seen from the right (+x) alone, painted by height: the left takes the colour at the same height and depth."""
    mesh = ball()
    picture = plain((0, 0, 0), 64)
    picture[..., 0] = np.linspace(255, 0, 64).round()[:, None]
    colours = vertex_colours_from_views(mesh, [picture], [Camera(90.0, 0.0)])
    mirrored = mesh.vertices * (-1, 1, 1)
    partner = np.linalg.norm(mesh.vertices[None] - mirrored[:, None], axis=-1).argmin(axis=1)
    assert np.linalg.norm(mesh.vertices[partner] - mirrored, axis=1).max() < 1e-6
    clear = np.abs(mesh.vertices[:, 0]) > 0.15
    np.testing.assert_array_equal(colours[clear], colours[partner][clear])
    assert np.ptp(colours[mesh.vertices[:, 0] < -0.15, 0].astype(int)) > 40


@pytest.mark.parametrize("views", [0, 1])
def test_grey_where_no_picture_shows_anything(views: int) -> None:
    colours = vertex_colours_from_views(ball(), [plain(RED, alpha=0)] * views, [FRONT] * views)
    assert (colours == (NEUTRAL_GREY, NEUTRAL_GREY, NEUTRAL_GREY, 255)).all()


def test_a_mesh_that_shows_its_back_is_grey() -> None:
    sheet = trimesh.Trimesh([[0, 0, 0], [0, 0.5, 0], [0.5, 0, 0]], [[0, 1, 2]], process=False)
    assert sheet.face_normals[0, 2] < 0
    assert (vertex_colours_from_views(sheet, [plain(RED)], [FRONT])[:, 0] == NEUTRAL_GREY).all()


def test_mirror_images_colour_what_no_picture_shows() -> None:
    red, blue = plain((255, 0, 0)), plain((0, 0, 255))
    colours = vertex_colours_from_views(ball(), [red, blue], [Camera(0.0), Camera(180.0)], mirrored=1)
    front, back = ball().vertices[:, 2] > 0.1, ball().vertices[:, 2] < -0.1
    np.testing.assert_array_equal(colours[front, :3], [[255, 0, 0]] * int(front.sum()))
    np.testing.assert_array_equal(colours[back, :3], [[0, 0, 255]] * int(back.sum()))
    # Where a picture shows it as well, a mirror image hardly counts.
    both = vertex_colours_from_views(ball(), [red, blue], [Camera(0.0), Camera(0.0)], mirrored=1)
    assert both[front, 0].min() > 235
    assert both[front, 2].max() < 20


def green(points: np.ndarray) -> np.ndarray:
    return np.tile([0.0, 1.0, 0.0], (len(points), 1))


def test_another_source_colours_what_no_picture_shows() -> None:
    """Seen from the front alone: red where it is seen well, green behind, and no step in between."""
    mesh = ball()
    colours = vertex_colours_from_views(mesh, [plain(RED)], [FRONT], green).astype(int)
    towards = (FRONT.position() - mesh.vertices) / np.linalg.norm(FRONT.position() - mesh.vertices, axis=1)[:, None]
    cosine = (towards * mesh.vertex_normals).sum(axis=1)
    assert (colours[cosine > 0.34, :3] == RED).all()
    assert (colours[cosine < 0.0, :3] == (0, 255, 0)).all()
    rim = (cosine > 0.12) & (cosine < 0.28)
    assert rim.any()
    assert ((colours[rim, 0] > 10) & (colours[rim, 0] < RED[0] - 10)).all()


def test_another_source_colours_everything_without_pictures() -> None:
    assert (vertex_colours_from_views(ball(), [], [], green) == (0, 255, 0, 255)).all()


def test_vertices_take_the_colours_of_their_places() -> None:
    mesh = ball()
    colours = vertex_colours(mesh, lambda points: points + 0.5)
    assert colours.dtype == np.uint8
    expected = ((mesh.vertices + 0.5) * 255.0).clip(0.0, 255.0)
    np.testing.assert_allclose(colours[:, :3], expected, atol=0.51)


def test_colours_between_vertices_are_those_of_the_vertices_around() -> None:
    mesh = ball()
    mesh.visual.vertex_colors = vertex_colours(mesh, lambda points: points / 2.0 + 0.5)
    colour_at = interpolated_colours(mesh)
    np.testing.assert_allclose(colour_at(mesh.vertices), mesh.visual.vertex_colors[:, :3] / 255.0, atol=1e-4)
    centres = mesh.triangles_center
    np.testing.assert_allclose(colour_at(centres), centres / 2.0 + 0.5, atol=0.02)
