"""Procedural shapes as training data: pictures against ray-cast meshes, the batch's format, mixing, determinism."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.data.conftest import analytic_shapes, prepared_root, sample_files  # noqa: F401 - fixtures
from wavemesh.data.cameras import training_cameras
from wavemesh.data.dataset import PreparedShapes
from wavemesh.data.procedural import ProceduralShapes, RenderedShapes
from wavemesh.errors import InputError
from wavemesh.geometry.camera import Camera
from wavemesh.geometry.isosurface import sdf_to_mesh
from wavemesh.geometry.raycast import RayCaster
from wavemesh.procedural.builder import Builder, pack
from wavemesh.procedural.catalogue import make_solids
from wavemesh.procedural.grid import solids_to_sdf
from wavemesh.procedural.materials import Paint
from wavemesh.rendering import Light, raycast_view
from wavemesh.rendering.sphere_tracing import trace_views
from wavemesh.training.triplane_batches import TriplaneBatches, TriplaneOptions
from wavemesh.training.wavemesh import ShapeBatches, TaskOptions


# ruff: noqa: F811 - a fixture's name is its argument's name
@pytest.fixture
def shapes(prepared_root: Path) -> PreparedShapes:
    return PreparedShapes(prepared_root, "train")


@pytest.mark.parametrize("category", ["chair", "car", "vase", "free form"])
def test_silhouettes_are_those_of_the_mesh(category: str) -> None:
    grids = solids_to_sdf(make_solids(4, [1], category), 128)
    points = grids.solids.outline[0].numpy()
    camera = training_cameras("a", points, 6)[4]
    alpha = trace_views(grids, [[camera]], [[Light()]], 96, supersample=1)[0, 0, :, :, 3].numpy() > 127
    origins, directions = camera.rays(96)
    caster = RayCaster(sdf_to_mesh(grids.sdf[0].numpy()))
    mesh = caster.cast(origins.reshape(-1, 3), directions.reshape(-1, 3)).hit.reshape(96, 96)
    assert (alpha & mesh).sum() / (alpha | mesh).sum() > 0.97


def test_pictures_look_as_ray_casting_makes_them() -> None:
    builder = Builder()
    builder.ellipsoid((0, 0, 0), (1.8, 1.8, 1.8), Paint((0.8, 0.4, 0.2)))
    grids = solids_to_sdf(pack([builder.finish()]), 64)
    light, camera = Light((0.2, 0.9, 0.4), 0.6, 0.2, 0.3), Camera(30.0, 20.0)
    traced = trace_views(grids, [[camera]], [[light]], 64)[0, 0].numpy().astype(int)
    mesh = sdf_to_mesh(grids.sdf[0].numpy())
    mesh.visual.vertex_colors = np.tile((204, 102, 51, 255), (len(mesh.vertices), 1))
    cast = raycast_view(mesh, camera, 64, light=light).rgba.astype(int)
    full = (traced[..., 3] == 255) & (cast[..., 3] == 255)
    assert full.sum() > 900
    assert np.abs(traced - cast)[full].mean() < 2.0
    assert np.abs(traced[..., 3] - cast[..., 3]).mean() < 2.0


def test_shapes_are_the_same_whatever_is_asked_with_them() -> None:
    source = ProceduralShapes(5, resolution=32, image_size=24)
    together = source.render([3, 8, 4], [[0, 7], [1, 2], [19, 5]])
    alone = source.render([4], [[19, 5]])
    for name in RenderedShapes.__dataclass_fields__:
        torch.testing.assert_close(getattr(together, name)[2:], getattr(alone, name), atol=1e-6, rtol=0)
    assert together.pictures.shape == (3, 2, 24, 24, 4)
    assert together.pictures[..., 3].float().mean(dim=(2, 3)).min() > 8  # something is seen in every view
    with pytest.raises(InputError, match="0"):
        ProceduralShapes(5, num_views=0)


def test_views_are_cropped_to_the_object() -> None:
    source = ProceduralShapes(2, resolution=64, image_size=64)
    alpha = source.render(range(3), [[0, 2]] * 3).pictures[..., 3] > 0
    # The canonical views leave a margin of 8% of the object's longer side: 4.4 pixels here.
    extent = torch.stack([alpha.any(dim=d).sum(dim=-1) for d in (2, 3)]).amax(dim=0)
    assert ((extent >= 53) & (extent <= 58)).all()
    assert not alpha[:, :, :2].any()
    assert not alpha[..., -2:].any()


def test_mixed_batches_have_the_format_of_real_ones(shapes: PreparedShapes) -> None:
    real = ShapeBatches(shapes, TaskOptions(batch_size=4)).batch(3, 1)
    mixed = ShapeBatches(shapes, TaskOptions(batch_size=4, procedural_share=0.5)).batch(3, 1)
    assert list(mixed) == list(real)
    for name, tensor in real.items():
        assert (mixed[name].shape, mixed[name].dtype) == (tensor.shape, tensor.dtype)
    rgb, alpha = mixed["images"].split([3, 1], dim=2)
    assert (rgb <= alpha + 1e-6).all()
    everything = ShapeBatches(shapes, TaskOptions(batch_size=2, procedural_share=1.0)).batch(3, 0)
    assert everything["sdf"].shape == (2, 32, 32, 32)


def test_mixed_batches_depend_on_seed_and_number_alone(shapes: PreparedShapes) -> None:
    options = TaskOptions(batch_size=3, procedural_share=0.4)
    batches = ShapeBatches(shapes, options)
    through = batches(7, 0)
    for _ in range(3):
        last = next(through)
    direct = next(ShapeBatches(shapes, options)(7, 2))
    assert all(torch.equal(last[name], direct[name]) for name in last)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_shares_are_kept_and_nothing_comes_twice(share: float, shapes: PreparedShapes) -> None:
    batches = ShapeBatches(shapes, TaskOptions(batch_size=3, procedural_share=share))
    made: list[int] = []
    real: list[int] = []
    for number in range(20):
        parts: list[Sequence[int]] = [batches.procedural_numbers(number), batches.indices(0, number)]
        assert sum(map(len, parts)) == 3
        made += parts[0]
        real += parts[1]
    assert made == list(range(int(60 * share)))
    whole = len(real) // len(shapes) * len(shapes)
    assert all(real[:whole].count(index) == whole // len(shapes) for index in range(len(shapes)))
    with pytest.raises(InputError, match=r"1\.5"):
        TaskOptions(procedural_share=1.5)


def test_the_triplane_system_refuses_them(shapes: PreparedShapes) -> None:
    with pytest.raises(InputError, match="procedural_share"):
        TriplaneBatches(shapes, TriplaneOptions(procedural_share=0.5))
