"""What the JSON of a run bundle may say, and what its arrays may be: checked whole before anything computes with them.

`archive` reads the parts of a file, this module judges them, `record` makes a run of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import numpy as np
import pydantic
from PIL import Image

from wavemesh.config import Cells, from_dict
from wavemesh.errors import InputError
from wavemesh.geometry.camera import Camera
from wavemesh.geometry.isosurface import MAX_VERTICES

FORMAT = 2
MAX_STEPS = 2000
MAX_FACES = 2 * MAX_VERTICES  # what a run can have made
MAX_CELLS = 256
MAX_CHANNELS = 256
MAX_PICTURE_PX = 2048
MAX_COORDINATE = 1e3
MAX_FACES_IN_CELL = 24  # marching cubes makes five at most
MAX_EDGE_CELLS = 4.0  # and none that is longer than a diagonal of 1.7 cells
DETAIL_BANDS = 7

Number = Annotated[int, pydantic.Field(ge=0, le=2**40)]
Word = Annotated[str, pydantic.Field(max_length=2000)]


@dataclass(frozen=True)
class StepFacts:
    """The numbers of a step, as `record.StepRecord` has them."""

    stage: Literal["coarse", "detail", "triplane"]
    step: Number
    num_steps: Number
    t: Number
    noise_level: float
    active_sites: Number
    guidance_norm: float | None
    elapsed_s: float
    change: float | None


@dataclass(frozen=True)
class Facts:
    """Everything of a run but arrays and pictures. Formats before 2, and runs of earlier versions, leave things out."""

    format: Literal[1, 2]
    settings: dict[str, str | bool | int | float | list[int] | None]
    cameras: Annotated[list[Camera], pydantic.Field(min_length=1, max_length=8)]
    estimated: list[bool]
    steps: Annotated[list[StepFacts], pydantic.Field(max_length=MAX_STEPS)]
    bank: Word | None
    resolution: Cells | None
    timings: dict[str, float]
    stopped: bool
    provenance: dict[str, str | bool | int | float | None] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    method: Word | None = None
    cut_by: list[Word] = field(default_factory=list)
    notes: list[list[Word]] = field(default_factory=list)
    sides: list[Word | None] = field(default_factory=list)
    front_deg: float = 0.0
    binding: list[bool | None] | None = None

    def __post_init__(self) -> None:
        """Refuse lists that are not of the views; those that earlier versions left out are empty."""
        views = len(self.cameras)
        said = {"cut_by": "cut-outs", "notes": "notes", "sides": "sides", "binding": "silhouettes"}
        for name, word in said.items():
            found = getattr(self, name)
            if found and len(found) != views:
                raise InputError(f"it tells of {len(found)} {word} of {views} pictures")
        if len(self.estimated) != views:
            raise InputError(f"it does not say which of its {views} cameras were estimated")


def read_facts(data: dict[str, Any]) -> Facts:
    """The facts in a bundle's JSON; InputError, with the place and the value, where they cannot be those of a run."""
    return from_dict(Facts, data, fill_defaults=True)


def check_pictures(pictures: Sequence[Image.Image]) -> None:
    """Raise ValueError for pictures that no network has seen: they are square, and not large."""
    for picture in pictures:
        if picture.width != picture.height or picture.width > MAX_PICTURE_PX:
            raise ValueError(f"a picture has {picture.width} x {picture.height} pixels")


def check_arrays(facts: Facts, arrays: Mapping[str, np.ndarray]) -> None:
    """Raise ValueError for arrays with another kind, shape or range of numbers than a run leaves."""
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ValueError(f"the array {name} holds numbers that are not finite")
    _check_field("sdf", arrays["sdf"])
    _check_mesh(arrays["vertices"], arrays["faces"], arrays["colours"])
    _check_spread(arrays["vertices"], arrays["faces"], len(arrays["sdf"]))
    sides = {"result": facts.resolution} | {f"step{index}": facts.resolution for index in range(len(facts.steps))}
    for prefix, side in sides.items():
        if f"{prefix}.coarse" in arrays:
            parts = [arrays.get(f"{prefix}.{part}") for part in ("coarse", "coords", "features")]
            _check_coefficients(prefix, parts, side)
        elif prefix != "result":
            _check_field(f"{prefix}.field", arrays.get(f"{prefix}.field"))
    if "ll" in arrays:
        _check_planes(arrays["ll"], arrays.get("details"))


def _check_field(name: str, grid: np.ndarray | None) -> None:
    if grid is None:
        raise ValueError(f"it has no {name}")
    side = len(grid) if grid.ndim else 0
    if grid.dtype.kind != "f" or grid.shape != (side,) * 3 or not 4 <= side <= MAX_CELLS:
        raise ValueError(f"the field {name} has the shape {grid.shape} of {grid.dtype}")


def _check_mesh(vertices: np.ndarray, faces: np.ndarray, colours: np.ndarray) -> None:
    if vertices.shape[1:] != (3,) or faces.shape[1:] != (3,) or colours.shape != (len(vertices), 4):
        raise ValueError(f"the mesh has vertices of shape {vertices.shape} and faces of shape {faces.shape}")
    if vertices.dtype.kind != "f" or faces.dtype.kind not in "iu" or colours.dtype != np.uint8:
        raise ValueError(f"the mesh is of {vertices.dtype}, {faces.dtype} and {colours.dtype}")
    if not 0 < len(faces) <= MAX_FACES or len(vertices) > MAX_FACES:
        raise ValueError(f"the mesh has {len(faces):,} faces; up to {MAX_FACES:,} are read")
    if not 0 <= faces.min() <= faces.max() < len(vertices):
        raise ValueError(f"a face names the vertex {faces.max()} of {len(vertices)}")
    if np.abs(vertices).max() > MAX_COORDINATE:
        raise ValueError(f"a vertex lies {np.abs(vertices).max():.3g} from the middle")


def _check_spread(vertices: np.ndarray, faces: np.ndarray, side: int) -> None:
    """Raise ValueError for faces that no grid of that many cells can have made: too long, or too many in one place.

    What is done with a surface takes as long as it has faces. With those of a soup, which all overlap, it takes hours.
    """
    cell = 2.0 / side
    corners = vertices[faces].astype(np.float64)
    longest = float((corners.max(axis=1) - corners.min(axis=1)).max()) / cell
    if longest > MAX_EDGE_CELLS:
        raise ValueError(f"a face is {longest:.1f} cells of its grid long")
    places = np.floor(corners.mean(axis=1) / cell).astype(np.int64)
    most = int(np.unique(places, axis=0, return_counts=True)[1].max())
    if most > MAX_FACES_IN_CELL:
        raise ValueError(f"{most:,} faces lie in one cell of its grid")


def _check_coefficients(name: str, parts: list[np.ndarray | None], resolution: int | None) -> None:
    coarse, coords, features = parts
    if coarse is None or coords is None or features is None or resolution is None:
        raise ValueError(f"the coefficients {name} are not complete")
    if coarse.dtype.kind != "f" or features.dtype.kind != "f" or coords.dtype.kind not in "iu":
        raise ValueError(f"the coefficients {name} are of {coarse.dtype}, {coords.dtype} and {features.dtype}")
    quarter, half = resolution // 4, resolution // 2
    if coarse.shape != (1 + DETAIL_BANDS, *(quarter,) * 3):
        raise ValueError(f"the bands {name} have the shape {coarse.shape} at resolution {resolution}")
    if coords.shape[1:] != (3,) or features.shape != (len(coords), DETAIL_BANDS) or len(coords) > half**3:
        raise ValueError(f"the sites {name} have the shapes {coords.shape} and {features.shape}")
    if len(coords) and not 0 <= coords.min() <= coords.max() < half:
        raise ValueError(f"a site of {name} lies at {coords.min()} to {coords.max()} of {half}")


def _check_planes(ll: np.ndarray, details: np.ndarray | None) -> None:
    shapes = ll.shape, None if details is None else details.shape
    if details is None or ll.ndim != 4 or details.shape != (3, *ll.shape) or ll.shape[0] != 3:
        raise ValueError(f"the planes have the shapes {shapes[0]} and {shapes[1]}")
    channels, rows, columns = ll.shape[1:]
    if not 1 <= channels <= MAX_CHANNELS or rows != columns or not 2 <= rows <= MAX_CELLS:
        raise ValueError(f"the planes have the shape {ll.shape}")
    if ll.dtype.kind != "f" or details.dtype.kind != "f":
        raise ValueError(f"the planes are of {ll.dtype} and {details.dtype}")
