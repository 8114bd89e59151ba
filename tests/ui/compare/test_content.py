"""Comparisons: a perfect run scores perfectly, a smaller sphere as geometry says, and truths belong to their runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import trimesh

from tests.ui.conftest import sphere_sdf
from wavemesh.errors import InputError
from wavemesh.geometry.isosurface import sdf_to_mesh
from wavemesh.pipelines.outputs import StepReport
from wavemesh.pipelines.record import Recorder, RunRecord
from wavemesh.settings import WaveMeshSettings
from wavemesh.ui.compare import content as compare
from wavemesh.ui.compare.content import Displacement, job_again, job_without_view, measure, measured_html
from wavemesh.ui.generate.content import example_pictures, make_job
from wavemesh.ui.generate.truth import rendered_pictures, truth_mesh
from wavemesh.ui.studio import Studio

SETTINGS = WaveMeshSettings(coarse_steps=2, detail_steps=1, seed=3)


@pytest.fixture
def sphere_file(tmp_path: Path) -> Path:
    path = tmp_path / "ball.stl"
    trimesh.creation.icosphere(subdivisions=4, radius=3.0).export(path)
    return path


def run_of(studio: Studio, mesh_file: Path, views: int = 3) -> str:
    """The folder of a run from views of the mesh."""
    pictures = rendered_pictures(mesh_file, views, 0.0, 20.0, studio.workspace)
    result = list(studio.generate(make_job(pictures, False, SETTINGS), "session"))[-1].result
    assert result is not None
    return result.folder


def test_views_of_a_mesh_have_its_silhouette_and_its_cameras(sphere_file: Path, studio: Studio) -> None:
    pictures = rendered_pictures(sphere_file, 4, 10.0, 20.0, studio.workspace)
    assert [picture.angles for picture in pictures] == [(10.0, 20.0), (100.0, 20.0), (-170.0, 20.0), (-80.0, 20.0)]
    for picture in pictures:
        alpha = np.asarray(picture.cutout)[..., 3] > 127
        # A sphere of radius 0.9 at distance 4.56: tan(asin(0.9 / 4.56)) * focal of half the side.
        radius = np.tan(np.arcsin(0.9 / 4.56)) / np.tan(np.radians(20.0)) * 128
        assert alpha.sum() == pytest.approx(np.pi * radius**2, rel=0.02)


def test_the_truth_goes_with_the_run(sphere_file: Path, studio: Studio, pictures: list[Path]) -> None:
    mesh = truth_mesh(run_of(studio, sphere_file))
    assert mesh is not None
    assert np.allclose(mesh.extents, 1.8, atol=0.01)
    held = rendered_pictures(sphere_file, 2, 0.0, 0.0, studio.workspace)
    assert make_job(held, False, SETTINGS).origin == held[0].origin
    assert make_job(held, True, SETTINGS).origin is None  # an estimated frame is another one
    other = example_pictures(studio.examples[0])
    assert make_job([*held, *other], False, SETTINGS).origin is None


def test_views_out_of_range(sphere_file: Path, studio: Studio) -> None:
    for views, elevation, words in ((0, 0, "not 0"), (9, 0, "not 9"), (2.5, 0, "not 2.5"), (2, 91, "not 91")):
        with pytest.raises(InputError, match=words):
            rendered_pictures(sphere_file, views, 0, elevation, studio.workspace)


def test_a_run_is_measured_against_the_truth(
    monkeypatch: pytest.MonkeyPatch, sphere_file: Path, studio: Studio
) -> None:
    monkeypatch.setattr(compare, "NUM_POINTS", 2000)
    record = studio.record(run_of(studio, sphere_file))
    # Fields on a grid that IoU can be measured on: too small a sphere, then the true one.
    fields = [sphere_sdf(radius, 64) for radius in (0.6, 0.9)]
    recorder = Recorder()
    for index, field in enumerate(fields):
        recorder(StepReport("triplane", index, 2, 0, 0.0, field, 0, None, 0.0))
    exact = RunRecord(
        record.settings, record.pictures, record.cameras, record.estimated, recorder.steps, None,
        fields[1], sdf_to_mesh(fields[1]),
    )  # fmt: skip
    truth = trimesh.creation.icosphere(subdivisions=4, radius=0.9)
    *_, (message, measured) = measure(exact, truth)
    assert message == "Done"
    assert measured is not None
    small, good = measured.steps
    assert small.iou == pytest.approx((0.6 / 0.9) ** 3, abs=0.03)
    assert small.chamfer == pytest.approx(0.3, abs=0.02)
    assert good.iou > 0.97
    # Two samples of the same surface: how far the next of n random points over an area is on the average.
    assert good.chamfer == pytest.approx(0.5 * np.sqrt(4 * np.pi * 0.9**2 / 2000), rel=0.1)
    assert measured.codec.iou > 0.97
    assert 0.5 < measured.hull.iou <= 1.0  # the fake's pictures are small, its cameras made up
    assert len(measured.errors) == len(exact.mesh.vertices)
    assert 0 < measured.errors.mean() < 0.01
    far = compare.Truth.of_mesh(truth).errors(np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]))
    assert far == pytest.approx([0.1, 0.9], abs=0.005)
    html = measured_html(measured)
    assert html.count("<svg") == 3
    assert "Visual hull" in html
    assert "2,000 points" in html


def test_measuring_thousands_of_steps_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    truth = SimpleNamespace(scores=lambda field, mesh=None: field)
    monkeypatch.setattr(compare.Truth, "of_mesh", lambda mesh: truth)
    monkeypatch.setattr(compare, "MAX_CPU_S", -1.0)
    looked_at: list[int] = []
    record = SimpleNamespace(steps=[None] * 2000, field=lambda index: looked_at.append(index))
    with pytest.raises(InputError, match="the 2000 steps of this run takes too long"):
        list(measure(record, trimesh.creation.box()))
    assert looked_at == [0]  # one of them tells how long all would take


def test_a_run_is_made_again_with_other_settings(sphere_file: Path, studio: Studio, pipeline: Any) -> None:
    record = studio.record(run_of(studio, sphere_file))
    job = job_again(replace(record, settings=replace(record.settings, frames=4)), guidance_scale=4.0)
    list(studio.generate(job, "again"))
    first, second = pipeline.calls
    assert second["guidance_scale"] == 4.0
    assert (first["frames"], second["frames"]) == (1, 4)
    assert second["seed"] == first["seed"] == 3
    assert (second["coarse_steps"], second["detail_steps"]) == (2, 1)
    assert [view.camera for view in second["views"]] == record.cameras
    fewer = job_without_view(record, 2)
    assert [view.camera for view in fewer.prepared] == [record.cameras[0], record.cameras[2]]
    for number in (0, 4):
        with pytest.raises(InputError, match=f"views 1 to 3, not {number}"):
            job_without_view(record, number)
    with pytest.raises(InputError, match="one picture only"):
        job_without_view(studio.record(run_of(studio, sphere_file, 1)), 1)


def test_displacement_has_the_sign_of_growth() -> None:
    large, small = (trimesh.creation.icosphere(subdivisions=3, radius=radius) for radius in (0.6, 0.5))
    grown = Displacement.between(large, small)
    assert grown.distances.mean() == pytest.approx(0.1, abs=0.01)
    picture = grown.picture(0.0, 0.0)
    seen = picture[picture[..., 3] > 200].astype(int)
    assert (seen[:, 0] > seen[:, 2]).mean() > 0.9  # red
    sunk = Displacement.between(small, large)
    assert sunk.distances.mean() == pytest.approx(-0.1, abs=0.01)
    assert "Mean displacement 0.1" in grown.words()
