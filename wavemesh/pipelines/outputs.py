"""What comes out of a pipeline: the mesh, everything in between, and reports while it runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import trimesh

from wavemesh.pipelines.views import PreparedView
from wavemesh.wavelets.sparse import SparseCoefficients


@dataclass(frozen=True)
class StepReport:
    """What a callback gets after each network evaluation.

    stage: "coarse", "detail" or "triplane". step: from 0. num_steps: of this stage. t: training timestep. noise_level:
    standard deviation of the noise in x_t, 0 to 1. sdf: (n, n, n) float32 field of the predicted x_0, world units (64^3
    in the coarse stage and of the triplane, 128^3 in the detail stage). active_sites: number of finest sites.
    guidance_norm: root mean square of what guidance added, None without. elapsed_s: since the start. coefficients: the
    predicted x_0 as a pyramid on the CPU, without finest details in the coarse stage; None where the method has none.
    """

    stage: Literal["coarse", "detail", "triplane"]
    step: int
    num_steps: int
    t: int
    noise_level: float
    sdf: np.ndarray
    active_sites: int
    guidance_norm: float | None
    elapsed_s: float
    coefficients: SparseCoefficients | None = None


@dataclass
class WaveMeshOutput:
    """The result of WaveMesh-Diff in the frame of the world (y up, +z front, inside [-1, 1]^3).

    mesh: coloured. sdf: (n, n, n) float32, negative inside; of half the resolution where only that was asked for.
    coefficients: the wavelet pyramid. views: as the network saw them. timings: seconds per stage. settings: what was
    asked for. stopped: whether a callback ended it early.
    """

    mesh: trimesh.Trimesh
    sdf: np.ndarray
    coefficients: SparseCoefficients
    views: list[PreparedView]
    timings: dict[str, float] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    stopped: bool = False
