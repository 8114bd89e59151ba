"""How far a run is and how long it will take still, learnt from the steps so far and from earlier runs."""

from __future__ import annotations

import html
from dataclasses import dataclass, field

STAGE_NAMES = {"coarse": "Coarse shape", "detail": "Fine details", "triplane": "Planes"}


@dataclass(frozen=True)
class Progress:
    """What the bar shows: a message, the share that is done (0 to 1), and seconds left where they can be told."""

    message: str
    fraction: float = 0.0
    seconds_left: float | None = None


@dataclass
class Pace:
    """Seconds per step of each stage, for the start and for the end of a run, remembered from one run to the next.

    passes: how often a step evaluates its network; steps of other numbers of passes are remembered apart. The details
    have one pass in any case.
    """

    seconds_per_step: dict[tuple[str, int], float] = field(default_factory=dict)
    start_s: float = 0.0
    finish_s: float = 1.0

    def clock(self, steps: dict[str, int], passes: int = 1) -> Clock:
        """The clock of a new run with this many steps in each stage, in the order of the stages."""
        return Clock(self, dict(steps), passes)

    def estimate(self, steps: dict[str, int], passes: int = 1) -> float | None:
        """Seconds that a run will take, None before any run of such stages was measured."""
        known = [self.seconds(stage, passes) for stage in steps]
        if any(seconds is None for seconds in known):
            return None
        work = sum(count * (each or 0.0) for count, each in zip(steps.values(), known, strict=True))
        return self.start_s + work + self.finish_s

    def seconds(self, stage: str, passes: int) -> float | None:
        """Seconds per step of a stage; by the number of passes where only steps of another number were measured."""
        own = _key(stage, passes)
        if own in self.seconds_per_step:
            return self.seconds_per_step[own]
        others = [count for name, count in self.seconds_per_step if name == stage]
        if not others:
            return None
        nearest = min(others, key=lambda count: abs(count - passes))
        return self.seconds_per_step[stage, nearest] * passes / nearest

    def learn(self, stage: str, passes: int, seconds: float) -> None:
        """Remember how long a step took."""
        key = _key(stage, passes)
        self.seconds_per_step[key] = 0.5 * self.seconds_per_step.get(key, seconds) + 0.5 * seconds


class Clock:
    """Turns the step reports of one run into progress."""

    def __init__(self, pace: Pace, steps: dict[str, int], passes: int) -> None:
        self._pace = pace
        self._steps = steps
        self._passes = passes
        self._first: tuple[str, float] | None = None
        self._last_elapsed = 0.0
        self._fraction = 0.0

    def step(self, stage: str, step: int, num_steps: int, elapsed_s: float) -> Progress:
        """Progress after a step (counted from 0) of a stage."""
        self._steps[stage] = num_steps
        if self._first is None:
            self._first = (stage, elapsed_s)
        else:
            self._pace.learn(stage, self._passes, max(0.0, elapsed_s - self._last_elapsed))
        self._last_elapsed = elapsed_s
        seconds_left = (num_steps - step - 1) * self._seconds(stage) + self._pace.finish_s
        stages = list(self._steps)
        for later in stages[stages.index(stage) + 1 :]:
            seconds_left += self._steps[later] * self._seconds(later)
        share = elapsed_s / max(1e-6, elapsed_s + seconds_left)
        # A slower step than expected must not draw the bar backwards.
        self._fraction = min(0.99, max(self._fraction, share))
        message = f"{STAGE_NAMES.get(stage, stage)}: step {step + 1} of {num_steps}"
        return Progress(message, self._fraction, seconds_left)

    def finished(self, seconds: float) -> None:
        """Remember how long the end of the run took, after its last step, and the beginning before its first."""
        if self._first is None:
            return
        stage, elapsed = self._first
        if self._pace.seconds(stage, self._passes) is None:
            # A run of single steps: what came before the first cannot be told from the step itself.
            self._pace.learn(stage, self._passes, elapsed)
        self._pace.start_s = max(0.0, elapsed - self._seconds(stage))
        self._pace.finish_s = max(0.0, seconds)

    def _seconds(self, stage: str) -> float:
        known = self._pace.seconds(stage, self._passes)
        return next(iter(self._pace.seconds_per_step.values()), 0.5) if known is None else known


def _key(stage: str, passes: int) -> tuple[str, int]:
    # Guidance and frames act on all stages but the details'.
    return stage, 1 if stage == "detail" else passes


def estimate_text(seconds: float | None) -> str:
    """What the page says about the time before a run."""
    if seconds is None:
        return "Usually a few seconds; the first run measures this machine."
    if seconds < 90:
        return f"This will take about {max(1, round(seconds))} s."
    return f"This will take about {round(seconds / 60)} minutes."


def bar_html(progress: Progress | None) -> str:
    """The progress bar as HTML; empty for None."""
    if progress is None:
        return ""
    percent = round(100 * progress.fraction)
    left = "" if progress.seconds_left is None else f"about {max(1, round(progress.seconds_left))} s left"
    return (
        f'<div class="wm-progress" role="progressbar" aria-label="Progress of the run" aria-valuenow="{percent}" '
        f'aria-valuetext="{html.escape(progress.message)}" aria-valuemin="0" aria-valuemax="100">'
        f'<div class="wm-progress-text"><span>{html.escape(progress.message)}</span><span>{left}</span></div>'
        f'<div class="wm-progress-track"><div class="wm-progress-fill" style="width:{percent}%"></div></div></div>'
    )
