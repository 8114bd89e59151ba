"""What the symmetry head compares: a picture with what it shows at the mirror images of its surfaces."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from wavemesh.geometry.camera import Camera
from wavemesh.geometry.camera_tensors import stack_cameras
from wavemesh.models.blocks import resize_images
from wavemesh.models.depth_network import DepthConfig, DepthNetwork, PosedDepths
from wavemesh.models.symmetry_head import CHANNELS, SymmetryHead, SymmetryHeadConfig, facing, mirror_evidence

SMALL = SymmetryHeadConfig(widths=(8, 8, 8), hidden=8)
MIRRORED_FRONT = slice(8, 12)  # the picture at the mirror images of the front


class FlatDepth(DepthNetwork):
    """Answers everywhere that the object begins and ends at given depths."""

    def __init__(self, front: float, back: float) -> None:
        super().__init__(DepthConfig(image_size=64, widths=(8, 8, 16), attention_blocks=1, heads=2))
        self.known = torch.tensor([front, back])

    def of_views(self, images: Tensor, poses: Tensor, intrinsics: Tensor) -> PosedDepths:
        depth = self.known.view(1, 1, 2, 1, 1).expand(*images.shape[:2], 2, 32, 32)
        return PosedDepths(depth, torch.full_like(depth, 0.1), images[:, :, 3:, ::2, ::2])


def pictures(count: int = 1) -> Tensor:
    """Smooth random pictures, opaque everywhere."""
    rough = torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    smooth = torch.nn.functional.interpolate(rough, size=(64, 64), mode="bilinear", align_corners=False)
    return torch.cat([smooth, torch.ones(count, 1, 64, 64)], dim=1)


def test_seen_from_the_front_the_mirror_image_is_the_mirrored_picture() -> None:
    images = pictures()
    poses, intrinsics = stack_cameras([Camera(0.0, 20.0)])
    maps = mirror_evidence(FlatDepth(-0.2, 0.3), images, poses, intrinsics)
    assert maps.shape == (1, CHANNELS, 32, 32)
    small = resize_images(images, 32)
    torch.testing.assert_close(maps[:, :4], small, atol=1e-4, rtol=0.0)
    torch.testing.assert_close(maps[:, MIRRORED_FRONT], small.flip(-1), atol=1e-4, rtol=0.0)
    # Front and back meet themselves in the mirror, and each other at their distance.
    torch.testing.assert_close(maps[:, 12:14], torch.tensor([0.0, -0.5]).view(1, 2, 1, 1).expand(1, 2, 32, 32))
    torch.testing.assert_close(maps[:, 20:22], torch.tensor([0.5, 0.0]).view(1, 2, 1, 1).expand(1, 2, 32, 32))


def test_mirror_images_are_looked_up_where_they_project_to() -> None:
    camera, images = Camera(40.0, 15.0, offset=(0.1, 0.05)), pictures()
    poses, intrinsics = stack_cameras([camera])
    maps = mirror_evidence(FlatDepth(0.1, 0.4), images, poses, intrinsics)
    origins, directions = camera.rays(32)
    row, column = 12, 20
    # Where the ray through a pixel is .1 behind the plane through the origin, and that place in the mirror.
    forward = -camera.camera_to_world()[:, 2]
    ray = directions[row, column]
    place = origins[row, column] + ray * (camera.distance + 0.1) / (ray @ forward)
    ndc, _ = camera.project(place[None] * [-1.0, 1.0, 1.0])
    grid = torch.tensor(ndc, dtype=torch.float32).view(1, 1, 1, 2) * torch.tensor([1.0, -1.0])
    small = resize_images(images, 32)
    expected = torch.nn.functional.grid_sample(small, grid, align_corners=False)[0, :, 0, 0]
    torch.testing.assert_close(maps[0, MIRRORED_FRONT, row, column], expected, atol=1e-3, rtol=0.0)


def test_a_turned_world_changes_the_planes_places() -> None:
    head = SymmetryHead(SMALL).eval()
    depth, images = FlatDepth(-0.1, 0.2), pictures()
    poses, intrinsics = stack_cameras([Camera(30.0, 10.0)])
    turned, _ = stack_cameras([Camera(120.0, 10.0)])
    plain, inflated = head.probabilities(depth, images, poses, intrinsics)
    assert plain.shape == inflated.shape == (1, 3)
    # A quarter turn brings the plane between front and back to that between left and right.
    again, inflated_again = head.probabilities(depth, images, turned, intrinsics)
    torch.testing.assert_close(again[:, 0], plain[:, 1], atol=1e-4, rtol=0.0)
    assert float(plain[0, 0]) != pytest.approx(float(plain[0, 1]), abs=1e-4)
    # Whether something is round is asked from wherever it is seen.
    torch.testing.assert_close(again[:, 2], plain[:, 2], atol=1e-4, rtol=0.0)
    # Silhouettes inflated about the planes change places with them; that about the facing plane stays.
    torch.testing.assert_close(inflated_again[:, [0, 2]], inflated[:, [1, 2]], atol=1e-4, rtol=0.0)
    assert len(set(inflated[0].tolist())) == 3


def test_facing_cameras_stand_at_the_front_with_the_axis_in_the_middle() -> None:
    seen, expected = (
        stack_cameras([Camera(azimuth, elevation, 3.0, 50.0, (offset, -0.2))])
        for azimuth, elevation, offset in ((-130.0, 25.0, 0.1), (0.0, 25.0, 0.0))
    )
    poses, intrinsics = facing(*seen)
    torch.testing.assert_close(poses, expected[0], atol=1e-5, rtol=0.0)
    torch.testing.assert_close(intrinsics, expected[1])


def test_what_is_not_the_object_is_not_seen() -> None:
    images = pictures()
    images[:, :, :, :32] = 0.0
    poses, intrinsics = stack_cameras([Camera(30.0)])
    maps = mirror_evidence(FlatDepth(-0.1, 0.2), images, poses, intrinsics)
    assert bool((maps[..., :15] == 0).all())
