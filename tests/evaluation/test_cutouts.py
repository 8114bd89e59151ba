"""Scenes whose masks are known: they repeat, their truth is the object's, and methods are scored against it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from wavemesh.errors import InputError
from wavemesh.evaluation import cutouts
from wavemesh.evaluation.cutouts import GROUNDS, Scene, composite, cutout_iou, scenes, score


@pytest.mark.parametrize("ground", GROUNDS)
def test_scenes_repeat_and_differ(ground: str) -> None:
    first, again = list(scenes(ground, 3)), list(scenes(ground, 3))
    for one, other in zip(first, again, strict=True):
        assert np.array_equal(one.picture, other.picture)
        assert np.array_equal(one.mask, other.mask)
        assert one.picture.shape == (*one.mask.shape, 3)
        assert 0.005 < one.mask.mean() < 0.65
    assert not np.array_equal(first[0].mask, first[1].mask)


def test_a_composite_has_its_object_where_the_mask_says_and_a_shadow_beside_it() -> None:
    disc = Image.new("RGBA", (100, 100), (0, 0, 0, 0))
    ImageDraw.Draw(disc).ellipse((10, 10, 89, 89), fill=(255, 0, 0, 255))
    scene = composite(disc, np.full((300, 400, 3), 200, dtype=np.uint8), np.random.default_rng(0))
    red = scene.picture[..., 0].astype(int) - scene.picture[..., 1] > 60
    assert (red & scene.mask).sum() / (red | scene.mask).sum() > 0.97
    grey = scene.picture.mean(axis=-1)
    assert grey[~scene.mask].min() < 180 < np.median(grey[~scene.mask])


def test_scores_count_refused_pictures_as_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    mask = np.zeros((40, 40), dtype=bool)
    mask[10:30, 10:30] = True

    def answering(alpha: np.ndarray) -> Callable[..., Image.Image]:
        return lambda picture, method: Image.merge("RGBA", [*picture.split(), Image.fromarray(alpha)])

    scene = Scene(np.zeros((40, 40, 3), dtype=np.uint8), mask)
    monkeypatch.setattr(cutouts, "remove_background", answering((mask * 255).astype(np.uint8)))
    assert cutout_iou(scene, "auto") == 1.0
    half = mask.copy()
    half[20:] = False
    monkeypatch.setattr(cutouts, "remove_background", answering((half * 255).astype(np.uint8)))
    assert cutout_iou(scene, "auto") == 0.5

    def refuse(*_: object) -> Image.Image:
        raise InputError("no foreground")

    monkeypatch.setattr(cutouts, "remove_background", refuse)
    found = score([scene, scene], "auto")
    assert (found.mean, found.below_80, found.below_50, found.scenes) == (0.0, 1.0, 1.0, 2)
    assert "100% below .8" in str(found)


def test_bad_requests(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'marble'"):
        next(scenes("marble", 1))
    with pytest.raises(InputError, match="no pictures"):
        next(scenes("plain", 1, tmp_path))


@pytest.mark.slow
def test_the_network_beats_colour_alone_on_photographs(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    cutouts.main(["--scenes", "8", "--methods", "auto", "grabcut", "--sheet", str(tmp_path / "sheet.png")])
    means = [float(line.split("mean ")[1][:5]) for line in capsys.readouterr().out.splitlines()]
    assert means[0] > means[1] + 0.1
    assert means[2] > means[3]
    with Image.open(tmp_path / "sheet-plain.png") as sheet:
        assert sheet.width > 400
