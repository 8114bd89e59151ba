"""Augmentation: points of the changed object must land on the changed pixels of the changed cameras."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from wavemesh.data import augment
from wavemesh.data.dataset import to_network_image
from wavemesh.geometry.camera import Camera
from wavemesh.geometry.camera_tensors import project_points, stack_cameras
from wavemesh.pipelines.views import object_window
from wavemesh.rendering import raycast_view

cameras = st.builds(
    Camera,
    azimuth_deg=st.floats(-180, 180),
    elevation_deg=st.floats(-80, 80),
    distance=st.floats(3, 7),
    fov_deg=st.floats(25, 60),
    offset=st.tuples(st.floats(-0.4, 0.4), st.floats(-0.4, 0.4)),
)
MIRROR = torch.tensor([-1.0, 1.0, 1.0])


def field(points: torch.Tensor) -> torch.Tensor:
    """Something without any symmetry."""
    x, y, z = points.unbind(-1)
    return x + 2.0 * y * z - 0.7 * z**2 + 0.3 * x * z


def grid(n: int) -> torch.Tensor:
    centres = (torch.arange(n) + 0.5) / n * 2 - 1
    return torch.stack(torch.meshgrid(centres, centres, centres, indexing="ij"), dim=-1)


def views_of_random_pixels(batch: int = 3, views: int = 2, size: int = 16) -> torch.Tensor:
    rgba = torch.rand(batch, views, 4, size, size)
    rgba[:, :, 3] = (rgba[:, :, 3] > 0.4).float()
    rgba[:, :, :3] *= rgba[:, :, 3:]
    return rgba


@pytest.mark.parametrize("k", [-1, 0, 1, 2, 3, 4])
def test_quarter_turns_move_the_object_and_its_cameras_alike(k: int) -> None:
    points, angle = grid(8), np.radians(90 * k)
    # The object turned from +z towards +x: its value at p is the old value at p turned back.
    back = torch.tensor(
        [[np.cos(angle), 0, -np.sin(angle)], [0, 1, 0], [np.sin(angle), 0, np.cos(angle)]], dtype=torch.float32
    )
    torch.testing.assert_close(augment.turn_quarter(field(points), k), field(points @ back.T), atol=1e-5, rtol=0)
    camera = Camera(17.0, 33.0)
    turned = torch.from_numpy(camera.turned(90.0 * k).camera_to_world())
    poses = augment.turn_poses(torch.from_numpy(camera.camera_to_world())[None, None], k)
    torch.testing.assert_close(poses[0, 0], turned, atol=1e-5, rtol=0)


def test_mirroring_the_field_negates_x() -> None:
    points = grid(8)
    torch.testing.assert_close(augment.mirror(field(points)), field(points * MIRROR))


@settings(max_examples=30, deadline=None)
@given(camera=cameras, k=st.integers(0, 3), seed=st.integers(0, 10_000))
def test_points_of_the_changed_object_land_on_the_changed_pixels(camera: Camera, k: int, seed: int) -> None:
    points = torch.rand(20, 3, generator=torch.Generator().manual_seed(seed)) * 1.8 - 0.9
    poses, intrinsics = stack_cameras([camera])
    ndc, depth = project_points(points, poses, intrinsics)
    _, mirrored_poses, mirrored_intrinsics = augment.mirror_views(torch.zeros(1, 4, 2, 2), poses, intrinsics)
    mirrored, mirrored_depth = project_points(points * MIRROR, mirrored_poses, mirrored_intrinsics)
    torch.testing.assert_close(mirrored, ndc * torch.tensor([-1.0, 1.0]), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(mirrored_depth, depth, atol=1e-4, rtol=1e-4)
    assert torch.linalg.det(mirrored_poses[0, :, :3]) == pytest.approx(1.0, abs=1e-4)

    angle = torch.tensor(np.radians(90.0 * k), dtype=torch.float32)
    x, y, z = points.unbind(-1)
    moved = torch.stack([x * angle.cos() + z * angle.sin(), y, z * angle.cos() - x * angle.sin()], dim=-1)
    turned, _ = project_points(moved, augment.turn_poses(poses, k), intrinsics)
    torch.testing.assert_close(turned, ndc, atol=1e-4, rtol=1e-4)


def test_a_mirrored_picture_is_the_picture_of_the_mirrored_mesh() -> None:
    mesh = trimesh.creation.box((0.9, 0.5, 0.4))
    mesh.apply_translation((0.3, 0.1, 0.2))
    mirrored = mesh.copy()
    mirrored.vertices = mesh.vertices * (-1.0, 1.0, 1.0)
    camera = Camera(35.0, 25.0, offset=(0.2, -0.1))
    poses, intrinsics = stack_cameras([camera])
    image = to_network_image(raycast_view(mesh, camera, 64).rgba)[None]
    flipped, new_poses, new_intrinsics = augment.mirror_views(image, poses, intrinsics)
    opposite = Camera(-35.0, 25.0, offset=(-0.2, -0.1))
    expected_poses, expected_intrinsics = stack_cameras([opposite])
    torch.testing.assert_close(new_poses, expected_poses, atol=1e-5, rtol=0)
    torch.testing.assert_close(new_intrinsics, expected_intrinsics)
    alpha = to_network_image(raycast_view(mirrored, opposite, 64).rgba)[3]
    assert (flipped[0, 3] - alpha).abs().max() < 0.02


def test_colour_jitter_keeps_alpha_and_stays_premultiplied() -> None:
    images = views_of_random_pixels()
    changed = augment.colour_jitter(images, torch.Generator().manual_seed(1))
    assert torch.equal(changed[:, :, 3], images[:, :, 3])
    assert (changed[:, :, :3] <= changed[:, :, 3:] + 1e-6).all()
    assert (changed >= 0).all()
    assert (changed - images).abs().max() > 0.05
    again = augment.colour_jitter(images, torch.Generator().manual_seed(1))
    assert torch.equal(changed, again)
    still = augment.colour_jitter(images, None, brightness=0.0, contrast=0.0, saturation=0.0, permute=0.0)
    torch.testing.assert_close(still, images)


def test_colour_jitter_is_the_same_in_all_views_of_an_object() -> None:
    images = views_of_random_pixels(2, 1).expand(-1, 3, -1, -1, -1).contiguous()
    changed = augment.colour_jitter(images, torch.Generator().manual_seed(3))
    torch.testing.assert_close(changed[:, 0], changed[:, 2])


def test_shuffled_channels_are_permutations() -> None:
    images = views_of_random_pixels(8)
    changed = augment.colour_jitter(images, torch.Generator().manual_seed(0), 0.0, 0.0, 0.0, permute=1.0)
    torch.testing.assert_close(changed.sort(dim=2).values, images.sort(dim=2).values, atol=1e-5, rtol=0)
    assert not torch.allclose(changed, images)


def test_imperfect_masks_lose_or_gain_a_rim() -> None:
    images = torch.zeros(1, 400, 4, 12, 12)
    images[..., 4:8, 4:8] = 1.0
    changed = augment.imperfect_masks(images, torch.Generator().manual_seed(0), chance=0.5)
    area = changed[0, :, 3].sum(dim=(1, 2))
    counts = {size: int((area == size).sum()) for size in (4, 16, 36)}
    assert sum(counts.values()) == 400
    assert 70 < counts[4] < 130
    assert 70 < counts[36] < 130
    assert (changed[:, :, :3] <= changed[:, :, 3:] + 1e-6).all()
    assert torch.equal(augment.imperfect_masks(images, None, chance=0.0), images)


def rectangle(side: int, left: int, top: int, right: int, bottom: int) -> np.ndarray:
    """A grey rectangle of whole pixels on nothing, RGBA uint8."""
    rgba = np.zeros((side, side, 4), np.uint8)
    rgba[top:bottom, left:right] = (120, 140, 160, 255)
    return rgba


@settings(max_examples=60, deadline=None)
@given(corners=st.tuples(*[st.integers(0, 56)] * 4), offset=st.tuples(st.floats(-0.4, 0.4), st.floats(-0.4, 0.4)))
def test_windows_are_those_of_the_pipeline(corners: tuple[int, ...], offset: tuple[float, float]) -> None:
    left, right = sorted(corners[:2])
    top, bottom = sorted(corners[2:])
    rgba = rectangle(64, left, top, max(right, left + 8), max(bottom, top + 8))
    camera = Camera(20.0, 10.0, offset=offset)
    _, intrinsics = stack_cameras([camera])
    cropped, moved = augment.object_windows(to_network_image(rgba)[None], intrinsics)
    window = object_window(Image.fromarray(rgba))
    # The pipeline's windows are of whole pixels: up to half of one apart at either end.
    pixel = 2.0 / window.size
    expected = stack_cameras([camera.cropped(window.left, window.top, window.size, 64.0, 64.0)])[1]
    np.testing.assert_allclose(moved[0, 0] / expected[0, 0], 1.0, atol=0.5 * pixel)
    np.testing.assert_allclose(moved[0, 1:], expected[0, 1:], atol=1.5 * pixel)
    assert cropped.shape == (1, 4, 64, 64)


def test_points_stay_on_the_pixels_of_a_window() -> None:
    mesh = trimesh.creation.box((0.5, 0.3, 0.4))
    camera = Camera(35.0, 25.0, offset=(0.3, -0.2))
    _, intrinsics = stack_cameras([camera])
    image = to_network_image(raycast_view(mesh, camera, 128).rgba)[None]
    cropped, moved = augment.object_windows(image, intrinsics)
    focal, x, y = moved[0].tolist()
    seen = Camera(35.0, 25.0, fov_deg=float(np.degrees(2.0 * np.arctan(1.0 / focal))), offset=(x, y))
    again = to_network_image(raycast_view(mesh, seen, 128).rgba)
    expected, found = again[3] > 0.5, cropped[0, 3] > 0.5
    assert (expected & found).sum() > 0.97 * (expected | found).sum()
    assert expected.sum() > 3 * (image[0, 3] > 0.5).sum(), "the object fills the window"


def test_an_empty_picture_keeps_its_window() -> None:
    intrinsics = torch.tensor([[2.0, 0.1, -0.2]])
    cropped, moved = augment.object_windows(torch.zeros(1, 4, 16, 16), intrinsics)
    assert torch.equal(cropped, torch.zeros(1, 4, 16, 16))
    torch.testing.assert_close(moved, intrinsics)


def looked_at(camera: Camera, count: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    poses, intrinsics = stack_cameras([camera] * count)
    return poses[:, None], intrinsics[:, None]


def test_estimated_cameras_still_look_at_the_object_upright() -> None:
    poses, intrinsics = looked_at(Camera(40.0, 20.0, distance=3.0, fov_deg=40.0), 200)
    moved, offsets = augment.estimated_cameras(poses, intrinsics, torch.Generator().manual_seed(0), 1.0)
    rotations, places = moved[..., :3], moved[..., 3]
    torch.testing.assert_close(rotations @ rotations.mT, torch.eye(3).expand_as(rotations), atol=1e-5, rtol=0)
    torch.testing.assert_close(rotations[..., 1, 0], torch.zeros(200, 1), atol=1e-5, rtol=0)  # no roll
    torch.testing.assert_close(torch.nn.functional.normalize(places, dim=-1), rotations[..., 2], atol=1e-5, rtol=0)
    # As far off as the camera head is: some degrees, some hundredths.
    azimuths = torch.atan2(places[..., 0], places[..., 2]).rad2deg() - 40.0
    assert 2.0 < azimuths.abs().mean() < 5.0
    assert 0.02 < (places.norm(dim=-1) / 3.0).log().abs().mean() < 0.06
    assert 0.01 < (offsets - intrinsics)[..., 1:].abs().mean() < 0.04


def test_a_share_of_the_cameras_stays_known() -> None:
    poses, intrinsics = looked_at(Camera(-70.0, 35.0), 400)
    generator = torch.Generator().manual_seed(1)
    moved, _ = augment.estimated_cameras(poses, intrinsics, generator, 0.25)
    changed = (moved - poses).abs().flatten(1).amax(dim=1) > 1e-6
    assert 0.15 < changed.float().mean() < 0.35
    same, offsets = augment.estimated_cameras(poses, intrinsics, generator, 0.0)
    torch.testing.assert_close((same, offsets), (poses, intrinsics))
