"""Cameras: the one place that knows axes, angles and projections.

World: right-handed, y up, +z front (glTF). A camera looks at the origin; azimuth 0 is on +z and grows towards +x,
elevation grows upwards. Camera axes are OpenGL's: x right, y up, looking along -z. Normalised device coordinates (NDC)
run from -1 to 1 across the square picture, x right and y up; pixel (row r, column c) of a picture of S x S pixels has
its centre at ((c + 0.5) / S * 2 - 1, 1 - (r + 0.5) / S * 2).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from wavemesh.errors import InputError

DEFAULT_DISTANCE = 4.56
DEFAULT_FOV_DEG = 40.0
MAX_AZIMUTH_DEG = 36_000.0  # a hundred turns: beyond, an angle loses its digits
MAX_DISTANCE = 1e6


@dataclass(frozen=True)
class Camera:
    """A square pinhole camera that looks at the origin.

    azimuth_deg, elevation_deg: where the camera stands. distance: from the origin, world units.
    fov_deg: vertical field of view. offset: principal point in NDC (a crop moves it).
    Raises InputError for values that are not finite or out of range.
    """

    azimuth_deg: float = 0.0
    elevation_deg: float = 0.0
    distance: float = DEFAULT_DISTANCE
    fov_deg: float = DEFAULT_FOV_DEG
    offset: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        if len(self.offset) != 2:
            raise InputError(f"A camera offset has two numbers, not {len(self.offset)}: {self.offset!r}.")
        values = (self.azimuth_deg, self.elevation_deg, self.distance, self.fov_deg, *self.offset)
        if not all(math.isfinite(value) for value in values):
            raise InputError(f"Camera values must be finite numbers, not {values}.")
        if abs(self.azimuth_deg) > MAX_AZIMUTH_DEG:
            raise InputError(f"Azimuth must lie between ±{MAX_AZIMUTH_DEG:.0f} degrees, not {self.azimuth_deg:g}.")
        if not -90.0 <= self.elevation_deg <= 90.0:
            raise InputError(f"Elevation must lie between -90 and 90 degrees, not {self.elevation_deg}.")
        if self.distance <= 0.0:
            raise InputError(f"Distance must be positive, not {self.distance}.")
        if self.distance > MAX_DISTANCE or max(map(abs, self.offset)) > MAX_DISTANCE:
            raise InputError(
                f"Distance and offset must be at most {MAX_DISTANCE:.0f}, not {self.distance:g} and {self.offset}."
            )
        if not 0.0 < self.fov_deg < 180.0:
            raise InputError(f"Field of view must lie between 0 and 180 degrees, not {self.fov_deg}.")
        # Plain floats, whatever numbers came: cameras are compared and written as JSON.
        for name in ("azimuth_deg", "elevation_deg", "distance", "fov_deg"):
            object.__setattr__(self, name, float(getattr(self, name)))
        object.__setattr__(self, "offset", (float(self.offset[0]), float(self.offset[1])))

    @property
    def focal(self) -> float:
        """The focal length in units of half the picture's side."""
        return 1.0 / math.tan(math.radians(self.fov_deg) / 2.0)

    def position(self) -> Float[np.ndarray, "3"]:
        """The camera's place in the world."""
        azimuth, elevation = math.radians(self.azimuth_deg), math.radians(self.elevation_deg)
        direction = (
            math.sin(azimuth) * math.cos(elevation),
            math.sin(elevation),
            math.cos(azimuth) * math.cos(elevation),
        )
        return self.distance * np.array(direction, dtype=np.float64)

    def camera_to_world(self) -> Float[np.ndarray, "3 4"]:
        """The pose as a matrix with columns right, up, backward, position; OpenGL axes."""
        azimuth, elevation = math.radians(self.azimuth_deg), math.radians(self.elevation_deg)
        backward = self.position() / self.distance
        right = np.array([math.cos(azimuth), 0.0, -math.sin(azimuth)])
        # Written out rather than a cross product with "up", which fails at the poles.
        up = np.array(
            [-math.sin(azimuth) * math.sin(elevation), math.cos(elevation), -math.cos(azimuth) * math.sin(elevation)]
        )
        return np.stack([right, up, backward, self.position()], axis=1).astype(np.float32)

    def intrinsics(self) -> Float[np.ndarray, "3"]:
        """Focal length and the two offsets, as the networks take them beside the pose."""
        return np.array([self.focal, *self.offset], dtype=np.float32)

    def project(self, points: Float[np.ndarray, "n 3"]) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, "n"]]:
        """NDC of the points and their depth along the viewing direction (positive in front)."""
        pose = self.camera_to_world().astype(np.float64)
        local = (np.asarray(points, dtype=np.float64) - pose[:, 3]) @ pose[:, :3]
        depth = -local[:, 2]
        return self.focal * local[:, :2] / depth[:, None] + np.array(self.offset), depth

    def rays(self, size: int) -> tuple[Float[np.ndarray, "size size 3"], Float[np.ndarray, "size size 3"]]:
        """Origins and unit directions of the rays through the pixel centres, rows from the top."""
        centres = (np.arange(size) + 0.5) / size * 2.0 - 1.0
        ndc_x, ndc_y = np.meshgrid(centres, -centres)
        local = np.stack(
            [(ndc_x - self.offset[0]) / self.focal, (ndc_y - self.offset[1]) / self.focal, -np.ones_like(ndc_x)],
            axis=-1,
        )
        pose = self.camera_to_world().astype(np.float64)
        directions = local @ pose[:, :3].T
        directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
        return np.broadcast_to(pose[:, 3], directions.shape).copy(), directions

    def cropped(self, left: float, top: float, size: float, width: float, height: float) -> Camera:
        """The camera of a square window of the picture; the window may reach beyond the picture.

        left, top, size: the window in pixels of the old picture, which had width x height pixels.
        The old picture must be square, or a wider or taller one whose vertical field of view this camera has.
        """
        if size <= 0 or width <= 0 or height <= 0:
            raise InputError(f"A crop needs positive sizes, not {size} of {width} x {height}.")
        scale = height / size
        # The principal point in pixels of the old picture, then in NDC of the window.
        centre_x = width / 2.0 + self.offset[0] * height / 2.0
        centre_y = height / 2.0 - self.offset[1] * height / 2.0
        offset = ((centre_x - left) / size * 2.0 - 1.0, 1.0 - (centre_y - top) / size * 2.0)
        fov_deg = math.degrees(2.0 * math.atan(1.0 / (self.focal * scale)))
        return replace(self, fov_deg=fov_deg, offset=offset)

    def turned(self, degrees: float) -> Camera:
        """The same camera seen from a world that was turned about the vertical axis by -degrees."""
        return replace(self, azimuth_deg=self.azimuth_deg + degrees)
