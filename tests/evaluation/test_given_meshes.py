"""Meshes of another system: their row, what counts as empty, and our metrics against an independent implementation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import trimesh
from scipy.spatial import KDTree

from wavemesh.errors import InputError
from wavemesh.evaluation import given_meshes
from wavemesh.evaluation.evaluate import evaluate, score_prediction
from wavemesh.evaluation.given_meshes import GivenMeshes, signed_distances
from wavemesh.evaluation.metrics import compare_surfaces
from wavemesh.evaluation.plan import Prediction
from wavemesh.evaluation.samples import EvaluationSample, ground_truth
from wavemesh.geometry.sdf import SurfacePoints

OPTIONS = {"views": (1,), "seeds": 1, "num_points": 1500, "jobs": 1, "baselines": False, "cameras": ("known",)}
RADII = {"a": 0.45, "b": 0.65}  # of the shapes in memory


def ball(radius: float, centre: tuple[float, float, float] = (0, 0, 0)) -> trimesh.Trimesh:
    mesh = trimesh.creation.icosphere(subdivisions=4, radius=radius)
    mesh.apply_translation(centre)
    return mesh


@pytest.fixture
def ball_grids(monkeypatch: pytest.MonkeyPatch, sphere) -> None:
    """Grids of balls at once, where what is scored matters and not how the grid of a mesh is made."""

    def grid(mesh: trimesh.Trimesh, resolution: int) -> np.ndarray:
        if not np.isfinite(mesh.vertices).all():
            raise InputError("not finite")
        centre = mesh.bounds.mean(axis=0)
        return sphere(float(mesh.extents.max()) / 2.0, tuple(centre), resolution)

    monkeypatch.setattr(given_meshes, "mesh_to_sdf", grid)


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """The true shapes in two formats, and a file that belongs to nothing."""
    folder = tmp_path / "their meshes"
    folder.mkdir()
    ball(RADII["a"]).export(folder / "a.glb")
    ball(RADII["b"]).export(folder / "b.ply")
    ball(0.9).export(folder / "other.stl")
    return folder


@pytest.mark.usefixtures("memory_data", "ball_grids")
def test_true_meshes_score_like_the_truth_without_weights(theirs: Path, tmp_path: Path) -> None:
    options = {
        **OPTIONS,
        "num_points": 4000,
        "out_dir": tmp_path / "out",
    }  # with fewer even the truth has no F-score of 1
    report = evaluate(None, "data", meshes=GivenMeshes(theirs, "Theirs"), **options)
    assert [(row.name, row.views, row.count) for row in report.rows] == [("Theirs", 1, 2)]
    scores = report.row("Theirs", 1).scores
    assert scores["iou"].mean > 0.99
    assert scores["f_score_005"].mean > 0.99
    assert scores["normal_consistency"].mean > 0.98
    assert scores["chamfer"].mean < 0.03, "no more than the distance of points of one surface"
    assert report.header["weights"] == "none"
    assert report.header["meshes of Theirs"].startswith("2 of 2 shapes")
    table = (tmp_path / "out" / "report.md").read_text("utf-8")
    assert "### 1 view" in table
    assert "| Theirs |" in table


@pytest.mark.usefixtures("memory_data", "ball_grids")
def test_their_row_stands_beside_ours_and_follows_their_files(theirs: Path, tmp_path: Path, fake_pipeline) -> None:
    meshes = GivenMeshes(theirs, "Theirs")
    options = {**OPTIONS, "out_dir": tmp_path / "out"}
    report = evaluate(fake_pipeline, "data", meshes=meshes, **options)
    assert [row.name for row in report.rows][-1] == "Theirs"
    assert "WaveMesh" in {row.name for row in report.rows}
    calls = len(fake_pipeline.calls)
    ball(0.3).export(theirs / "a.glb")
    again = evaluate(fake_pipeline, "data", meshes=meshes, **options)
    assert len(fake_pipeline.calls) == calls
    assert again.shapes["a"]["Theirs / 1"]["iou"] == pytest.approx((0.3 / 0.45) ** 3, abs=0.02)
    with pytest.raises(InputError, match=r"has a row 'WaveMesh' already; choose another name"):
        evaluate(fake_pipeline, "data", meshes=GivenMeshes(theirs, "WaveMesh"), **options)


@pytest.mark.usefixtures("memory_data", "ball_grids")
@pytest.mark.parametrize("content", [None, b"", b"v 0 0 0\n", b"v nan 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"])
def test_a_shape_without_a_sound_file_counts_as_empty(theirs: Path, tmp_path: Path, content: bytes | None) -> None:
    (theirs / "b.ply").unlink()
    if content is not None:
        (theirs / "b.obj").write_bytes(content)
    report = evaluate(None, "data", out_dir=tmp_path / "out", meshes=GivenMeshes(theirs, "Theirs"), **OPTIONS)
    scores = report.shapes["b"]["Theirs / 1"]
    assert (scores["iou"], scores["f_score_005"]) == (0.0, 0.0)
    assert report.shapes["a"]["Theirs / 1"]["iou"] > 0.99
    assert report.header["without a surface, scored 0"] == "Theirs / 1: 1"


@pytest.mark.usefixtures("memory_data", "ball_grids")
def test_frames(theirs: Path, tmp_path: Path) -> None:
    """A ball to the right of the truth's, at half its size: wrong as it stands, right in its box."""
    for key, radius in RADII.items():
        for path in theirs.glob(f"{key}.*"):
            path.unlink()
        ball(radius / 2, (0.2, 0.0, 0.0)).export(theirs / f"{key}.obj")
    found = {}
    for frame in ("known", "turned", "boxed"):
        given = GivenMeshes(theirs, "Theirs", frame)
        (row,) = evaluate(None, "data", out_dir=tmp_path / "out", meshes=given, **OPTIONS).rows
        found[frame] = row.scores["iou"].mean
    assert found["known"] == found["turned"] == pytest.approx(1 / 8, abs=0.02)
    # The truths do not fill the box of side 1.8 here, so the boxed balls have the radius 0.9.
    assert found["boxed"] == pytest.approx(((0.45 / 0.9) ** 3 + (0.65 / 0.9) ** 3) / 2, abs=0.02)


def test_what_cannot_be_compared_is_refused(theirs: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"their meshes holds no mesh that is named by a key .*, such as chair-1.glb"):
        GivenMeshes(theirs, "Theirs").files(["chair-1", "chair-2"])
    ball(0.2).export(theirs / "a.obj")
    with pytest.raises(InputError, match=r"holds two meshes of a shape: a.glb and a.obj"):
        GivenMeshes(theirs, "Theirs").files(["a"])
    with pytest.raises(InputError, match="There is no folder of meshes"):
        GivenMeshes(tmp_path / "gone", "Theirs")
    for name in ("", "a|b", "a\nb"):
        with pytest.raises(InputError, match="cannot be called"):
            GivenMeshes(theirs, name)
    with pytest.raises(InputError, match=r"one of known, turned, boxed, not 'any'"):
        GivenMeshes(theirs, "Theirs", "any")


@pytest.mark.usefixtures("memory_data")
def test_nothing_to_evaluate_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing to evaluate"):
        evaluate(None, "data", out_dir=tmp_path, **OPTIONS)


def test_a_mesh_beyond_the_grid_is_cut_by_it(ball_grids, sphere) -> None:
    grid = signed_distances(ball(1.0, (0.8, 0.0, 0.0)), 64)
    expected = sphere(1.0, (0.8, 0.0, 0.0), 64)
    assert grid.shape == expected.shape
    assert ((grid < 0) == (expected < 0)).mean() > 0.995
    np.testing.assert_array_equal(signed_distances(ball(0.5), 64), sphere(0.5, (0.0, 0.0, 0.0), 64))


def sampled(mesh: trimesh.Trimesh, seed: int) -> SurfacePoints:
    points, faces = trimesh.sample.sample_surface(mesh, 20_000, seed=seed)
    return SurfacePoints(points.astype(np.float32), mesh.face_normals[faces].astype(np.float32))


def test_our_metrics_agree_with_an_independent_implementation() -> None:
    truth = trimesh.creation.box((1.8, 1.0, 0.7))
    predicted = trimesh.creation.capsule(height=0.8, radius=0.4)
    predicted.apply_translation((0.05, -0.1, 0.0))
    ours, theirs = sampled(truth, 0), sampled(predicted, 1)
    compared = compare_surfaces(theirs, ours)
    # Chamfer-L1, Hausdorff, F-score and normals by their formulas, over the same points.
    there, of_truth = KDTree(ours.points).query(theirs.points)
    back, of_predicted = KDTree(theirs.points).query(ours.points)
    assert compared.chamfer == pytest.approx((there.mean() + back.mean()) / 2, abs=1e-3)
    assert compared.hausdorff == pytest.approx(max(there.max(), back.max()), abs=1e-3)
    for distance in (0.01, 0.02, 0.05):
        precision, recall = (there < distance).mean(), (back < distance).mean()
        assert compared.f_score(distance) == pytest.approx(2 * precision * recall / (precision + recall), abs=1e-3)
    cosines = [
        np.abs((theirs.normals * ours.normals[of_truth]).sum(axis=1)).mean(),
        np.abs((ours.normals * theirs.normals[of_predicted]).sum(axis=1)).mean(),
    ]
    assert compared.normal_consistency == pytest.approx(np.mean(cosines), abs=1e-3)


@pytest.mark.slow
def test_a_true_mesh_scores_near_one_through_the_whole_code() -> None:
    """No part replaced: reading apart, what `evaluate` does with the true mesh of a shape."""
    mesh = trimesh.creation.torus(0.6, 0.3)
    grid = signed_distances(mesh, 64)
    truth = ground_truth(EvaluationSample("torus", "", grid, [], [], mesh), 10_000)
    scores = score_prediction(Prediction(grid, mesh), truth, 10_000)
    assert truth.source == "mesh"
    assert scores.iou == 1.0
    assert scores.f_score_005 > 0.999
    assert scores.normal_consistency > 0.98
