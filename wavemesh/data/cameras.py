"""The cameras that a prepared model is seen from: four canonical ones for evaluation, many cropped ones for training.

Training pictures are rendered through cameras that are already cropped to the object, because a network that sees 128^2
pixels should spend them on the object; the pipeline crops a user's picture in the same way and moves its camera along.
"""

from __future__ import annotations

import zlib

import numpy as np
from jaxtyping import Float

from wavemesh.geometry.camera import DEFAULT_DISTANCE, DEFAULT_FOV_DEG, Camera
from wavemesh.imaging import CROP_MARGIN

CANONICAL_AZIMUTHS_DEG = (30.0, 120.0, 210.0, 300.0)
CANONICAL_ELEVATION_DEG = 20.0
CANONICAL_SIZE_PX = 256
# A phone's picture, 24 to 75 degrees high and three quarters filled by the object, is taken from this near and far.
NEAREST, FURTHEST = 2.0, 7.0
_CLEARANCE = 1.3  # times the object's radius: nearer, its front would cover everything


def canonical_cameras() -> list[Camera]:
    """The four full-frame cameras that evaluation uses; the first alone is the single view."""
    return [Camera(azimuth, CANONICAL_ELEVATION_DEG) for azimuth in CANONICAL_AZIMUTHS_DEG]


def crop_to_points(
    camera: Camera, points: Float[np.ndarray, "n 3"], margin: float, shift: tuple[float, float] = (0.0, 0.0)
) -> Camera:
    """The camera of a square window around the projected points.

    margin: free border on each side as a share of the object's longer side in the picture (negative cuts into it).
    shift: displacement of the window in the same unit.
    """
    ndc, _ = camera.project(points)
    low, high = ndc.min(axis=0), ndc.max(axis=0)
    extent = float((high - low).max())
    centre = (low + high) / 2.0 + extent * np.asarray(shift)
    size = extent * (1.0 + 2.0 * margin)
    # NDC to pixels of a picture of 2 x 2 pixels, whose origin is the top left corner.
    return camera.cropped(centre[0] + 1.0 - size / 2.0, 1.0 - centre[1] - size / 2.0, size, 2.0, 2.0)


def training_cameras(key: str, points: Float[np.ndarray, "n 3"], count: int) -> list[Camera]:
    """Cropped cameras for a model: the canonical four, then random ones that depend on the key alone.

    key: the model's name, which seeds the choice. points: its vertices in the world, for the crop.
    """
    rng = np.random.default_rng(zlib.crc32(key.encode()))
    nearest = max(NEAREST, _CLEARANCE * float(np.linalg.norm(points, axis=1).max()))
    cameras = [crop_to_points(camera, points, CROP_MARGIN) for camera in canonical_cameras()][:count]
    while len(cameras) < count:
        usual = rng.random() < 0.25
        camera = Camera(
            azimuth_deg=float(rng.uniform(0.0, 360.0)),
            elevation_deg=float(rng.uniform(-10.0, 60.0)),
            distance=DEFAULT_DISTANCE if usual else float(np.exp(rng.uniform(np.log(nearest), np.log(FURTHEST)))),
            fov_deg=DEFAULT_FOV_DEG,
        )
        # One picture in ten is cut by its border, as a user's may be.
        margin = float(rng.uniform(-0.08, 0.0)) if rng.random() < 0.1 else float(rng.uniform(0.02, 0.2))
        room = max(margin, 0.02)
        shift = (float(rng.uniform(-room, room)), float(rng.uniform(-room, room)))
        cameras.append(crop_to_points(camera, points, margin, shift))
    return cameras
