"""A whole but tiny set of untrained weights, and pictures of a box to give them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import trimesh
from PIL import Image

from tests.pipelines.triplane_model import tiny_triplane
from wavemesh.models.camera_head import CameraHead, CameraHeadConfig
from wavemesh.models.wavemesh import DenoiserConfig, EncoderConfig, WaveMeshConfig, WaveMeshModel
from wavemesh.rendering import render_multiview

TINY = WaveMeshConfig(
    resolution=32,
    encoder=EncoderConfig(32, 16, (8, 8, 16), map_channels=4, blocks=1, token_blocks=1),
    coarse=DenoiserConfig((8, 16), (1, 1), hidden=4, condition_channels=4, time_dim=16),
    detail=DenoiserConfig((8, 8), (1, 1), hidden=4, condition_channels=4, time_dim=16),
)


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of weights whose mesh is some closed surface: the coarse bands come out as noise."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("weights") / "tiny"
    model = WaveMeshModel(TINY)
    for parameter in model.coarse.unet.conv_out.parameters():
        torch.nn.init.normal_(parameter, std=0.1)  # untrained networks start at zero, which has no surface
    model.save(folder)
    CameraHead(CameraHeadConfig(32, (8, 8, 16))).save(folder / "camera_head")
    return folder


@pytest.fixture(scope="session")
def triplane_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of weights of the triplane system, whose surface is noise as well."""
    folder = tmp_path_factory.mktemp("weights") / "triplane"
    tiny_triplane().save(folder)
    CameraHead(CameraHeadConfig(32, (8, 8, 16))).save(folder / "camera_head")
    return folder


@pytest.fixture(scope="session")
def box_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mesh") / "box.ply"
    trimesh.creation.box((3.0, 2.0, 1.0)).export(path)
    return path


@pytest.fixture(scope="session")
def pictures(box_file: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two RGBA pictures of the box, at azimuth 0 and 180 and elevation 20."""
    folder = tmp_path_factory.mktemp("pictures")
    paths = []
    for index, view in enumerate(render_multiview(box_file, num_views=2, size=48, backend="embree").views):
        path = folder / f"{index}.png"
        Image.fromarray(view.rgba).save(path)
        paths.append(str(path))
    return paths
