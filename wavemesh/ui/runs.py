"""Runs of the page that go on by themselves: a reload, or a connection that broke, comes back to one by its id.

A run is worked on in a thread of its own. Pages follow it; one that nobody follows any more is stopped after a while.
"""

from __future__ import annotations

import contextvars
import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from wavemesh.errors import InputError
from wavemesh.settings import Settings, declared
from wavemesh.ui.pictures import Picture
from wavemesh.ui.progress import Progress
from wavemesh.ui.runner import Job, Result, StopFlag, Update
from wavemesh.ui.widgets.strip import Watch
from wavemesh.ui.workspace import KEPT_S

MAX_RUNNING = 24  # that go on or wait for their turn
MAX_KEPT = 12  # that have ended
ABANDONED_S = 60.0
WENT_WRONG = "Something went wrong on the server; the reason is in its log."

_log = logging.getLogger(__name__)


class Run:
    """One run, from its beginning on.

    variants: itself and those that were begun with it, which have other seeds and come after it. job: by which it is
    stopped. pictures, estimate, settings: what the page had when it began. watch: its steps. result: None until it is
    there, and where none came. problem: why none came, as a sentence.
    """

    def __init__(self, pictures: Sequence[Picture], estimate: bool, settings: Settings) -> None:
        self.id = secrets.token_urlsafe(9)
        self.variants: list[Run] = [self]
        self.pictures, self.estimate, self.settings = list(pictures), estimate, settings
        self.watch = Watch()
        self.result: Result | None = None
        self.problem: str | None = None
        self.ended = False
        self.job = self.id
        self._newest = Update(Progress("Waiting for another run to end"))
        self._count = 0
        self._followers, self._left = 0, time.monotonic()
        self._news = threading.Condition()

    @property
    def abandoned(self) -> bool:
        """Whether nobody has followed it for a while."""
        return self._followers == 0 and time.monotonic() - self._left > ABANDONED_S

    @property
    def age_s(self) -> float:
        """Seconds since somebody last followed it."""
        return 0.0 if self._followers else time.monotonic() - self._left

    def follow_all(self) -> Iterator[tuple[Run, Update]]:
        """Those of `follow`, of itself and then of the variants that were begun with it."""
        with self._followed():
            for run in self.variants:
                yield from ((run, update) for update in run.follow())

    def follow(self) -> Iterator[Update]:
        """Where it stands now, and its updates until its result is there; of those that come at once the last alone."""
        seen, over = -1, False
        with self._followed():
            while not over:
                with self._news:
                    while self._count == seen:
                        self._news.wait()
                    seen, update, over = self._count, self._newest, self.ended or self.result is not None
                yield update

    def take(self, update: Update) -> None:
        """Let those who follow know of an update."""
        self.watch.add(update.measured)
        before = self._newest
        preview = before.preview if update.preview is None else update.preview
        measured = before.measured if update.measured is None else update.measured
        with self._news:
            self._newest = replace(update, preview=preview, measured=measured)
            self.result = update.result or self.result
            self._count += 1
            self._news.notify_all()

    def end(self, problem: str | None = None) -> None:
        """Nothing comes any more."""
        with self._news:
            self.problem, self.ended = problem, True
            self._count += 1
            self._news.notify_all()

    @contextmanager
    def _followed(self) -> Iterator[None]:
        self._followers += 1
        try:
            yield
        finally:
            self._followers -= 1
            self._left = time.monotonic()


def _with_seed(settings: Settings, further: int) -> Settings:
    """The settings with a seed further on; after the last comes the first."""
    if not further:
        return settings
    count = int(declared(type(settings))["seed"].limit or 2**31)
    return replace(settings, seed=((settings.seed or 0) + further) % count)


class Runs:
    """The runs of all visitors, the last few of them kept.

    generate: makes the updates of jobs, each with the job's number, for a session whose requests to stop it heeds.
    stop_flag: of a session.
    """

    def __init__(
        self,
        generate: Callable[[Sequence[Job], str], Iterator[tuple[int, Update]]],
        stop_flag: Callable[[str], StopFlag],
    ) -> None:
        self._generate, self._stop_flag = generate, stop_flag
        self._runs: dict[str, Run] = {}
        self._lock = threading.Lock()

    def begin(self, job: Job, pictures: Sequence[Picture], estimate: bool, variants: int = 1) -> Run:
        """A new run of the job; raises InputError where too many wait already.

        variants: how many seeds, from the job's own on, each with a run of its own that can be found by itself. They
        are one job: one place in the queue, and a stop ends them all.
        """
        jobs = [replace(job, settings=_with_seed(job.settings, each)) for each in range(variants)]
        runs = [Run(pictures, estimate, each.settings) for each in jobs]
        first = runs[0]
        first.variants = runs
        with self._lock:
            self._forget()
            if len({each.job for each in self._runs.values() if not each.ended}) >= MAX_RUNNING:
                raise InputError(f"{MAX_RUNNING} runs are waiting already; try again in a few minutes.")
            for run in runs:
                run.job = first.id
                self._runs[run.id] = run
        # With the context of the request, by which a lent GPU knows its visitor.
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(self._work, runs, jobs), name=f"run-{first.id}", daemon=True).start()
        return first

    def add(self, result: Result, pictures: Sequence[Picture], estimate: bool, settings: Settings) -> Run:
        """A run that had ended before it came here, with the result that it left."""
        run = Run(pictures, estimate, settings)
        run.take(Update(Progress("Done", 1.0), result=result))
        run.end()
        with self._lock:
            self._forget()
            self._runs[run.id] = run
        return run

    def find(self, run_id: str | None) -> Run | None:
        """The run with this id, where it is kept."""
        return self._runs.get(run_id or "")

    def stop(self, run_id: str) -> None:
        """Ask a run to end after its current step."""
        run = self.find(run_id)
        self._stop_flag(run_id if run is None else run.job).set()

    def _work(self, runs: list[Run], jobs: list[Job]) -> None:
        problem = None
        try:
            for number, update in self._generate(jobs, runs[0].id):
                for before in runs[:number]:
                    if not before.ended:
                        before.end()
                runs[number].take(update)
                if all(run.abandoned for run in runs):
                    self.stop(runs[0].id)
        except InputError as error:
            problem = str(error)
        except Exception:
            _log.exception("a run failed")
            problem = WENT_WRONG
        for run in runs:
            if not run.ended:
                run.end(problem)

    def _forget(self) -> None:
        ended = [each for each in self._runs.values() if each.ended]
        for place, run in enumerate(ended):
            if len(ended) - place >= MAX_KEPT or run.age_s > KEPT_S:
                del self._runs[run.id]
