"""What is assumed of unseen sides: mirror images, what is round, bodies as deep as their outlines are wide."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from wavemesh.geometry.camera import Camera
from wavemesh.geometry.export import mesh_bytes
from wavemesh.models.depth_network import DepthConfig, DepthNetwork
from wavemesh.models.inflation import PLANES, inflated_field
from wavemesh.models.posed_pictures import PosedPictures
from wavemesh.models.symmetry_head import Symmetries, SymmetryHeadConfig
from wavemesh.models.wavemesh import WaveMeshModel
from wavemesh.pipelines import StepReport, View, WaveMeshPipeline
from wavemesh.pipelines.bundle import read_bundle
from wavemesh.pipelines.outputs import WaveMeshOutput
from wavemesh.pipelines.record import Recorder
from wavemesh.pipelines.views import network_tensors


def symmetric_pipeline(tiny_pipeline: WaveMeshPipeline) -> WaveMeshPipeline:
    """The tiny pipeline with a depth network and a symmetry head."""
    depth = DepthNetwork(DepthConfig(image_size=32, widths=(8, 8, 16), attention_blocks=1, heads=2))
    seeing = tiny_pipeline.model.with_depth(depth)
    model = WaveMeshModel(replace(seeing.config, symmetry=SymmetryHeadConfig(widths=(8, 8, 8), hidden=8)))
    for name, network in seeing.networks().items():
        model.networks()[name].load_state_dict(network.state_dict())
    return WaveMeshPipeline(model, tiny_pipeline.camera_head, "cpu")


def ball_picture() -> Image.Image:
    """A ball's silhouette, which every mirror image fits."""
    picture = Image.new("RGBA", (100, 100))
    ImageDraw.Draw(picture).ellipse((27, 27, 72, 72), fill=(200, 80, 40, 255))
    return picture


def test_mirror_images_are_further_views_where_symmetry_is_likely(
    tiny_pipeline: WaveMeshPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline, view = symmetric_pipeline(tiny_pipeline), View(ball_picture(), Camera(30.0, 20.0))
    off = pipeline([view], 1, symmetry="off")
    assert "likenesses" not in off.provenance
    found: dict[tuple[float, float, float], WaveMeshOutput] = {}
    for likely in ((0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (1.0, 1.0, 0.0)):
        monkeypatch.setattr(pipeline.model, "symmetries", lambda *_, likely=likely: Symmetries(*likely))
        found[likely] = pipeline([view], 1)
    assert [out.provenance["likenesses"] for out in found.values()] == [0, 1, 1, 3]
    # Nobody's pictures but the visitor's come back.
    assert [len(out.views) for out in found.values()] == [1] * 4
    np.testing.assert_array_equal(found[0.0, 0.0, 0.0].sdf, off.sdf)
    fields = [out.sdf for out in found.values()]
    assert all(np.abs(a - b).max() > 0 for a, b in itertools.pairwise(fields))


def test_seeds_try_what_else_the_object_could_be(
    tiny_pipeline: WaveMeshPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline, view = symmetric_pipeline(tiny_pipeline), View(ball_picture(), Camera(30.0, 20.0))
    monkeypatch.setattr(pipeline.model, "symmetries", lambda *_: Symmetries(0.8, 0.4, 0.3))
    images = [pipeline([view], 1, seed=seed).provenance["likenesses"] for seed in range(4)]
    assert images == [1, 3, 0, 7]


def test_something_round_is_seen_from_all_around(
    tiny_pipeline: WaveMeshPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = symmetric_pipeline(tiny_pipeline)
    monkeypatch.setattr(pipeline.model, "symmetries", lambda *_: Symmetries(0.0, 0.0, 0.9))
    out = pipeline([ball_picture()], 1, resolution=16)  # details are of a network that has not been trained
    assert out.provenance["likenesses"] == 7
    assert len(out.views) == 1
    assert out.views[0].camera.offset[0] == 0.0
    # All sides of what is predicted are alike, up to the cells.
    inside = out.sdf < 0
    turned = np.rot90(inside, axes=(0, 2))
    assert (inside & turned).sum() / (inside | turned).sum() > 0.9
    assert "likenesses" not in pipeline([ball_picture(), ball_picture()], 1).provenance
    assert "likenesses" not in pipeline([ball_picture()], 1, symmetry="off").provenance


def test_what_is_not_alike_on_both_sides_is_not_round(
    tiny_pipeline: WaveMeshPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = symmetric_pipeline(tiny_pipeline)
    monkeypatch.setattr(pipeline.model, "symmetries", lambda *_: Symmetries(0.0, 0.0, 0.9))
    mug = ball_picture()
    ImageDraw.Draw(mug).rectangle((72, 45, 90, 55), fill=(200, 80, 40, 255))
    assert pipeline([mug], 1).provenance["likenesses"] == 0


def test_mirror_images_stay_within_the_number_of_views(
    tiny_pipeline: WaveMeshPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = symmetric_pipeline(tiny_pipeline)
    monkeypatch.setattr(pipeline.model, "symmetries", lambda *_: Symmetries(1.0, 1.0, 0.0))
    monkeypatch.setattr("wavemesh.models.symmetry.room", lambda *_: [1.0])
    views = [View(ball_picture(), Camera(45.0 * number, 0.0)) for number in range(5)]
    assert pipeline(views[:4], 1).provenance["likenesses"] == 4
    assert "likenesses" not in pipeline(views, 1).provenance


def test_weights_without_a_symmetry_head_use_no_mirror_images(
    tiny_pipeline: WaveMeshPipeline, ellipse: Image.Image
) -> None:
    assert tiny_pipeline([View(ellipse, Camera(30.0, 20.0))], 1).provenance["likenesses"] == 0


def test_the_only_picture_is_inflated_about_the_plane_that_the_head_prefers(
    tiny_pipeline: WaveMeshPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline, view = symmetric_pipeline(tiny_pipeline), View(ball_picture())
    monkeypatch.setattr(pipeline, "estimate_cameras", lambda pictures, sides: [Camera(50.0, 20.0)] * len(pictures))
    sure = Symmetries(inflated=(0.9, 0.2, 0.3), doubt=0.01)
    monkeypatch.setattr(pipeline.model, "symmetries", lambda *_: sure)
    alone = pipeline([view], 1)
    assert "inflated_about" not in alone.provenance
    monkeypatch.setattr(pipeline.model, "symmetries", lambda *_: sure._replace(doubt=1.0))
    for frames in (1, 4):
        seen: list[StepReport] = []
        out = pipeline([view], 1, callback=seen.append, frames=frames, resolution=16)
        assert out.provenance["inflated_about"] == "sides"
        # The network is untrained, so that most of the shape is the inflated one, in what is watched as well.
        expected = inflated_field(PosedPictures(*network_tensors(out.views)), PLANES[0], 16, 0.09).numpy() < 0
        for field in (out.sdf, seen[-1].sdf):
            assert ((field < 0) & expected).sum() / ((field < 0) | expected).sum() > 0.6
    assert "inflated_about" not in pipeline([view], 1, inflation="off").provenance
    assert "inflated_about" not in pipeline([view, view], 1).provenance
    # With a given camera the network is believed.
    assert "inflated_about" not in pipeline([View(ball_picture(), Camera(50.0, 20.0))], 1).provenance
    thin = Symmetries(inflated=(0.05, 0.05, 0.05), doubt=1.0)
    monkeypatch.setattr(pipeline.model, "symmetries", lambda *_: thin)
    assert "inflated_about" not in pipeline([view], 1).provenance


def test_whoever_asks_for_it_gets_an_inflated_body(tiny_pipeline: WaveMeshPipeline, tmp_path: Path) -> None:
    view, recorder = View(ball_picture(), Camera(50.0, 20.0)), Recorder()
    out = tiny_pipeline([view], 1, inflation="on", callback=recorder)
    # Its run bundle opens again.
    bundle = recorder.record(out).save(tmp_path, {"mesh.glb": mesh_bytes(out.mesh, ".glb")})
    assert read_bundle(bundle).provenance["inflated_about"] == "facing"
    # Weights without a head cannot tell about which plane.
    assert tiny_pipeline([view], 1, inflation="on").provenance["inflated_about"] == "facing"
    assert "inflated_about" not in tiny_pipeline([view], 1).provenance
    assert "inflated_about" not in tiny_pipeline([view, view], 1, inflation="on").provenance


def test_seeds_try_the_network_and_what_is_inflated(
    tiny_pipeline: WaveMeshPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline, view = symmetric_pipeline(tiny_pipeline), View(ball_picture())
    for doubt, expected in ((1.0, [True, False, True]), (0.01, [False, True, False])):
        found = Symmetries(inflated=(0.9, 0.2, 0.3), doubt=doubt)
        monkeypatch.setattr(pipeline.model, "symmetries", lambda *_, found=found: found)
        runs = [pipeline([view], 1, seed=seed).provenance for seed in range(3)]
        assert ["inflated_about" in run for run in runs] == expected
    # What may be round is tried first, with and without.
    found = Symmetries(around=0.9, inflated=(0.9, 0.2, 0.3), doubt=1.0)
    monkeypatch.setattr(pipeline.model, "symmetries", lambda *_: found)
    runs = [pipeline([view], 1, seed=seed).provenance for seed in range(4)]
    assert [(run["likenesses"], "inflated_about" in run) for run in runs] == [
        (7, False), (0, True), (7, False), (0, False),
    ]  # fmt: skip
