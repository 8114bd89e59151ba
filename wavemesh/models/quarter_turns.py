"""Which quarter turns several pictures take against each other: by their silhouettes and by what a network thinks.

An estimate of one picture knows its azimuth modulo a quarter turn. Every choice of quarter turns is a hypothesis: rays
through each silhouette must find room in all others. Silhouettes from opposite sides look much alike, and those of
round objects all do, so the network's opinion of each pair counts as well.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from wavemesh.geometry.camera import Camera
from wavemesh.models.outlines import Outlines, to_parameters

JOINTLY = 4  # pictures that are turned together: 64 hypotheses
QUARTERS_DEG = (0.0, 90.0, 180.0, 270.0)
# Two pictures from the same side are unlikely: people walk around an object.
SAME_SIDE_DEG, SAME_SIDE_LOG = 45.0, math.log(0.1)
SAME_PICTURE = 0.01  # mean difference of two pictures that are one, saved twice
CONTRADICTION = 0.5  # what silhouettes count against the logarithm of a probability
NOISE, LARGEST = 1.5, 16.0  # pixels that a ray may pass the others by; a squared miss counts up to here
_RIM, _INNER, _STEPS, _LOOKS = 24, 8, 32, 2


def choose_quarter_turns(
    alphas: Float[np.ndarray, "n s s"],
    cameras: Sequence[Camera],
    free: Sequence[bool],
    turns: Float[Tensor, "n n k"] | None = None,
) -> list[Camera]:
    """The cameras, the free ones turned by the multiples of 90 degrees that fit the others best.

    The first camera stays. free: which ones may be turned. turns: how likely picture j is turned by i * 360 / k degrees
    against picture i, as far as a network can tell. The first JOINTLY pictures are turned together, each further one
    against all before it.
    """
    logs = None if turns is None else turns.clamp_min(1e-6).log().double().cpu().numpy()
    chosen: list[Camera] = list(cameras[:1])
    while len(chosen) < len(cameras):
        done = len(chosen)
        count = min(JOINTLY, len(cameras)) if done == 1 else done + 1
        choices = [QUARTERS_DEG if free[index] else (0.0,) for index in range(done, count)]
        hypotheses = [
            [*chosen, *(camera.turned(angle) for camera, angle in zip(cameras[done:count], angles, strict=True))]
            for angles in itertools.product(*choices)
        ]
        likely = np.array([_log_likelihood([camera.azimuth_deg for camera in each], logs) for each in hypotheses])
        chosen = hypotheses[int(np.argmax(likely - CONTRADICTION * contradictions(alphas[:count], hypotheses)))]
    return chosen


def with_repeats(turns: Float[Tensor, "n n k"], images: Float[Tensor, "n 4 h w"]) -> Float[Tensor, "n n k"]:
    """The probabilities of turns, certain where two of the pictures are one and the same."""
    apart = (images[:, None] - images[None]).abs().mean(dim=(2, 3, 4))
    unturned = torch.zeros_like(turns[0, 0])
    unturned[0] = 1.0
    return torch.where((apart < SAME_PICTURE)[..., None], unturned, turns)


def contradictions(
    alphas: Float[np.ndarray, "n s s"], hypotheses: Sequence[Sequence[Camera]]
) -> Float[np.ndarray, " h"]:
    """How much silhouettes contradict each other under each hypothesis: mean squared misses, summed over the views."""
    outlines = Outlines(alphas, [camera.distance for camera in hypotheses[0]], _RIM, _INNER)
    sets = torch.stack([to_parameters(cameras) for cameras in hypotheses])
    found = []
    for some in sets.split(16):  # about 10 MB of work each
        missed = outlines.nearest(some, _LOOKS, _STEPS)[1] / (NOISE * outlines.pixel) ** 2
        found.append((LARGEST * missed / (LARGEST + missed)).mean(dim=-1).sum(dim=-1))
    return torch.cat(found).double().numpy()


def _log_likelihood(angles: Sequence[float], logs: np.ndarray | None) -> float:
    """What is known of the pictures' turns without their silhouettes."""
    total = 0.0
    for i, j in itertools.combinations(range(len(angles)), 2):
        turn = angles[j] - angles[i]
        total += SAME_SIDE_LOG * (abs((turn + 180.0) % 360.0 - 180.0) < SAME_SIDE_DEG)
        if logs is not None:
            row = np.append(logs[i, j], logs[i, j, 0])
            total += float(np.interp(turn % 360.0, np.arange(len(row)) * 360.0 / (len(row) - 1), row))
    return total
