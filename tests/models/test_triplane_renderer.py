"""The decoder at points, on grids and in pictures, against planes and a ball that are known exactly."""

import math

import numpy as np
import pytest
import torch

from tests.models.triplane_ball import COLOUR, RADIUS, ball_renderer, ball_triplane
from wavemesh.errors import InputError
from wavemesh.geometry.camera import Camera
from wavemesh.geometry.camera_tensors import stack_cameras
from wavemesh.models.triplane_renderer import TriplaneRenderer


def coordinate_triplane(n: int = 16) -> torch.Tensor:
    """Two channels a plane: the coordinate along its width and the one along its height."""
    axis = (torch.arange(n) + 0.5) / n * 2 - 1
    plane = torch.stack([axis.expand(n, n), axis[:, None].expand(n, n)])
    return plane.expand(1, 3, 2, n, n).contiguous()


def points(count: int, extent: float = 1.0, seed: int = 0) -> torch.Tensor:
    return (torch.rand(1, count, 3, generator=torch.Generator().manual_seed(seed)) * 2 - 1) * extent


def test_planes_are_looked_up_by_their_axes() -> None:
    renderer = TriplaneRenderer(2, 8)
    coords = points(50, 0.9)
    x, y, z = coords[0].unbind(dim=1)
    # Bilinear interpolation gives a linear function back exactly.
    expected = torch.stack([x, y, x, z, y, z], dim=1)
    torch.testing.assert_close(renderer.query_triplane(coordinate_triplane(), coords)[0], expected, atol=1e-5, rtol=0)
    corners = renderer.query_triplane(coordinate_triplane(4), torch.tensor([[[1.0, -1.0, 1.0]]]))
    torch.testing.assert_close(corners[0, 0], torch.tensor([0.75, -0.75, 0.75, 0.75, -0.75, 0.75]))


def test_ranges_and_shapes() -> None:
    renderer = TriplaneRenderer(4, 16)
    triplane, coords = 3 * torch.randn(2, 3, 4, 8, 8), points(30).expand(2, -1, -1)
    rgb, density = renderer(triplane, coords)
    assert rgb.shape == (2, 30, 3)
    assert density.shape == (2, 30, 1)
    assert rgb.min() >= 0
    assert rgb.max() <= 1
    assert density.min() >= 0
    decoded = renderer.decode(triplane, coords)
    torch.testing.assert_close(decoded.sdf, renderer.sdf(triplane, coords))
    torch.testing.assert_close(decoded.density, density[..., 0])
    assert decoded.sdf.abs().max() <= renderer.truncation


def test_density_is_the_laplace_distribution_of_the_distance() -> None:
    renderer = TriplaneRenderer(1, 2)
    beta = renderer.beta.item()
    assert beta == pytest.approx(0.01)
    sdf = torch.linspace(-0.09, 0.09, 101)
    density = renderer.density(sdf)
    assert (density.diff() < 0).all()
    torch.testing.assert_close(density + density.flip(0), torch.full((101,), 1 / beta))
    # What a ray absorbs on its way in from outside is the integral of the tail: one half.
    steps = torch.linspace(0.0, 0.09, 20001)
    assert torch.trapezoid(renderer.density(steps), steps).item() == pytest.approx(0.5, abs=1e-3)


def test_ball_has_its_distance_and_colour() -> None:
    renderer, triplane = ball_renderer(), ball_triplane()
    coords = points(200, 0.95)
    decoded = renderer.decode(triplane, coords)
    radius = coords.norm(dim=-1)
    expected = 0.09 * torch.tanh((radius**2 - RADIUS**2) / (2 * RADIUS * 0.09))
    torch.testing.assert_close(decoded.sdf, expected, atol=2e-4, rtol=0)
    torch.testing.assert_close(decoded.rgb, COLOUR.expand(1, 200, 3))


@pytest.mark.parametrize("resolution, points_at_once", [(5, 2**14), (12, 300)])
def test_grid_equals_the_points_at_its_cell_centres(resolution: int, points_at_once: int) -> None:
    renderer, triplane = TriplaneRenderer(3, 8), torch.randn(2, 3, 3, 8, 8)
    axis = (torch.arange(resolution) + 0.5) / resolution * 2 - 1
    centres = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1).view(1, -1, 3).expand(2, -1, -1)
    expected = renderer.sdf(triplane, centres).view(2, resolution, resolution, resolution)
    torch.testing.assert_close(renderer.sdf_grid(triplane, resolution, points_at_once), expected, atol=1e-6, rtol=1e-4)


def test_gradients_reach_planes_and_parameters() -> None:
    renderer = TriplaneRenderer(3, 8)
    triplane = torch.randn(1, 3, 3, 8, 8, requires_grad=True)
    renderer.render_volume(triplane, num_samples=8, image_size=6).square().mean().backward()
    assert triplane.grad is not None
    assert triplane.grad.abs().sum() > 0
    for name, parameter in renderer.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_picture_of_the_ball() -> None:
    renderer, triplane = ball_renderer(), ball_triplane()
    camera, size = Camera(120.0, 35.0), 32
    with torch.no_grad():
        picture = renderer.render(triplane, 96, size, camera, occupancy=None)[0]
    origins, directions = (torch.from_numpy(array).float().reshape(-1, 3) for array in camera.rays(size))
    middle = -(origins * directions).sum(dim=1)
    closest = (origins + middle[:, None] * directions).norm(dim=1)
    opacity = picture.opacity.flatten()
    assert (opacity[closest < RADIUS - 0.03] > 0.98).all()
    assert (opacity[closest > RADIUS + 0.05] < 0.02).all()
    inside = closest < RADIUS - 0.1
    surface = origins + (middle - (RADIUS**2 - closest**2).clamp_min(0).sqrt())[:, None] * directions
    _, depth = camera.project(surface.numpy())
    np.testing.assert_allclose(picture.depth.flatten()[inside].numpy(), depth[inside.numpy()], atol=0.02)
    torch.testing.assert_close(
        picture.rgb.flatten(1).T[inside], opacity[inside, None] * COLOUR.expand(int(inside.sum()), 3)
    )


@pytest.mark.parametrize("cells", [32, 64])
def test_skipping_empty_space_keeps_the_picture(cells: int) -> None:
    renderer, triplane = ball_renderer(), ball_triplane()
    with torch.no_grad():
        plain = renderer.render_volume(triplane, 128, 24, occupancy=None)
        skipped = renderer.render_volume(triplane, 128, 24, occupancy=cells)
    grid = renderer.occupancy(triplane[0], cells)
    assert grid.share < 0.7
    # The samples stand elsewhere, since the rays' pieces end where the object may.
    assert (plain - skipped).abs().mean() < 3e-3


def test_parts_of_a_picture_make_the_whole() -> None:
    renderer, triplane = ball_renderer(), ball_triplane(32).expand(2, -1, -1, -1, -1)
    cameras = [Camera(10.0, 20.0), Camera(200.0, -15.0)]
    poses, intrinsics = stack_cameras(cameras)
    whole = renderer.render(triplane, 24, 8, cameras)
    again = renderer.render(triplane, 24, 8, poses=poses, intrinsics=intrinsics, memory_budget_mb=0.05)
    pixels = torch.tensor([[27, 36, 0], [35, 28, 63]])
    rgb, opacity = renderer.render_pixels(triplane, pixels, 8, poses, intrinsics, 24)
    for index in range(2):
        torch.testing.assert_close(again[index].rgb, whole[index].rgb, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(rgb[index], whole[index].rgb.flatten(1).T[pixels[index]], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(opacity[index], whole[index].opacity.flatten()[pixels[index]], atol=1e-5, rtol=1e-4)


def test_backgrounds_and_the_default_camera() -> None:
    renderer, triplane = ball_renderer(), ball_triplane(32)
    white = renderer.render_volume(triplane, 16, 8)
    assert white.shape == (1, 3, 8, 8)
    torch.testing.assert_close(white, renderer.render_volume(triplane, 16, 8, Camera()))
    assert (white[0, :, 0, 0] == 1).all()
    clear = renderer.render_volume(triplane, 16, 8, background="transparent")
    assert clear.shape == (1, 4, 8, 8)
    assert clear[0, 3, 0, 0] == 0
    assert clear[0, 3, 4, 4] > 0.9
    with pytest.raises(InputError, match="'pink'"):
        renderer.render_volume(triplane, 16, 8, background="pink")


@pytest.mark.parametrize(
    "point, shown",
    [((0.0, 1.5, 0.0), "1.5"), ((-1.01, 0.0, 0.0), "-1.01"), ((0.0, math.nan, 0.0), "nan"), ((math.inf, 0, 0), "inf")],
)
def test_points_outside_are_refused_by_name(point: tuple[float, ...], shown: str) -> None:
    coords = torch.zeros(2, 4, 3)
    coords[1, 2] = torch.tensor(point)
    with pytest.raises(InputError, match=shown) as caught:
        TriplaneRenderer(2, 4)(torch.zeros(2, 3, 2, 8, 8), coords)
    assert "index 2 of object 1" in str(caught.value)


@pytest.mark.parametrize(
    "triplane, coords, shown",
    [
        (torch.zeros(1, 3, 5, 8, 8), torch.zeros(1, 4, 3), r"1, 3, 5, 8, 8"),
        (torch.zeros(1, 2, 2, 8, 8), torch.zeros(1, 4, 3), r"1, 2, 2, 8, 8"),
        (torch.zeros(1, 3, 2, 8, 8), torch.zeros(2, 4, 3), r"2, 4, 3"),
        (torch.zeros(1, 3, 2, 8, 8), torch.zeros(1, 4, 2), r"1, 4, 2"),
        (torch.full((1, 3, 2, 8, 8), math.nan), torch.zeros(1, 4, 3), "nan"),
    ],
)
def test_shapes_and_values_that_do_not_fit_are_refused(
    triplane: torch.Tensor, coords: torch.Tensor, shown: str
) -> None:
    with pytest.raises(InputError, match=shown):
        TriplaneRenderer(2, 4)(triplane, coords)


def test_cameras_that_do_not_fit_are_refused() -> None:
    renderer, triplane = TriplaneRenderer(2, 4), torch.zeros(2, 3, 2, 8, 8)
    poses, intrinsics = stack_cameras([Camera()])
    with pytest.raises(InputError, match="2 triplanes need 2 cameras, not 3"):
        renderer.render_volume(triplane, 4, 4, [Camera()] * 3)
    with pytest.raises(InputError, match=r"1, 3, 4"):
        renderer.render_volume(triplane, 4, 4, poses=poses, intrinsics=intrinsics)
    with pytest.raises(InputError, match="not both"):
        renderer.render_volume(triplane, 4, 4, Camera(), poses=poses)
    with pytest.raises(InputError, match="0 and 4"):
        TriplaneRenderer(0, 4)
