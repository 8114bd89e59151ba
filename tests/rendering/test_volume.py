"""Volume rendering against closed forms, a slow loop and the ray caster."""

import math

import numpy as np
import pytest
import torch
import trimesh

from tests.rendering.density_grid import grid_of_density
from wavemesh.errors import InputError
from wavemesh.geometry.camera import Camera
from wavemesh.geometry.camera_tensors import stack_cameras
from wavemesh.geometry.raycast import RayCaster
from wavemesh.rendering.occupancy import OccupancyGrid
from wavemesh.rendering.rays import Rays, Samples, camera_rays, intersect_box
from wavemesh.rendering.volume import Field, RenderedImage, composite, render_image, render_rays

RED = torch.tensor([0.8, 0.2, 0.1])


def box_field(density: float, half: torch.Tensor | float = 1.0) -> Field:
    """A box of constant density and colour around the origin."""

    def field(points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        inside = (points.abs() <= half).all(dim=1)
        return RED.expand(len(points), 3), density * inside.float()

    return field


def ball_field(density: float, radius: float) -> Field:
    def field(points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return points * 0.5 + 0.5, density * (points.norm(dim=1) <= radius).float()

    return field


def grid_of(field: Field, resolution: int) -> OccupancyGrid:
    axis = (torch.arange(resolution) + 0.5) / resolution * 2 - 1
    points = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1)
    return grid_of_density(field(points.view(-1, 3))[1].view(points.shape[:3]))


def rays_of(camera: Camera, size: int) -> Rays:
    poses, intrinsics = stack_cameras([camera])
    return camera_rays(poses[0], intrinsics[0], size)


def picture(field: Field, size: int = 24, camera: Camera | None = None, **options: object) -> RenderedImage:
    poses, intrinsics = stack_cameras([camera or Camera(30.0, 20.0)])
    return render_image(field, poses[0], intrinsics[0], size, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("samples", [1, 3, 64])
def test_opacity_of_a_full_box_has_its_closed_form(samples: int) -> None:
    # Constant density: 1 - exp(-density * length of the ray inside), whatever the number of samples.
    rays = rays_of(Camera(25.0, 35.0), 12)
    near, far = intersect_box(rays)
    out = render_rays(box_field(0.7), rays, samples)
    expected = 1 - torch.exp(-0.7 * (far - near))
    torch.testing.assert_close(out.opacity, expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(out.rgb, expected[:, None] * RED, atol=1e-5, rtol=0)
    assert expected.max() > 0.6
    assert expected.min() == 0.0


@pytest.mark.parametrize("occupied", [False, True])
def test_opacity_of_a_ball_has_its_closed_form(occupied: bool) -> None:
    radius, density = 0.7, 2.0
    rays = rays_of(Camera(70.0, -10.0), 16)
    field = ball_field(density, radius)
    grid = grid_of(field, 32) if occupied else None
    out = render_rays(field, rays, 512, occupancy=grid)
    closest = (-(rays.origins * rays.directions).sum(dim=1, keepdim=True) * rays.directions + rays.origins).norm(dim=1)
    chord = 2 * (radius**2 - closest**2).clamp_min(0).sqrt()
    torch.testing.assert_close(out.opacity, 1 - torch.exp(-density * chord), atol=0.01, rtol=0)


def test_compositing_equals_a_slow_loop() -> None:
    generator = torch.Generator().manual_seed(3)
    rgb, density = torch.rand(4, 6, 3, generator=generator), 3 * torch.rand(4, 6, generator=generator)
    edges = torch.rand(4, 7, generator=generator).cumsum(dim=1)
    samples = Samples(0.5 * (edges[:, 1:] + edges[:, :-1]), edges)
    out = composite(rgb, density, samples)
    for ray in range(4):
        light, colour, distance, opacity = 1.0, np.zeros(3), 0.0, 0.0
        for index in range(6):
            alpha = 1 - math.exp(-density[ray, index].item() * (edges[ray, index + 1] - edges[ray, index]).item())
            colour += light * alpha * rgb[ray, index].numpy()
            distance += light * alpha * samples.distances[ray, index].item()
            opacity += light * alpha
            light *= 1 - alpha
        np.testing.assert_allclose(out.rgb[ray].numpy(), colour, atol=1e-5)
        assert out.opacity[ray].item() == pytest.approx(opacity, abs=1e-5)
        assert out.opacity[ray].item() == pytest.approx(1 - light, abs=1e-5)
        assert out.distance[ray].item() == pytest.approx(distance / opacity, abs=1e-4)


def test_importance_sharpens_the_edge_of_a_thin_wall() -> None:
    field = box_field(20.0, torch.tensor([1.0, 1.0, 0.05]))
    rays = rays_of(Camera(0.0, 0.0), 9)
    middle = slice(4 * 9 + 4, 4 * 9 + 5)
    plain, sharper = (render_rays(field, rays[middle], 24, importance=count) for count in (0, 96))
    errors = [abs(out.opacity.item() - (1 - math.exp(-20 * 0.1))) for out in (plain, sharper)]
    assert errors[1] < 0.02 < errors[0]


def test_depth_is_that_of_the_ray_caster() -> None:
    ball = trimesh.creation.icosphere(subdivisions=5, radius=0.7)
    camera = Camera(40.0, 25.0)
    size = 32
    origins, directions = camera.rays(size)
    hits = RayCaster(ball).cast(origins.reshape(-1, 3), directions.reshape(-1, 3))
    rendered = render_rays(ball_field(500.0, 0.7), rays_of(camera, size), 256, importance=64)
    hit = torch.from_numpy(hits.hit)
    assert hit.float().mean() > 0.1
    error = (rendered.distance - torch.from_numpy(hits.distance))[hit].abs()
    assert error.median() < 0.005
    assert ((rendered.opacity > 0.5) == hit).float().mean() > 0.98
    # The picture's depth is measured along the viewing direction.
    image = picture(ball_field(500.0, 0.7), size, camera, num_samples=256, importance=64)
    where = hits.hit & torch.isfinite(image.depth.flatten()).numpy()
    surface = origins.reshape(-1, 3)[where] + hits.distance[where, None] * directions.reshape(-1, 3)[where]
    _, depth = camera.project(surface)
    assert np.median(np.abs(image.depth.flatten().numpy()[where] - depth)) < 0.005
    assert torch.isinf(image.depth.flatten()[~hit]).float().mean() > 0.95


def test_skipping_changes_no_picture_and_saves_most_of_the_work() -> None:
    counted = []
    field = ball_field(300.0, 0.5)

    def counting(points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        counted.append(len(points))
        return field(points)

    rays = rays_of(Camera(10.0, 30.0), 24)
    grid = grid_of(field, 32)
    # As many samples to the same length: the grid's box is smaller.
    whole = render_rays(counting, rays, 400)
    full, counted = sum(counted), []
    less = render_rays(counting, rays, 400, occupancy=grid)
    assert sum(counted) < 0.1 * full
    assert (whole.opacity - less.opacity).abs().mean() < 0.01
    assert (whole.rgb - less.rgb).abs().mean() < 0.01


def test_an_empty_field_costs_nothing() -> None:
    def never(points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        raise AssertionError("an empty field was evaluated")

    grid = grid_of_density(torch.zeros(8, 8, 8))
    assert grid.is_empty
    assert grid.share == 0.0
    out = render_rays(never, rays_of(Camera(), 8), 16, occupancy=grid)
    assert not out.opacity.any()


def test_memory_budget_changes_nothing_but_the_parts() -> None:
    largest = []
    field = ball_field(3.0, 0.8)

    def watched(points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        largest.append(len(points))
        return field(points)

    whole = picture(watched, num_samples=32)
    one_call = max(largest)
    largest.clear()
    parts = picture(watched, num_samples=32, memory_budget_mb=0.5, bytes_per_point=1000)
    assert max(largest) <= 0.5 * 2**19 / 1000 < one_call
    torch.testing.assert_close(parts.rgb, whole.rgb)
    torch.testing.assert_close(parts.depth, whole.depth)


def test_gradients_are_the_same_when_points_are_evaluated_again() -> None:
    rays = rays_of(Camera(), 6)
    gradients = []
    for max_points in (2**18, 50):
        strength = torch.tensor(1.5, requires_grad=True)

        def field(points: torch.Tensor, strength: torch.Tensor = strength) -> tuple[torch.Tensor, torch.Tensor]:
            return points * 0.5 + 0.5, strength * torch.exp(-points.square().sum(dim=1))

        render_rays(field, rays, 16, importance=8, max_points=max_points).rgb.sum().backward()
        gradients.append(strength.grad)
    assert gradients[0].abs() > 0.01
    torch.testing.assert_close(gradients[0], gradients[1])


def test_backgrounds() -> None:
    image = picture(box_field(1.0, 0.5))
    opacity, rgb = image.opacity, image.opacity * RED.view(3, 1, 1)
    torch.testing.assert_close(image.rgb, rgb)
    torch.testing.assert_close(image.over("white"), rgb + 1 - opacity)
    torch.testing.assert_close(image.over("black"), rgb)
    torch.testing.assert_close(image.over((0.0, 0.5, 1.0))[1], rgb[1] + 0.5 * (1 - opacity))
    straight = image.over("transparent")
    torch.testing.assert_close(straight[3], opacity)
    covered = opacity > 0.1
    assert covered.any()
    torch.testing.assert_close(straight[:3, covered], RED.view(3, 1).expand(3, int(covered.sum())))


@pytest.mark.parametrize("background", ["blue", (0.1, 0.2), (0.0, 0.0, 2.0)])
def test_unknown_backgrounds_are_refused(background: str | tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="background"):
        picture(box_field(1.0), size=2, num_samples=2).over(background)


@pytest.mark.parametrize(
    "options, value",
    [
        ({"num_samples": 0}, "0"),
        ({"importance": -3}, "-3"),
        ({"memory_budget_mb": -1.0}, "-1.0"),
        ({"size": 0}, "0"),
    ],
)
def test_impossible_renderings_are_refused(options: dict[str, float], value: str) -> None:
    with pytest.raises(InputError, match=value):
        picture(box_field(1.0), **{"size": 4, **options})
