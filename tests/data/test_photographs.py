"""What photographs have: pictures stay valid, cameras' silhouettes change only where they may."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from wavemesh.data import photographs
from wavemesh.data.dataset import to_network_image
from wavemesh.data.photographs import cast_shadow, compressed, leftover_background, photographic, uneven_light
from wavemesh.geometry.camera import Camera
from wavemesh.rendering import raycast_view

CHANGES = (uneven_light, cast_shadow, leftover_background, compressed)


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    """(2, 3, 4, 64, 64): a box from several sides."""
    import trimesh

    box = trimesh.creation.box((1.0, 0.6, 1.4))
    box.visual.vertex_colors = [180, 90, 40, 255]
    views = [to_network_image(raycast_view(box, Camera(50.0 * number, 20.0), 64).rgba) for number in range(6)]
    return torch.stack(views).unflatten(0, (2, 3))


@pytest.mark.parametrize("change", CHANGES)
def test_changed_pictures_stay_premultiplied_and_repeat(
    change: Callable[..., torch.Tensor], images: torch.Tensor
) -> None:
    changed = change(images, torch.Generator().manual_seed(0), 1.0)
    assert changed.shape == images.shape
    assert (changed.flatten(2) != images.flatten(2)).any(dim=2).all()  # each view
    assert changed.min() >= 0.0
    assert changed.max() <= 1.0 + 1e-6
    assert (changed[:, :, :3] <= changed[:, :, 3:] + 1e-6).all()
    assert torch.equal(change(images, torch.Generator().manual_seed(0), 1.0), changed)
    assert torch.equal(change(images, torch.Generator().manual_seed(0), 0.0), images)


@pytest.mark.parametrize("change", [uneven_light, compressed])
def test_light_and_compression_leave_silhouettes_alone(
    change: Callable[..., torch.Tensor], images: torch.Tensor
) -> None:
    assert torch.equal(change(images, torch.Generator().manual_seed(0), 1.0)[:, :, 3], images[:, :, 3])


def test_shadows_lie_below_and_leftovers_beside_the_object(images: torch.Tensor) -> None:
    alpha = images[:, :, 3]
    for change in (cast_shadow, leftover_background):
        added = change(images, torch.Generator().manual_seed(0), 1.0)[:, :, 3] - alpha
        assert (added >= -1e-6).all()
        assert added.amax() > 0.2
        assert (added[alpha == 1.0].abs() < 1e-6).all()
    shadow = cast_shadow(images, torch.Generator().manual_seed(0), 1.0)
    assert torch.equal(shadow[:, :, :3], images[:, :, :3])  # black, and behind the object
    rows = torch.arange(64.0)
    centre = (alpha.sum(dim=3) * rows).sum(dim=2) / alpha.sum(dim=(2, 3))
    added = (shadow[:, :, 3] - alpha).sum(dim=3)
    assert ((added * rows).sum(dim=2) / added.sum(dim=2) > centre).all()


def test_compression_is_that_of_jpeg(images: torch.Tensor) -> None:
    changed = compressed(images, torch.Generator().manual_seed(0), 1.0)
    error = (changed - images)[:, :, :3].abs().mean(dim=(2, 3, 4))
    assert (error > 1e-4).all()
    assert (error < 0.03).all()


def test_a_strength_scales_the_shares(images: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    many = images[:1, :1].expand(60, 4, -1, -1, -1)
    changed = photographic(many, torch.Generator().manual_seed(0), 1.0)
    share = float((changed.flatten(2) != many.flatten(2)).any(dim=2).float().mean())
    kept = (
        (1 - photographs.LIT) * (1 - photographs.SHADOWED) * (1 - photographs.LEFTOVER) * (1 - photographs.COMPRESSED)
    )
    assert share == pytest.approx(1 - kept, abs=0.1)
    assert torch.equal(photographic(many, torch.Generator().manual_seed(0), 0.0), many)
