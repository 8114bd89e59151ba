"""Pictures from cameras that were not given, compared with what those cameras really saw.

A prepared shape has canonical pictures, which are given, and training views of 128^2 pixels, of which the first four
are crops of the canonical ones and the others look from anywhere. The first few of those others are the novel views,
the same ones for every method and every number of given pictures. Everything is compared over white.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from wavemesh.data.cameras import CANONICAL_AZIMUTHS_DEG
from wavemesh.data.dataset import PreparedShapes
from wavemesh.errors import InputError
from wavemesh.evaluation.image_metrics import flip, psnr, ssim
from wavemesh.evaluation.samples import EvaluationSample
from wavemesh.geometry.camera import Camera

NUM_NOVEL = 3
FIRST_NOVEL = len(CANONICAL_AZIMUTHS_DEG)
MAX_PSNR_DB = 60.0  # of equal pictures, whose ratio is infinite and has no mean


@dataclass(frozen=True)
class ViewScores:
    """What pictures are worth, means over the views of a shape.

    psnr: dB, at most 60. ssim: up to 1. flip: from 0, which is best, to 1.
    """

    psnr: float
    ssim: float
    flip: float

    def to_dict(self) -> dict[str, float]:
        """The scores by name, for JSON."""
        return {"psnr": self.psnr, "ssim": self.ssim, "flip": self.flip}


@dataclass(frozen=True)
class NovelViews:
    """The novel views of one shape: cameras, and what they saw, (s, s, 3) uint8 over white.

    given: crops of the canonical pictures over white, the same size; what a method is given shows no more than these.
    """

    cameras: list[Camera]
    pictures: list[np.ndarray]
    given: list[np.ndarray]

    @property
    def size(self) -> int:
        """The side of the pictures in pixels."""
        return self.pictures[0].shape[0]


@dataclass(frozen=True)
class ViewUnit:
    """One way to draw every shape's novel views: its name, what draws them, and what that was made by."""

    name: str
    draw: Callable[[EvaluationSample, NovelViews], list[np.ndarray]]
    fingerprint: str


def novel_views(shapes: PreparedShapes, key: str, count: int = NUM_NOVEL) -> NovelViews:
    """The novel views of a shape, `count` or as many as there are.

    Raises InputError where the data set keeps no view beyond the canonical ones.
    """
    index = shapes.keys.index(key)
    if shapes.num_views <= FIRST_NOVEL:
        raise InputError(
            f"Novel views need a data set with more than {FIRST_NOVEL} views of each shape, not {shapes.num_views}."
        )
    chosen = list(range(FIRST_NOVEL, min(shapes.num_views, FIRST_NOVEL + count)))
    pictures = [
        over_white(picture) for picture in shapes.pictures([index], [[*range(FIRST_NOVEL), *chosen]])[0].numpy()
    ]
    cameras = [shapes.cameras[index][view] for view in chosen]
    return NovelViews(cameras, pictures[FIRST_NOVEL:], pictures[:FIRST_NOVEL])


def over_white(rgba: UInt8[np.ndarray, "h w 4"]) -> UInt8[np.ndarray, "h w 3"]:
    """A picture with straight alpha over white."""
    alpha = rgba[..., 3:].astype(np.float32) / 255.0
    return np.rint(rgba[..., :3] * alpha + 255.0 * (1.0 - alpha)).astype(np.uint8)


def score_pictures(drawn: Sequence[np.ndarray], truth: Sequence[np.ndarray]) -> ViewScores:
    """The means over the views. Raises InputError without pictures and where their numbers differ."""
    if not drawn or len(drawn) != len(truth):
        raise InputError(f"There are {len(drawn)} pictures to score against {len(truth)}.")
    pairs = list(zip(drawn, truth, strict=True))
    return ViewScores(
        float(np.mean([min(psnr(*pair), MAX_PSNR_DB) for pair in pairs])),
        float(np.mean([ssim(*pair) for pair in pairs])),
        float(np.mean([flip(*pair) for pair in pairs])),
    )


def mean_of_given(count: int, sample: EvaluationSample, views: NovelViews) -> list[np.ndarray]:
    """The mean of the given pictures for every camera: what a method is worth that does not know where it looks from.

    Raises InputError for more pictures than there are.
    """
    if not 1 <= count <= len(views.given):
        raise InputError(f"Shape {sample.key} has {len(views.given)} given pictures, not {count}.")
    mean = np.rint(np.mean([picture.astype(np.float32) for picture in views.given[:count]], axis=0)).astype(np.uint8)
    return [mean] * len(views.cameras)
