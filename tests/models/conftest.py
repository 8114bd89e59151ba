"""A tiny WaveMesh-Diff model with weights that make some surface, for tests of everything around it."""

import pytest
import torch

from wavemesh.models.wavemesh import DenoiserConfig, EncoderConfig, WaveMeshConfig, WaveMeshModel

TINY = WaveMeshConfig(
    resolution=32,
    encoder=EncoderConfig(image_size=32, feature_dim=24, widths=(8, 16, 16), map_channels=8, blocks=1, token_blocks=1),
    coarse=DenoiserConfig((8, 16), (1, 1), hidden=8, condition_channels=8, time_dim=16),
    detail=DenoiserConfig((8, 16), (1, 1), hidden=8, condition_channels=8, time_dim=16),
)


@pytest.fixture
def tiny_model() -> WaveMeshModel:
    torch.manual_seed(0)
    model = WaveMeshModel(TINY)
    for part in (model.coarse, model.detail):
        torch.nn.init.normal_(part.unet.conv_out.weight, std=0.2)
    return model.eval()
