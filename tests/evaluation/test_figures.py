"""Figures and contact sheets: what stands where, not how it looks."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image

from wavemesh.errors import InputError
from wavemesh.evaluation import figures
from wavemesh.geometry.camera import Camera
from wavemesh.pipelines import View


@pytest.fixture
def ball() -> trimesh.Trimesh:
    return trimesh.creation.icosphere(subdivisions=2, radius=0.6)


def test_a_generation_shows_inputs_and_meshes(ball: trimesh.Trimesh, tmp_path: Path) -> None:
    figure = figures.visualize_generation(torch.rand(4, 3, 32, 32), ball, ball)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[:4] == ["View 1", "View 2", "View 3", "View 4"]
    assert titles[4:] == ["Generated, front", "Generated, behind", "Ground truth, front", "Ground truth, behind"]
    path = figures.save_figure(figure, tmp_path / "deep" / "g.png", dpi=40)
    with Image.open(path) as picture:
        assert picture.size[0] > 300


def test_an_empty_generation_is_a_white_panel() -> None:
    figure = figures.visualize_generation([np.zeros((16, 16, 4), np.uint8)], None)
    sides = ("front", "behind", "from its left", "from its right")
    assert [axes.get_title() for axes in figure.axes] == ["View 1", *(f"Generated, {side}" for side in sides)]
    assert (figure.axes[1].images[0].get_array() == 255).all()
    with pytest.raises(InputError, match="input picture"):
        figures.visualize_generation([], None)


@pytest.mark.parametrize("channels", [3, 4])
def test_pictures_of_every_kind_become_the_same(channels: int) -> None:
    rgba = np.random.default_rng(0).integers(0, 256, (20, 30, channels), dtype=np.uint8)
    if channels == 4:
        rgba[:5, :, 3] = 0
    floats = rgba.astype(np.float32) / 255
    expected = figures.as_picture(rgba)
    np.testing.assert_array_equal(figures.as_picture(floats), expected)
    np.testing.assert_array_equal(figures.as_picture(torch.from_numpy(floats).permute(2, 0, 1)), expected)
    if channels == 4:
        assert (expected[:5] == 255).all()
    with pytest.raises(InputError, match="three or four channels"):
        figures.as_picture(rgba[..., :2])


def test_the_results_sheet_has_three_tiles_for_each_shape(memory_data, fake_pipeline) -> None:
    samples = list(memory_data("data", "test"))
    sheet = figures.results_sheet(samples, fake_pipeline, columns=2, size=48)
    assert sheet.shape == (48, 6 * 48 + 5 * 2, 3)
    assert (sheet[:, 50:98] != 255).any()
    assert [call["views"] for call in fake_pipeline.calls] == [1, 1]


def test_cases_are_the_best_the_median_and_the_worst() -> None:
    scores = {f"shape{number}": number / 10 for number in range(9)}
    report = {"shapes": {key: {"WaveMesh / 1": {"f_score_005": score}} for key, score in scores.items()}}
    assert figures.chosen_cases(report, "WaveMesh / 1", each=1) == ["shape8", "shape4", "shape0"]
    assert figures.chosen_cases(report, "WaveMesh / 1") == [f"shape{number}" for number in (8, 7, 5, 4, 1, 0)]
    with pytest.raises(InputError, match="'WaveMesh / 4'; its rows are WaveMesh / 1"):
        figures.chosen_cases(report, "WaveMesh / 4")
    with pytest.raises(InputError, match="12 shapes"):
        figures.chosen_cases(report, "WaveMesh / 1", each=4)


def test_a_photograph_stands_beside_its_cut_out_and_meshes(ball: trimesh.Trimesh) -> None:
    cut_out = Image.fromarray(np.full((32, 32, 4), 90, np.uint8))
    seen = []

    class Fake:
        def __call__(self, views: list[View], seed: int) -> SimpleNamespace:
            seen.append(views[0].camera)
            if len(seen) > 2:
                raise InputError("Nothing is left of the picture.")
            return SimpleNamespace(mesh=ball, views=[SimpleNamespace(picture=cut_out, camera=Camera(20.0, 10.0))])

    photograph = np.full((40, 60, 3), 130, np.uint8)
    sheet = figures.photographs_sheet([photograph, photograph], [Fake(), Fake()], size=48)
    assert seen == [None] * 4
    assert sheet.shape == (2 * 48 + 2, 10 * 48 + 9 * 2, 3)
    tiles = [[sheet[row : row + 48, column * 50 : column * 50 + 48] for column in range(10)] for row in (0, 50)]
    assert (tiles[0][0][24] == 130).all()
    assert (tiles[0][0][0] == 255).all()  # a wide picture leaves room above it
    assert all((tile != 255).any() for tile in tiles[0])
    assert all((tile == 255).all() for tile in tiles[1][1:])


def test_loss_curves_are_smoothed_and_refuse_nothing() -> None:
    values = [(float(step), 1.0 / (step + 1)) for step in range(200)]
    figure = figures.loss_curves({"coarse": values, "detail": values[:3], "none": []})
    axes = figure.axes[0]
    assert axes.get_yscale() == "log"
    assert [line.get_label() for line in axes.lines][::2] == ["coarse", "detail"]
    smooth = axes.lines[0].get_ydata()
    np.testing.assert_allclose(smooth[0], np.mean([value for _, value in values[:4]]))
    with pytest.raises(InputError):
        figures.loss_curves({"none": []})


def test_losses_are_read_from_a_log_that_was_cut_off(tmp_path: Path) -> None:
    log = tmp_path / "losses.jsonl"
    records = [{"step": 1, "loss": 2.0, "lr": 0.1}, {"step": 2, "loss": None}, {"step": 3, "loss": 1.0, "sdf_loss": 4}]
    log.write_text("\n".join(json.dumps(record) for record in records) + '\n{"step": 4, "lo')
    assert figures.read_losses(log) == {"loss": [(1.0, 2.0), (3.0, 1.0)], "sdf_loss": [(3.0, 4.0)]}
    log.write_text("")
    with pytest.raises(InputError, match="no records"):
        figures.read_losses(log)
