"""What the tab Compare gives its viewer."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
import numpy as np
import pytest
import trimesh

from wavemesh.settings import WaveMeshSettings
from wavemesh.ui.compare.view import _CompareTab
from wavemesh.ui.generate.content import add_pictures, make_job
from wavemesh.ui.studio import Studio

pytestmark = pytest.mark.usefixtures("gradio_without_loops")


def test_a_measured_run_is_seen_with_its_errors_and_its_true_mesh(studio: Studio, pictures: list[Path]) -> None:
    job = make_job(add_pictures([], pictures[:1])[0], True, WaveMeshSettings(coarse_steps=1, detail_steps=1))
    result = list(studio.generate(job, "session"))[-1].result
    assert result is not None
    record = studio.record(result.folder)
    errors = np.linspace(0.0, 0.2, len(record.mesh.vertices))
    with gr.Blocks():
        tab = _CompareTab(studio, gr.State(result.folder))
    truth = trimesh.creation.icosphere(subdivisions=2, radius=0.8)
    told = tab.seen(result.folder, truth, errors)
    mesh = trimesh.load(told["file"]["path"], force="mesh", process=False)
    np.testing.assert_allclose(mesh.vertex_attributes["_ERROR"][:, 0], errors, atol=1e-6)
    assert (told["look"], [measure["key"] for measure in told["measures"]]) == ("error", ["error"])
    before = trimesh.load(told["before"]["file"]["path"], force="mesh")
    assert before.volume == pytest.approx(truth.volume, rel=1e-3)
