"""What the tab "Compare" measures: a run against the mesh its pictures were rendered from, and against other runs.

The same metrics as in the evaluation of a release, in the same frame and without alignment, but on fewer points.
Heavy imports stay inside the functions.
"""

from __future__ import annotations

import html
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from wavemesh.budget import budget
from wavemesh.errors import InputError
from wavemesh.geometry.frame import beside
from wavemesh.ui.runner import Job
from wavemesh.ui.viewer.measure import Measure
from wavemesh.ui.widgets.colours import diverging, legend
from wavemesh.ui.widgets.line_plot import line_plot
from wavemesh.ui.widgets.painting import paint_mesh

if TYPE_CHECKING:
    import trimesh

    from wavemesh.evaluation.metrics import Scores
    from wavemesh.geometry.sdf import SurfacePoints
    from wavemesh.pipelines.record import RunRecord

NUM_POINTS = 10_000
RESOLUTION = 128
NUM_DENSE = 50_000  # of the true surface, to which the error of each vertex is measured: .007 apart
MAX_CPU_S = 60.0  # of measuring one run: a bundle from elsewhere may have thousands of steps
PICTURE_SIDE = 360
ERROR = Measure(
    "error",
    "Error",
    "Distance to the true mesh (the object is 1.8 long)",
    0.0,
    0.1,
    ("0", "0.05", "0.10 and more"),
)
_SHOWN = (("chamfer", "Chamfer distance"), ("f_score_002", "F-score at 0.02"), ("iou", "IoU at 64³"))


@dataclass(frozen=True)
class Truth:
    """The true shape, ready to be compared with: its truncated SDF, and points of its visible surface.

    dense: (n, 3) more of them, to which errors are measured.
    Points rather than triangles: what a question costs does not depend on a stranger's mesh.
    """

    sdf: np.ndarray
    points: SurfacePoints
    dense: np.ndarray

    @classmethod
    def of_mesh(cls, mesh: trimesh.Trimesh) -> Truth:
        """The truth of a mesh in the world frame."""
        from wavemesh.geometry.orbit_depth import look_around
        from wavemesh.geometry.sdf import mesh_to_sdf
        from wavemesh.geometry.visible import visible_surface

        orbit = look_around(mesh)
        points, dense = (visible_surface(mesh, count, 0, orbit) for count in (NUM_POINTS, NUM_DENSE))
        return cls(mesh_to_sdf(mesh, RESOLUTION, orbit=orbit), points, dense.points)

    def errors(self, points: np.ndarray) -> np.ndarray:
        """How far points (n, 3) are from the visible surface: (n,), world units."""
        from scipy.spatial import cKDTree

        return cKDTree(self.dense).query(points)[0]

    def scores(self, sdf: np.ndarray, mesh: trimesh.Trimesh | None = None) -> Scores:
        """What a field, and its surface, is worth; a field without a surface scores zero."""
        from wavemesh.evaluation.metrics import evaluate_pair
        from wavemesh.geometry.isosurface import sdf_to_mesh

        if mesh is None:
            try:
                mesh = sdf_to_mesh(sdf)
            except InputError:
                mesh = None
        return evaluate_pair(mesh, sdf, self.points, self.sdf, NUM_POINTS, seed=1)


@dataclass(frozen=True)
class Measured:
    """Scores of every step of a run, of its result, of the visual hull of its pictures, and of the codec ceiling.

    errors: (v,) how far each vertex of the result is from the true surface, world units.
    """

    steps: tuple[Scores, ...]
    result: Scores
    hull: Scores
    codec: Scores
    errors: np.ndarray

    def to_dict(self) -> dict[str, Any]:
        """The scores by name, as JSON carries them."""
        named = {"result": self.result, "visual_hull": self.hull, "codec_ceiling": self.codec}
        return {
            "points": NUM_POINTS,
            "steps": [step.to_dict() for step in self.steps],
            **{name: scores.to_dict() for name, scores in named.items()},
        }


def measure(record: RunRecord, mesh: trimesh.Trimesh) -> Iterator[tuple[str, Measured | None]]:
    """What is being measured, one message after another, and at the end the scores. No model is evaluated.

    Raises InputError where the steps would take too long, as the first of them tell, or the true mesh does.
    """
    from wavemesh.evaluation.baselines import codec_ceiling, visual_hull

    yield "Looking at the true mesh", None
    with budget():
        truth = Truth.of_mesh(mesh)
    steps: list[Scores] = []
    spent = 0.0
    for index in range(len(record.steps)):
        yield f"Measuring step {index + 1} of {len(record.steps)}", None
        if index and spent / index * len(record.steps) > MAX_CPU_S:
            raise InputError(
                f"Measuring the {len(record.steps)} steps of this run takes too long: {spent / index:.1f} s for each."
            )
        begin = time.thread_time()  # of this thread: what other visitors compute does not count
        steps.append(truth.scores(record.field(index)))
        spent += time.thread_time() - begin
    yield "Measuring the result", None
    result = truth.scores(record.sdf, record.mesh)
    yield "Carving the visual hull", None
    masks = [np.asarray(picture)[..., 3] >= 128 for picture in record.pictures]
    hull = truth.scores(visual_hull(masks, record.cameras, RESOLUTION))
    yield "Measuring the codec ceiling", None
    codec = truth.scores(codec_ceiling(truth.sdf))
    errors = truth.errors(np.asarray(record.mesh.vertices))
    yield "Done", Measured(tuple(steps), result, hull, codec, errors)


def measured_html(measured: Measured) -> str:
    """The scores as curves over the steps, beside the hull and the ceiling, and as a table."""
    drawn = "".join(
        line_plot(
            title,
            [("", [getattr(step, name) for step in measured.steps])],
            number="{:.3f}".format,
            levels=[("hull", getattr(measured.hull, name)), ("codec", getattr(measured.codec, name))],
        )
        for name, title in _SHOWN
    )
    rows = [("This run", measured.result), ("Visual hull", measured.hull), ("Codec ceiling", measured.codec)]
    return f'<div class="wm-curves">{drawn}</div>{scores_table(rows)}'


def scores_table(rows: Sequence[tuple[str, Scores]]) -> str:
    """A table of scores, one row each."""
    head = "".join(f"<th>{title}</th>" for _, title in _SHOWN) + "<th>Normals</th>"
    body = "".join(
        f"<tr><th>{html.escape(name)}</th>"
        + "".join(f"<td>{getattr(scores, key):.3f}</td>" for key, _ in _SHOWN)
        + f"<td>{scores.normal_consistency:.3f}</td></tr>"
        for name, scores in rows
    )
    return (
        f'<table class="wm-scores"><thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table>'
        f'<p class="wm-note">{NUM_POINTS:,} points of each visible surface, no alignment; a release is measured with '
        "40,000. Chamfer in units of the world (the longest side is 1.8): less is better.</p>"
    )


def job_again(record: RunRecord, views: Sequence[int] | None = None, **changes: Any) -> Job:
    """The job that makes a run again, from all or some of its views (by index), with other settings as named."""
    chosen = range(len(record.pictures)) if views is None else views
    prepared = record.views()
    return Job(
        views=tuple((record.pictures[index], record.cameras[index]) for index in chosen),
        settings=replace(record.settings, **changes),
        prepared=tuple(prepared[index] for index in chosen),
        name="compare",
        previews=False,
        front_deg=record.front_deg,
    )


def job_without_view(record: RunRecord, number: int) -> Job:
    """The run again without its view `number` (from 1); InputError where that is its only one, or none of its own."""
    count = len(record.pictures)
    if count < 2:
        raise InputError("This run has one picture only; leaving one out needs at least two.")
    if not 1 <= number <= count:
        raise InputError(f"The run has the views 1 to {count}, not {number}.")
    return job_again(record, [index for index in range(count) if index != number - 1])


@dataclass(frozen=True)
class Displacement:
    """How a surface moved: signed distances (v,) of its vertices to the other surface, positive outside of it."""

    mesh: trimesh.Trimesh
    distances: np.ndarray

    @classmethod
    def between(cls, mesh: trimesh.Trimesh, reference: trimesh.Trimesh) -> Displacement:
        """Of a mesh from a reference."""
        from wavemesh.geometry.deviation import signed_deviation

        return cls(mesh, signed_deviation(mesh, reference))

    @property
    def limit(self) -> float:
        """Where the colour scale ends: nearly all distances lie within."""
        return max(float(np.quantile(np.abs(self.distances), 0.98)), 1e-3)

    def picture(self, azimuth_deg: float, elevation_deg: float) -> np.ndarray:
        """The surface (s, s, 4) uint8, blue where it sank and red where it grew."""
        import trimesh

        colours = diverging(self.distances, self.limit)
        painted = trimesh.Trimesh(self.mesh.vertices, self.mesh.faces, vertex_colors=colours, process=False)
        return paint_mesh(painted, azimuth_deg, elevation_deg, PICTURE_SIDE, in_clay=False)

    def words(self) -> str:
        """The displacement as HTML: legend and one line."""
        mean, largest = float(np.abs(self.distances).mean()), float(np.abs(self.distances).max())
        ends = (f"−{self.limit:.3f} sank", "0", f"grew +{self.limit:.3f}")
        line = f"Mean displacement {mean:.4f}, largest {largest:.3f} (the longest side is 1.8)."
        return f'{legend("Displacement of the surface", *ends)}<p class="wm-note">{line}</p>'


def viewpoint(record: RunRecord) -> tuple[float, float]:
    """Azimuth and elevation in degrees from where a run's shapes are looked at: from beside its first camera."""
    return beside(record.cameras[0].azimuth_deg, record.cameras[0].elevation_deg)


def mesh_picture(record: RunRecord, azimuth_deg: float, elevation_deg: float) -> np.ndarray:
    """The result of a run in its colours (s, s, 4) uint8."""
    return paint_mesh(record.mesh, azimuth_deg, elevation_deg, PICTURE_SIDE, in_clay=False)


def note_html(message: str) -> str:
    """A line of words."""
    return f'<p class="wm-note">{html.escape(message)}</p>'
