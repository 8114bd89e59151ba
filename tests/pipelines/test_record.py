"""Records: what a run leaves is what it showed, before and after a trip to the disk."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.models.triplane_ball import ball_renderer
from wavemesh.geometry.camera import Camera
from wavemesh.pipelines import StepReport, View, WaveMeshPipeline
from wavemesh.pipelines.outputs import TriplaneOutput
from wavemesh.pipelines.record import Recorder, RunRecord, field_change, full_precision
from wavemesh.settings import TriplaneSettings


def recorded(pipeline: WaveMeshPipeline, picture: Image.Image, **settings: Any) -> tuple[RunRecord, list[StepReport]]:
    """A run with its reports."""
    recorder, reports = Recorder(), []

    def watch(report: StepReport) -> None:
        reports.append(report)
        recorder(report)

    views = [View(picture, Camera(30.0, 20.0)), picture]
    output = pipeline(views, (3, 2), guidance_scale=2.0, callback=watch, **settings)
    return recorder.record(output), reports


def test_every_step_decodes_to_what_was_reported(tiny_pipeline: WaveMeshPipeline, ellipse: Image.Image) -> None:
    record, reports = recorded(tiny_pipeline, ellipse)
    assert [(s.stage, s.step) for s in record.steps] == [(r.stage, r.step) for r in reports]
    for index, report in enumerate(reports):
        field = record.field(index)
        assert field.dtype == np.float32
        assert field.shape == report.sdf.shape
        # Half precision of values up to about ten in the tiny random network.
        assert np.abs(field - report.sdf).max() < 2e-3 * max(1.0, float(np.abs(report.sdf).max()))
    assert record.steps[0].guidance_norm is not None
    assert record.steps[-1].guidance_norm is None


def test_change_is_the_rms_of_the_difference(tiny_pipeline: WaveMeshPipeline, ellipse: Image.Image) -> None:
    record, reports = recorded(tiny_pipeline, ellipse)
    assert record.steps[0].change is None
    expected = np.sqrt(np.mean((reports[1].sdf.astype(np.float64) - reports[0].sdf) ** 2))
    assert record.steps[1].change == pytest.approx(expected, rel=1e-5)
    # From the coarse to the fine grid: eight cells of one against one of the other.
    coarse, fine = np.zeros((2, 2, 2), np.float32), np.zeros((4, 4, 4), np.float32)
    fine[:2, :2, :2] = 1.0
    assert field_change(coarse, fine) == pytest.approx(np.sqrt(1 / 8))
    assert field_change(fine, coarse) == pytest.approx(np.sqrt(1 / 8))


def test_a_record_tells_how_its_pictures_were_cut_out(
    tiny_pipeline: WaveMeshPipeline, ellipse: Image.Image, tmp_path: Path
) -> None:
    recorder = Recorder()
    cut = ellipse.crop((ellipse.width // 2, 0, ellipse.width, ellipse.height))
    output = tiny_pipeline([View(cut, cut_by="hand"), ellipse], (1, 1), callback=recorder)
    again = RunRecord.load(recorder.record(output).save(tmp_path))
    assert again.cut_by == ["hand", "alpha"]
    assert [len(notes) for notes in again.notes] == [1, 0]
    assert "touches the left border" in again.notes[0][0]
    assert [(view.cut_by, list(view.notes)) for view in again.views()] == list(
        zip(again.cut_by, again.notes, strict=True)
    )
    with pytest.raises(ValueError, match="tells of 1 cut-outs of 2 pictures"):
        RunRecord.from_parts({**again.facts(), "cut_by": ["hand"]}, again.arrays(), again.pictures)


def test_a_record_survives_the_disk(tiny_pipeline: WaveMeshPipeline, ellipse: Image.Image, tmp_path: Path) -> None:
    record, _ = recorded(tiny_pipeline, ellipse)
    again = RunRecord.load(record.save(tmp_path / "a" / "record"))
    assert json.dumps(again.facts()) == json.dumps(record.facts())
    assert again.cameras == record.cameras
    assert again.estimated == [False, True]
    assert np.array_equal(again.sdf, record.sdf)
    assert np.array_equal(again.mesh.vertices, record.mesh.vertices)
    assert np.array_equal(again.mesh.faces, record.mesh.faces)
    assert np.array_equal(again.mesh.visual.vertex_colors, record.mesh.visual.vertex_colors)
    assert all(np.array_equal(a, b) for a, b in zip(again.pictures, record.pictures, strict=True))
    assert again.coefficients is not None
    assert record.coefficients is not None
    assert torch.equal(again.coefficients.to_sdf(), record.coefficients.to_sdf())
    for index in range(len(record.steps)):
        assert np.array_equal(again.field(index), record.field(index))


def test_sides_and_the_front_survive_the_disk(
    tiny_pipeline: WaveMeshPipeline, ellipse: Image.Image, tmp_path: Path
) -> None:
    recorder = Recorder()
    sided = recorder.record(tiny_pipeline([View(ellipse, side="back"), ellipse], 1))
    again = RunRecord.load(sided.save(tmp_path / "sided"))
    assert again.sides == ["back", None]
    assert [view.side for view in again.views()] == ["back", None]
    assert again.front_deg == 0.0
    alone = recorder.record(tiny_pipeline([ellipse], 1))
    assert RunRecord.load(alone.save(tmp_path / "alone")).front_deg == alone.cameras[0].azimuth_deg
    # The mesh is turned so that the picture is its front, and the camera along with it.
    assert alone.first_view == replace(alone.cameras[0], azimuth_deg=0.0)
    assert sided.first_view == sided.cameras[0]

    facts = alone.facts()
    older = {name: value for name, value in facts.items() if name not in ("sides", "front_deg")}
    before = RunRecord.from_parts(older, alone.arrays(), alone.pictures)
    assert (before.sides, before.front_deg) == ([], 0.0)
    assert [view.side for view in before.views()] == [None]
    for changed in ({"sides": ["north"]}, {"front_deg": float("nan")}):
        with pytest.raises(ValueError, match=r"north|nan"):
            RunRecord.from_parts({**facts, **changed}, alone.arrays(), alone.pictures)


def test_the_recorded_views_make_the_same_mesh(tiny_pipeline: WaveMeshPipeline, ellipse: Image.Image) -> None:
    record, _ = recorded(tiny_pipeline, ellipse)
    again = tiny_pipeline(record.views(), (3, 2), guidance_scale=2.0)
    assert np.array_equal(again.mesh.vertices, record.mesh.vertices)
    assert np.array_equal(again.mesh.visual.vertex_colors, record.mesh.visual.vertex_colors)
    assert [view.estimated for view in again.views] == [False, True]


def test_a_method_without_coefficients_keeps_its_fields(
    tiny_pipeline: WaveMeshPipeline, ellipse: Image.Image, tmp_path: Path
) -> None:
    made = tiny_pipeline([View(ellipse, Camera())], 1)
    recorder = Recorder()
    sdf = np.linspace(-0.09, 0.09, 512, dtype=np.float32).reshape(8, 8, 8)
    recorder(StepReport("triplane", 0, 1, 999, 1.0, sdf, 0, None, 0.1))
    details = np.arange(3 * 3 * 2 * 16, dtype=np.float32).reshape(3, 3, 2, 4, 4)
    output = TriplaneOutput(
        mesh=made.mesh,
        sdf=made.sdf,
        views=made.views,
        settings=TriplaneSettings(),
        triplane_ll=np.ones((3, 2, 4, 4), np.float32),
        triplane_details=details,
        triplane_highres=np.zeros((3, 2, 8, 8), np.float32),
        renderer=ball_renderer(),
    )
    record = RunRecord.load(recorder.record(output).save(tmp_path))
    assert record.method == "triplane"
    assert np.abs(record.field(0) - sdf).max() < 1e-4
    assert record.triplane is not None
    assert np.array_equal(record.triplane.details, details)


def test_full_precision_can_be_computed_with(tiny_pipeline: WaveMeshPipeline, ellipse: Image.Image) -> None:
    record, _ = recorded(tiny_pipeline, ellipse)
    last = record.steps[-1].coefficients
    assert last is not None
    assert last.features.dtype == torch.float16
    full = full_precision(last)
    assert (full.features.dtype, full.coords.dtype) == (torch.float32, torch.int64)
    assert record.coefficients is not None
    assert torch.equal(full.coords, record.coefficients.coords)
