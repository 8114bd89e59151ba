"""A tiny pipeline whose weights make some surface, and pictures of an ellipse."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from tests.models.conftest import TINY
from tests.pipelines.triplane_model import tiny_triplane
from wavemesh.models.camera_head import CameraHead, CameraHeadConfig
from wavemesh.models.wavemesh import WaveMeshModel
from wavemesh.pipelines import TriplanePipeline, WaveMeshPipeline


@pytest.fixture
def tiny_pipeline() -> WaveMeshPipeline:
    return new_tiny_pipeline()


def new_tiny_pipeline() -> WaveMeshPipeline:
    torch.manual_seed(0)
    model = WaveMeshModel(TINY)
    for part in (model.coarse, model.detail):
        torch.nn.init.normal_(part.unet.conv_out.weight, std=0.3)
    return WaveMeshPipeline(model, CameraHead(CameraHeadConfig(image_size=64, widths=(8, 8, 16))), "cpu")


@pytest.fixture
def weights_folder(tiny_pipeline: WaveMeshPipeline, tmp_path: Path) -> Path:
    folder = tmp_path / "weights"
    tiny_pipeline.model.save(folder)
    tiny_pipeline.camera_head.save(folder / "camera_head")
    return folder


@pytest.fixture
def triplane_pipeline() -> TriplanePipeline:
    return TriplanePipeline(tiny_triplane(), CameraHead(CameraHeadConfig(image_size=64, widths=(8, 8, 16))), "cpu")


@pytest.fixture
def triplane_folder(triplane_pipeline: TriplanePipeline, tmp_path: Path) -> Path:
    folder = tmp_path / "triplane"
    triplane_pipeline.model.save(folder)
    triplane_pipeline.camera_head.save(folder / "camera_head")
    return folder


@pytest.fixture
def ellipse() -> Image.Image:
    return ellipse_picture()


def ellipse_picture() -> Image.Image:
    picture = Image.new("RGBA", (100, 80), (0, 0, 0, 0))
    ImageDraw.Draw(picture).ellipse((30, 20, 70, 60), fill=(220, 40, 40, 255))
    return picture


@pytest.fixture
def cut_picture() -> Image.Image:
    """An object that leaves the picture on the left."""
    pixels = np.zeros((64, 64, 4), np.uint8)
    pixels[20:40, :30] = (10, 200, 10, 255)
    return Image.fromarray(pixels)
