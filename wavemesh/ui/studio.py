"""What all sessions of a page share: the pipelines (made at first use), the accelerator, and the workspace."""

from __future__ import annotations

import functools
import re
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from wavemesh.bundled import EXAMPLES, WEIGHTS
from wavemesh.errors import InputError
from wavemesh.gallery.format import Example
from wavemesh.gallery.read import load_examples
from wavemesh.settings import METHODS, Settings, settings_class, shipped_settings
from wavemesh.ui.accelerator import Accelerator, on_gpu
from wavemesh.ui.progress import Pace, Progress
from wavemesh.ui.runner import Job, Pipeline, StopFlag, Update, run_job, running_steps
from wavemesh.ui.runs import Runs

if TYPE_CHECKING:
    from wavemesh.pipelines.record import RunRecord

KEPT_RECORDS = 6


class Studio:
    """What all sessions of a page share.

    factories: what makes each method's pipeline, called at its first run, in the thread of that run. workspace: folder
    for the files of runs. shipped: the settings that the weights came with, those declared where there are none.
    """

    def __init__(
        self,
        factories: Mapping[str, Callable[[], Pipeline]],
        workspace: Path,
        examples_folder: Path = EXAMPLES,
        shipped: Mapping[str, Settings] | None = None,
    ) -> None:
        self.factories = {method: functools.lru_cache(maxsize=1)(factory) for method, factory in factories.items()}
        self.workspace = workspace
        self.examples: list[Example] = load_examples(examples_folder)
        self.shipped = {method: settings_class(method)().filled() for method in factories} | dict(shipped or {})
        self.accelerator = Accelerator()
        self._pace = Pace()
        self._runs = {method: on_gpu(partial(run_job, factory)) for method, factory in self.factories.items()}
        self._asked: set[str] = set()  # sessions whose runs wait or go on
        self._records = functools.lru_cache(maxsize=KEPT_RECORDS)(load_record)
        self._unwritten: dict[Path, threading.Event] = {}  # folders of results whose record is still being written
        self.runs = Runs(partial(self.generate_all, at_once=True), self.stop_flag)

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
        writing = self._unwritten.get(path)
        if writing is not None:
            writing.wait()
        return self._records(path)

    def filled(self, settings: Settings) -> Settings:
        """The settings, with those that the weights were shipped with where None stands; InputError without weights."""
        if settings.method not in self.factories:
            raise InputError(f"There is no method {settings.method!r} here; choose one of {', '.join(self.factories)}.")
        return settings.filled(asdict(self.shipped[settings.method]))

    def estimate(self, settings: Settings) -> float | None:
        """Seconds that a run with these settings will take, None before anything was measured."""
        filled = self.filled(settings)
        return self._pace.estimate(running_steps(filled), filled.passes())

    def stop_flag(self, session: str) -> StopFlag:
        """The request to stop of one session (any string)."""
        return StopFlag(self.workspace / "stops" / re.sub(r"[^A-Za-z0-9]", "", session)[:64])

    def leave(self, session: str) -> None:
        """End the runs of a session, whichever of the page's places or endpoints asked for them: nobody waits."""
        for each in {session, f"api{session}", f"compare{session}", f"triplane{session}"} & self._asked:
            self.stop_flag(each).leave()

    def generate(self, job: Job, session: str, at_once: bool = False) -> Iterator[Update]:
        """Updates of a run, one run at a time; raises InputError for what cannot be used.

        Ends without a result if the session asks to stop while it waits for its turn. at_once: whether the result comes
        as soon as its mesh is written; else its record is there too.
        """
        with closing(self.generate_all([job], session, at_once)) as updates:
            yield from (update for _, update in updates)

    def generate_all(
        self, jobs: Sequence[Job], session: str, at_once: bool = False
    ) -> Generator[tuple[int, Update], None, None]:
        """As `generate`, of several runs in one turn: updates, each with the number of its run, from 0.

        A request to stop ends the run that goes on and all after it.
        """
        jobs = [replace(job, settings=self.filled(job.settings)) for job in jobs]
        stop = self.stop_flag(session)
        stop.clear()
        self._asked.add(session)
        try:
            with self.accelerator.turn() as waiting:
                for _ in waiting:
                    if stop.is_set():
                        return
                    yield 0, Update(Progress("Waiting for another run to end"))
                for number, job in enumerate(jobs):
                    with closing(self._runs[job.settings.method](job, self.workspace, stop, self._pace)) as updates:
                        noted = self._noted(updates)
                        yield from ((number, update) for update in (noted if at_once else _result_last(noted)))
                    if stop.is_set():
                        return
        finally:
            self._asked.discard(session)
            stop.clear()

    def _noted(self, updates: Iterator[Update]) -> Iterator[Update]:
        """The updates; who asks for the record of a result meanwhile waits until it is written."""
        written = threading.Event()
        folder: Path | None = None
        try:
            for update in updates:
                self._pace = update.pace or self._pace
                if update.result is not None:
                    folder = Path(update.result.folder).resolve()
                    self._unwritten[folder] = written
                yield update
        finally:
            written.set()
            if folder is not None:
                del self._unwritten[folder]


def _result_last(updates: Iterator[Update]) -> Iterator[Update]:
    """The updates, that with the result once nothing else is to be done."""
    last: Update | None = None
    for update in updates:
        if update.result is None:
            yield update
        else:
            last = update
    if last is not None:
        yield last


def open_studio(workspace: Path, weights: str | Path | None = None, device: str = "auto") -> Studio:
    """The studio over these weights of WaveMesh-Diff (None: bundled, a folder, or a Hub id) and all other bundled ones.

    Nothing is loaded yet, and a Hub id is not fetched to see what its weights were shipped with.
    """
    others = [method for method in METHODS if (WEIGHTS / method / "manifest.json").is_file() and method != "wavemesh"]
    sources: dict[str, str | Path | None] = {"wavemesh": weights, **dict.fromkeys(others)}
    factories = {method: _loader(method, source, device) for method, source in sources.items()}
    folders = {method: WEIGHTS / method if source is None else Path(source) for method, source in sources.items()}
    shipped = {method: shipped_settings(method, folder) for method, folder in folders.items()}
    return Studio(factories, workspace, shipped=shipped)


def load_record(folder: Path) -> RunRecord:
    """The record in the folder of a result."""
    from wavemesh.pipelines.bundle import read_bundle
    from wavemesh.pipelines.record import FILE

    return read_bundle(folder / FILE)


def _loader(method: str, source: str | Path | None, device: str) -> Callable[[], Pipeline]:
    """What loads a method's pipeline when it is first needed."""

    def load() -> Pipeline:
        from wavemesh.pipelines.registry import load_pipeline

        return load_pipeline(method, source, device)

    return load
