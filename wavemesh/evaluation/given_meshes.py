"""Meshes that another system made of the same pictures, scored by the same code and put into the same table.

The folder holds one file for each shape, named by its key: `<key>.glb`, or .gltf, .obj, .ply, .stl, .off,
.zip. A shape
without a file, or with one that cannot be read, counts as empty.
"""

from __future__ import annotations

import functools
import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import trimesh
from jaxtyping import Float
from scipy import ndimage

from wavemesh.errors import InputError
from wavemesh.evaluation.plan import Prediction, Unit
from wavemesh.evaluation.samples import EvaluationSample
from wavemesh.geometry.archives import READ_SUFFIXES
from wavemesh.geometry.frame import TRUNCATION
from wavemesh.geometry.mesh import load_mesh, normalise, with_vertices
from wavemesh.geometry.sdf import mesh_to_sdf

log = logging.getLogger(__name__)

FRAMES = {
    "known": "as they stand, in the frame of the cameras",
    "turned": "at the best of the four quarter turns",
    "boxed": "moved and scaled into the box of side 1.8, at the best of the four quarter turns",
}


@dataclass(frozen=True)
class GivenMeshes:
    """A folder of meshes, the name of their row, and what of their frame is taken as known: a key of FRAMES.

    Raises InputError for a folder that is not there, a name that a table cannot hold and an unknown frame.
    """

    folder: Path
    name: str
    frame: str = "known"

    def __post_init__(self) -> None:
        if not self.folder.is_dir():
            raise InputError(f"There is no folder of meshes {self.folder}.")
        if not self.name.strip() or not self.name.isprintable() or "|" in self.name:
            raise InputError(f"A row of the table cannot be called {self.name!r}.")
        if self.frame not in FRAMES:
            raise InputError(f"The frame must be one of {', '.join(FRAMES)}, not {self.frame!r}.")

    def files(self, keys: Sequence[str]) -> dict[str, Path]:
        """The files by key; raises InputError where no shape has one, or a shape has two."""
        wanted, found = set(keys), dict[str, Path]()
        for path in sorted(self.folder.iterdir()):
            if path.suffix.lower() not in READ_SUFFIXES or path.stem not in wanted or not path.is_file():
                continue
            if path.stem in found:
                raise InputError(f"{self.folder} holds two meshes of a shape: {found[path.stem].name} and {path.name}.")
            found[path.stem] = path
        if not found:
            raise InputError(
                f"{self.folder} holds no mesh that is named by a key of the shapes, such as {keys[0]}.glb."
            )
        return found

    def rows(self, keys: Sequence[str], views: Sequence[int]) -> list[tuple[str, int | None, Unit]]:
        """The row of the table at each number of views, all of one unit."""
        files = self.files(keys)
        digest = hashlib.sha256()
        for key in sorted(files):
            digest.update(f"{files[key].name}:{hashlib.sha256(files[key].read_bytes()).hexdigest()};".encode())
        predict = functools.partial(_predict, files, self.frame == "boxed")
        unit = Unit(f"meshes/{self.name}/{self.frame}", predict, digest.hexdigest(), any_turn=self.frame != "known")
        return [(self.name, count, unit) for count in views]

    def summary(self, keys: Sequence[str]) -> str:
        """How many shapes there are meshes of and how they are compared, for the head of the report."""
        return f"{len(self.files(keys))} of {len(keys)} shapes, the others count as empty; {FRAMES[self.frame]}"


def _predict(files: dict[str, Path], boxed: bool, sample: EvaluationSample) -> Prediction:
    resolution = sample.sdf.shape[0]
    try:
        if sample.key not in files:
            raise InputError("there is no file of it")
        mesh = load_mesh(files[sample.key], max_texture=64)
        mesh = normalise(mesh) if boxed else mesh
        return Prediction(signed_distances(mesh, resolution), mesh)
    except InputError as error:
        log.warning("%s: no mesh (%s)", sample.key, error)
        return Prediction(np.full((resolution,) * 3, TRUNCATION, dtype=np.float32))


def signed_distances(mesh: trimesh.Trimesh, resolution: int) -> Float[np.ndarray, "n n n"]:
    """The signed distance grid of `mesh_to_sdf`, also of a mesh that reaches beyond the grid, of which a part is seen.

    Raises InputError for a mesh without faces or with values that are not finite.
    """
    reach = float(np.abs(np.asarray(mesh.vertices)[np.unique(mesh.faces)]).max(initial=0.0))
    if reach <= 1.0 or not np.isfinite(reach):
        return mesh_to_sdf(mesh, resolution)
    scale = 0.9 / reach
    small = mesh_to_sdf(with_vertices(mesh, np.asarray(mesh.vertices) * scale), resolution)
    steps = (((np.arange(resolution) + 0.5) / resolution * 2.0 - 1.0) * scale + 1.0) / 2.0 * resolution - 0.5
    places = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"))
    field = ndimage.map_coordinates(small, places, order=1, mode="nearest") / scale
    return np.clip(field, -TRUNCATION, TRUNCATION).astype(np.float32)
