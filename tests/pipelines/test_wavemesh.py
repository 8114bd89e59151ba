"""The pipeline on a tiny random network: contract, reports, stopping, reproducibility, errors."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image

from wavemesh.errors import InputError
from wavemesh.geometry.camera import Camera
from wavemesh.geometry.export import mesh_bytes
from wavemesh.geometry.mesh import facing
from wavemesh.models.depth_network import DepthConfig, DepthNetwork
from wavemesh.models.wavemesh import WaveMeshModel
from wavemesh.pipelines import StepReport, TriplanePipeline, View, WaveMeshPipeline
from wavemesh.pipelines.base import resolve_device
from wavemesh.pipelines.outputs import WaveMeshOutput
from wavemesh.pipelines.views import PreparedView, network_tensors


def test_output_holds_what_the_contract_says(tiny_pipeline: WaveMeshPipeline, ellipse: Image.Image) -> None:
    out = tiny_pipeline([View(ellipse, Camera(30.0, 20.0))], num_inference_steps=2)
    assert out.sdf.shape == (32, 32, 32)
    assert out.sdf.dtype == np.float32
    assert len(out.mesh.faces) > 0
    assert out.mesh.visual.vertex_colors.shape == (len(out.mesh.vertices), 4)
    assert np.abs(out.mesh.vertices).max() <= 1.0
    np.testing.assert_allclose(out.coefficients.to_sdf().numpy(), out.sdf, atol=1e-4)
    assert set(out.timings) == {"prepare", "encode", "coarse", "detail", "decode", "surface", "colour"}
    assert out.settings.stage_steps() == {"coarse": 2, "detail": 2}
    assert not out.stopped


def test_reports_follow_the_steps(tiny_pipeline: WaveMeshPipeline, ellipse: Image.Image) -> None:
    reports: list[StepReport] = []
    tiny_pipeline([View(ellipse, Camera())], (3, 2), callback=reports.append)
    assert [(report.stage, report.step) for report in reports] == [
        ("coarse", 0), ("coarse", 1), ("coarse", 2), ("detail", 0), ("detail", 1),
    ]  # fmt: skip
    assert reports[0].noise_level == pytest.approx(1.0)
    assert reports[0].sdf.shape == (16, 16, 16)
    assert reports[-1].sdf.shape == (32, 32, 32)
    assert all(report.elapsed_s > 0 for report in reports)
    levels = [report.noise_level for report in reports[:3]]
    assert levels == sorted(levels, reverse=True)


@pytest.mark.parametrize("after", [1, 3])
def test_stopping_keeps_what_there_is(tiny_pipeline: WaveMeshPipeline, ellipse: Image.Image, after: int) -> None:
    reports: list[StepReport] = []

    def stop(report: StepReport) -> bool:
        reports.append(report)
        return len(reports) == after

    out = tiny_pipeline([View(ellipse, Camera())], (2, 2), callback=stop)
    assert out.stopped
    assert len(reports) == after
    assert len(out.mesh.faces) > 0


def test_guidance_is_reported_and_changes_the_result(tiny_pipeline: WaveMeshPipeline, ellipse: Image.Image) -> None:
    reports: list[StepReport] = []
    view = View(ellipse, Camera())
    plain = tiny_pipeline([view], 2, guidance_scale=1.0)
    guided = tiny_pipeline([view], 2, guidance_scale=3.0, callback=reports.append)
    assert reports[0].guidance_norm is not None
    assert reports[0].guidance_norm > 0
    assert np.abs(plain.sdf - guided.sdf).max() > 0


@pytest.mark.parametrize("sampler", ["ddpm", "ddim", "dpmpp_2m"])
def test_same_seed_same_mesh(tiny_pipeline: WaveMeshPipeline, ellipse: Image.Image, sampler: str) -> None:
    first, second, other = (
        tiny_pipeline([View(ellipse, Camera())], 2, seed=seed, sampler=sampler).sdf for seed in (5, 5, 6)
    )
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_cameras_are_refined_with_a_model_that_sees_depths(
    tiny_pipeline: WaveMeshPipeline, ellipse: Image.Image
) -> None:
    network = DepthNetwork(DepthConfig(image_size=32, widths=(8, 8, 16), attention_blocks=1, heads=2))
    seeing = WaveMeshPipeline(tiny_pipeline.model.with_depth(network), tiny_pipeline.camera_head, "cpu")
    out = seeing([ellipse, ellipse], 1, refine="on")
    assert all(np.isfinite(view.camera.position()).all() for view in out.views)
    assert seeing.predict_field(out.views).shape == (32, 32, 32)


def test_a_result_is_saved_as_page_and_command_write_it(
    tiny_pipeline: WaveMeshPipeline, ellipse: Image.Image, tmp_path: Path
) -> None:
    out = tiny_pipeline([ellipse], 1)
    shown = facing(out.mesh, out.front_deg)
    path = out.save(tmp_path / "new" / "my ball.glb")
    assert path.read_bytes() == mesh_bytes(shown, ".glb", "my ball")
    printed = trimesh.load_mesh(out.save(str(tmp_path / "ball.stl"), 60.0))
    assert printed.extents.max() == pytest.approx(60.0, rel=1e-4)
    with pytest.raises(InputError, match=r"'\.fbx'"):
        out.save(tmp_path / "ball.fbx")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        out.save(tmp_path / "file" / "ball.glb")


def test_cameras_are_estimated_without_one(tiny_pipeline: WaveMeshPipeline, ellipse: Image.Image) -> None:
    out = tiny_pipeline([ellipse, ellipse], 1)
    assert [view.estimated for view in out.views] == [True, True]


def test_the_first_picture_is_the_front_where_all_cameras_are_estimated(
    tiny_pipeline: WaveMeshPipeline, ellipse: Image.Image
) -> None:
    reports: list[StepReport] = []
    out = tiny_pipeline([ellipse, ellipse], 1, callback=reports.append)
    first = out.views[0].camera
    assert [report.camera for report in reports] == [first] * 2
    assert out.front_deg == first.azimuth_deg != 0.0
    shown = facing(out.mesh, out.front_deg)
    # As the first camera saw it, seen from the front at the same elevation.
    expected, depth = first.project(np.asarray(out.mesh.vertices))
    found = first.turned(-out.front_deg).project(np.asarray(shown.vertices))
    np.testing.assert_allclose(found[0], expected, atol=1e-6)
    np.testing.assert_allclose(found[1], depth, atol=1e-6)
    assert np.array_equal(shown.visual.vertex_colors, out.mesh.visual.vertex_colors)

    assert tiny_pipeline([ellipse], 1, front="frame").front_deg == 0.0
    assert tiny_pipeline([View(ellipse, Camera(30.0))], 1).front_deg == 0.0
    sided = tiny_pipeline([View(ellipse, side="right"), ellipse], 1)
    assert sided.front_deg == 0.0
    assert abs(sided.views[0].camera.azimuth_deg - 90.0) <= 45.0


def test_from_pretrained_equals_the_model(weights_folder: Path, ellipse: Image.Image) -> None:
    loaded = WaveMeshPipeline.from_pretrained(weights_folder, device="cpu")
    again = WaveMeshPipeline.from_pretrained(weights_folder)
    view = View(ellipse, Camera())
    assert np.array_equal(loaded([view], 1).sdf, again([view], 1).sdf)


def test_damaged_weights_are_one_sentence(weights_folder: Path) -> None:
    shard = weights_folder / "coarse-00.safetensors"
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    with pytest.raises(InputError, match=r"coarse-00\.safetensors"):
        WaveMeshPipeline.from_pretrained(weights_folder)


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ({"num_inference_steps": 0}, "0"),
        ({"num_inference_steps": (2, 5000)}, "5000"),
        ({"guidance_scale": -1.0}, "-1"),
        ({"sampler": "euler"}, "euler"),
    ],
)
def test_bad_arguments(tiny_pipeline: WaveMeshPipeline, ellipse: Image.Image, arguments: dict, shown: str) -> None:
    with pytest.raises(InputError, match=shown):
        tiny_pipeline([View(ellipse, Camera())], **arguments)


def test_unknown_device(tiny_pipeline: WaveMeshPipeline) -> None:
    with pytest.raises(InputError, match="tpu"):
        WaveMeshPipeline(tiny_pipeline.model, tiny_pipeline.camera_head, "tpu")
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="CUDA"):
            WaveMeshPipeline(tiny_pipeline.model, tiny_pipeline.camera_head, "cuda")


def test_apples_gpu_is_asked_for_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(InputError, match="'mps' was asked for, but there is no Apple GPU"):
        resolve_device("mps")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert resolve_device("mps").type == "mps"
    assert resolve_device("auto").type in ("cpu", "cuda")


def test_half_the_resolution_leaves_the_details_out(tiny_pipeline: WaveMeshPipeline, ellipse: Image.Image) -> None:
    reports: list[StepReport] = []
    view = View(ellipse, Camera(30.0, 20.0))
    out = tiny_pipeline([view], (2, 2), resolution=16, callback=reports.append)
    assert out.sdf.shape == (16, 16, 16)
    assert [report.stage for report in reports] == ["coarse", "coarse"]
    assert len(out.coefficients.coords) == 0
    np.testing.assert_allclose(out.coefficients.coarse_field().numpy(), reports[-1].sdf, atol=1e-4)
    # Cells are the means of eight: the surface stands where it does at full resolution without its details.
    full = tiny_pipeline([view], (2, 2), detail_threshold=1e9).sdf
    np.testing.assert_allclose(out.sdf, full.reshape(16, 2, 16, 2, 16, 2).mean(axis=(1, 3, 5)), atol=1e-4)
    with pytest.raises(InputError, match="32 or 16, not 64"):
        tiny_pipeline([view], 1, resolution=64)


def test_small_details_are_dropped(tiny_pipeline: WaveMeshPipeline, ellipse: Image.Image) -> None:
    view = View(ellipse, Camera(30.0, 20.0))
    every = tiny_pipeline([view], 1).coefficients
    threshold = float(every.features.abs().median())
    reports: list[StepReport] = []
    out = tiny_pipeline([view], 1, detail_threshold=threshold, callback=reports.append)
    expected = torch.where(every.features.abs() >= threshold, every.features, torch.zeros(()))
    kept = expected.any(dim=1)
    assert 0 < kept.sum() < len(every.coords)
    assert torch.equal(out.coefficients.coords, every.coords[kept])
    torch.testing.assert_close(out.coefficients.features, expected[kept])
    assert reports[-1].active_sites == int(kept.sum())
    np.testing.assert_allclose(out.coefficients.to_sdf().numpy(), out.sdf, atol=1e-4)
    with pytest.raises(InputError, match="not -1"):
        tiny_pipeline([view], 1, detail_threshold=-1.0)


def test_the_fingerprint_tells_weights_apart(weights_folder: Path, ellipse: Image.Image) -> None:
    first, second = (WaveMeshPipeline.from_pretrained(weights_folder, "cpu") for _ in range(2))
    out = first([View(ellipse, Camera())], 1)
    assert out.provenance["weights"] == first.fingerprint == second.fingerprint
    with torch.no_grad():
        next(second.camera_head.parameters()).view(-1)[0] += 1e-3
    del second.fingerprint
    assert second.fingerprint != first.fingerprint
    del first.fingerprint
    assert first.fingerprint == out.provenance["weights"]  # of models in memory: of what saving them writes


def test_a_hub_id_without_a_network_is_taken_from_the_cache(
    weights_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    repository, commit = tmp_path / "cache" / "models--me--tiny", "0123456789" * 4
    shutil.copytree(weights_folder, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    pipe = WaveMeshPipeline.from_pretrained("me/tiny", "cpu")
    assert pipe.fingerprint == WaveMeshPipeline.from_pretrained(weights_folder, "cpu").fingerprint


def test_the_fingerprint_covers_the_configuration(weights_folder: Path, tmp_path: Path) -> None:
    pipe = WaveMeshPipeline.from_pretrained(weights_folder, "cpu")
    sampling = replace(pipe.model.config.sampling, guidance_scale=pipe.model.config.sampling.guidance_scale + 1)
    pipe.model.config = replace(pipe.model.config, sampling=sampling)
    before = pipe.fingerprint
    del pipe.fingerprint
    assert pipe.fingerprint != before


def test_colours_come_from_the_triplane_if_asked(
    weights_folder: Path, triplane_folder: Path, triplane_pipeline: TriplanePipeline, ellipse: Image.Image
) -> None:
    shutil.copytree(triplane_folder, weights_folder / "triplane")
    pipe = WaveMeshPipeline.from_pretrained(weights_folder, "cpu")
    outs = {
        source: pipe([View(ellipse, Camera(30.0, 20.0))], 1, colours=source)
        for source in ("views", "mixed", "triplane")
    }
    assert np.array_equal(outs["views"].mesh.vertices, outs["triplane"].mesh.vertices)
    colour_at = pipe.triplane().colours(outs["views"].views)
    expected = colour_at(outs["triplane"].mesh.vertices) * 255.0
    own = {source: np.asarray(out.mesh.visual.vertex_colors).astype(int) for source, out in outs.items()}
    np.testing.assert_allclose(own["triplane"][:, :3], expected, atol=1.0)
    assert np.ptp(expected, axis=0).max() > 2  # not one colour everywhere
    as_views = (own["mixed"] == own["views"]).all(axis=1)
    as_triplane = (own["mixed"] == own["triplane"]).all(axis=1)
    assert as_views.sum() > 20
    assert as_triplane.sum() > 20
    assert outs["mixed"].provenance["triplane_weights"] == pipe.triplane().fingerprint


def test_missing_triplane_weights_are_said_before_the_work(
    weights_folder: Path, tmp_path: Path, ellipse: Image.Image
) -> None:
    (weights_folder / "triplane").mkdir()
    pipe = WaveMeshPipeline.from_pretrained(weights_folder, "cpu")
    reports: list[StepReport] = []
    with pytest.raises(InputError, match="triplane"):
        pipe([View(ellipse, Camera())], 1, colours="triplane", callback=reports.append)
    assert reports == []
    assert len(pipe([View(ellipse, Camera())], 1).mesh.faces) > 0


def test_the_shape_agrees_with_the_silhouettes_where_the_cameras_fit_together(
    tiny_pipeline: WaveMeshPipeline, ellipse: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The networks here make a surface at random, most of it outside of what the pictures show."""
    monkeypatch.setattr("wavemesh.models.silhouettes.LEAST_CARVED", 0.0)
    model = tiny_pipeline.model

    def outside(views: list[View | PreparedView]) -> tuple[int, WaveMeshOutput]:
        """How many solid cells lie outside of the pictures' hull."""
        reports: list[StepReport] = []
        out = tiny_pipeline(views, (2, 1), resolution=16, callback=reports.append)
        with torch.inference_mode():
            features = model.encoder.encode(*network_tensors(out.views))
            hull = model.silhouettes(features).hull.numpy()
        # The field of the last step stands where the silhouettes' does, beside the centres of the cells.
        return int(((reports[-1].sdf < 0) & (hull > 1e-4)).sum()), out

    few, known = outside([View(ellipse, Camera(0.0, 0.0)), View(ellipse, Camera(90.0, 0.0))])
    guessed = [replace(view, estimated=True) for view in known.views]
    many, _ = outside(guessed)
    alone, _ = outside(guessed[:1])
    assert few == alone == 0 < many


def test_pictures_that_no_shape_fits(
    tiny_pipeline: WaveMeshPipeline, ellipse: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WaveMeshModel, "decode", lambda self, bands, *details: torch.ones(1, 32, 32, 32))
    with pytest.raises(InputError, match=r"all 2 pictures with the cameras that were estimated.*give their angles"):
        tiny_pipeline([ellipse, View(ellipse, Camera(90.0))], 1)
    with pytest.raises(InputError, match="no surface"):
        tiny_pipeline([View(ellipse, Camera(azimuth)) for azimuth in (0.0, 90.0)], 1)
