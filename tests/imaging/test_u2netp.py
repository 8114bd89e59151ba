"""U-2-Net small: the network of its paper, the answers of the original file, loaded only when it is asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from wavemesh.imaging import u2netp
from wavemesh.imaging.u2netp import SIDE, U2Netp, U2NetpConfig, saliency
from wavemesh.weights import resolve

# What onnxruntime made of `drawn()` with u2netp.onnx in float32, averaged over 8 x 8 pixels.
REFERENCE = Path(__file__).with_name("u2netp_reference.npy")


def drawn() -> tuple[np.ndarray, np.ndarray]:
    """A ball on a leg before a ramp of colours, (320, 320, 3) uint8, and its mask."""
    down, across = np.mgrid[:SIDE, :SIDE]
    behind = np.stack([120 + across // 4, 140 + down // 8, 150 - across // 8], axis=-1)
    ball = (down - 180) ** 2 + (across - 140) ** 2 < 80**2
    leg = (abs(across - 140) < 6) & (down >= 180) & (down < 300)
    mask = ball | leg
    rgb = np.where(mask[..., None], np.array([200, 60, 40]) - down[..., None] // 8, behind)
    return rgb.astype(np.uint8), mask


def by_the_paper(images: torch.Tensor, weights: list[torch.Tensor]) -> torch.Tensor:
    """U-2-Net small written down from its paper, its batch norms folded: `weights` in the order of its file."""
    left = iter(weights)

    def plain(x: torch.Tensor, dilation: int = 1) -> torch.Tensor:
        return F.conv2d(x, next(left), next(left), padding=dilation, dilation=dilation)

    def grown(x: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        return F.interpolate(x, size=like.shape[2:], mode="bilinear")

    def block(x: torch.Tensor, height: int) -> torch.Tensor:
        """RSU-height, or RSU-4F for 0: what it halves, what it dilates."""
        first = now = plain(x).relu()
        dilations, last, back = (
            ((1, 2, 4), 8, (4, 2, 1)) if height == 0 else ((1,) * (height - 1), 2, (1,) * (height - 1))
        )
        ways = []
        for number, dilation in enumerate(dilations):
            if number and height:
                now = F.max_pool2d(now, 2, stride=2, ceil_mode=True)
            now = plain(now, dilation).relu()
            ways.append(now)
        now = plain(now, last).relu()
        for way, dilation in zip(ways[::-1], back, strict=True):
            now = plain(torch.cat((grown(now, way), way), dim=1), dilation).relu()
        return now + first

    down, now = [], images
    for height in (7, 6, 5, 4, 0, 0):
        now = block(F.max_pool2d(now, 2, stride=2, ceil_mode=True) if down else now, height)
        down.append(now)
    up = [now]
    for height, way in zip((0, 4, 5, 6, 7), down[-2::-1], strict=True):
        up.append(block(torch.cat((grown(up[-1], way), way), dim=1), height))
    sides = [plain(each) for each in up[::-1]]
    fused = torch.cat([grown(side, sides[0]) for side in sides], dim=1)
    return torch.sigmoid(F.conv2d(fused, next(left), next(left)))


def test_it_is_the_network_of_the_paper() -> None:
    network = U2Netp(U2NetpConfig(width=8, inner=4)).eval()
    with torch.no_grad():
        for each in network.parameters():
            each.normal_(0.0, 0.2)
        images = torch.randn(2, 3, 76, 90)
        answer = network(images)
        expected = by_the_paper(images, list(network.parameters()))
    assert float(answer.std()) > 0.05
    torch.testing.assert_close(answer, expected, rtol=1e-4, atol=1e-5)


def test_answers_as_the_original_does() -> None:
    rgb, mask = drawn()
    found = u2netp.look(rgb)
    assert found.dtype == np.float32
    means = found.reshape(40, 8, 40, 8).mean(axis=(1, 3))
    assert np.abs(means - np.load(REFERENCE).astype(np.float32)).mean() < 0.002
    assert ((found > 0.5) & mask).sum() / ((found > 0.5) | mask).sum() > 0.98
    with torch.autocast("cpu", torch.bfloat16):  # whoever calls it, it computes in float32
        assert np.array_equal(u2netp.look(rgb), found)


def test_any_size_and_a_black_picture() -> None:
    rgb, mask = drawn()
    wide = np.pad(rgb, [(0, 0), (40, 60), (0, 0)], mode="edge")
    found = saliency(wide).likelihood
    assert found.shape == (320, 420)
    assert ((found > 0.5) & np.pad(mask, [(0, 0), (40, 60)])).sum() > 0.9 * mask.sum()
    assert np.isfinite(saliency(np.zeros((5, 7, 3), dtype=np.uint8)).likelihood).all()


def test_a_second_look_finds_thin_parts_of_small_things() -> None:
    rgb, mask = drawn()
    small = np.pad(rgb, [(300, 200), (400, 500), (0, 0)], mode="edge")
    truth = np.pad(mask, [(300, 200), (400, 500)])
    leg = truth & (np.arange(820)[:, None] > 300 + 265)

    def recall(found: np.ndarray) -> float:
        return float(found[leg].mean())

    assert recall(saliency(small).likelihood) > max(0.8, recall(u2netp.look(small)))


def test_the_weights_are_those_of_the_card() -> None:
    folder = resolve(None, "cutout")
    network = U2Netp.load(folder)
    assert sum(each.numel() for each in network.parameters()) == 1_125_485
    assert all(each.dtype == torch.float32 for each in network.parameters())
    assert sum(path.stat().st_size for path in folder.iterdir()) < 2.4e6
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8" in card
    assert "Apache-2.0" in card
    assert "U-2-Net" in (folder.parents[1] / "ATTRIBUTION.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_imaging_alone_loads_neither_torch_nor_opencv() -> None:
    code = "import sys, wavemesh.imaging; print(*({'torch', 'cv2'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
