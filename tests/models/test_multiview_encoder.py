"""The encoder: shapes, both backbones, multi-scale features, errors."""

from pathlib import Path

import pytest
import torch
from torch import nn

from wavemesh.errors import InputError
from wavemesh.geometry.camera import Camera
from wavemesh.geometry.camera_tensors import stack_cameras
from wavemesh.models.blocks import MultiScaleEncoder
from wavemesh.models.multiview_encoder import MultiViewEncoder

SMALL = {"feature_dim": 24, "widths": (8, 16, 24), "map_channels": 8, "blocks": 1, "token_blocks": 1}


def posed(batch: int, views: int) -> tuple[torch.Tensor, torch.Tensor]:
    poses, intrinsics = stack_cameras([Camera(30.0 * index, 10.0) for index in range(views)])
    return poses.expand(batch, -1, -1, -1), intrinsics.expand(batch, -1, -1)


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("views", [1, 3])
def test_shapes(channels: int, views: int) -> None:
    encoder = MultiViewEncoder(image_size=64, **SMALL)
    poses, intrinsics = posed(2, views)
    features = encoder.encode(torch.rand(2, views, channels, 64, 64), poses, intrinsics)
    assert features.maps.shape == (2, views, 8, 16, 16)
    assert features.alpha.shape == (2, views, 1, 64, 64)
    assert features.tokens.shape == (2, views * 16, 24)
    assert features.global_features.shape == (2, views, 24)
    assert encoder(torch.rand(2, views, channels, 64, 64), poses).shape == (2, views, 24)


def test_roadmap_constructor() -> None:
    encoder = MultiViewEncoder(image_size=224, feature_dim=768, freeze_vision=True)
    assert encoder.vision_encoder.freeze is False  # the pyramid has no pretrained weights to keep
    poses, _ = posed(1, 2)
    conditioning = encoder(torch.rand(1, 2, 3, 224, 224), poses)
    assert conditioning.mean(dim=1).shape == (1, 768)


def test_other_picture_sizes_are_resized() -> None:
    encoder = MultiViewEncoder(image_size=64, **SMALL)
    poses, _ = posed(1, 1)
    assert encoder.encode(torch.rand(1, 1, 4, 100, 100), poses).maps.shape == (1, 1, 8, 16, 16)


def test_scales_widen_what_is_seen() -> None:
    encoder = MultiViewEncoder(image_size=64, scales=(64, 32), **SMALL)
    poses, _ = posed(1, 2)
    features = encoder.encode(torch.rand(1, 2, 4, 64, 64), poses)
    assert features.maps.shape == (1, 2, 8, 16, 16)
    assert encoder.to_token.in_features == 2 * 24


def test_multi_scale_encoder_joins_features() -> None:
    inner = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    images = torch.rand(2, 3, 64, 64)
    features = MultiScaleEncoder(inner, scales=(64, 32))(images)
    assert features.shape == (2, 6)
    torch.testing.assert_close(features[:, :3], images.mean(dim=(2, 3)))
    with pytest.raises(InputError, match="scales"):
        MultiScaleEncoder(inner, scales=())


def test_every_parameter_gets_a_gradient() -> None:
    encoder = MultiViewEncoder(image_size=64, **SMALL)
    poses, intrinsics = posed(1, 2)
    features = encoder.encode(torch.rand(1, 2, 4, 64, 64), poses, intrinsics)
    (features.maps.square().mean() + features.tokens.square().mean() + features.tokens[..., 0].mean()).backward()
    assert [name for name, parameter in encoder.named_parameters() if parameter.grad is None] == []


def test_pose_matters() -> None:
    encoder = MultiViewEncoder(image_size=64, **SMALL).eval()
    images = torch.rand(1, 1, 4, 64, 64)
    first = encoder(images, stack_cameras([Camera(0.0, 0.0)])[0][None])
    second = encoder(images, stack_cameras([Camera(90.0, 40.0)])[0][None])
    assert (first - second).abs().max() > 1e-4


@pytest.fixture(scope="module")
def dino_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import Dinov2Config, Dinov2Model

    torch.manual_seed(0)
    config = Dinov2Config(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=56, patch_size=14)
    folder = tmp_path_factory.mktemp("dino")
    Dinov2Model(config).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("freeze", [True, False])
def test_dino_backbone_from_disk(dino_folder: Path, freeze: bool) -> None:
    encoder = MultiViewEncoder(
        image_size=56, feature_dim=24, freeze_vision=freeze, backbone=str(dino_folder), map_channels=8, token_blocks=1
    )
    poses, _ = posed(1, 2)
    features = encoder.encode(torch.rand(1, 2, 4, 56, 56), poses)
    assert features.maps.shape == (1, 2, 8, 4, 4)
    features.maps.sum().backward()
    grads = [parameter.grad for parameter in encoder.vision_encoder.parameters()]
    assert encoder.vision_encoder.freeze is freeze
    assert all(grad is None for grad in grads) if freeze else any(grad is not None for grad in grads)


def test_unknown_backbone_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no-such-folder"):
        MultiViewEncoder(backbone=str(tmp_path / "no-such-folder"))


@pytest.mark.parametrize(
    ("images", "poses", "shown"),
    [
        ((1, 2, 5, 8, 8), (1, 2, 3, 4), "5, 8, 8"),
        ((2, 4, 8, 8), (2, 3, 4), "2, 4, 8, 8"),
        ((1, 2, 4, 8, 8), (1, 3, 3, 4), "1, 3, 3, 4"),
    ],
)
def test_wrong_shapes(images: tuple[int, ...], poses: tuple[int, ...], shown: str) -> None:
    encoder = MultiViewEncoder(image_size=64, **SMALL)
    with pytest.raises(InputError, match=shown):
        encoder.encode(torch.rand(images), torch.rand(poses))
