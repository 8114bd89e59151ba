"""What the page shows of a run while it goes on: the strip of its shapes, curves and counts, told as HTML."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.pipelines.conftest import new_tiny_pipeline
from wavemesh.diffusion import samplers
from wavemesh.settings import WaveMeshSettings
from wavemesh.ui.generate.content import add_pictures, make_job
from wavemesh.ui.studio import Studio
from wavemesh.ui.widgets.line_plot import line_plot
from wavemesh.ui.widgets.slices import cells_picture, upright
from wavemesh.ui.widgets.strip import MAX_FRAMES, Watch, filmstrip, noise_picture, shown_steps


def test_the_watch_tells_frames_curves_and_counts(studio: Studio, pictures: list[Path]) -> None:
    held, _ = add_pictures([], pictures[:1])
    watch = Watch()
    assert watch.html() == ""
    for update in studio.generate(
        make_job(held, True, WaveMeshSettings(coarse_steps=4, detail_steps=2, seed=1)), "session"
    ):
        watch.add(update.measured)
        if len(watch.steps) == 3:
            assert "<polyline" not in watch.html()  # three points are no curve
    html = watch.html()
    assert html.count("<polyline") == 4  # two drawings, a line for each stage
    assert "<b>7</b> active sites" in html
    assert [step.change is None for step in watch.steps] == [True, *[False] * 5]
    assert all(step.coefficients is None and step.field is None for step in watch.steps)  # crosses a process border


def test_a_finished_run_has_a_strip_of_buttons_for_steps_that_lie_evenly(studio: Studio, pictures: list[Path]) -> None:
    held, _ = add_pictures([], pictures[:1])
    job = make_job(held, True, WaveMeshSettings(coarse_steps=18, detail_steps=2))
    *_, last = studio.generate(job, "session")
    record = studio.record(last.result.folder)
    strip = Watch.of_record(record).html()
    assert strip.count("<button") == MAX_FRAMES
    assert strip.count("data:image/webp;base64,") == MAX_FRAMES + 2
    assert [int(step) for step in re.findall(r'data-viewer-step="(\d+)"', strip)] == shown_steps(record)
    assert shown_steps(record)[0] == 0
    assert shown_steps(record)[-1] == 19
    # Noise comes first, the mesh last.
    names = re.findall(r"<span>([a-z]+ ?\d*)</span></(?:button|figure)>", strip)
    assert (names[0], names[1], names[-2], names[-1]) == ("noise", "coarse 1", "detail 2", "finished")
    assert ">coarse 1<" in strip
    assert ">detail 2<" in strip
    assert filmstrip([]) == ""


def test_the_noise_of_the_strip_is_that_of_the_run(
    examples_folder: Path, pictures: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told by what its sampler gets."""
    begun: list[np.ndarray] = []
    sample = samplers.sample

    def noting(model: Any, diffusion: Any, x_T: Any, *others: Any, **options: Any) -> Any:
        if isinstance(x_T, torch.Tensor):
            begun.append(x_T.numpy())
        return sample(model, diffusion, x_T, *others, **options)

    monkeypatch.setattr(samplers, "sample", noting)
    (tmp_path / "workspace").mkdir()
    real = Studio({"wavemesh": new_tiny_pipeline}, tmp_path / "workspace", examples_folder)
    settings = WaveMeshSettings(coarse_steps=1, detail_steps=1, frames=2, seed=5)
    job = make_job(add_pictures([], pictures[:1])[0], True, settings)
    *_, last = real.generate(replace(job, settings=replace(settings, resolution=32)), "session")
    drawn = noise_picture(real.record(last.result.folder))
    noise = begun[0][0, 0]
    np.testing.assert_array_equal(drawn, cells_picture(upright(noise[:, :, len(noise) // 2], 2), 3.0))


def test_a_plot_is_drawn_to_scale_and_told_in_words() -> None:
    svg = line_plot("A <b>", [("one", [None, 1.0, 2.0]), ("two", [4.0])], levels=[("hull", 3.0)])
    assert "A &lt;b&gt;" in svg
    assert 'aria-label="A &lt;b&gt;: one 2, two 4, hull 3"' in svg
    points = svg.split('wm-line-0" points="')[1].split('"')[0].split()
    (x1, y1), (x2, y2) = (tuple(map(float, point.split(","))) for point in points)
    assert x1 < x2
    base = float(svg.split('class="wm-axis" x1="8" y1="')[1].split('"')[0])
    assert (base - y2) == pytest.approx(2 * (base - y1), abs=0.2)
    assert np.isclose(base - y2, (base - 16) / 2, atol=0.2)  # two of four
