"""Held-out shapes as a user's photographs: before a photographed background, from a phone's place, cameras unknown.

The shape's own mesh is drawn as a phone of 24 to 75 degrees sees it that is filled by it to 45 to 85%, under a lamp
anywhere above, and put into a photograph with a contact shadow, noise and JPEG (see `cutouts`). Several pictures of a
shape are a walk around it. All of it follows from the shape's key.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from wavemesh.errors import InputError
from wavemesh.evaluation.cutouts import Scene, composite, surroundings
from wavemesh.evaluation.samples import EvaluationSample, sdf_mesh
from wavemesh.geometry.camera import Camera
from wavemesh.pipelines.views import View, prepare_views
from wavemesh.rendering import Light, RaycastRenderer

DRAWN_PX = 512
FOV_DEG, FILLED, ELEVATION_DEG = (24.0, 75.0), (0.45, 0.85), (0.0, 45.0)
STRAY_DEG = 12.0  # deviation of a walk's steps from quarter turns
_CLEARANCE = 1.3  # times the object's radius


@dataclass(frozen=True)
class Photograph:
    """A scene and the camera of its full frame before the object was moved in it: its angles and distance hold."""

    scene: Scene
    camera: Camera

    def as_view(self) -> View:
        """The picture as a person would give it, without mask and camera."""
        return View(self.scene.picture)


@dataclass(frozen=True)
class PhotographErrors:
    """How photographs are cut out and seen. iou: mean of the masks. below_80: share of the pictures below .8.

    elevation_deg: median error. pictures: how many; a refused one has an IoU of 0 and no elevation.
    """

    iou: float
    below_80: float
    elevation_deg: float
    pictures: int

    def __str__(self) -> str:
        return (
            f"mean IoU of the mask {self.iou:.3f}, {self.below_80:.0%} below .8, median error "
            f"{self.elevation_deg:.1f}° of elevation, over {self.pictures} pictures"
        )


def photographs(sample: EvaluationSample, count: int) -> list[Photograph]:
    """The first `count` photographs of a shape. Raises InputError for a shape without surface."""
    mesh = sdf_mesh(sample.sdf) if sample.mesh is None else sample.mesh
    if mesh is None:
        raise InputError(f"The true shape of {sample.key} has no surface.")
    renderer, radius = RaycastRenderer(mesh), float(np.linalg.norm(mesh.vertices, axis=1).max())
    rng = np.random.default_rng(zlib.crc32(sample.key.encode()))
    fov, azimuth, direction = rng.uniform(*FOV_DEG), rng.uniform(0.0, 360.0), rng.choice((-90.0, 90.0))
    light = _light(rng)
    taken = []
    for number in range(count):
        distance = max(radius / math.tan(math.radians(fov) / 2.0 * rng.uniform(*FILLED)), _CLEARANCE * radius)
        turned = azimuth + number * direction + rng.normal(0.0, STRAY_DEG) * (number > 0)
        camera = Camera(turned, rng.uniform(*ELEVATION_DEG), distance, fov)
        rgba = renderer.view(camera, DRAWN_PX, light=light).rgba
        taken.append(Photograph(composite(Image.fromarray(rgba), surroundings(rng), rng), camera))
    return taken


def photograph_errors(pipeline: Any, samples: Iterable[EvaluationSample], count: int = 4) -> PhotographErrors:
    """How the pipeline cuts out and sees `count` photographs of each shape, each by itself."""
    overlaps, elevations = [], []
    size = pipeline.model.config.encoder.image_size
    for sample in samples:
        for photograph in photographs(sample, count):
            truth = photograph.scene.mask
            try:
                (view,) = prepare_views([photograph.as_view()], size, pipeline.estimate_cameras)
            except InputError:
                overlaps.append(0.0)
                continue
            found = np.asarray(view.full)[..., 3] >= 128
            overlaps.append(float((found & truth).sum() / (found | truth).sum()))
            elevations.append(abs(view.camera.elevation_deg - photograph.camera.elevation_deg))
    values = np.array(overlaps)
    elevation = float(np.median(elevations)) if elevations else math.nan
    return PhotographErrors(float(values.mean()), float((values < 0.8).mean()), elevation, len(values))


def _light(rng: np.random.Generator) -> Light:
    turn, height = rng.uniform(0.0, 2.0 * math.pi), rng.uniform(0.3, 1.0)
    flat = math.sqrt(1.0 - height**2)
    direction = (flat * math.sin(turn), height, flat * math.cos(turn))
    return Light(direction, rng.uniform(0.3, 0.7), rng.uniform(0.15, 0.4), rng.uniform(0.2, 0.35))
