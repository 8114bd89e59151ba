"""Seconds from a phone's photograph, a JPEG of 12 megapixels, to its object without the background."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image

from wavemesh.bench.timing import bench_mesh, measure
from wavemesh.geometry.camera import Camera
from wavemesh.imaging import cut_out, read_picture
from wavemesh.rendering import raycast_view

SIZE = (4000, 3000)


def bench_cutout(repeats: int, size: tuple[int, int] = SIZE) -> dict[str, Any]:
    """Median seconds of reading and of cutting out a made-up object, and what cut it out."""
    photograph = made_up_photograph(size)
    picture = read_picture(photograph)
    seconds = measure({"read": lambda: read_picture(photograph), "cut": lambda: cut_out(picture)}, repeats)
    megapixels = size[0] * size[1] / 1e6
    return {
        "seconds": seconds,
        "total_s": sum(seconds.values()),
        "megapixels": megapixels,
        "by": cut_out(picture).method,
    }


def made_up_photograph(size: tuple[int, int]) -> bytes:
    """A JPEG of the benchmark's object before a wall that gets darker, with the noise of a camera."""
    view = raycast_view(bench_mesh(), Camera(azimuth_deg=30.0, elevation_deg=20.0), 512)
    side = min(size)
    thing = Image.fromarray(view.rgba, "RGBA").resize((side, side), Image.Resampling.LANCZOS)
    wall = np.linspace(215, 150, size[1])[:, None, None] + np.array([4.0, 0.0, -8.0])
    noise = np.random.default_rng(0).normal(0.0, 3.0, (size[1], size[0], 1))
    picture = Image.fromarray((wall + noise).clip(0, 255).astype(np.uint8)).convert("RGBA")
    picture.alpha_composite(thing, ((size[0] - side) // 2, (size[1] - side) // 2))
    file = io.BytesIO()
    picture.convert("RGB").save(file, "JPEG", quality=92)
    return file.getvalue()
