"""What a run leaves: every step's prediction, the result, and what it was made from.

A `Recorder` is a callback that keeps the steps of a run; with the pipeline's output it makes a `RunRecord`, from which
everything that looks at a finished run is drawn without evaluating the model again. Stored it is one .zip file, which
is also the bundle that `replay` makes again.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch
import trimesh
from PIL import Image

from wavemesh.files import write_bytes
from wavemesh.geometry.camera import Camera
from wavemesh.geometry.frame import Side, named_side
from wavemesh.imaging import Crop
from wavemesh.pipelines.archive import Parts, archive_bytes, read_archive
from wavemesh.pipelines.facts import FORMAT, check_arrays, check_pictures, read_facts
from wavemesh.pipelines.outputs import Output, StepReport, TriplaneArrays
from wavemesh.pipelines.views import PreparedView
from wavemesh.settings import Settings, from_json, to_json
from wavemesh.wavelets.sparse import SparseCoefficients

FILE = "run.zip"
_PACKAGES = ("wavemesh", "torch", "numpy", "trimesh", "PyMCubes", "Pillow")


@dataclass(frozen=True)
class StepRecord:
    """One step of a run: the numbers of its `StepReport`, and its prediction at half precision.

    change: root mean square of what this step changed in the predicted field, world units; None at the first step.
    coefficients: float16 features and int16 sites, None where the method has none: then field holds the prediction.
    """

    stage: str
    step: int
    num_steps: int
    t: int
    noise_level: float
    active_sites: int
    guidance_norm: float | None
    elapsed_s: float
    change: float | None
    coefficients: SparseCoefficients | None = None
    field: np.ndarray | None = None


@dataclass
class RunRecord:
    """A run from its pictures to its mesh.

    settings, provenance: those of the pipeline's output. pictures, cameras: the crops as the network saw them.
    estimated: which cameras were. cut_by, notes: of each picture, as in `PreparedView`. binding: which silhouettes the
    shape was made to agree with, None where nobody compared them. coefficients, triplane: of the result, None for the
    other method.
    sdf: (n, n, n) float32. mesh: coloured by vertex. timings: seconds per stage. stopped: whether it ended early.
    sides: those of the views; empty for none. front_deg: the azimuth that is the front of what is shown and written.
    """

    settings: Settings
    pictures: list[Image.Image]
    cameras: list[Camera]
    estimated: list[bool]
    steps: list[StepRecord]
    coefficients: SparseCoefficients | None
    sdf: np.ndarray
    mesh: trimesh.Trimesh
    triplane: TriplaneArrays | None = None
    provenance: dict[str, Any] = field(default_factory=dict)
    timings: dict[str, float] = field(default_factory=dict)
    stopped: bool = False
    cut_by: list[str] = field(default_factory=list)
    notes: list[list[str]] = field(default_factory=list)
    sides: list[Side | None] = field(default_factory=list)
    front_deg: float = 0.0
    binding: list[bool | None] | None = None

    def __post_init__(self) -> None:
        """Where nothing is said about cut-outs, nothing is known of any; ValueError where it is said of others."""
        self.cut_by = self.cut_by or ["none"] * len(self.pictures)
        self.notes = self.notes or [[] for _ in self.pictures]
        if not len(self.cut_by) == len(self.notes) == len(self.pictures):
            raise ValueError(f"it tells of {len(self.cut_by)} cut-outs of {len(self.pictures)} pictures")

    @property
    def method(self) -> str:
        """The method that made it, by its name in `settings.METHODS`."""
        return self.settings.method

    @property
    def first_view(self) -> Camera:
        """The camera of the first picture, in the frame of what is shown and written."""
        return self.cameras[0].turned(-self.front_deg) if self.cameras else Camera(elevation_deg=20.0)

    def field(self, index: int) -> np.ndarray:
        """The (n, n, n) float32 field that step `index` predicted: half the resolution in the coarse stage.

        Exact to half precision of the coefficients. Raises IndexError for a step that there is not.
        """
        step = self.steps[index]
        if step.coefficients is None:
            assert step.field is not None
            return step.field.astype(np.float32)
        full = full_precision(step.coefficients)
        decoded = full.coarse_field() if step.stage == "coarse" else full.to_sdf()
        return decoded.numpy()

    def views(self) -> list[PreparedView]:
        """The views as a pipeline takes them again, not to be cropped or estimated once more."""
        sides, binding = self.sides or [None] * len(self.pictures), self.binding or [None] * len(self.pictures)
        return [
            PreparedView(picture, camera, picture, _whole(picture), estimated, tuple(notes), cut_by, side, binds)
            for picture, camera, estimated, notes, cut_by, side, binds in zip(
                self.pictures, self.cameras, self.estimated, self.notes, self.cut_by, sides, binding, strict=True
            )
        ]

    def to_bytes(self, others: Mapping[str, bytes] | None = None) -> bytes:
        """The .zip file of the run, with other members as they are."""
        facts = {**self.facts(), "versions": versions()}
        return archive_bytes(Parts(facts, self.arrays(), self.pictures), others or {})

    def save(self, folder: str | Path, others: Mapping[str, bytes] | None = None) -> Path:
        """The file `run.zip` written whole into the folder, which is made if need be; others as in `to_bytes`."""
        path = Path(folder) / FILE
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, self.to_bytes(others))
        return path

    @classmethod
    def load(cls, source: str | Path) -> RunRecord:
        """The record in a file that `save` wrote, or in a folder with `run.zip`; raises what `read_archive` raises."""
        path = Path(source)
        parts = read_archive(path / FILE if path.is_dir() else path)
        return cls.from_parts(parts.facts, parts.arrays, parts.pictures)

    def facts(self) -> dict[str, Any]:
        """Everything but arrays and pictures, as JSON."""
        steps = [
            {name: getattr(step, name) for name in StepRecord.__dataclass_fields__ if name not in _ARRAY_FIELDS}
            for step in self.steps
        ]
        grids = [c for c in (self.coefficients, *(s.coefficients for s in self.steps)) if c is not None]
        return {
            "format": FORMAT,
            "settings": to_json(self.settings),
            "provenance": self.provenance,
            "cameras": [asdict(camera) for camera in self.cameras],
            "estimated": self.estimated,
            "cut_by": self.cut_by,
            "notes": self.notes,
            "sides": self.sides,
            "front_deg": self.front_deg,
            "binding": self.binding,
            "steps": steps,
            "bank": grids[0].bank if grids else None,
            "resolution": grids[0].resolution if grids else None,
            "timings": self.timings,
            "stopped": self.stopped,
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays by name: sdf, the mesh, and those of the coefficients, the triplane and the steps."""
        arrays = {
            "sdf": self.sdf,
            "vertices": np.asarray(self.mesh.vertices, dtype=np.float64),
            "faces": np.asarray(self.mesh.faces, dtype=np.int32),
            "colours": vertex_colours(self.mesh),
        }
        if self.coefficients is not None:
            arrays |= _coefficient_arrays("result", self.coefficients)
        if self.triplane is not None:
            arrays |= {"ll": self.triplane.ll, "details": self.triplane.details}
        for index, step in enumerate(self.steps):
            if step.coefficients is not None:
                arrays |= _coefficient_arrays(f"step{index}", step.coefficients)
            elif step.field is not None:
                arrays[f"step{index}.field"] = step.field
        return arrays

    @classmethod
    def from_parts(cls, facts: dict[str, Any], arrays: dict[str, np.ndarray], pictures: list[Image.Image]) -> RunRecord:
        """The record of `facts`, `arrays` and pictures; ValueError where they are not those of a run."""
        told = read_facts(facts)
        check_arrays(told, arrays)
        check_pictures(pictures)
        stored = told.settings
        # Format 1 had everything in its settings, and its method beside them.
        provenance = told.provenance or {name: stored[name] for name in _PROVENANCE if name in stored}
        grid = (told.bank, told.resolution)
        steps = [
            StepRecord(
                **vars(step),
                coefficients=_coefficients(f"step{index}", arrays, *grid),
                field=arrays.get(f"step{index}.field"),
            )
            for index, step in enumerate(told.steps)
        ]
        for number, step in enumerate(steps, 1):
            if step.coefficients is None and step.field is None:
                raise ValueError(f"step {number} has neither coefficients nor a field")
        mesh = trimesh.Trimesh(
            arrays["vertices"],
            arrays["faces"].astype(np.int64),
            vertex_colors=arrays["colours"],
            process=False,
            validate=False,
        )
        triplane = TriplaneArrays(arrays["ll"], arrays["details"]) if "ll" in arrays else None
        return cls(
            settings=from_json(stored if told.method is None else {"method": told.method, **stored}),
            provenance=dict(provenance),
            pictures=pictures,
            cameras=told.cameras,
            estimated=told.estimated,
            steps=steps,
            coefficients=_coefficients("result", arrays, *grid),
            sdf=arrays["sdf"],
            mesh=mesh,
            triplane=triplane,
            timings=told.timings,
            stopped=told.stopped,
            cut_by=told.cut_by,
            notes=told.notes,
            sides=[named_side(side) for side in told.sides],
            front_deg=told.front_deg,
            binding=told.binding,
        )


_ARRAY_FIELDS = ("coefficients", "field")
_PROVENANCE = ("weights", "device", "temperature", "triplane_weights")


class Recorder:
    """Collects the steps of one run: call it with each `StepReport`, then `record` with the output."""

    def __init__(self) -> None:
        self.steps: list[StepRecord] = []
        self._last: np.ndarray | None = None

    def __call__(self, report: StepReport) -> None:
        """Keep a step. Never asks to stop."""
        change = None if self._last is None else field_change(self._last, report.sdf)
        self._last = report.sdf
        coefficients = None if report.coefficients is None else _half_precision(report.coefficients)
        self.steps.append(
            StepRecord(
                stage=report.stage,
                step=report.step,
                num_steps=report.num_steps,
                t=int(report.t),
                noise_level=float(report.noise_level),
                active_sites=int(report.active_sites),
                guidance_norm=None if report.guidance_norm is None else float(report.guidance_norm),
                elapsed_s=float(report.elapsed_s),
                change=change,
                coefficients=coefficients,
                field=report.sdf.astype(np.float16) if coefficients is None else None,
            )
        )

    def record(self, output: Output) -> RunRecord:
        """The record of the run with this output."""
        return RunRecord(
            settings=output.settings,
            provenance=dict(output.provenance),
            pictures=[view.picture for view in output.views],
            cameras=[view.camera for view in output.views],
            estimated=[bool(view.estimated) for view in output.views],
            cut_by=[view.cut_by for view in output.views],
            notes=[list(view.notes) for view in output.views],
            steps=list(self.steps),
            coefficients=output.coefficients,
            sdf=output.sdf,
            mesh=output.mesh,
            triplane=output.triplane,
            timings=dict(output.timings),
            stopped=bool(output.stopped),
            sides=[view.side for view in output.views],
            front_deg=output.front_deg,
            binding=[view.binds for view in output.views],
        )


def field_change(before: np.ndarray, after: np.ndarray) -> float:
    """Root mean square difference of two fields over the cells of the coarser one, world units."""
    side = min(len(before), len(after))
    first, second = (_pooled(each, side) for each in (before, after))
    return float(np.sqrt(np.mean(np.square(first - second), dtype=np.float64)))


def full_precision(coefficients: SparseCoefficients) -> SparseCoefficients:
    """The coefficients as float32 with int64 sites, as everything that computes with them wants."""
    return replace(
        coefficients,
        approximation=coefficients.approximation.float(),
        details_coarse=coefficients.details_coarse.float(),
        coords=coefficients.coords.long(),
        features=coefficients.features.float(),
    )


def vertex_colours(mesh: trimesh.Trimesh) -> np.ndarray:
    """(v, 4) uint8 colours of the vertices, those of a texture looked up."""
    visual = mesh.visual.to_color() if mesh.visual.kind == "texture" else mesh.visual
    return np.asarray(visual.vertex_colors, dtype=np.uint8)


def versions() -> dict[str, str]:
    """The versions of Python and of the packages that a result depends on."""
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _half_precision(coefficients: SparseCoefficients) -> SparseCoefficients:
    return replace(
        coefficients,
        approximation=coefficients.approximation.cpu().half(),
        details_coarse=coefficients.details_coarse.cpu().half(),
        coords=coefficients.coords.cpu().to(torch.int16),
        features=coefficients.features.cpu().half(),
    )


def _coefficient_arrays(prefix: str, coefficients: SparseCoefficients) -> dict[str, np.ndarray]:
    c = coefficients
    return {
        f"{prefix}.coarse": torch.cat([c.approximation, c.details_coarse]).cpu().numpy(),
        f"{prefix}.coords": c.coords.cpu().to(torch.int16).numpy(),
        f"{prefix}.features": c.features.cpu().numpy(),
    }


def _coefficients(
    prefix: str, arrays: dict[str, np.ndarray], bank: str | None, resolution: int | None
) -> SparseCoefficients | None:
    if bank is None or resolution is None or f"{prefix}.coarse" not in arrays:
        return None
    coarse, coords, features = (
        torch.from_numpy(arrays[f"{prefix}.{part}"]) for part in ("coarse", "coords", "features")
    )
    # Steps stay small, as they were recorded; the result is ready to compute with.
    coords = coords.long() if features.dtype == torch.float32 else coords
    return SparseCoefficients(coarse[:1], coarse[1:], coords, features, bank, resolution)


def _pooled(grid: np.ndarray, side: int) -> np.ndarray:
    if len(grid) == side:
        return grid
    step = len(grid) // side
    return grid.reshape(side, step, side, step, side, step).mean(axis=(1, 3, 5))


def _whole(picture: Image.Image) -> Crop:
    return Crop(0.0, 0.0, *(float(picture.width),) * 3)
