"""What the page shows of a run below its shape: curves, counts, and in the end a strip of the shapes between.

All of it is HTML with pictures and drawings inside: small, themed by the page's own colours, and testable as text.
"""

from __future__ import annotations

import base64
import html
import io
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image

from wavemesh.geometry.frame import beside
from wavemesh.ui.widgets.line_plot import line_plot
from wavemesh.ui.widgets.painting import paint_field, paint_mesh
from wavemesh.ui.widgets.slices import cells_picture, upright

if TYPE_CHECKING:
    from wavemesh.pipelines.record import RunRecord, StepRecord

FRAME_SIDE = 96
MAX_FRAMES = 12
_NOISE_LIMIT = 3.0  # standard deviations, where its colours end
_LEAST_OF_A_CURVE = 4  # steps of a stage; fewer are points
_STAGE_WORDS = {"coarse": "coarse", "detail": "detail", "triplane": "planes"}


class Frame(NamedTuple):
    """A picture of the strip: its name, the picture as a URI, and the step after which the shape was so."""

    name: str
    uri: str
    step: int


class Ends(NamedTuple):
    """What stands before the first step and after the last, as URIs: noise ("" where the method has none), the mesh."""

    noise: str
    mesh: str


class Watch:
    """Collects a run's steps, and tells them as HTML; in the end with the shape after each."""

    def __init__(self) -> None:
        self.steps: list[StepRecord] = []
        self._frames: list[Frame] = []
        self._ends: Ends | None = None

    @classmethod
    def of_record(cls, record: RunRecord) -> Watch:
        """The steps of a finished run, drawn from its record: while it ran, drawing gave way to the model."""
        watch = cls()
        watch.steps = record.steps
        look = beside(record.cameras[0].azimuth_deg, record.cameras[0].elevation_deg)
        for index in shown_steps(record):
            picture = paint_field(record.field(index), *look, FRAME_SIDE)
            if picture is not None:
                watch._frames.append(Frame(step_name(record.steps[index]), data_uri(picture), index))
        noise = noise_picture(record)
        mesh = paint_mesh(record.mesh, *look, FRAME_SIDE, in_clay=False)
        watch._ends = Ends("" if noise is None else data_uri(noise), data_uri(mesh))
        return watch

    def add(self, step: StepRecord | None) -> None:
        """Take in what one update brought."""
        if step is not None:
            self.steps.append(step)

    def html(self) -> str:
        """The strip, the curves and the counts of the newest step; empty before the first."""
        if not self.steps:
            return ""
        strip = filmstrip(self._frames, self._ends)
        return f'<div class="wm-watch">{strip}{curves(self.steps)}{counts(self.steps[-1])}</div>'


def shown_steps(record: RunRecord) -> list[int]:
    """The steps of a run that are shown: of many, some that lie evenly, the first and the last among them."""
    count = len(record.steps)
    return [int(place) for place in np.linspace(0, count - 1, min(count, MAX_FRAMES)).round()]


def step_name(step: StepRecord) -> str:
    """What the page calls a step."""
    return f"{_STAGE_WORDS.get(step.stage, step.stage)} {step.step + 1}"


def data_uri(picture: np.ndarray, side: int = FRAME_SIDE) -> str:
    """A picture (s, s, 4) uint8 as a small WebP inside a URI."""
    image = Image.fromarray(picture)
    image.thumbnail((side, side))
    content = io.BytesIO()
    image.save(content, "WEBP", quality=80, method=2)
    return f"data:image/webp;base64,{base64.b64encode(content.getvalue()).decode()}"


def noise_picture(record: RunRecord) -> np.ndarray | None:
    """A cut (s, s, 3) uint8 from the front through the noise in which the run found its smooth band; zero grey.

    Of several frames it is that of the first; what deviation the weights give it is left out. Noise has no surface to
    show. None for a run without coefficients.
    """
    import torch

    if record.coefficients is None:
        return None
    side = record.coefficients.approximation.shape[-1]
    # As the pipeline draws it, whose first band is this one.
    noise = torch.randn((8, side, side, side), generator=torch.Generator().manual_seed(record.settings.seed or 0))[0]
    return cells_picture(upright(noise[:, :, side // 2].numpy(), 2), _NOISE_LIMIT)


def filmstrip(frames: Sequence[Frame], ends: Ends | None = None) -> str:
    """A row of named pictures, each a button that lets the viewer show its shape; empty without any.

    ends: pictures before and behind them, which are no buttons.
    """
    if not frames:
        return ""
    figures = "".join(
        f'<button type="button" data-viewer-step="{frame.step}" title="Show this shape above">'
        f'<img src="{frame.uri}" alt="The shape after step {html.escape(frame.name)}">'
        f"<span>{html.escape(frame.name)}</span></button>"
        for frame in frames
    )
    noise = _end(ends.noise, "noise", "A cut through the noise that the run began with") if ends and ends.noise else ""
    mesh = _end(ends.mesh, "finished", "The finished mesh") if ends else ""
    return f'<div class="wm-film" role="group" aria-label="The shape after each step">{noise}{figures}{mesh}</div>'


def _end(uri: str, name: str, words: str) -> str:
    return f'<figure title="{words}"><img src="{uri}" alt="{words}"><span>{name}</span></figure>'


def curves(steps: Sequence[StepRecord], marked: int | None = None, more: str = "") -> str:
    """Noise level and step change over the steps, each in a small drawing, a line for each stage; of a few steps none.

    marked: a step to draw a line at. more: further drawings beside them.
    """
    if max(Counter(step.stage for step in steps).values(), default=0) < _LEAST_OF_A_CURVE:
        return f'<div class="wm-curves">{more}</div>' if more else ""
    noise = line_plot("Noise level", _by_stage(steps, "noise_level"), top=1.0, marked=marked)
    words = "how much a step changed the predicted field, root mean square"
    known = any(step.change is not None for step in steps)
    change = line_plot("Change by step", _by_stage(steps, "change"), marked=marked, words=words) if known else ""
    return f'<div class="wm-curves">{noise}{change}{more}</div>'


def _by_stage(steps: Sequence[StepRecord], name: str) -> list[tuple[str, list[float | None]]]:
    """A series for each stage, since every stage begins from noise again; named where there are several."""
    stages = list(dict.fromkeys(step.stage for step in steps))
    return [
        (
            _STAGE_WORDS.get(stage, stage) if len(stages) > 1 else "",
            [getattr(step, name) if step.stage == stage else None for step in steps],
        )
        for stage in stages
    ]


def counts(step: StepRecord) -> str:
    """One line about a step: its active coefficients and, where it was guided, how strongly."""
    parts = [f"<b>{step.active_sites:,}</b> active sites (7 fine coefficients each)"]
    if step.stage == "triplane":
        parts = [f"<b>{step.active_sites:,}</b> sites on the planes"]
    if step.guidance_norm is not None:
        parts.append(f"guidance moved the prediction by {step.guidance_norm:.3g}")
    return f'<p class="wm-note wm-counts">{", ".join(parts)}</p>'
