"""Coloured surface points: who sees what, builds that stop and go on, and colour volumes against a plain loop."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from torch import Tensor

from wavemesh.data import colours, derived
from wavemesh.data.colours import colour_volume, open_colours, surface_colours
from wavemesh.data.dataset import PreparedShapes, to_network_image
from wavemesh.data.derived import Arrays
from wavemesh.errors import InputError
from wavemesh.geometry.camera import Camera
from wavemesh.geometry.camera_tensors import stack_cameras
from wavemesh.rendering import Light, raycast_view

RED, GREEN = (0.9, 0.1, 0.1), (0.1, 0.8, 0.2)


def _ball(place: tuple[float, float, float], radius: float, colour: tuple[float, float, float]) -> trimesh.Trimesh:
    ball = trimesh.creation.icosphere(subdivisions=3, radius=radius)
    ball.apply_translation(place)
    ball.visual.vertex_colors = np.tile((*(np.array(colour) * 255).round().astype(int), 255), (len(ball.vertices), 1))
    return ball


def _seen(mesh: trimesh.Trimesh, cameras: list[Camera]) -> tuple[Tensor, Tensor, Tensor]:
    pictures = [raycast_view(mesh, camera, 128, light=Light.flat()).rgba for camera in cameras]
    return to_network_image(np.stack(pictures)), *stack_cameras(cameras)


def test_points_take_the_colour_of_what_they_lie_on_and_not_of_what_hides_them() -> None:
    front, rear = _ball((0.0, 0.0, 0.5), 0.35, RED), _ball((0.0, 0.0, -0.5), 0.3, GREEN)
    mesh = trimesh.util.concatenate([front, rear])
    # The first camera sees nothing but red where the rear ball projects.
    views = _seen(mesh, [Camera(0.0, 0.0), Camera(90.0, 10.0), Camera(200.0, 0.0), Camera(270.0, 10.0)])
    coloured = surface_colours(mesh, *views, num_points=2000, seed=3)
    truth = np.where(coloured.points[:, 2:] > 0.0, RED, GREEN)
    error = np.abs(coloured.colours - truth).max(axis=1)
    # A pixel on the border between the balls shows both.
    assert (error < 0.03).mean() > 0.95
    assert (error < 0.4).mean() > 0.98
    radius = np.linalg.norm(coloured.points - np.array([0, 0, 0.5]) * np.sign(coloured.points[:, 2:]), axis=1)
    np.testing.assert_allclose(radius, np.where(coloured.points[:, 2] > 0, 0.35, 0.3), atol=0.01)


def test_points_nobody_sees_take_the_nearest_seen_colour() -> None:
    left, right = _ball((-0.45, 0.0, 0.0), 0.4, RED), _ball((0.45, 0.0, 0.0), 0.4, GREEN)
    mesh = trimesh.util.concatenate([left, right])
    coloured = surface_colours(mesh, *_seen(mesh, [Camera(0.0, 0.0)]), num_points=1500)
    behind = coloured.points[:, 2] < -0.1
    truth = np.where(coloured.points[:, :1] > 0.0, GREEN, RED)
    assert behind.sum() > 300
    assert (np.abs(coloured.colours - truth).max(axis=1)[behind] < 0.05).mean() > 0.95


def test_without_pictures_of_it_a_shape_is_grey() -> None:
    mesh = _ball((0.0, 0.0, 0.0), 0.5, RED)
    _, poses, intrinsics = _seen(mesh, [Camera()])
    coloured = surface_colours(mesh, torch.zeros(1, 4, 16, 16), poses, intrinsics, num_points=50)
    np.testing.assert_array_equal(coloured.colours, np.full((50, 3), colours.GREY, dtype=np.float32))


def test_stored_points_lie_on_their_shapes(prepared_root: Path) -> None:
    shapes = PreparedShapes(prepared_root, "train")
    opened = open_colours(shapes, num_points=300)
    assert len(opened) == len(shapes) == 3
    radius = (opened.points([0])[0]).norm(dim=1)
    assert float((radius - 0.6).abs().max()) < 0.01  # ball.0 stands in the middle
    shade = opened.colours([0])[0]
    assert bool((shade[:, 0] > shade[:, 1] + 0.1).all())  # (200, 60, 30) in any light
    assert bool((shade[:, 1] > shade[:, 2]).all())
    both = opened.points([2, 0])
    assert torch.equal(both[1], opened.points([0])[0])


def test_a_build_goes_on_where_it_stopped(prepared_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = PreparedShapes(prepared_root, "train")
    calls: list[int] = []
    compute = colours._colours_of

    def interrupted(shapes: PreparedShapes, index: int, num_points: int) -> Arrays:
        if index == 2 and len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(index)
        return compute(shapes, index, num_points)

    monkeypatch.setattr(derived, "_FLUSH_EVERY", 1)
    with monkeypatch.context() as patch:
        patch.setattr(colours, "_colours_of", interrupted)
        with pytest.raises(KeyboardInterrupt):
            open_colours(shapes, num_points=200)
        assert not (prepared_root / "colours-train").exists()
        calls.append(-1)
        resumed = open_colours(shapes, num_points=200)
        assert calls == [0, 1, -1, 2]
        open_colours(shapes, num_points=200)
        assert calls == [0, 1, -1, 2]
    whole = compute(shapes, 1, 200)
    np.testing.assert_allclose(resumed.points([1])[0], whole["points"] / 32_767.0, atol=1e-6)
    np.testing.assert_allclose(resumed.colours([1])[0], whole["colours"] / 255.0, atol=1e-6)


def test_other_settings_are_computed_anew_and_a_shape_without_surface_is_named(
    prepared_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes = PreparedShapes(prepared_root, "test")
    assert open_colours(shapes, num_points=60).num_points == 60
    assert open_colours(shapes, num_points=90).num_points == 90
    monkeypatch.setattr(PreparedShapes, "sdf", lambda self, indices: torch.full((1, 8, 8, 8), 0.09))
    with pytest.raises(InputError, match=r"ball\.2"):
        open_colours(shapes, num_points=70)


def test_colour_volume_is_the_mean_of_the_points_in_each_cell() -> None:
    generator = torch.Generator().manual_seed(2)
    points = torch.rand(2, 40, 3, generator=generator) * 2 - 1
    points[0, 0], points[0, 1] = 1.0, -1.0  # the corners belong to the outermost cells
    shades = torch.rand(2, 40, 3, generator=generator)
    volume = colour_volume(points, shades, resolution=4)
    expected = torch.zeros(2, 4, 4, 4, 4)
    members: dict[tuple[int, ...], list[Tensor]] = {}
    for shape in range(2):
        for point, shade in zip(points[shape], shades[shape], strict=True):
            cell = [min(3, int((float(value) + 1) / 2 * 4)) for value in point]
            members.setdefault((shape, *cell), []).append(shade)
    for (shape, x, y, z), found in members.items():
        expected[shape, :3, x, y, z] = torch.stack(found).mean(dim=0)
        expected[shape, 3, x, y, z] = 1.0
    torch.testing.assert_close(volume, expected)
