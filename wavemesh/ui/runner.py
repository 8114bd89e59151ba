"""One run of the pipeline as a stream of updates that a page can show, stop and outlive.

The pipeline calls back after each step and cannot yield, so it runs in a thread of its own and a generator passes on
what it reports. Whoever closes the generator (a closed browser tab) stops the run as well, and the lock around the
accelerator is held until the thread has really ended.
"""

from __future__ import annotations

import logging
import math
import queue
import shutil
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from wavemesh.geometry.camera import Camera
from wavemesh.geometry.export import mesh_bytes
from wavemesh.geometry.frame import Side
from wavemesh.settings import Settings, WaveMeshSettings, declared
from wavemesh.ui.pictures import write_picture
from wavemesh.ui.progress import Pace, Progress
from wavemesh.ui.widgets.forming import Forming, write_forming
from wavemesh.ui.workspace import new_result_folder

if TYPE_CHECKING:
    from wavemesh.pipelines import StepReport
    from wavemesh.pipelines.record import RunRecord, StepRecord
    from wavemesh.pipelines.views import PreparedView

MAX_SECONDS = 600.0
TRUTH_FILE = "truth.npz"  # in a run's folder: the mesh that its pictures were rendered from
_FRONT = Camera(elevation_deg=20.0)  # where previews are seen from while nobody knows the first camera
_PREVIEW_PAUSE_S = 0.3  # previews share the processor with the model

_log = logging.getLogger(__name__)

# Called with a list of views, `settings` and `callback`; gives what the pipelines give.
Pipeline = Callable[..., Any]


@dataclass(frozen=True)
class Job:
    """What a run is asked for.

    views: RGBA pictures with their cameras, None to have one estimated. cut_by: what cut out each, where that is known.
    settings: of the method, filled. name: becomes the files' name. origin: the folder of the mesh that all views were
    rendered from, if they were. prepared: views as a record has them, which take the place of `views` before the
    pipeline. previews: whether the shape is shown while it forms. sides: of the views, None where nobody says; empty
    for none. front_deg: the azimuth that is the front of what is shown and written; None leaves it to the pipeline's
    output.
    """

    views: tuple[tuple[Image.Image, Camera | None], ...]
    settings: Settings
    name: str = "wavemesh"
    origin: str | None = None
    prepared: tuple[PreparedView, ...] = ()
    previews: bool = True
    cut_by: tuple[str | None, ...] = ()
    sides: tuple[Side | None, ...] = ()
    front_deg: float | None = None


@dataclass(frozen=True)
class Result:
    """What a run leaves: files, numbers for the caption, and cameras.

    files: the mesh (.glb), the bundle (.zip, written last) and the first picture as it was cropped (.webp).

    found: for each view the crop and its camera, None where the camera was given; in the frame of the written mesh.
    front_deg: how far that frame is turned against the network's. folder: holds the files and the record of the run.
    cut_by, notes: of each picture, what cut it out and what may go wrong with that. first: the camera of the first
    picture, in the frame of the written mesh.
    """

    files: dict[str, str]
    vertices: int
    faces: int
    seconds: float
    stopped: bool
    seed: int
    timings: dict[str, float] = field(default_factory=dict)
    found: tuple[tuple[Image.Image, Camera] | None, ...] = ()
    folder: str = ""
    cut_by: tuple[str, ...] = ()
    notes: tuple[tuple[str, ...], ...] = ()
    front_deg: float = 0.0
    first: Camera = _FRONT


@dataclass(frozen=True)
class Update:
    """One moment of a run: progress, sometimes a preview of the shape, at the end the result.

    measured: after a step, what is recorded of it, without its arrays. pace: at the end, what the run taught about the
    time that steps take; on a lent GPU a run has a copy of the one that it was given.
    """

    progress: Progress
    stage: str = ""
    step: int = 0
    num_steps: int = 0
    preview: Forming | None = None
    measured: StepRecord | None = None
    result: Result | None = None
    pace: Pace | None = None


class StopFlag:
    """A request to stop, kept as a file so that it reaches a process forked for the GPU too.

    Who asks to stop keeps what there is; who left wants nothing any more.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._left = path.with_name(f"{path.name}.left")

    def set(self) -> None:
        """Ask the run to end after its current step."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.touch()

    def leave(self) -> None:
        """Ask the run to end after its current step, and to write nothing."""
        self.set()
        self._left.touch()

    def clear(self) -> None:
        """Forget the request, and the files."""
        self._path.unlink(missing_ok=True)
        self._left.unlink(missing_ok=True)

    def nobody_waits(self) -> bool:
        """Whether the one who asked for the run has left."""
        return self._left.exists()

    def is_set(self) -> bool:
        """Whether somebody asked to stop."""
        return self._path.exists()


def running_steps(settings: Settings) -> dict[str, int]:
    """The number of steps by stage, for filled settings; at less than the full resolution there are no details."""
    steps = settings.stage_steps()
    if (
        isinstance(settings, WaveMeshSettings)
        and settings.resolution != declared(WaveMeshSettings)["resolution"].default
    ):
        del steps["detail"]
    return steps


def run_job(
    pipeline_factory: Callable[[], Pipeline], job: Job, workspace: Path, stop: StopFlag, pace: Pace
) -> Generator[Update, None, None]:
    """Updates of one run, the last one with the result; closing the iterator stops the run.

    Raises what the pipeline raises, InputError above all.
    """
    from wavemesh.pipelines.record import Recorder

    messages: queue.Queue[Any] = queue.Queue()
    worker = threading.Thread(target=_work, args=(pipeline_factory, job, stop, messages), name="generate", daemon=True)
    clock = pace.clock(running_steps(job.settings), job.settings.passes())
    folder = new_result_folder(workspace)
    previews = _Previews(job, folder)
    recorder = Recorder()
    result = None
    begin = last_step = time.perf_counter()
    yield Update(Progress("Loading the model and reading the pictures"))
    worker.start()
    try:
        while True:
            message = messages.get()
            if stop.nobody_waits():
                return
            if isinstance(message, Exception):
                raise message
            if not hasattr(message, "num_steps"):
                break
            if time.perf_counter() - begin > MAX_SECONDS:
                stop.set()
            last_step = time.perf_counter()
            progress = clock.step(message.stage, message.step, message.num_steps, message.elapsed_s)
            recorder(message)
            measured = replace(recorder.steps[-1], coefficients=None, field=None)
            # Where reports pile up, only the newest is shown.
            preview = previews.of(message) if messages.empty() else None
            yield Update(progress, message.stage, message.step + 1, message.num_steps, preview, measured)
        worker.join()
        yield Update(Progress("Writing the mesh", 0.99))
        record = recorder.record(message)
        if job.front_deg is not None:
            record.front_deg = job.front_deg
        result = _result(record, message, job, folder, time.perf_counter() - begin)
        clock.finished(time.perf_counter() - last_step)
        yield Update(Progress("Done", 1.0), result=result, pace=pace)
        # Once the mesh can be shown: this takes as long as several steps.
        record.save(result.folder, {"mesh.glb": Path(result.files[".glb"]).read_bytes()})
    finally:
        if worker.is_alive():
            stop.leave()  # whoever closes this wants nothing any more
            worker.join()
        if result is None:
            shutil.rmtree(folder, ignore_errors=True)


class NobodyWaits(Exception):
    """Ends a run at once; one that is merely stopped makes its mesh, which takes as long as several steps."""


def _work(pipeline_factory: Callable[[], Pipeline], job: Job, stop: StopFlag, messages: queue.Queue[Any]) -> None:
    """The pipeline's thread: sends a report for each step, then the output or the exception."""

    def report_step(report: StepReport) -> bool:
        messages.put(report)
        if stop.nobody_waits():
            raise NobodyWaits
        return stop.is_set()

    try:
        from wavemesh.pipelines.views import View

        sides = job.sides or (None,) * len(job.views)
        cut_by = job.cut_by or (None,) * len(job.views)
        views = list(job.prepared) or [
            View(picture, camera, cut_by=by, side=side)
            for (picture, camera), by, side in zip(job.views, cut_by, sides, strict=True)
        ]
        messages.put(pipeline_factory()(views, settings=job.settings, callback=report_step))
    except Exception as error:  # travels to the page's thread, which shows or logs it
        messages.put(error)


class _Previews:
    """The shape as it forms, written into the run's folder, but never too often."""

    def __init__(self, job: Job, folder: Path) -> None:
        self._folder, self._front_deg = folder, job.front_deg
        self._count = 0
        self._next = 0.0 if job.previews else math.inf

    def of(self, report: StepReport) -> Forming | None:
        """The shape after a step; None if it has no surface yet or the last preview was just now."""
        if time.perf_counter() < self._next:
            return None
        front_deg = report.front_deg if self._front_deg is None else self._front_deg
        path = self._folder / f"forming-{self._count}.glb"
        if not write_forming(report.sdf, front_deg, path):
            return None
        self._count += 1
        self._next = time.perf_counter() + _PREVIEW_PAUSE_S
        return Forming(str(path), (report.camera or _FRONT).turned(-front_deg))


def _result(record: RunRecord, output: Any, job: Job, folder: Path, seconds: float) -> Result:
    from wavemesh.geometry.mesh import facing
    from wavemesh.pipelines.record import FILE

    mesh = folder / f"{job.name}.glb"
    mesh.write_bytes(mesh_bytes(facing(output.mesh, record.front_deg), ".glb"))
    if job.origin is not None:
        shutil.copyfile(Path(job.origin) / TRUTH_FILE, folder / TRUTH_FILE)
    first = output.views[0].crop.apply(output.views[0].full)
    found = tuple(
        (view.crop.apply(view.full), view.camera.turned(-record.front_deg)) if view.estimated else None
        for view in output.views
    )
    return Result(
        files={".glb": str(mesh), ".zip": str(folder / FILE), ".webp": write_picture(first, folder)},
        vertices=len(output.mesh.vertices),
        faces=len(output.mesh.faces),
        seconds=seconds,
        stopped=output.stopped,
        seed=job.settings.seed,
        timings=dict(output.timings),
        found=found,
        folder=str(folder),
        cut_by=tuple(record.cut_by),
        notes=tuple(tuple(notes) for notes in record.notes),
        front_deg=record.front_deg,
        first=record.first_view,
    )
