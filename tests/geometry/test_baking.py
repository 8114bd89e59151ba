"""Textures baked onto meshes, looked up again by trimesh and by a picture: the colours are where they should be."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from wavemesh.errors import InputError
from wavemesh.geometry.baking import bake_texture, rasterise
from wavemesh.geometry.camera import Camera
from wavemesh.rendering.raycast import Light, raycast_view


def position_colour(points: np.ndarray) -> np.ndarray:
    """A colour that tells a point's place."""
    return points / 2.0 + 0.5


def coloured(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    copy = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    copy.visual.vertex_colors = (position_colour(np.asarray(mesh.vertices)) * 255.0).round().astype(np.uint8)
    return copy


def torus() -> trimesh.Trimesh:
    return trimesh.creation.torus(0.6, 0.25, major_sections=24, minor_sections=12)


@pytest.fixture(scope="module")
def baked() -> trimesh.Trimesh:
    return bake_texture(torus(), position_colour, 256)


def test_the_texture_holds_each_places_colour(baked: trimesh.Trimesh) -> None:
    """Looked up by trimesh's own sampling of the picture, at every face's centre and close to its corners."""
    corners, uv = np.asarray(baked.vertices)[baked.faces], baked.visual.uv[baked.faces]
    for weights in ((1 / 3, 1 / 3, 1 / 3), (0.8, 0.1, 0.1), (0.1, 0.1, 0.8)):
        places = np.einsum("k,fkd->fd", weights, corners)
        found = baked.visual.material.to_simple().to_color(np.einsum("k,fkd->fd", weights, uv))
        texel = 2.0 / 256 * 4  # a texel's width on this mesh, in units of colour, generously
        assert np.abs(found[:, :3] / 255.0 - position_colour(places)).max() < texel


def test_the_mesh_stays_as_it_was(baked: trimesh.Trimesh) -> None:
    mesh = torus()
    np.testing.assert_allclose(baked.vertices[baked.faces], mesh.vertices[mesh.faces], atol=1e-7)
    np.testing.assert_allclose(baked.vertex_normals[baked.faces], mesh.vertex_normals[mesh.faces], atol=1e-6)
    assert len(baked.vertices) > len(mesh.vertices)  # cut open somewhere: a torus has no flat map
    assert baked.visual.uv.min() >= 0.0
    assert baked.visual.uv.max() <= 1.0


def test_charts_do_not_overlap(baked: trimesh.Trimesh) -> None:
    uv = baked.visual.uv[baked.faces]
    owners = np.zeros((256, 256), dtype=int)
    for texels in rasterise(uv, 256):
        strictly = (texels.barycentric > 1e-3).all(axis=1)
        np.add.at(owners, (texels.row[strictly], texels.column[strictly]), 1)
    assert owners.max() == 1
    assert (owners > 0).mean() > 0.3  # and the texture is used


def test_a_picture_of_it_is_that_of_the_mesh_coloured_by_vertex(baked: trimesh.Trimesh) -> None:
    camera = Camera(30.0, 50.0)
    textured, plain = (raycast_view(mesh, camera, 64, light=Light.flat()).rgba for mesh in (baked, coloured(torus())))
    np.testing.assert_array_equal(textured[..., 3], plain[..., 3])
    seen = plain[..., 3] == 255
    difference = np.abs(textured[seen, :3].astype(int) - plain[seen, :3].astype(int))
    assert seen.sum() > 500
    assert np.percentile(difference, 99) <= 6
    assert difference.mean() < 2


def test_baking_again_gives_the_same(baked: trimesh.Trimesh) -> None:
    again = bake_texture(torus(), position_colour, 256)
    np.testing.assert_array_equal(again.visual.uv, baked.visual.uv)
    pictures = [np.asarray(mesh.visual.material.baseColorTexture) for mesh in (again, baked)]
    np.testing.assert_array_equal(*pictures)


def test_a_triangle_covers_the_texels_whose_centres_it_holds() -> None:
    """Counted by hand: the half square below the diagonal of 8 x 8 texels, its row 0 on top."""
    uv = np.array([[[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]])
    (texels,) = rasterise(uv, 8)
    assert len(texels.row) == 8 * 9 // 2
    assert (texels.row >= texels.column).all()
    u, v = (texels.column + 0.5) / 8, 1.0 - (texels.row + 0.5) / 8
    np.testing.assert_allclose(texels.barycentric[:, 1:], np.stack([u, v], axis=1), atol=1e-12)


def test_what_cannot_be_baked_is_refused() -> None:
    with pytest.raises(InputError, match="not 16"):
        bake_texture(torus(), position_colour, 16)
    with pytest.raises(InputError, match="not 0"):
        bake_texture(trimesh.Trimesh(), position_colour)
