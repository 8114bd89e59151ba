"""Pictures to planes: shapes, cameras, where silhouettes land on the planes, gradients and refusals."""

import math

import pytest
import torch

from wavemesh.errors import InputError
from wavemesh.geometry.camera import Camera
from wavemesh.geometry.camera_tensors import stack_cameras
from wavemesh.models.coarse_triplane import HULL_CELLS, CoarseTriplaneGen
from wavemesh.models.posed_pictures import posed_pictures


@pytest.fixture
def tiny() -> CoarseTriplaneGen:
    torch.manual_seed(0)
    return CoarseTriplaneGen(3, 4, resolution=16, image_size=32, width=8, condition_dim=8)


def views(count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    poses, intrinsics = stack_cameras([Camera(50.0 * index, 10.0) for index in range(count)])
    images = torch.rand(1, count, 4, 32, 32, generator=torch.Generator().manual_seed(1))
    return images, poses[None], intrinsics[None]


def test_shapes(tiny: CoarseTriplaneGen) -> None:
    assert tiny(torch.rand(2, 3, 40, 40)).shape == (2, 3, 4, 16, 16)
    images, poses, intrinsics = views(3)
    coarse = tiny.planes(images, poses, intrinsics)
    assert coarse.ll.shape == (1, 3, 4, 16, 16)
    assert coarse.features.shape == (1, 3, tiny.feature_channels, 16, 16)
    torch.testing.assert_close(tiny(images, poses, intrinsics), coarse.ll)


def test_without_poses_or_alpha_the_default_stands(tiny: CoarseTriplaneGen) -> None:
    picture = torch.rand(1, 3, 32, 32)
    poses, intrinsics = stack_cameras([Camera()])
    given = tiny(torch.cat([picture, torch.ones(1, 1, 32, 32)], dim=1)[:, None], poses[None], intrinsics[None])
    torch.testing.assert_close(tiny(picture), given)
    torch.testing.assert_close(tiny(picture, poses, intrinsics), given)


def test_the_order_of_views_does_not_matter(tiny: CoarseTriplaneGen) -> None:
    images, poses, intrinsics = views(3)
    order = [2, 0, 1]
    turned = tiny(images[:, order], poses[:, order], intrinsics[:, order])
    torch.testing.assert_close(tiny(images, poses, intrinsics), turned, atol=1e-4, rtol=1e-3)


def test_cameras_matter(tiny: CoarseTriplaneGen) -> None:
    images, poses, intrinsics = views(2)
    assert (tiny(images, poses, intrinsics) - tiny(images, poses.flip(1), intrinsics)).abs().max() > 1e-3


@pytest.mark.parametrize("side", ["right", "top"])
def test_silhouettes_land_where_they_stand(tiny: CoarseTriplaneGen, side: str) -> None:
    # Only the hull goes into the planes: each shows its mean along the plane's normal.
    for reduce in tiny.reduce:
        with torch.no_grad():
            weight = reduce.weight.zero_().view(reduce.out_features, 8, -1)
            weight[:, :, -HULL_CELLS:] = 1 / (8 * HULL_CELLS)
            reduce.bias.zero_()
    alpha = torch.zeros(32, 32)
    if side == "right":
        alpha[:, 16:] = 1.0
    else:
        alpha[:16] = 1.0
    images = alpha.expand(1, 4, 32, 32)
    with torch.no_grad():
        # A far camera in front, whose picture shows the cube and little more.
        distance = 20.0
        camera = Camera(0.0, 0.0, distance, math.degrees(2 * math.atan(1.0 / distance)))
        poses, intrinsics = stack_cameras([camera])
        pictures = posed_pictures(images, poses, intrinsics)
        features = tiny.encode(pictures)
        xy, xz, yz = tiny.lift(features, tiny.hull(features))[:, 0]
    low, high = slice(0, 3), slice(5, 8)
    # Rows of XY are y, its columns x; rows of XZ and YZ are z, their columns x and y.
    if side == "right":
        assert (xy[:, high] > 0.9).all()
        assert (xy[:, low] < -0.9).all()
        assert (xz[:, high] > 0.9).all()
        assert (xz[:, low] < -0.9).all()
        assert yz.abs().max() < 0.3
    else:
        assert (xy[high] > 0.9).all()
        assert (xy[low] < -0.9).all()
        assert xz.abs().max() < 0.3
        assert (yz[:, high] > 0.9).all()
        assert (yz[:, low] < -0.9).all()


def test_gradients_reach_everything_with_and_without_checkpointing(tiny: CoarseTriplaneGen) -> None:
    images, poses, intrinsics = views(2)
    gradients = []
    for tiny.checkpointing in (False, True):
        tiny.zero_grad()
        coarse = tiny.planes(images.requires_grad_(), poses, intrinsics)
        (coarse.ll.square().mean() + coarse.features.square().mean()).backward()
        gradients.append({name: parameter.grad for name, parameter in tiny.named_parameters()})
    for name, gradient in gradients[0].items():
        assert gradient is not None, name
        assert gradient.abs().sum() > 0, name
        torch.testing.assert_close(gradients[1][name], gradient, atol=1e-5, rtol=1e-3)
    assert images.grad is not None


def test_half_precision_stays_close(tiny: CoarseTriplaneGen) -> None:
    images, poses, intrinsics = views(2)
    with torch.no_grad():
        exact = tiny(images, poses, intrinsics)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rough = tiny(images, poses, intrinsics)
    assert rough.dtype == torch.float32
    assert (rough - exact).abs().mean() < 0.1 * exact.abs().mean()


@pytest.mark.parametrize(
    "images, shown",
    [
        (torch.rand(1, 2, 32, 32), r"1, 2, 32, 32"),
        (torch.rand(1, 5, 32, 32), r"1, 5, 32, 32"),
        (torch.rand(3, 32, 32), r"3, 32, 32"),
        (torch.rand(1, 2, 3, 32, 32), "2 views"),
        (torch.full((1, 3, 32, 32), math.nan), "nan"),
        (torch.rand(1, 0, 3, 32, 32), r"1, 0, 3, 32, 32"),
    ],
)
def test_pictures_that_do_not_fit_are_refused(tiny: CoarseTriplaneGen, images: torch.Tensor, shown: str) -> None:
    with pytest.raises(InputError, match=shown):
        tiny(images)


def test_cameras_that_do_not_fit_are_refused(tiny: CoarseTriplaneGen) -> None:
    images, poses, intrinsics = views(2)
    with pytest.raises(InputError, match=r"1, 1, 3, 4"):
        tiny(images, poses[:, :1], intrinsics)
    with pytest.raises(InputError, match=r"1, 2, 2"):
        tiny(images, poses, intrinsics[:, :, :2])
    poses[0, 1, 0, 3] = math.inf
    with pytest.raises(InputError, match="inf"):
        tiny(images, poses, intrinsics)


@pytest.mark.parametrize(
    "options, value",
    [({"resolution": 30}, "30"), ({"image_size": 100}, "100"), ({"triplane_channels": 0}, "0")],
)
def test_impossible_sizes_are_refused(options: dict[str, int], value: str) -> None:
    with pytest.raises(InputError, match=value):
        CoarseTriplaneGen(**options)
