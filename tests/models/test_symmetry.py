"""Mirror images as further views: their cameras, and which planes silhouettes allow."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import trimesh
from hypothesis import given
from hypothesis import strategies as st

from wavemesh.geometry.camera import Camera
from wavemesh.geometry.camera_tensors import stack_cameras
from wavemesh.models import symmetry
from wavemesh.models.posed_pictures import PosedPictures
from wavemesh.models.symmetry import (
    DEPTHS,
    HALF_TURN,
    SIDES,
    Mirror,
    mirrored_camera,
    mirrored_pictures,
    mirrors_by_likelihood,
    mirrors_of,
    room,
)
from wavemesh.rendering.multiview import render_view

MIRRORS = (SIDES, DEPTHS, HALF_TURN)


def posed(mesh: trimesh.Trimesh, camera: Camera, size: int = 64) -> PosedPictures:
    """One picture of a mesh, premultiplied."""
    pixels = torch.from_numpy(render_view(mesh, camera, size, "embree").rgba).permute(2, 0, 1).float() / 255.0
    poses, intrinsics = stack_cameras([camera])
    return PosedPictures(torch.cat([pixels[:3] * pixels[3:], pixels[3:]])[None, None], poses[None], intrinsics[None])


def boxes(
    *places: tuple[float, float, float], extents: tuple[float, float, float] = (0.4, 0.4, 0.4)
) -> trimesh.Trimesh:
    """Boxes at places."""
    parts = [trimesh.creation.box(extents, trimesh.transformations.translation_matrix(place)) for place in places]
    return trimesh.util.concatenate(parts)


@given(
    azimuth=st.floats(-180, 180),
    elevation=st.floats(-80, 80),
    offset=st.tuples(st.floats(-0.3, 0.3), st.floats(-0.3, 0.3)),
    mirror=st.sampled_from(MIRRORS),
    seed=st.integers(0, 100),
)
def test_a_mirrored_camera_sees_the_mirrored_points_where_the_mirrored_picture_has_them(
    azimuth: float, elevation: float, offset: tuple[float, float], mirror: Mirror, seed: int
) -> None:
    points = np.random.default_rng(seed).uniform(-0.9, 0.9, (20, 3))
    camera = Camera(azimuth, elevation, offset=offset)
    seen, depth = camera.project(points)
    mirrored, mirrored_depth = mirrored_camera(camera, mirror).project(points * np.array(mirror))
    flip = 1.0 if mirror == HALF_TURN else -1.0
    np.testing.assert_allclose(mirrored, seen * [flip, 1.0], atol=1e-5)
    np.testing.assert_allclose(mirrored_depth, depth, atol=1e-5)


@pytest.mark.parametrize("mirror", MIRRORS)
def test_mirrored_pictures_have_the_mirrored_cameras(mirror: Mirror) -> None:
    camera = Camera(30.0, 20.0, offset=(0.1, -0.05))
    one = posed(boxes((0.3, 0.0, 0.1)), camera)
    mirrored = mirrored_pictures(one, mirror)
    poses, intrinsics = stack_cameras([mirrored_camera(camera, mirror)])
    torch.testing.assert_close(mirrored.poses[0], poses, atol=1e-5, rtol=0.0)
    torch.testing.assert_close(mirrored.intrinsics[0], intrinsics)
    # A picture of the mirrored mesh, taken by the mirrored camera.
    signs = np.diag([*mirror, 1.0])
    again = posed(boxes((0.3, 0.0, 0.1)).apply_transform(signs), mirrored_camera(camera, mirror))
    torch.testing.assert_close(mirrored.alpha, again.alpha, atol=0.3, rtol=0.0)
    assert (mirrored.alpha - again.alpha).abs().mean() < 0.002


def test_a_symmetric_object_leaves_its_silhouette_whole() -> None:
    both = boxes((0.6, 0.0, 0.3), (-0.6, 0.0, 0.3), extents=(0.3, 0.5, 0.2))
    assert room(posed(both, Camera(35.0, 20.0)), (SIDES,)) == [1.0]


def test_an_object_that_is_not_symmetric_contradicts_itself_with_two_mirrors() -> None:
    corner = boxes((0.6, 0.0, 0.6))
    share = room(posed(corner, Camera(30.0, 20.0)), MIRRORS)[0]
    assert share < 0.9


def test_no_place_outside_the_frame_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    # Only on the plane itself do its silhouette and the mirrored one meet, which is behind the frame.
    aside = posed(boxes((0.75, 0.0, 0.0), extents=(0.2, 0.4, 0.2)), Camera(30.0, 0.0))
    assert room(aside, (SIDES,))[0] < 0.1
    monkeypatch.setattr(symmetry, "BOX", 9.0)
    assert room(aside, (SIDES,))[0] > 0.9


def test_a_picture_without_opaque_pixels_allows_everything() -> None:
    poses, intrinsics = stack_cameras([Camera()])
    nothing = PosedPictures(torch.zeros(1, 1, 4, 32, 32), poses[None], intrinsics[None])
    assert room(nothing, MIRRORS) == [1.0]


def test_a_plane_has_to_be_likely() -> None:
    ball = posed(trimesh.creation.icosphere(radius=0.8), Camera(30.0, 20.0))
    assert mirrors_of(ball) == (SIDES, DEPTHS, HALF_TURN)
    assert mirrors_of(ball, most=1) == (SIDES,)
    assert mirrors_of(ball, (0.1, 0.7)) == (DEPTHS,)
    assert mirrors_of(ball, (0.7, 0.1)) == (SIDES,)
    assert mirrors_of(ball, (0.7, 0.8), most=1) == (DEPTHS,)
    assert mirrors_of(ball, (0.1, 0.2)) == ()


def test_further_mirrors_come_by_how_likely_they_are() -> None:
    ball = posed(trimesh.creation.icosphere(radius=0.8), Camera(30.0, 20.0))
    both = (SIDES, DEPTHS, HALF_TURN)
    assert mirrors_by_likelihood(ball, (0.8, 0.4)) == [(SIDES,), both, ()]
    assert mirrors_by_likelihood(ball, (0.8, 0.4), most=1) == [(SIDES,), ()]
    assert mirrors_by_likelihood(ball, (0.6, 0.5)) == [(), (SIDES,), both, (DEPTHS,)]
    assert mirrors_by_likelihood(ball, (0.0, 0.0)) == [()]
    assert mirrors_by_likelihood(ball, (1.0, 1.0)) == [both, ()]


def test_further_mirrors_are_those_that_silhouettes_allow() -> None:
    corner = posed(boxes((0.6, 0.0, 0.6)), Camera(30.0, 20.0))
    assert (SIDES, DEPTHS, HALF_TURN) not in mirrors_by_likelihood(corner, (0.6, 0.6))
