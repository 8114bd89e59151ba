"""What a recorded step of a finished run looks like: its shape, slices of its field and bands, its numbers.

Everything is decoded from the record; no model is evaluated. Heavy imports stay inside the functions.
"""

from __future__ import annotations

import base64
import html
import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from wavemesh.errors import InputError
from wavemesh.geometry.frame import beside
from wavemesh.ui.widgets.colours import diverging
from wavemesh.ui.widgets.line_plot import line_plot
from wavemesh.ui.widgets.painting import paint_field
from wavemesh.ui.widgets.slices import colour_limit, upright
from wavemesh.ui.widgets.strip import curves

if TYPE_CHECKING:
    import trimesh

    from wavemesh.pipelines.record import RunRecord, StepRecord

AXES = ("x", "y", "z")
_STAGES = {"coarse": "Coarse stage", "detail": "Detail stage", "triplane": "Planes"}


def recorded_step(record: RunRecord, index: int) -> StepRecord:
    """A step of the run; InputError for one that there is not."""
    if not 0 <= index < len(record.steps):
        raise InputError(f"The run has the steps 1 to {len(record.steps)}, not {index + 1}.")
    return record.steps[index]


def step_picture(record: RunRecord, index: int, side: int = 420) -> np.ndarray | None:
    """The predicted shape of a step in clay (s, s, 4) uint8, from beside the first camera; None without a surface."""
    recorded_step(record, index)
    camera = record.cameras[0]
    return paint_field(record.field(index), *beside(camera.azimuth_deg, camera.elevation_deg), side)


def step_mesh(record: RunRecord, index: int) -> trimesh.Trimesh:
    """The predicted surface of a step; InputError where it has none."""
    from wavemesh.geometry.isosurface import sdf_to_mesh
    from wavemesh.geometry.mesh import facing

    recorded_step(record, index)
    return facing(sdf_to_mesh(record.field(index)), record.front_deg)


def guidance_strengths(record: RunRecord) -> list[float | None]:
    """|cond - uncond| of each step, root mean square; None where the step was not guided."""
    # What guidance adds is (scale - 1) times the difference.
    gain = abs((record.settings.guidance_scale or 0.0) - 1.0)
    norms = [step.guidance_norm for step in record.steps]
    return [None if norm is None or gain == 0.0 else norm / gain for norm in norms]


def step_facts(record: RunRecord, index: int) -> dict[str, float | int | str | None]:
    """The numbers of a step by name, as JSON carries them."""
    step = recorded_step(record, index)
    names = ("stage", "step", "num_steps", "t", "noise_level", "change", "active_sites", "elapsed_s")
    return {**{name: getattr(step, name) for name in names}, "guidance_strength": guidance_strengths(record)[index]}


def facts_html(record: RunRecord, index: int) -> str:
    """The numbers of a step as a list of terms, with the curves of the whole run."""
    step = recorded_step(record, index)
    strengths = guidance_strengths(record)
    rows = [
        ("Stage", f"{_STAGES.get(step.stage, step.stage)}, step {step.step + 1} of {step.num_steps}", ""),
        ("Timestep", str(step.t), "From the last of the schedule (pure noise) down to 0."),
        ("Noise level", f"{step.noise_level:.3f}", "Share of noise in what the network was given."),
        ("Change", _told(step.change), "How much this step changed the predicted field, root mean square."),
        ("Active sites", f"{step.active_sites:,}", "Places that hold fine wavelet coefficients."),
        ("|cond − uncond|", _told(strengths[index], "not guided"), "How far the pictures pull the prediction."),
    ]
    terms = "".join(
        f'<div title="{html.escape(hint)}"><dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd></div>'
        for name, value, hint in rows
    )
    pull = ""
    if any(strength is not None for strength in strengths):
        words = "how far the pictures pull the prediction"
        pull = line_plot("|cond − uncond|", [("", strengths)], marked=index, words=words)
    return f'<div class="wm-step-facts"><dl>{terms}</dl>{curves(record.steps, index, pull)}</div>'


def slices_html(record: RunRecord, index: int, axis: str, position: float) -> str:
    """Slices of a step's field and of its bands across an axis, as small pictures with names, grouped by scale."""
    groups = []
    for title, pictures in slices(record, index, axis, position):
        figures = "".join(
            f'<figure><img src="{_uri(picture)}" alt="{html.escape(name)}"><figcaption>{html.escape(name)}</figcaption>'
            "</figure>"
            for name, picture in pictures
        )
        groups.append(f'<div class="wm-note">{html.escape(title)}</div><div class="wm-slices">{figures}</div>')
    return "".join(groups)


def slices(record: RunRecord, index: int, axis: str, position: float) -> list[tuple[str, list[tuple[str, np.ndarray]]]]:
    """Groups of named pictures (n, n, 3) uint8: the field, and each level of bands, with one colour scale a group.

    axis: "x", "y" or "z". position: world, -1 to 1. Blue is negative (inside, for the field), red positive. Across x
    the picture shows z to the right and y up, across y it looks from above, across z from the front.
    """
    if axis not in AXES:
        raise InputError(f"The axis must be one of {', '.join(AXES)}, not {axis!r}.")
    if not -1.0 <= position <= 1.0:
        raise InputError(f"The position of a slice must lie between -1 and 1, not {position}.")
    step = recorded_step(record, index)
    across = AXES.index(axis)
    field = record.field(index)
    cell = min(len(field) - 1, int((position + 1.0) / 2.0 * len(field)))
    cut = upright(np.take(field, cell, axis=across), across)
    limit = float(np.abs(field).max())
    groups = [(f"Predicted field, blue inside, ±{limit:.2g}", [("field", diverging(cut, limit))])]
    if step.coefficients is None:
        return groups
    from wavemesh.pipelines.record import full_precision
    from wavemesh.wavelets.editing import BANDS, band_slice

    coefficients = full_precision(step.coefficients)
    for level in (2, 1):
        if level == 1 and not len(coefficients.coords):
            continue
        bands = [band for band in BANDS if band.level == level and band.key != "aaa"]
        cuts = [(band.label, band_slice(coefficients, band, across, position).numpy()) for band in bands]
        limit = colour_limit(np.stack([values for _, values in cuts]))
        pictures = [(name, diverging(upright(values, across), limit)) for name, values in cuts]
        groups.append((f"Details of level {level}, ±{limit:.2g}", pictures))
    return groups


def _uri(picture: np.ndarray) -> str:
    content = io.BytesIO()
    Image.fromarray(picture).save(content, "PNG", compress_level=3)
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"


def _told(value: float | None, otherwise: str = "the first step has none") -> str:
    return otherwise if value is None else f"{value:.3g}"
