"""What the page does when a person acts, without gradio, so that tests can call it.

`Studio` holds what all sessions share: the pipeline (made at first use), the lock around it, and the workspace.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wavemesh.bundled import EXAMPLES, WEIGHTS
from wavemesh.errors import InputError
from wavemesh.gallery.format import Example
from wavemesh.gallery.read import load_examples
from wavemesh.ui.accelerator import Accelerator, on_gpu
from wavemesh.ui.methods import METHODS, Preset, presets, shipped_sampling
from wavemesh.ui.pictures import MAX_VIEWS, Number, Picture, cut_out
from wavemesh.ui.progress import Pace, Progress
from wavemesh.ui.runner import RESOLUTIONS, TURNS, Job, Pipeline, Result, StopFlag, Update, run_job

if TYPE_CHECKING:
    from wavemesh.pipelines.record import RunRecord

SAMPLERS = ("ddim", "dpmpp_2m", "ddpm")
MAX_STEPS = 50
MAX_SEED = 2**31 - 1
MAX_THRESHOLD = 0.02  # a finest coefficient is rarely larger
KEPT_RECORDS = 6


@dataclass(frozen=True)
class Defaults:
    """Where the controls stand at first. triplane_steps: those of the other method."""

    coarse_steps: int = 5
    detail_steps: int = 2
    guidance_scale: float = 1.0
    sampler: str = "ddim"
    turns: int = 1
    triplane_steps: int = 1

    def steps(self, method: str) -> tuple[int, ...]:
        """The steps of each stage of a method."""
        return (self.triplane_steps,) if method == "triplane" else (self.coarse_steps, self.detail_steps)

    def presets(self, method: str) -> dict[str, Preset]:
        """The presets of a method by key."""
        return presets(method, self.steps(method), self.turns)


class Studio:
    """What all sessions of a page share.

    pipeline_factory: called at the first run, in the thread of that run. others: those of further methods by their key.
    workspace: folder for the files of runs.
    """

    def __init__(
        self,
        pipeline_factory: Callable[[], Pipeline],
        workspace: Path,
        examples_folder: Path = EXAMPLES,
        defaults: Defaults | None = None,
        others: Mapping[str, Callable[[], Pipeline]] | None = None,
    ) -> None:
        factories = {"wavemesh": pipeline_factory, **(others or {})}
        self.factories = {method: functools.lru_cache(maxsize=1)(factory) for method, factory in factories.items()}
        self.workspace = workspace
        self.examples: list[Example] = load_examples(examples_folder)
        self.defaults = defaults or Defaults()
        self.accelerator = Accelerator()
        self._pace = Pace()
        self._runs = {method: on_gpu(partial(run_job, factory)) for method, factory in self.factories.items()}
        self._records = functools.lru_cache(maxsize=KEPT_RECORDS)(load_record)

    @property
    def methods(self) -> list[str]:
        """The keys of the methods that can be run."""
        return list(self.factories)

    def record(self, folder: str) -> RunRecord:
        """The record of a finished run, by the folder of its `Result`; InputError where it is not kept (any longer).

        Read it only: a few records stay in memory and are shared.
        """
        path = Path(folder).resolve()
        if path.parent != (self.workspace / "results").resolve() or not path.is_dir():
            raise InputError("This run is no longer kept on the server; generate the mesh again.")
        return self._records(path)

    def estimate(self, job_steps: dict[str, int], passes: int) -> float | None:
        """Seconds that a run with these steps by stage will take, None before anything was measured."""
        return self._pace.estimate(job_steps, passes)

    def stop_flag(self, session: str) -> StopFlag:
        """The request to stop of one session (any string)."""
        return StopFlag(self.workspace / "stops" / re.sub(r"[^A-Za-z0-9]", "", session)[:64])

    def generate(self, job: Job, session: str) -> Iterator[Update]:
        """Updates of a run, one run at a time; raises InputError for what cannot be used.

        Ends without a result if the session asks to stop while it waits for its turn.
        """
        if job.method not in self.factories:
            raise InputError(f"There is no method {job.method!r} here; choose one of {', '.join(self.factories)}.")
        stop = self.stop_flag(session)
        stop.clear()
        try:
            with self.accelerator.turn() as waiting:
                for _ in waiting:
                    if stop.is_set():
                        return
                    yield Update(Progress("Waiting for another run to end"))
                with closing(self._runs[job.method](job, self.workspace, stop, self._pace)) as updates:
                    for update in updates:
                        self._pace = update.pace or self._pace
                        yield update
        finally:
            stop.clear()

    def example_pictures(self, index: int) -> list[Picture]:
        """The pictures of an example with their cameras."""
        example = self.examples[index]
        pairs = zip(example.pictures, example.cameras, strict=True)
        return [
            replace(cut_out(path, camera, f"{example.name} {number}"), example=example.key)
            for number, (path, camera) in enumerate(pairs, start=1)
        ]


def add_pictures(pictures: Sequence[Picture], paths: Sequence[str | Path]) -> tuple[list[Picture], list[str]]:
    """The pictures with new ones behind them, and a sentence for each file that could not be used."""
    result, problems = list(pictures), []
    for number, path in enumerate(paths):
        if len(result) >= MAX_VIEWS:
            left = len(paths) - number
            problems.append(
                f"At most {MAX_VIEWS} pictures can be used; {left} more {'was' if left == 1 else 'were'} left out."
            )
            break
        try:
            result.append(cut_out(path))
        except InputError as error:
            problems.append(str(error))
    return result, problems


def make_job(
    pictures: Sequence[Picture],
    estimate: bool,
    coarse_steps: Number | None,
    detail_steps: Number | None,
    guidance_scale: Number | None,
    sampler: str,
    seed: Number | None,
    method: str = "wavemesh",
    resolution: Number | None = None,
    detail_threshold: Number | None = 0.0,
    turns: Number | None = 1,
) -> Job:
    """The job that the page's controls describe; raises InputError for values out of range."""
    if not pictures:
        raise InputError("No picture yet: upload one or choose an example first.")
    if sampler not in SAMPLERS:
        raise InputError(f"Unknown sampler {sampler!r}; choose one of {', '.join(SAMPLERS)}.")
    steps = checked_steps(method, coarse_steps, detail_steps)
    if resolution is not None and resolution not in RESOLUTIONS:
        raise InputError(f"The resolution must be {' or '.join(map(str, RESOLUTIONS))}, not {resolution}.")
    if detail_threshold is None or not 0.0 <= detail_threshold <= MAX_THRESHOLD:
        raise InputError(f"The sparsity threshold must lie between 0 and {MAX_THRESHOLD}, not {detail_threshold}.")
    if turns not in TURNS:
        raise InputError(f"The number of frames must be 1, 2 or 4, not {turns}.")
    if guidance_scale is None or not 0.0 <= guidance_scale <= 20.0:
        raise InputError(f"The guidance must lie between 0 and 20, not {guidance_scale}.")
    views: list[tuple[Any, dict[str, Any] | None]] = [
        (picture.used, None) if estimate else picture.placed() for picture in pictures
    ]
    # A camera that is estimated, or that somebody turned, has nothing to do with where the mesh stands.
    origins = {None if estimate else picture.origin for picture in pictures}
    stem = re.sub(r"[^a-z0-9]+", "-", Path(pictures[0].name).stem.lower()).strip("-")[:40]
    return Job(
        views=tuple(views),
        steps=steps,
        method=method,
        resolution=None if resolution is None else int(resolution),
        detail_threshold=float(detail_threshold),
        turns=int(turns),
        guidance_scale=float(guidance_scale),
        sampler=sampler,
        seed=_whole("seed", seed, 0, MAX_SEED),
        name=f"{stem or 'object'}-mesh",
        origin=origins.pop() if len(origins) == 1 else None,
    )


def checked_steps(method: str, first: Number | None, second: Number | None) -> tuple[int, ...]:
    """The steps of each stage of a method; raises InputError for an unknown method and steps out of range."""
    if method not in METHODS:
        raise InputError(f"There is no method {method!r}; choose one of {', '.join(METHODS)}.")
    stages = METHODS[method].stages
    named = zip(stages, (first, second), strict=False)
    return tuple(_whole(f"number of {stage} steps", value, 1, MAX_STEPS) for stage, value in named)


def load_record(folder: Path) -> RunRecord:
    """The record in the folder of a result."""
    from wavemesh.pipelines.bundle import read_bundle
    from wavemesh.pipelines.record import FILE

    return read_bundle(folder / FILE)


def with_found(pictures: Sequence[Picture], ran: Sequence[Picture], result: Result) -> list[Picture] | None:
    """The pictures with the cameras that a run of `ran` estimated for them; None where it had none of the pictures."""
    left = list(zip(ran, result.found, strict=True))
    updated = []
    for picture in pictures:
        place = next((index for index, (each, _) in enumerate(left) if _same_file(each, picture)), None)
        found = None if place is None else left.pop(place)[1]
        updated.append(picture if found is None else replace(picture, found=found))
    return updated if len(left) < len(ran) else None


def _same_file(one: Picture, other: Picture) -> bool:
    same = [(each.name, each.example, each.keeps_background) for each in (one, other)]
    return same[0] == same[1] and one.cutout == other.cutout


def parse_cameras(cameras: Any, count: int) -> list[dict[str, Any] | None]:
    """Cameras as a program sends them: None, or a list with an object or null for each picture.

    Raises InputError for anything else.
    """
    if cameras in (None, "", []):
        return [None] * count
    if not isinstance(cameras, list) or len(cameras) != count:
        given = len(cameras) if isinstance(cameras, list) else type(cameras).__name__
        raise InputError(f"Cameras must be a list with one entry for each of the {count} pictures, not {given}.")
    keys = ("azimuth_deg", "elevation_deg", "distance", "fov_deg", "offset")
    parsed: list[dict[str, Any] | None] = []
    for camera in cameras:
        try:
            entries = (
                None
                if camera is None
                else {
                    key: (float(value[0]), float(value[1])) if key == "offset" else float(value)
                    for key, value in camera.items()
                }
            )
        except (AttributeError, TypeError, ValueError, IndexError, KeyError):
            raise InputError(f"A camera is an object with the numbers {', '.join(keys)}, not {camera!r:.80}.") from None
        if entries is not None and set(entries) - set(keys):
            raise InputError(
                f"A camera has only the entries {', '.join(keys)}, not {sorted(set(entries) - set(keys))!r:.80}."
            )
        parsed.append(entries)
    return parsed


def caption(result: Result) -> str:
    """One line about a finished run."""
    facts = f"{result.vertices:,} vertices, {result.faces:,} triangles, {result.seconds:.1f} s, seed {result.seed}"
    return f"Stopped early: this is the shape so far ({facts})." if result.stopped else facts


def shipped_defaults(weights: str | Path | None = None) -> Defaults:
    """The defaults that come with the weights, read without loading them; ours where they say nothing."""
    # Not by `wavemesh.checkpoint`, which would load torch before the page is up; a Hub id is not fetched for this.
    sampling = shipped_sampling(WEIGHTS / "wavemesh" if weights is None else Path(weights))
    sampling = {"turns" if name == "frames" else name: value for name, value in sampling.items()}
    known = {key: sampling[key] for key in Defaults.__dataclass_fields__ if key in sampling}
    triplane = shipped_sampling(WEIGHTS / "triplane")
    return Defaults(**known, triplane_steps=int(triplane.get("steps", Defaults.triplane_steps)))


def _whole(name: str, value: Number | None, low: int, high: int) -> int:
    if value is None or value != value or int(value) != value or not low <= value <= high:
        raise InputError(f"The {name} must be a whole number between {low} and {high}, not {value}.")
    return int(value)
