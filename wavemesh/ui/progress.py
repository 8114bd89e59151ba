"""How far a run is and how long it will take still, learnt from the steps so far and from earlier runs."""

from __future__ import annotations

import html
from dataclasses import dataclass, field

STAGE_NAMES = {"coarse": "Coarse shape", "detail": "Fine details"}


@dataclass(frozen=True)
class Progress:
    """What the bar shows: a message, the share that is done (0 to 1), and seconds left where they can be told."""

    message: str
    fraction: float = 0.0
    seconds_left: float | None = None


@dataclass
class Pace:
    """Seconds per step of each stage and for the end of a run, remembered from one run to the next."""

    seconds_per_step: dict[str, float] = field(default_factory=dict)
    finish_s: float = 1.0

    def clock(self, steps: tuple[int, int]) -> Clock:
        """The clock of a new run with this many coarse and detail steps."""
        return Clock(self, dict(zip(("coarse", "detail"), steps, strict=True)))


class Clock:
    """Turns the step reports of one run into progress."""

    def __init__(self, pace: Pace, steps: dict[str, int]) -> None:
        self._pace = pace
        self._steps = steps
        self._last_elapsed: float | None = None
        self._fraction = 0.0

    def step(self, stage: str, step: int, num_steps: int, elapsed_s: float) -> Progress:
        """Progress after a step (counted from 0) of a stage."""
        self._steps[stage] = num_steps
        if self._last_elapsed is not None:
            taken = max(0.0, elapsed_s - self._last_elapsed)
            known = self._pace.seconds_per_step.get(stage, taken)
            self._pace.seconds_per_step[stage] = 0.5 * known + 0.5 * taken
        self._last_elapsed = elapsed_s
        left = self._steps[stage] - step - 1
        seconds_left = left * self._seconds(stage) + self._pace.finish_s
        if stage == "coarse":
            seconds_left += self._steps["detail"] * self._seconds("detail")
        share = elapsed_s / max(1e-6, elapsed_s + seconds_left)
        # A slower step than expected must not draw the bar backwards.
        self._fraction = min(0.99, max(self._fraction, share))
        message = f"{STAGE_NAMES.get(stage, stage)}: step {step + 1} of {num_steps}"
        return Progress(message, self._fraction, seconds_left)

    def finished(self, elapsed_s: float) -> None:
        """Remember how long the end of the run took, after its last step."""
        if self._last_elapsed is not None:
            self._pace.finish_s = max(0.0, elapsed_s - self._last_elapsed)

    def _seconds(self, stage: str) -> float:
        other = next(iter(self._pace.seconds_per_step.values()), 0.5)
        return self._pace.seconds_per_step.get(stage, other)


def bar_html(progress: Progress | None) -> str:
    """The progress bar as HTML; empty for None."""
    if progress is None:
        return ""
    percent = round(100 * progress.fraction)
    left = "" if progress.seconds_left is None else f"about {max(1, round(progress.seconds_left))} s left"
    return (
        f'<div class="wm-progress" role="progressbar" aria-valuenow="{percent}" aria-valuemin="0" aria-valuemax="100">'
        f'<div class="wm-progress-text"><span>{html.escape(progress.message)}</span><span>{left}</span></div>'
        f'<div class="wm-progress-track"><div class="wm-progress-fill" style="width:{percent}%"></div></div></div>'
    )
