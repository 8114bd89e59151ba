"""What comes out of a pipeline: the mesh, everything in between, and reports while it runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import trimesh
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from wavemesh.errors import InputError
from wavemesh.files import write_files
from wavemesh.geometry.baking import bake_texture
from wavemesh.geometry.camera import Camera
from wavemesh.geometry.export import mesh_files
from wavemesh.geometry.isosurface import simplify
from wavemesh.geometry.mesh import facing
from wavemesh.geometry.texture import ColourAt, interpolated_colours
from wavemesh.models.triplane_renderer import POINTS_AT_ONCE, TriplaneRenderer
from wavemesh.pipelines.views import PreparedView
from wavemesh.settings import Settings, TriplaneSettings, WaveMeshSettings
from wavemesh.wavelets.sparse import SparseCoefficients


@dataclass(frozen=True)
class StepReport:
    """What a callback gets after each network evaluation.

    stage: "coarse", "detail" or "triplane". step: from 0. num_steps: of this stage. t: training timestep. noise_level:
    standard deviation of the noise in x_t, 0 to 1. sdf: (n, n, n) float32 field of the predicted x_0, world units (64^3
    in the coarse stage and of the triplane, 128^3 in the detail stage). active_sites: number of finest sites.
    guidance_norm: root mean square of what guidance added, None without. elapsed_s: since the start. coefficients: the
    predicted x_0 as a pyramid on the CPU, without finest details in the coarse stage; None where the method has none.
    camera: the first view's, given or estimated, to look from. front_deg: as in `Output`.
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
    camera: Camera | None = None
    front_deg: float = 0.0


def front_of(views: list[PreparedView], settings: Settings) -> float:
    """The azimuth that is the front of what is shown and written: that of the first view where all were estimated.

    0 where a camera or a side says what the frame is, and where the settings keep the frame.
    """
    known = any(view.side is not None or not view.estimated for view in views)
    return 0.0 if known or settings.front == "frame" else views[0].camera.azimuth_deg


@dataclass(frozen=True)
class TriplaneArrays:
    """The planes of a triplane run, float32: ll (3, c, n, n) and details (3, 3, c, n, n) in the order LH, HL, HH."""

    ll: np.ndarray
    details: np.ndarray


@dataclass(kw_only=True)
class Output:
    """The result of a run in the frame of the world (y up, +z front, inside [-1, 1]^3).

    With estimated cameras that is the frame in which they were estimated; page and command line turn the mesh by
    `front_deg` as they show and write it, `geometry.mesh.facing`.

    mesh: coloured. sdf: (n, n, n) float32, negative inside. views: as the network saw them. settings: what was asked
    for, with the shipped defaults filled in. provenance: what else the result depends on, such as the fingerprint of
    the weights and the kind of device. timings: seconds per stage. stopped: whether a callback ended it early.
    coefficients: the wavelet pyramid, None where the method has none.
    """

    mesh: trimesh.Trimesh
    sdf: np.ndarray
    views: list[PreparedView]
    settings: Settings
    provenance: dict[str, Any] = field(default_factory=dict)
    timings: dict[str, float] = field(default_factory=dict)
    stopped: bool = False
    coefficients: SparseCoefficients | None = None

    @property
    def triplane(self) -> TriplaneArrays | None:
        """The planes in their bands, None where the method has none."""
        return None

    @property
    def front_deg(self) -> float:
        """The azimuth that is the front of what is shown and written, see `front_of`."""
        return front_of(self.views, self.settings)

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about the pictures' masks: what may have gone wrong, and what to do."""
        return tuple(note for view in self.views for note in view.notes)

    def save(self, path: str | Path, size_mm: float | None = None) -> Path:
        """Write the mesh with its front to +z, in the format that the suffix names (`geometry.export.mesh_bytes`).

        Raises InputError for a suffix that no mesh file has, a size out of range, and a place that cannot be written.
        """
        path = Path(path)
        contents = mesh_files(facing(self.mesh, self.front_deg), path.name, size_mm)
        try:
            write_files({path.parent / name: content for name, content in contents.items()})
        except OSError as error:
            raise InputError(f"The file {path} cannot be written: {error.strerror or error}.") from None
        return path

    def colour_at(self, points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
        """The colours in [0, 1] of points on the surface: those of the vertices around them."""
        return interpolated_colours(self.mesh)(points)

    def baked(self, size: int = 1024, max_faces: int = 20_000) -> trimesh.Trimesh:
        """The mesh with its colours in a texture of size x size pixels, for programs that ignore vertex colours.

        It is simplified to max_faces first, the colours are not.
        """
        return bake_texture(simplify(self.mesh, max_faces), self.colour_at, size)


@dataclass(kw_only=True)
class WaveMeshOutput(Output):
    """The result of WaveMesh-Diff; sdf is of half the resolution where only that was asked for."""

    settings: WaveMeshSettings
    coefficients: SparseCoefficients


@dataclass(kw_only=True)
class TriplaneOutput(Output):
    """The result of Wavelet Triplane Diffusion for C channels, LL bands of n x n; float32 arrays.

    triplane_ll: (3, C, n, n). triplane_details: (3, 3, C, n, n) for each plane LH, HL and HH. triplane_highres:
    (3, C, 2 n, 2 n), their inverse transform. Planes are XY, XZ and YZ. renderer: what decodes it.
    """

    settings: TriplaneSettings
    triplane_ll: np.ndarray
    triplane_details: np.ndarray
    triplane_highres: np.ndarray
    renderer: TriplaneRenderer = field(repr=False)

    @property
    def triplane(self) -> TriplaneArrays:
        """The planes in their bands."""
        return TriplaneArrays(self.triplane_ll, self.triplane_details)

    @torch.inference_mode()
    def render(
        self, camera: Camera | None = None, size: int = 256, background: str = "white", num_samples: int = 128
    ) -> Image.Image:
        """The picture of size x size pixels that a camera takes of the triplane itself, by volume rendering.

        camera: None for the default. background: "white" and "black" give RGB, "transparent" RGBA. num_samples: on each
        ray. Raises InputError for another background and for sizes out of range.
        """
        triplane = self._triplane()[None]
        pixels = self.renderer.render_volume(triplane, num_samples, size, camera, background)[0]
        values = (pixels.clamp(0.0, 1.0) * 255.0).round().to(torch.uint8)
        return Image.fromarray(values.permute(1, 2, 0).cpu().numpy())

    def colour_at(self, points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
        """The colours in [0, 1] of points on the surface: the triplane's, unless the mesh has those of pictures."""
        if self.settings.colours != "triplane":
            return super().colour_at(points)
        return triplane_colours(self.renderer, self._triplane())(points)

    def _triplane(self) -> Tensor:
        return torch.from_numpy(self.triplane_highres).to(next(self.renderer.parameters()).device)


def triplane_colours(renderer: TriplaneRenderer, planes: Float[Tensor, "p c h w"]) -> ColourAt:
    """The colours of a triplane's field; points outside [-1, 1]^3 get those of the nearest point inside."""
    decode = renderer.field(planes)

    @torch.inference_mode()
    def colour_at(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
        inside = torch.from_numpy(np.asarray(points, dtype=np.float32).clip(-1.0, 1.0)).to(planes.device)
        colours = [decode(part)[0] for part in inside.split(POINTS_AT_ONCE)]
        return torch.cat(colours).float().cpu().numpy()

    return colour_at
