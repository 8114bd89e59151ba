"""What can be made of a finished run's mesh without running the model again, without gradio.

The surface at another level of the distance field, with fewer faces, repaired for printing; films and files of it; and
its health. Heavy imports stay inside the functions: the page is laid out before they are there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from wavemesh.errors import InputError
from wavemesh.gallery.format import Example
from wavemesh.geometry.camera import Camera
from wavemesh.geometry.export import mesh_files, zipped
from wavemesh.geometry.frame import TRUNCATION
from wavemesh.ui.viewer.measure import Measure

if TYPE_CHECKING:
    import trimesh

    from wavemesh.geometry.health import MeshHealth
    from wavemesh.pipelines.record import RunRecord

MAX_LEVEL = 0.06
MIN_FACES = 500
TEXTURE_FACES = 40_000  # unwrapping takes seconds beyond
# The walls that matter are thin: twice the truncation of the field is as far as the networks look.
_THICK = 2.0 * TRUNCATION
THICKNESS = Measure(
    "thickness",
    "Thickness",
    "Wall thickness (the object is 1.8 long)",
    0.0,
    _THICK,
    ("0", f"{_THICK / 2:.2f}", f"{_THICK:.2f} and more"),
)


@dataclass(frozen=True)
class Shape:
    """The surface that is asked for: of a run (the folder of its record), at a level of its distance field.

    folder: may be an `example_folder` instead, whose mesh was made earlier. level: world units; above 0 the solid
    grows, below it shrinks. max_faces: 0 for all. repaired: for printing.
    """

    folder: str
    level: float = 0.0
    max_faces: int = 0
    repaired: bool = False

    def __post_init__(self) -> None:
        if not abs(self.level) <= MAX_LEVEL:
            raise InputError(f"The level must lie between -{MAX_LEVEL} and {MAX_LEVEL}, not {self.level}.")
        if self.max_faces and self.max_faces < MIN_FACES:
            raise InputError(f"A mesh can be reduced to {MIN_FACES} faces, not to {self.max_faces}.")


class Shapes:
    """Meshes of shapes, the last few kept; what all sessions of a page share.

    load: the record of a run's folder (`Studio.record`), which says no to folders that are not ours. examples: those
    whose meshes may be asked for.
    """

    def __init__(self, load: Callable[[str], RunRecord], examples: Sequence[Example] = ()) -> None:
        self._load = load
        self._examples = {example_folder(example): example for example in examples}
        self._made = lru_cache(maxsize=8)(self._make)
        self.health = lru_cache(maxsize=64)(self._health)

    def mesh(self, shape: Shape) -> trimesh.Trimesh:
        """The mesh, coloured like the run's; InputError where the field has no surface at this level."""
        return self._made(shape)[0]

    def summary(self, shape: Shape) -> str:
        """What the repair did; empty for a shape that was not repaired."""
        return self._made(shape)[1]

    def thickness(self, shape: Shape) -> np.ndarray:
        """Wall thickness behind every vertex, world units, clipped to the range that is shown."""
        from wavemesh.geometry.health import wall_thickness

        mesh = self.mesh(shape)
        found = wall_thickness(mesh, np.asarray(mesh.vertices), np.asarray(mesh.vertex_normals))
        return np.minimum(found, THICKNESS.high)

    def first_view(self, shape: Shape) -> Camera:
        """Where the first picture was taken from, in the frame of the mesh."""
        example = self._examples.get(shape.folder)
        if example is not None:
            return Camera(**example.cameras[0])
        return self._load(shape.folder).first_view

    def turntable(self, shape: Shape, suffix: str, num_frames: int = 48, size: int = 400) -> bytes:
        """One turn in the mesh's own colours, four seconds long, as ".gif" or ".mp4"."""
        from wavemesh.rendering import turntable
        from wavemesh.rendering.animation import gif_bytes, mp4_bytes

        if suffix not in (".gif", ".mp4"):
            raise InputError(f"A turntable is a .gif or an .mp4, not {suffix!r}.")
        frames = turntable(self.mesh(shape), num_frames, size)
        rate = num_frames / 4.0
        return gif_bytes(frames, rate) if suffix == ".gif" else mp4_bytes(frames, rate)

    def export(
        self,
        shape: Shape,
        suffix: str,
        folder: Path,
        *,
        name: str = "mesh",
        texture: bool = False,
        size_mm: float = 0.0,
    ) -> str:
        """The path of a file with the mesh, written into the folder; a textured .obj becomes a .zip of three.

        texture: colours baked into a picture (.glb and .obj). size_mm: the longest side in files that have a size
        (`geometry.export.SIZED_SUFFIXES`); 0 for their usual one.
        """
        mesh = self.mesh(shape)
        if texture and suffix in (".glb", ".obj"):
            from wavemesh.geometry.baking import bake_texture
            from wavemesh.geometry.isosurface import simplify
            from wavemesh.geometry.repair import with_colours_of
            from wavemesh.geometry.texture import interpolated_colours

            few = with_colours_of(simplify(mesh, TEXTURE_FACES), mesh)
            mesh = bake_texture(few, interpolated_colours(mesh))
        files = mesh_files(mesh, name + suffix, size_mm or None)
        if len(files) > 1:
            files = {f"{name}-obj.zip": zipped(files)}
        ((file, content),) = files.items()
        (folder / file).write_bytes(content)
        return str(folder / file)

    def _make(self, shape: Shape) -> tuple[trimesh.Trimesh, str]:
        from wavemesh.geometry.isosurface import sdf_to_mesh, simplify
        from wavemesh.geometry.mesh import facing
        from wavemesh.geometry.repair import repair, simplified_solid, with_colours_of

        original, sdf, front_deg = self._left(shape.folder)
        mesh, summary = original, ""
        if shape.level:
            if sdf is None:
                raise InputError("Of an example only the mesh is kept; another level needs its run: press Generate.")
            mesh = sdf_to_mesh(sdf, shape.level)
        if shape.repaired:
            repaired = repair(mesh)
            mesh, summary = repaired.mesh, repaired.summary
        if shape.max_faces and len(mesh.faces) > shape.max_faces:
            mesh = (simplified_solid if shape.repaired else simplify)(mesh, shape.max_faces)
        if mesh is not original:
            mesh = with_colours_of(mesh, original)  # last, so that no colour is guessed from a guess
        return facing(mesh, front_deg), summary

    def _left(self, folder: str) -> tuple[trimesh.Trimesh, np.ndarray | None, float]:
        """The mesh that was left, its field (None where only the mesh is kept), and the azimuth of its front."""
        example = self._examples.get(folder)
        if example is None:
            record = self._load(folder)
            return record.mesh, record.sdf, record.front_deg
        from wavemesh.geometry.mesh import load_mesh

        assert example.result is not None
        return load_mesh(example.result.mesh), None, 0.0

    def _health(self, shape: Shape) -> MeshHealth:
        from wavemesh.geometry.health import mesh_health

        return mesh_health(self.mesh(shape))


def example_folder(example: Example | None) -> str | None:
    """What stands for the folder of a run where the mesh of an example is meant; None where none was made earlier."""
    return None if example is None or example.result is None else f"example {example.key}"
