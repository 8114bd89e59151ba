"""What photographs have and renderings have not: uneven light, cast shadows, leftovers of a background, compression.

Each change happens to some views only, drawn from the generator that is handed in. Pictures are the network's: RGB
premultiplied by alpha, alpha the fourth channel; shapes and cameras stay as they are.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from torch.nn import functional

Images = Float[Tensor, "b v 4 h w"]

# Shares of the views that each change happens to, at strength 1. Shadows and leftovers lie about the silhouette, which
# the visual hull believes, so they stay rare.
LIT, SHADOWED, LEFTOVER, COMPRESSED = 0.5, 0.08, 0.08, 0.25


def photographic(images: Images, generator: torch.Generator | None = None, strength: float = 1.0) -> Images:
    """The pictures as a photograph of the object might have been cut out; strength scales the shares of the views."""
    images = uneven_light(images, generator, LIT * strength)
    images = cast_shadow(images, generator, SHADOWED * strength)
    images = leftover_background(images, generator, LEFTOVER * strength)
    return compressed(images, generator, COMPRESSED * strength)


def uneven_light(images: Images, generator: torch.Generator | None = None, chance: float = LIT) -> Images:
    """A lamp from one side: a gradient of brightness, from 0.4 to 1.6 at most, its colour slightly off white."""
    return _changed(images, generator, chance, _lit)


def _lit(images: Images, generator: torch.Generator | None) -> Images:
    across, down = _frame(images)
    angle, strength = 2 * torch.pi * _draw(images, generator), 0.6 * _draw(images, generator)
    tint = 1 + 0.2 * (torch.rand(*images.shape[:2], 3, 1, 1, generator=generator).to(images.device) - 0.5)
    light = tint * (1 + strength * (across * angle.cos() + down * angle.sin()).clamp(-1, 1))
    rgb, alpha = images[:, :, :3], images[:, :, 3:]
    return torch.cat([(rgb * light).minimum(alpha), alpha], dim=2)


def cast_shadow(images: Images, generator: torch.Generator | None = None, chance: float = SHADOWED) -> Images:
    """A dark flat ellipse on the ground under the object, taken for a part of it: its opacity is .3 to .9."""
    return _changed(images, generator, chance, _shadowed)


def _shadowed(images: Images, generator: torch.Generator | None) -> Images:
    across, down = _frame(images)
    alpha = images[:, :, 3:]
    occupied = alpha > 0.5
    bottom = torch.where(occupied, down, -1.0).amax(dim=(-2, -1), keepdim=True)
    left = torch.where(occupied, across, 1.0).amin(dim=(-2, -1), keepdim=True)
    right = torch.where(occupied, across, -1.0).amax(dim=(-2, -1), keepdim=True)
    width = ((right - left) / 2).clamp_min(0.05) * (0.7 + 0.6 * _draw(images, generator))
    height = width * (0.08 + 0.2 * _draw(images, generator))
    aside = (left + right) / 2 + 0.5 * width * (_draw(images, generator) - 0.5)
    radius = ((across - aside) / width).square() + ((down - bottom + height) / height).square()
    shade = (0.3 + 0.6 * _draw(images, generator)) * (1.5 * (1 - radius)).clamp(0, 1)
    # Below the object in the picture's order of layers; black, so that RGB does not change.
    opacity = alpha + (1 - alpha) * shade
    return torch.cat([images[:, :, :3], opacity], dim=2)


def leftover_background(images: Images, generator: torch.Generator | None = None, chance: float = LEFTOVER) -> Images:
    """Patches of background of one colour with some texture that a cut-out kept at the silhouette's edge."""
    return _changed(images, generator, chance, _patched)


def _patched(images: Images, generator: torch.Generator | None) -> Images:
    rgb, alpha = images[:, :, :3], images[:, :, 3:]
    batch, views, _, height, width = images.shape
    reach = 2 * (max(height, width) // 24) + 1
    near = functional.max_pool2d(alpha.flatten(0, 1), reach, stride=1, padding=reach // 2).unflatten(0, (batch, views))
    coarse = torch.rand(batch * views, 1, 6, 6, generator=generator).to(images.device)
    blobs = functional.interpolate(coarse, size=(height, width), mode="bicubic").unflatten(0, (batch, views))
    kept = near * (blobs > 0.6) * (1 - alpha)
    colour = torch.rand(batch, views, 3, 1, 1, generator=generator).to(images.device)
    texture = 0.15 * (torch.rand(batch, views, 1, height, width, generator=generator).to(images.device) - 0.5)
    return torch.cat([rgb + kept * (colour + texture).clamp(0, 1), alpha + kept], dim=2)


def compressed(images: Images, generator: torch.Generator | None = None, chance: float = COMPRESSED) -> Images:
    """Through JPEG of quality 20 to 90 over a background of one colour, as pictures are before they are cut out."""
    chosen = _chosen(images, generator, chance).flatten()
    qualities = torch.randint(20, 91, (len(chosen),), generator=generator).tolist()
    colours = torch.rand(len(chosen), 3, 1, 1, generator=generator).to(images.device)
    result = images.clone().flatten(0, 1)
    for index in chosen.nonzero().flatten().tolist():
        rgb, alpha = result[index, :3], result[index, 3:]
        whole = ((rgb + (1 - alpha) * colours[index]) * 255).round().clamp(0, 255).byte()
        file = io.BytesIO()
        Image.fromarray(whole.permute(1, 2, 0).cpu().numpy()).save(file, "JPEG", quality=qualities[index])
        read = torch.from_numpy(np.array(Image.open(file))).to(images.device).permute(2, 0, 1).to(rgb) / 255
        result[index, :3] = read * alpha
    return result.unflatten(0, images.shape[:2])


def _changed(
    images: Images,
    generator: torch.Generator | None,
    chance: float,
    change: Callable[[Images, torch.Generator | None], Images],
) -> Images:
    """The pictures, some of them changed; what is not chosen costs nothing."""
    chosen = _chosen(images, generator, chance).flatten()
    flat = images.flatten(0, 1)
    if chosen.any():
        flat = flat.clone()
        flat[chosen] = change(flat[chosen].unsqueeze(0), generator)[0]
    return flat.unflatten(0, images.shape[:2])


def _draw(images: Images, generator: torch.Generator | None) -> Tensor:
    # Drawn on the CPU, so that a seed gives the same pictures on every device.
    return torch.rand(*images.shape[:2], generator=generator).to(images.device)[..., None, None, None]


def _chosen(images: Images, generator: torch.Generator | None, chance: float) -> Tensor:
    return _draw(images, generator) < chance


def _frame(images: Images) -> tuple[Tensor, Tensor]:
    """Coordinates across (w) and down (h, 1), from -1 to 1 between the outermost pixels' edges."""
    height, width = images.shape[-2:]
    across = (torch.arange(width, device=images.device) + 0.5) / width * 2 - 1
    down = (torch.arange(height, device=images.device) + 0.5) / height * 2 - 1
    return across, down[:, None]
