"""The triplane system in an evaluation, on a ball whose triplane and decoder are made by hand."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tests.data.conftest import analytic_shapes, prepared_root, sample_files  # noqa: F401 - fixtures
from tests.models.triplane_ball import COLOUR, RADIUS, ball_renderer, ball_triplane
from tests.pipelines.triplane_model import tiny_triplane
from wavemesh.checkpoint import save_weights
from wavemesh.config import to_dict
from wavemesh.data.dataset import PreparedShapes
from wavemesh.errors import InputError
from wavemesh.evaluation import evaluate, triplane
from wavemesh.evaluation.metrics import compute_iou
from wavemesh.evaluation.novel_views import NovelViews
from wavemesh.evaluation.samples import EvaluationSample, PreparedSamples, sdf_mesh
from wavemesh.evaluation.triplane import BASELINE, CEILING, CEILING_LL, FULL, LL_ONLY, TriplaneMethod
from wavemesh.geometry.camera import Camera
from wavemesh.models.camera_head import CameraHead, CameraHeadConfig
from wavemesh.models.triplane_autoencoder import TriplaneAutoencoder
from wavemesh.models.wavelet_triplane import TriplaneConfig, WaveletTriplaneDiffusion
from wavemesh.pipelines import triplane as triplane_pipeline

BALL = TriplaneConfig(triplane_channels=1, resolution=16, image_size=16, width=8, hidden_dim=2, time_embed_dim=8)


class BallPipeline:
    """A triplane pipeline that finds the same ball in every picture, or nothing."""

    fingerprint = "0" * 12

    def __init__(self, finds: bool = True) -> None:
        self.model = WaveletTriplaneDiffusion(config=BALL).eval()
        self.model.renderer = ball_renderer()
        self.finds = finds
        self.calls: list[tuple[int, bool]] = []

    def __call__(self, views: list, seed: int = 0, **options: object) -> SimpleNamespace:
        self.calls.append((len(views), views[0].camera is not None))
        if not self.finds:
            raise InputError("no surface")
        planes = ball_triplane(32)
        ll, _ = self.model.analyse(planes)
        sdf = self.model.renderer.sdf_grid(planes, 64)[0].detach().numpy()
        return SimpleNamespace(
            sdf=sdf,
            mesh=sdf_mesh(sdf),
            triplane_ll=ll[0].numpy(),
            triplane_highres=planes[0].numpy(),
            views=[],
            settings=options,
        )


@pytest.fixture
def sample(sphere) -> EvaluationSample:
    picture = np.full((16, 16, 4), 255, np.uint8)
    return EvaluationSample("ball", "round", sphere(RADIUS), [picture] * 2, [Camera(), Camera(90.0)])


def test_meshes_and_pictures_come_from_one_run_of_the_pipeline(sample: EvaluationSample) -> None:
    pipeline = BallPipeline()
    method = TriplaneMethod(pipeline, guidance_scale=1.5)
    rows = triplane.geometry_units(method, None, (1, 2), ("known", "estimated"))
    guessed = f"{FULL}, cameras estimated"
    assert [row[:2] for row in rows] == [(name, n) for n in (1, 2) for name in (LL_ONLY, FULL, guessed)]
    found = {(name, count): unit.predict(sample) for name, count, unit in rows}
    assert compute_iou(found[FULL, 1].sdf, sample.sdf) > 0.98
    # Without details every 2 x 2 cells of a plane share one value: still a ball, but stairs.
    assert 0.85 < compute_iou(found[LL_ONLY, 1].sdf, sample.sdf) < compute_iou(found[FULL, 1].sdf, sample.sdf)
    assert found[LL_ONLY, 1].sdf.shape == (128, 128, 128)
    assert [unit.any_turn for *_, unit in rows] == [False, False, True] * 2

    cameras = [Camera(40.0, 10.0), Camera(200.0, -5.0)]
    views = NovelViews(cameras, [np.zeros((48, 48, 3), np.uint8)] * 2, [])
    units, table = triplane.view_units(method, None, (1, 2))
    drawn = next(unit for unit in units if unit.name == "triplane/2").draw(sample, views)
    assert [(row.name, row.views) for row in table] == [(n, c) for c in (1, 2) for n in (BASELINE, LL_ONLY, FULL)]
    for camera, picture in zip(cameras, drawn, strict=True):
        origins, directions = camera.rays(48)
        nearest = np.linalg.norm(origins - (origins * directions).sum(-1, keepdims=True) * directions, axis=-1)
        assert (picture[nearest > RADIUS + 0.1] == 255).all()
        assert np.abs(picture[nearest < RADIUS - 0.1] / 255.0 - COLOUR.numpy()).max() < 0.02
    # Each number of pictures and kind of cameras was asked for once.
    assert pipeline.calls == [(1, True), (1, False), (2, True), (2, False)]
    assert method.output(1, True, sample).settings == {"guidance_scale": 1.5}
    assert method.fingerprint != TriplaneMethod(pipeline).fingerprint


def test_nothing_found_is_an_empty_mesh_and_white_pictures(sample: EvaluationSample) -> None:
    method = TriplaneMethod(BallPipeline(finds=False))
    for _, _, unit in triplane.geometry_units(method, None, (1,), ("known",)):
        assert (unit.predict(sample).sdf > 0).all()
    views = NovelViews([Camera()], [np.zeros((24, 24, 3), np.uint8)], [])
    for unit in triplane.view_units(method, None, (1,))[0][1:]:
        assert (unit.draw(sample, views)[0] == 255).all()


def test_the_autoencoder_is_there_only_in_exported_weights(tmp_path: Path) -> None:
    autoencoder = TriplaneAutoencoder(1, 16, BALL.truncation)
    model = WaveletTriplaneDiffusion(config=BALL)
    model.save(tmp_path / "bundled")
    assert triplane.load_autoencoder(tmp_path / "bundled") is None
    save_weights(tmp_path / "export", {"autoencoder": autoencoder.state_dict()}, to_dict(BALL), dtype=torch.float32)
    loaded = triplane.load_autoencoder(tmp_path / "export")
    assert loaded is not None
    for ours, theirs in zip(autoencoder.parameters(), loaded.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    save_weights(tmp_path / "other", {"autoencoder": {"conv": torch.zeros(1)}}, to_dict(BALL))
    with pytest.raises(InputError, match="do not fit"):
        triplane.load_autoencoder(tmp_path / "other")


def test_the_report_has_both_tables(
    prepared_root: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    memory_data: type,
) -> None:
    monkeypatch.setattr(evaluate, "PreparedSamples", PreparedSamples)
    monkeypatch.setattr(triplane, "GRID", 64)
    monkeypatch.setattr(evaluate, "score_prediction", _with_64_cells(evaluate.score_prediction))
    pipeline = BallPipeline()
    method = TriplaneMethod(pipeline, TriplaneAutoencoder(1, 16, BALL.truncation).eval())
    options = {
        "split": "test",
        "views": (1,),
        "seeds": 1,
        "num_points": 1500,
        "jobs": 1,
        "baselines": False,
        "cameras": ("known",),
        "out_dir": tmp_path / "out",
    }
    result = evaluate.evaluate(None, prepared_root, triplane=method, **options)
    assert [row.name for row in result.rows] == [LL_ONLY, FULL, CEILING_LL, CEILING]
    gain = "Triplane minus LL only"
    assert [row.name for row in result.view_rows] == [BASELINE, LL_ONLY, FULL, gain, CEILING_LL, CEILING]
    scores = {row.name: row.scores for row in result.view_rows if row.views == 1}
    whole, lowpass, difference = (scores[name]["ssim"] for name in (FULL, LL_ONLY, gain))
    assert difference.mean == pytest.approx(whole.mean - lowpass.mean)
    text = (tmp_path / "out" / "report.md").read_text("utf-8")
    assert "### Novel views from 1 picture\n" in text
    assert f"| {gain} | {scores[gain]['psnr'].mean:+.2f} [" in text
    assert result.view_shapes["ball.2"][f"{FULL} / 1"]["ssim"] == whole.mean
    # Kept: nothing is predicted or drawn again.
    calls = len(pipeline.calls)
    again = evaluate.evaluate(None, prepared_root, triplane=method, **options)
    assert len(pipeline.calls) == calls
    assert again.to_json() == result.to_json()
    assert json.loads((tmp_path / "out" / "report.json").read_text("utf-8"))["view_rows"]


def _with_64_cells(score):
    """Scores against the fixture's 32^3 truth, made as fine as the metrics want."""

    def finer(prediction, truth, *rest):
        sdf = truth.sdf.repeat(2, 0).repeat(2, 1).repeat(2, 2)
        return score(prediction, type(truth)(truth.points, sdf, truth.source), *rest)

    return finer


def test_the_real_pipeline_fits_the_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triplane_pipeline, "MESH_RESOLUTION", 16)
    monkeypatch.setattr(triplane, "GRID", 16)
    model = tiny_triplane()
    pipeline = triplane_pipeline.TriplanePipeline(model, CameraHead(CameraHeadConfig(32, (8, 8, 16))), "cpu")
    picture = np.full((32, 32, 4), 200, np.uint8)
    picture[:4, :, 3] = 0
    shown = EvaluationSample("x", "", np.zeros((1, 1, 1), np.float32), [picture], [Camera()])
    method = TriplaneMethod(pipeline, num_inference_steps=2)
    out = method.output(1, True, shown)
    whole, lowpass = method.whole_triplane(1, shown), method.lowpass_triplane(1, shown)
    ll, details = model.analyse(lowpass)
    np.testing.assert_allclose(ll[0].numpy(), out.triplane_ll, atol=1e-4)
    assert details.abs().max() < 1e-4
    assert (whole - lowpass).abs().max() > 0.01
    rows = {name: unit.predict(shown).sdf for name, _, unit in triplane.geometry_units(method, None, (1,), ["known"])}
    np.testing.assert_array_equal(rows[FULL], out.sdf)
    assert rows[LL_ONLY].shape == (16, 16, 16)
    assert out.settings.steps == 2
    drawn = method.draw_views(
        lambda sample: method.whole_triplane(1, sample), shown, NovelViews([Camera()], [picture[..., :3]], [])
    )
    expected = np.asarray(out.render(Camera(), 32).convert("RGB")).astype(int)
    assert np.abs(drawn[0].astype(int) - expected).mean() < 12


def test_the_autoencoder_sees_the_true_shape(prepared_root: Path) -> None:  # noqa: F811
    shapes = PreparedShapes(prepared_root, "test")
    method = TriplaneMethod(BallPipeline(), TriplaneAutoencoder(1, 16, BALL.truncation).eval())
    shown = EvaluationSample(shapes.keys[0], "", np.zeros((1, 1, 1), np.float32), [], [])
    whole = method.encoded_triplane(shapes, True, shown)
    ll, _ = method.model.analyse(whole)
    lowpass = method.encoded_triplane(shapes, False, shown)
    assert whole.shape == (1, 3, 1, 32, 32)
    torch.testing.assert_close(method.model.analyse(lowpass)[0], ll)
    assert method.model.analyse(lowpass)[1].abs().max() < 1e-5
    with pytest.raises(InputError, match="no autoencoder"):
        TriplaneMethod(BallPipeline()).encoded_triplane(shapes, True, shown)
