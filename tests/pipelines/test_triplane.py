"""The triplane pipeline on a tiny random network: contract, reports, stopping, seeds, colours, pictures, errors."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import pywt
import torch
from PIL import Image

from tests.models.triplane_ball import COLOUR, RADIUS, ball_renderer, ball_triplane
from wavemesh import weights
from wavemesh.errors import InputError
from wavemesh.geometry.camera import Camera
from wavemesh.geometry.isosurface import sdf_to_mesh
from wavemesh.models.camera_head import CameraHead, CameraHeadConfig
from wavemesh.pipelines import StepReport, TriplaneOutput, TriplanePipeline, View
from wavemesh.pipelines import triplane as module
from wavemesh.settings import TriplaneSettings

C, N = 2, 8


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Smaller grids than those that ship, except where their size is what is tested."""
    if "contract" not in request.node.name:
        monkeypatch.setattr(module, "MESH_RESOLUTION", 32)
        monkeypatch.setattr(module, "REPORT_RESOLUTION", 16)


@pytest.fixture
def view(ellipse: Image.Image) -> View:
    return View(ellipse, Camera(30.0, 20.0))


def ball() -> TriplaneOutput:
    """An output whose triplane is a ball of known size and colour."""
    renderer, triplane = ball_renderer(), ball_triplane()
    with torch.no_grad():
        sdf = renderer.sdf_grid(triplane, 48)[0].numpy()
    empty = np.zeros((3, 3, 1, 64, 64), np.float32)
    return TriplaneOutput(
        mesh=sdf_to_mesh(sdf),
        sdf=sdf,
        views=[],
        settings=TriplaneSettings(colours="triplane"),
        triplane_ll=empty[:, 0],
        triplane_details=empty,
        triplane_highres=triplane[0].numpy(),
        renderer=renderer,
    )


def field(pipeline: TriplanePipeline, out: TriplaneOutput) -> np.ndarray:
    """The distances at 16^3 cell centres, looked up one by one in the output's planes."""
    axis = (torch.arange(16) + 0.5) / 8 - 1
    points = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1).view(1, -1, 3)
    with torch.no_grad():
        sdf = pipeline.model.renderer.sdf(torch.from_numpy(out.triplane_highres)[None], points)
    return sdf.view(16, 16, 16).numpy()


def test_output_holds_what_the_contract_says(triplane_pipeline: TriplanePipeline, view: View) -> None:
    reports: list[StepReport] = []
    out = triplane_pipeline([view], num_inference_steps=2, callback=reports.append)
    assert out.sdf.shape == (128, 128, 128)
    assert reports[0].sdf.shape == (64, 64, 64)
    assert out.triplane_ll.shape == (3, C, N, N)
    assert out.triplane_details.shape == (3, 3, C, N, N)
    assert out.triplane_highres.shape == (3, C, 2 * N, 2 * N)
    arrays = (out.sdf, out.triplane_ll, out.triplane_details, out.triplane_highres)
    assert {array.dtype for array in arrays} == {np.dtype(np.float32)}
    assert len(out.mesh.faces) > 0
    assert out.mesh.visual.vertex_colors.shape == (len(out.mesh.vertices), 4)
    assert set(out.timings) == {"prepare", "coarse", "triplane", "decode", "surface", "colour"}
    assert out.settings.method == "triplane"
    assert out.settings.stage_steps() == {"triplane": 2}
    assert not out.stopped


def test_the_bands_are_the_wavelet_transform_of_the_planes(triplane_pipeline: TriplanePipeline, view: View) -> None:
    """By PyWavelets, with its names for the three details: so their order is LH, HL, HH."""
    out = triplane_pipeline([view], 1)
    ll, details = pywt.dwt2(out.triplane_highres, "haar", axes=(-2, -1))
    np.testing.assert_allclose(out.triplane_ll, ll, atol=1e-5)
    for band, expected in enumerate(details):
        np.testing.assert_allclose(out.triplane_details[:, band], expected, atol=1e-5)
    assert all(np.abs(band).max() > 1e-3 for band in details)


def test_reports_follow_the_steps(triplane_pipeline: TriplanePipeline, view: View) -> None:
    reports: list[StepReport] = []
    out = triplane_pipeline([view], 3, callback=reports.append)
    assert [(report.stage, report.step, report.num_steps) for report in reports] == [
        ("triplane", 0, 3), ("triplane", 1, 3), ("triplane", 2, 3),
    ]  # fmt: skip
    levels = [report.noise_level for report in reports]
    assert levels[0] == pytest.approx(1.0)
    assert levels == sorted(levels, reverse=True)
    assert all(report.guidance_norm is None for report in reports)
    assert all(report.active_sites == 3 * N * N for report in reports)
    np.testing.assert_allclose(field(triplane_pipeline, out), reports[-1].sdf, atol=1e-6)
    assert np.abs(reports[0].sdf - reports[-1].sdf).max() > 1e-3


def test_stopping_keeps_what_there_is(triplane_pipeline: TriplanePipeline, view: View) -> None:
    reports: list[StepReport] = []

    def stop(report: StepReport) -> bool:
        reports.append(report)
        return len(reports) == 2

    out = triplane_pipeline([view], 4, callback=stop)
    assert out.stopped
    assert len(reports) == 2
    np.testing.assert_allclose(field(triplane_pipeline, out), reports[-1].sdf, atol=1e-6)


def test_guidance_is_reported_and_changes_the_result(triplane_pipeline: TriplanePipeline, view: View) -> None:
    reports: list[StepReport] = []
    plain = triplane_pipeline([view], 2, guidance_scale=1.0)
    guided = triplane_pipeline([view], 2, guidance_scale=3.0, callback=reports.append)
    assert (reports[0].guidance_norm or 0.0) > 0
    assert np.array_equal(plain.triplane_ll, guided.triplane_ll)
    assert not np.array_equal(plain.triplane_details, guided.triplane_details)


@pytest.mark.parametrize("sampler", ["ddpm", "ddim", "dpmpp_2m"])
def test_same_seed_same_result(triplane_pipeline: TriplanePipeline, view: View, sampler: str) -> None:
    first, second, other = (triplane_pipeline([view], 2, seed=seed, sampler=sampler) for seed in (5, 5, 6))
    assert np.array_equal(first.mesh.vertices, second.mesh.vertices)
    assert np.array_equal(first.mesh.visual.vertex_colors, second.mesh.visual.vertex_colors)
    assert not np.array_equal(first.triplane_details, other.triplane_details)


def test_cameras_are_estimated_without_one(triplane_pipeline: TriplanePipeline, ellipse: Image.Image) -> None:
    out = triplane_pipeline([ellipse, View(ellipse, Camera(90.0))], 1)
    assert [view.estimated for view in out.views] == [True, False]


def test_from_pretrained_equals_the_model(triplane_folder: Path, view: View) -> None:
    first, second = (TriplanePipeline.from_pretrained(triplane_folder, device="cpu") for _ in range(2))
    assert np.array_equal(first([view], 1).sdf, second([view], 1).sdf)
    assert first.fingerprint == second.fingerprint


def test_the_bundled_camera_head_serves_weights_without_one(
    triplane_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(triplane_folder / "camera_head")
    bundled = CameraHead(CameraHeadConfig(32, (8, 8, 16)))
    bundled.save(tmp_path / "bundled" / "camera_head")
    known = {None: tmp_path / "bundled"}
    monkeypatch.setattr(weights, "resolve", known.get)
    assert TriplanePipeline.from_pretrained(triplane_folder, "cpu").camera_head.config == bundled.config


def test_the_mesh_has_the_colours_of_the_triplane(triplane_pipeline: TriplanePipeline, view: View) -> None:
    out = triplane_pipeline([view], 1, colours="triplane")
    points = torch.from_numpy(np.asarray(out.mesh.vertices, dtype=np.float32)).clamp(-1.0, 1.0)[None]
    with torch.no_grad():
        rgb, _ = triplane_pipeline.model.renderer(torch.from_numpy(out.triplane_highres)[None], points)
    np.testing.assert_allclose(out.mesh.visual.vertex_colors[:, :3] / 255.0, rgb[0].numpy(), atol=0.003)


def test_the_pictures_colour_what_they_see_if_asked(triplane_pipeline: TriplanePipeline, view: View) -> None:
    """The picture is of one colour, so from views alone the whole mesh has it; mixed, only a part."""
    own, views, mixed = (
        np.asarray(triplane_pipeline([view], 1, colours=source).mesh.visual.vertex_colors)
        for source in ("triplane", "views", "mixed")
    )
    of_picture = (mixed == (220, 40, 40, 255)).all(axis=1)
    of_triplane = (mixed == own).all(axis=1)
    assert np.median(np.abs(views[:, :3].astype(int) - (220, 40, 40))) <= 1
    assert of_picture.sum() > 50
    assert of_triplane.sum() > 50
    default = np.asarray(triplane_pipeline([view], 1).mesh.visual.vertex_colors)
    np.testing.assert_array_equal(default, mixed)


def test_a_ball_is_rendered_where_it_is() -> None:
    out = ball()
    camera = Camera(20.0, 10.0)
    picture = out.render(camera, 48, "transparent", num_samples=64)
    assert (picture.mode, picture.size) == ("RGBA", (48, 48))
    pixels = np.asarray(picture).astype(float)
    # The silhouette of a ball: rays that pass its centre closer than its radius.
    origins, directions = camera.rays(48)
    along = -(origins * directions).sum(axis=-1)
    closest = np.linalg.norm(origins + along[..., None] * directions, axis=-1)
    assert (pixels[closest < RADIUS - 0.05, 3] > 250).all()
    assert (pixels[closest > RADIUS + 0.05, 3] < 5).all()
    assert np.abs(pixels[closest < RADIUS - 0.05, :3] / 255.0 - COLOUR.numpy()).max() < 0.02
    assert out.render(size=16).mode == "RGB"
    assert out.render(size=16, background="black").getpixel((0, 0)) == (0, 0, 0)


def test_a_baked_ball_has_the_decoders_colour() -> None:
    baked = ball().baked(128, max_faces=400)
    assert len(baked.faces) <= 400
    pixels = np.asarray(baked.visual.material.baseColorTexture) / 255.0
    np.testing.assert_allclose(pixels.reshape(-1, 3), np.tile(COLOUR.numpy(), (128 * 128, 1)), atol=0.003)


def test_no_surface_is_one_sentence(triplane_pipeline: TriplanePipeline, view: View) -> None:
    with torch.no_grad():
        triplane_pipeline.model.renderer.mlp[-1].bias[0] = 9.0
    with pytest.raises(InputError, match=r"no surface: the field lies between 0\.09"):
        triplane_pipeline([view], 1)


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ({"num_inference_steps": 0}, "0"),
        ({"num_inference_steps": 5000}, "5000"),
        ({"num_inference_steps": (2, 3)}, r"\(2, 3\)"),
        ({"guidance_scale": -1.0}, "-1"),
        ({"sampler": "euler"}, "euler"),
        ({"colours": "rainbow"}, "rainbow"),
    ],
)
def test_bad_arguments(triplane_pipeline: TriplanePipeline, view: View, arguments: dict, shown: str) -> None:
    with pytest.raises(InputError, match=shown):
        triplane_pipeline([view], **arguments)


def test_weights_of_the_other_system_are_refused(weights_folder: Path) -> None:
    with pytest.raises(InputError, match="TriplaneConfig"):
        TriplanePipeline.from_pretrained(weights_folder)


def test_a_mesh_is_smoothed_and_agrees_with_silhouettes_whose_cameras_fit(
    triplane_pipeline: TriplanePipeline, view: View, ellipse: Image.Image
) -> None:
    renderer = triplane_pipeline.model.renderer
    out = triplane_pipeline([view, View(ellipse, Camera(120.0, 20.0))], 1)
    planes = torch.from_numpy(out.triplane_highres)[None]
    with torch.inference_mode():
        raw = renderer.sdf_grid(planes, module.MESH_RESOLUTION)[0].numpy()
        free = module.surface_field(renderer, planes)
        imposed = module.surface_field(renderer, planes, out.views)
        guessed = module.surface_field(renderer, planes, [replace(each, estimated=True) for each in out.views])
    assert np.array_equal(out.sdf, imposed)
    assert np.array_equal(guessed, free)
    assert not np.array_equal(imposed, free)
    assert np.abs(np.diff(free, axis=0)).mean() < np.abs(np.diff(raw, axis=0)).mean()
