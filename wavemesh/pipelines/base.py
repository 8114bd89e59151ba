"""What every pipeline shares: models on a device, and one run with its checked settings, clock and callback."""

from __future__ import annotations

import functools
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

import numpy as np
import torch
import trimesh
from jaxtyping import Float
from PIL import Image
from torch import Tensor, nn

from wavemesh.checkpoint import state_digest
from wavemesh.diffusion import samplers
from wavemesh.errors import InputError
from wavemesh.geometry.camera import Camera
from wavemesh.geometry.frame import Side
from wavemesh.geometry.isosurface import sdf_to_mesh
from wavemesh.geometry.texture import ColourAt, vertex_colours, vertex_colours_from_views
from wavemesh.models.camera_head import CameraHead, turn_probabilities
from wavemesh.models.camera_refinement import refine_cameras
from wavemesh.models.quarter_turns import choose_quarter_turns, with_repeats
from wavemesh.pipelines.outputs import StepReport
from wavemesh.pipelines.views import CameraRefiner, PreparedView, network_tensors
from wavemesh.settings import Settings
from wavemesh.wavelets.sparse import SparseCoefficients
from wavemesh.weights import fingerprint

Callback = Callable[[StepReport], bool | None]
DEVICES = ("auto", "cpu", "cuda", "mps")

Model = TypeVar("Model", bound=nn.Module)
Asked = TypeVar("Asked", bound=Settings)


class Pipeline(Generic[Model]):
    """A model and the camera head on one device; nothing else is kept between runs."""

    def __init__(self, model: Model, camera_head: CameraHead, device: str | torch.device = "auto") -> None:
        self.device = resolve_device(device)
        self.model: Model = model.eval().to(self.device)
        self.camera_head = camera_head.eval().to(self.device)

    @functools.cached_property
    def fingerprint(self) -> str:
        """What these weights are called by: the `weights.fingerprint` of their files, read or as they would be written.

        `from_pretrained` sets it to that of the files it read.
        """
        with tempfile.TemporaryDirectory() as folder:
            parts = Path(folder) / "model", Path(folder) / "camera_head"
            self.model.save(parts[0])
            self.camera_head.save(parts[1])
            return fingerprint(*parts)

    def is_called(self, name: str) -> bool:
        """Whether a fingerprint is that of these weights, be it one of today or of an older bundle."""
        if name == self.fingerprint:
            return True
        return len(name) == 16 and name == state_digest(self.model.state_dict(), self.camera_head.state_dict())

    @torch.inference_mode()
    def estimate_cameras(self, pictures: list[Image.Image], sides: list[Side | None]) -> list[Camera]:
        """The cameras of cropped pictures; sides fix the frame, or else the first one does: `CameraHead.estimate`."""
        return self.camera_head.estimate(pictures, sides)

    def predict_field(self, views: list[PreparedView]) -> Float[Tensor, "n n n"]:
        """The field (n, n, n) that the pipeline expects from the views, in one pass; values in the cells' centres."""
        raise NotImplementedError

    def refiner(self, settings: Settings) -> CameraRefiner | None:
        """What refines the cameras of prepared views; None where the settings do not want it."""
        return self.refine if settings.refine == "on" else None

    @torch.inference_mode()
    def refine(self, views: list[PreparedView], free: Sequence[bool] | None = None) -> list[PreparedView]:
        """The views with cameras moved until silhouettes and predicted shape agree; what does not agree does not bind.

        Cameras that somebody gave and that agree already stay as they are, and so does a single picture's. free: which
        cameras may be turned by quarter turns first; those that were estimated without a named side, if None.
        """
        if len(views) == 1:
            return views
        estimated = [view.estimated for view in views]

        def predict(cameras: list[Camera]) -> Tensor:
            pairs = zip(views, cameras, strict=True)
            return self.predict_field([replace(view, camera=camera) for view, camera in pairs])

        alphas = np.stack([np.asarray(view.picture, dtype=np.float32)[..., 3] / 255.0 for view in views])
        cameras = [view.camera for view in views]
        free = [view.estimated and view.side is None for view in views] if free is None else free
        if any(free):
            images = network_tensors(views)[0][0].to(self.device)
            turns = turn_probabilities(self.camera_head.mirror_averaged(images[None]).azimuths)[0]
            cameras = choose_quarter_turns(alphas, cameras, free, with_repeats(turns, images))
        found = refine_cameras(alphas, cameras, [not each for each in estimated], predict)
        if found.cameras == cameras and not any(estimated):
            return views
        return [
            replace(view, camera=camera, binds=binds)
            for view, camera, binds in zip(views, found.cameras, found.agrees, strict=True)
        ]


class Run(Generic[Asked]):
    """One reconstruction: its filled settings, clock and callback.

    Raises InputError for more steps than the weights have timesteps.
    """

    def __init__(self, pipeline: Pipeline[Any], settings: Asked, callback: Callback | None) -> None:
        self.model, self.device = pipeline.model, pipeline.device
        self.settings: Asked = settings
        assert settings.guidance_scale is not None
        assert settings.sampler is not None
        self.guidance_scale, self.sampler = settings.guidance_scale, settings.sampler
        self.steps = settings.stage_steps()
        timesteps = self.model.diffusion.timesteps
        for stage, steps in self.steps.items():
            if steps > timesteps:
                raise InputError(f"The {stage} steps must be at most {timesteps} for these weights, not {steps}.")
        self.provenance: dict[str, Any] = {"device": self.device.type, "weights": pipeline.fingerprint}
        self.generator = torch.Generator().manual_seed(settings.seed)
        self.callback = callback
        self.start = time.perf_counter()
        self.timings: dict[str, float] = {}
        self.stopped = False
        self.camera: Camera | None = None
        self.front_deg = 0.0

    def surface(self, sdf: np.ndarray, views: list[PreparedView]) -> trimesh.Trimesh:
        """The mesh of the field. Raises InputError where it has none."""
        if len(views) > 1 and any(view.estimated for view in views) and not (sdf < 0).any():
            raise InputError(
                f"No shape fits all {len(views)} pictures with the cameras that were estimated for them: "
                "give their angles, or fewer pictures."
            )
        return sdf_to_mesh(sdf)

    def colour(
        self, mesh: trimesh.Trimesh, views: list[PreparedView], triplane: ColourAt | None, mirrored: int = 0
    ) -> None:
        """Colour the vertices from where the settings say; triplane: its colours, where they are needed.

        mirrored: so many of the last views are mirror images.
        """
        if self.settings.colours == "triplane":
            assert triplane is not None
            colours = vertex_colours(mesh, triplane)
        else:
            pictures, cameras = [np.asarray(view.picture) for view in views], [view.camera for view in views]
            colours = vertex_colours_from_views(mesh, pictures, cameras, triplane, mirrored)
        mesh.visual.vertex_colors = colours

    def report(
        self,
        stage: Literal["coarse", "detail", "triplane"],
        step: samplers.SamplerStep,
        field: Tensor,
        active_sites: int,
        coefficients: SparseCoefficients | None = None,
    ) -> bool:
        """Tell the callback about a step; True if it wants to stop. field: (1, n, n, n)."""
        assert self.callback is not None
        report = StepReport(
            stage,
            step.step,
            step.num_steps,
            step.t,
            noise_level=float(self.model.diffusion.schedule.noise[step.t]),
            sdf=field[0].float().cpu().numpy(),
            active_sites=active_sites,
            guidance_norm=step.guidance_norm,
            elapsed_s=time.perf_counter() - self.start,
            coefficients=coefficients,
            camera=self.camera,
            front_deg=self.front_deg,
        )
        if self.callback(report):
            self.stopped = True
        return self.stopped

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the seconds of a block to the timings."""
        begin = time.perf_counter()
        yield
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        self.timings[stage] = self.timings.get(stage, 0.0) + time.perf_counter() - begin


def resolve_device(device: str | torch.device) -> torch.device:
    """The torch device for "auto", "cpu", "cuda" or "mps"; raises InputError where it is unknown or not there.

    "auto" is CUDA or the processor: on Apple's GPUs not every operation of the networks has been tried.
    """
    if isinstance(device, torch.device):
        return device
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device not in DEVICES:
        raise InputError(f"The device must be one of {', '.join(DEVICES)}, not {device!r}.")
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("The device 'cuda' was asked for, but there is no CUDA GPU here.")
    if device == "mps" and not torch.backends.mps.is_available():
        raise InputError("The device 'mps' was asked for, but there is no Apple GPU here.")
    return torch.device(device)
