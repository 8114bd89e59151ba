"""The blocks of the planes against index arithmetic, plain loops and the ordinary norm."""

import pytest
import torch
import torch.nn.functional as F

from wavemesh.models.planes import (
    AdaptiveGroupNorm,
    PlaneBlock,
    PlaneMixing,
    base_width,
    fold_planes,
    fold_volume,
    groups_of,
    multiple_of_8,
    run_block,
    unfold_planes,
)


def test_volumes_fold_along_each_normal() -> None:
    volume = torch.randn(2, 3, 4, 5, 2)
    xy, xz, yz = fold_volume(volume)
    assert (xy.shape, xz.shape, yz.shape) == ((2, 4, 3, 10), (2, 5, 3, 8), (2, 5, 4, 6))
    for x in range(3):
        for y in range(4):
            for z in range(5):
                # Height, width, then the normal axis with its channels: XY is (y, x, z), XZ (z, x, y), YZ (z, y, x).
                cell = volume[:, x, y, z]
                torch.testing.assert_close(xy[:, y, x, 2 * z : 2 * z + 2], cell)
                torch.testing.assert_close(xz[:, z, x, 2 * y : 2 * y + 2], cell)
                torch.testing.assert_close(yz[:, z, y, 2 * x : 2 * x + 2], cell)


def test_folding_planes_is_undone() -> None:
    triplane = torch.randn(2, 3, 4, 5, 5)
    torch.testing.assert_close(unfold_planes(fold_planes(triplane)), triplane)
    torch.testing.assert_close(fold_planes(triplane)[4], triplane[1, 1])


def test_mixing_brings_what_the_other_planes_know_along_shared_axes() -> None:
    channels, n = 2, 4
    mixing = PlaneMixing(channels)
    with torch.no_grad():
        for layer, factor in ((mixing.along_width, 1.0), (mixing.along_height, 10.0)):
            layer.weight.copy_(factor * torch.eye(channels))
            layer.bias.zero_()
    triplane = torch.randn(2, 3, channels, n, n)
    xy, xz, yz = triplane.unbind(1)
    mixed = unfold_planes(mixing(fold_planes(triplane)))
    for row in range(n):
        for column in range(n):
            # Plane XY at (y, x) learns of x from XZ, whose width is x, and of y from YZ, whose width is y; and so on.
            expected_xy = xz[:, :, :, column].mean(dim=2) + 10 * yz[:, :, :, row].mean(dim=2)
            expected_xz = xy[:, :, :, column].mean(dim=2) + 10 * yz[:, :, row].mean(dim=2)
            expected_yz = xy[:, :, column].mean(dim=2) + 10 * xz[:, :, row].mean(dim=2)
            torch.testing.assert_close(mixed[:, 0, :, row, column], expected_xy)
            torch.testing.assert_close(mixed[:, 1, :, row, column], expected_xz)
            torch.testing.assert_close(mixed[:, 2, :, row, column], expected_yz)


def test_adaptive_norm_is_a_group_norm_scaled_and_shifted() -> None:
    norm = AdaptiveGroupNorm(16, 5)
    x, condition = torch.randn(3, 16, 4, 4), torch.randn(3, 5)
    assert norm.modulation is not None
    scale, shift = norm.modulation(condition).chunk(2, dim=1)
    expected = F.group_norm(x, 8) * (1 + scale[:, :, None, None]) + shift[:, :, None, None]
    torch.testing.assert_close(norm(x, condition), expected)
    torch.testing.assert_close(AdaptiveGroupNorm(16)(x), F.group_norm(x, 8))


@pytest.mark.parametrize("channels, groups", [(16, 8), (12, 4), (6, 2), (7, 1)])
def test_groups_divide_the_channels(channels: int, groups: int) -> None:
    assert groups_of(channels) == groups


def test_widths() -> None:
    assert [base_width(channels) for channels in (1, 16, 32, 64)] == [8, 32, 56, 112]
    assert [multiple_of_8(width) for width in (0.0, 13.0, 140.1)] == [8, 16, 144]


@pytest.mark.parametrize("mix", [False, True])
def test_checkpointing_changes_no_gradient(mix: bool) -> None:
    block = PlaneBlock(8, 5, mix)
    gradients = []
    for checkpointing in (False, True):
        block.zero_grad()
        x = torch.linspace(-1, 1, 3 * 8 * 16).view(3, 8, 4, 4).requires_grad_()
        run_block(block, x, torch.ones(3, 5), checkpointing=checkpointing).square().sum().backward()
        gradients.append([x.grad, *(parameter.grad for parameter in block.parameters())])
    for plain, again in zip(*gradients, strict=True):
        assert plain is not None
        torch.testing.assert_close(plain, again)


def test_blocks_without_mixing_keep_planes_apart() -> None:
    torch.manual_seed(0)
    x = torch.randn(3, 8, 4, 4)
    changed = x.clone()
    changed[2] = torch.randn(8, 4, 4)
    for mix in (False, True):
        block = PlaneBlock(8, mix=mix)
        difference = (block(changed) - block(x)).abs().flatten(1).amax(dim=1)
        assert (difference[:2] > 1e-6).all() == mix
        assert difference[2] > 1e-3
