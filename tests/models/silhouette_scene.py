"""A chair-like object of boxes: its exact silhouettes, drawn by PIL as the boxes' convex outlines, and its field."""

import cv2
import numpy as np
import torch
from PIL import Image, ImageDraw

from wavemesh.geometry.camera import Camera
from wavemesh.models.projection import grid_points

SIZE, FINER = 96, 4
# Low and high corners: a seat, a back of two posts and two rails, four legs and one arm; longest side 1.8.
BOXES = [
    ((-0.5, -0.05, -0.5), (0.5, 0.05, 0.5)),
    *(((x, 0.05, -0.5), (x + 0.1, 0.9, -0.4)) for x in (-0.5, 0.4)),
    *(((-0.5, y, -0.5), (0.5, y + 0.1, -0.42)) for y in (0.45, 0.8)),
    *(((x, -0.9, z), (x + 0.1, -0.05, z + 0.1)) for x in (-0.5, 0.4) for z in (-0.5, 0.4)),
    ((0.4, 0.3, -0.4), (0.5, 0.4, 0.5)),
    ((0.4, 0.05, 0.4), (0.5, 0.3, 0.5)),
]
AZIMUTHS = (30.0, 115.0, 215.0, 300.0)
ELEVATIONS = (20.0, 10.0, 30.0, 15.0)


def cropped_cameras(azimuths: tuple[float, ...] = AZIMUTHS) -> list[Camera]:
    """Cameras of crops, as the pipeline has them: narrow, and a little beside the object's centre."""
    return [
        Camera(azimuth, elevation, fov_deg=28.0, offset=(0.02 * index, -0.03))
        for index, (azimuth, elevation) in enumerate(zip(azimuths, ELEVATIONS, strict=False))
    ]


def silhouette(camera: Camera) -> np.ndarray:
    """(SIZE, SIZE) float32 in [0, 1]."""
    side = SIZE * FINER
    picture = Image.new("L", (side, side))
    for low, high in BOXES:
        corners = np.stack(np.meshgrid(*zip(low, high, strict=True)), axis=-1).reshape(-1, 3)
        ndc, _ = camera.project(corners)
        pixels = np.stack([(ndc[:, 0] + 1.0) / 2.0, (1.0 - ndc[:, 1]) / 2.0], axis=1) * side - 0.5
        outline = cv2.convexHull(pixels.astype(np.float32))[:, 0]
        ImageDraw.Draw(picture).polygon([tuple(map(float, corner)) for corner in outline], fill=255)
    return np.asarray(picture.resize((SIZE, SIZE), Image.Resampling.BOX), dtype=np.float32) / 255.0


def silhouettes(cameras: list[Camera]) -> np.ndarray:
    return np.stack([silhouette(camera) for camera in cameras])


def true_field(resolution: int = 64) -> torch.Tensor:
    """The distance to the nearest box's faces, truncated."""
    points = grid_points(resolution)
    nearest = torch.full((len(points),), 1.0)
    for low, high in BOXES:
        outside = torch.maximum(torch.tensor(low) - points, points - torch.tensor(high))
        nearest = torch.minimum(nearest, outside.amax(dim=1))
    return nearest.clamp(-0.09, 0.09).view(resolution, resolution, resolution)


def perturbed(cameras: list[Camera], seed: int = 0, share: float = 1.0) -> list[Camera]:
    """Cameras off by the errors of an estimate: 4 degrees of azimuth, 3 of elevation, 3% of scale, .03 of offsets."""
    rng = np.random.default_rng(seed)
    moved = []
    for camera in cameras:
        azimuth, elevation, scale, x, y = share * rng.normal(size=5)
        moved.append(
            Camera(
                camera.azimuth_deg + 4.0 * azimuth,
                camera.elevation_deg + 3.0 * elevation,
                camera.distance,
                camera.fov_deg * (1.0 + 0.03 * scale),
                (camera.offset[0] + 0.03 * x, camera.offset[1] + 0.03 * y),
            )
        )
    return moved
