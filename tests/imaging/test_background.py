"""Background removal: drawn objects on drawn backgrounds, compared with the shape that was drawn."""

from __future__ import annotations

import importlib.util

import cv2
import numpy as np
import pytest
from PIL import Image

from wavemesh.errors import InputError
from wavemesh.imaging import METHODS, cut_out, remove_background

SIDE = 240


def scene(kind: str, seed: int = 0) -> tuple[Image.Image, np.ndarray]:
    """A picture without alpha and the true mask of its object."""
    rng = np.random.default_rng(seed)
    ramp = np.linspace(0, 1, SIDE)[:, None, None]
    backgrounds = {
        "white": np.full((SIDE, SIDE, 3), 245.0),
        "gradient": np.array([225.0, 225, 230]) * (1 - ramp)
        + np.array([150.0, 155, 165]) * ramp
        + np.zeros((SIDE, SIDE, 3)),
        "wall and floor": np.where(ramp < 0.6, [205.0, 200, 190], [120.0, 90, 60]) + np.zeros((SIDE, SIDE, 3)),
    }
    picture = backgrounds[kind] + rng.normal(0, 3, (SIDE, SIDE, 3))
    mask = np.zeros((SIDE, SIDE), dtype=np.uint8)
    cv2.rectangle(mask, (80, 60), (160, 130), 1, -1)
    for x in (80, 148):  # legs with an opening between them
        cv2.rectangle(mask, (x, 130), (x + 12, 195), 1, -1)
    picture = np.where(mask[..., None] > 0, np.array([40.0, 90, 160]) + rng.normal(0, 8, picture.shape), picture)
    return Image.fromarray(picture.clip(0, 255).astype(np.uint8), "RGB"), mask > 0


def overlap(found: Image.Image, truth: np.ndarray) -> float:
    mask = np.asarray(found)[..., 3] >= 128
    return float((mask & truth).sum() / (mask | truth).sum())


@pytest.mark.parametrize("kind", ["white", "gradient", "wall and floor"])
def test_grabcut_finds_the_object(kind: str) -> None:
    picture, truth = scene(kind)
    found = remove_background(picture, "grabcut")
    assert found.mode == "RGBA"
    assert found.size == picture.size
    assert overlap(found, truth) > 0.93
    assert np.asarray(found)[165, 120, 3] == 0  # the opening between the legs
    # Straight alpha: colours are the picture's own, not darkened.
    assert np.array_equal(np.asarray(found)[..., :3], np.asarray(picture))


def test_grabcut_is_repeatable_and_works_at_full_size() -> None:
    picture, truth = scene("gradient")
    large = picture.resize((1200, 1200), Image.Resampling.BICUBIC)
    first, second = (np.asarray(remove_background(large, "grabcut")) for _ in range(2))
    assert np.array_equal(first, second)
    truth = np.kron(truth, np.ones((5, 5))) > 0
    assert overlap(Image.fromarray(first, "RGBA"), truth) > 0.93


def test_an_object_that_touches_the_border() -> None:
    picture, truth = scene("white")
    cut = picture.crop((100, 0, SIDE, SIDE))
    assert overlap(remove_background(cut, "grabcut"), truth[:, 100:]) > 0.9


def test_auto_keeps_the_alpha_that_is_there() -> None:
    picture, truth = scene("white")
    picture.putalpha(Image.fromarray((truth * 200).astype(np.uint8)))
    for method in ("auto", "alpha"):
        assert np.array_equal(np.asarray(remove_background(picture, method)), np.asarray(picture))


def test_auto_asks_the_network_and_colour_finds_the_edge() -> None:
    picture, truth = scene("wall and floor")
    cutout = cut_out(picture)
    assert cutout.method == "u2netp"
    assert cutout.notes == ()
    assert overlap(cutout.picture, truth) > 0.93
    assert np.array_equal(np.asarray(cutout.picture)[..., :3], np.asarray(picture))


def ball(mask: np.ndarray, centre: tuple[int, int], radius: int) -> None:
    cv2.circle(mask, centre, radius, 1, -1, cv2.LINE_8)


def hard_scene(kind: str) -> tuple[Image.Image, np.ndarray]:
    """A picture that asks more of a cut-out, with the true mask of its object."""
    rng = np.random.default_rng(0)
    picture = np.full((SIDE, SIDE, 3), 205.0) - 40 * np.linspace(0, 1, SIDE)[:, None, None]
    mask = np.zeros((SIDE, SIDE), dtype=np.uint8)
    colour = np.array([170.0, 60, 40])
    if kind == "at one border":
        cv2.rectangle(mask, (0, 70), (130, 170), 1, -1)
    elif kind == "at two borders":
        cv2.rectangle(mask, (100, 90), (SIDE, SIDE), 1, -1)
    elif kind == "two things":
        ball(mask, (70, 120), 40)
        ball(mask, (175, 120), 38)
    elif kind == "thin legs":
        cv2.rectangle(mask, (60, 60), (180, 110), 1, -1)
        for x in (62, 118, 175):
            cv2.rectangle(mask, (x, 110), (x + 3, 200), 1, -1)
    elif kind == "white on white":
        picture[:] = 250.0
        ball(mask, (120, 120), 60)
        colour = np.array([235.0, 235, 232]) - 35 * np.linspace(0, 1, SIDE)[:, None, None]
    else:  # a shadow where it stands, which is no part of it
        cv2.rectangle(mask, (80, 60), (160, 180), 1, -1)
        shadow = np.zeros((SIDE, SIDE), dtype=np.float32)
        cv2.ellipse(shadow, (120, 182), (75, 14), 0, 0, 360, 0.5, -1)
        picture *= 1.0 - cv2.GaussianBlur(shadow, (0, 0), 6)[..., None]
    picture = np.where(mask[..., None] > 0, colour, picture) + rng.normal(0, 2, picture.shape)
    return Image.fromarray(picture.clip(0, 255).astype(np.uint8)), mask > 0


@pytest.mark.parametrize(
    ("kind", "remark"),
    [
        ("at one border", "touches the left border"),
        ("at two borders", "touches the right and lower border"),
        ("two things", "2 separate things"),
        ("thin legs", ""),
        ("white on white", ""),
        ("on its shadow", ""),
    ],
)
def test_auto_on_harder_pictures(kind: str, remark: str) -> None:
    picture, truth = hard_scene(kind)
    cutout = cut_out(picture)
    assert overlap(cutout.picture, truth) > 0.94
    assert remark in " ".join(cutout.notes)
    assert bool(remark) == bool(cutout.notes)


def test_auto_without_the_network_takes_grabcut(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def missing(*_: object) -> None:
        raise InputError("The bundled weights are missing.")

    monkeypatch.setattr("wavemesh.imaging.u2netp.saliency", missing)
    picture, truth = scene("white")
    cutout = cut_out(picture)
    assert cutout.method == "grabcut"
    assert overlap(cutout.picture, truth) > 0.93
    assert "bundled weights are missing" in caplog.text
    with pytest.raises(InputError, match="bundled weights are missing"):
        cut_out(picture, "u2netp")


def test_rembg_by_name_only(monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "rembg" else find_spec(name))
    with pytest.raises(InputError, match="rembg, which is not installed"):
        remove_background(scene("white")[0], "rembg")


@pytest.mark.parametrize("kind", ["grey", "alpha", "half size"])
def test_a_mask_takes_the_place_of_any_method(kind: str) -> None:
    picture, truth = scene("white")
    mask = Image.fromarray((truth * 255).astype(np.uint8))
    if kind == "alpha":
        mask = Image.merge("RGBA", [Image.new("L", mask.size, 77)] * 3 + [mask])
    if kind == "half size":  # as where the picture was decoded reduced, or the mask was
        mask = mask.resize((SIDE // 2, SIDE // 2))
    cutout = cut_out(picture, "grabcut", mask=mask)
    assert cutout.method == "mask"
    assert overlap(cutout.picture, truth) > (0.95 if kind == "half size" else 0.9999)


def test_masks_that_cannot_be_used() -> None:
    picture, _ = scene("white")
    with pytest.raises(InputError, match=r"mask of tea\.png \(240 x 200 pixels\) does not fit .*240 x 240"):
        cut_out(picture, name="tea.png", mask=Image.new("L", (240, 200), 255))
    with pytest.raises(InputError, match="no foreground"):
        cut_out(picture, mask=Image.new("L", picture.size, 0))
    # Wholly white: the person says that there is no background, and is told what that means.
    assert "fills 100% of the picture" in cut_out(picture, mask=Image.new("L", picture.size, 255)).notes[0]


def test_none_changes_nothing() -> None:
    picture, _ = scene("white")
    assert np.array_equal(np.asarray(remove_background(picture, "none")), np.asarray(picture.convert("RGBA")))


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (7, 7), (64, 48)])
@pytest.mark.parametrize("method", ["auto", "grabcut"])
def test_no_foreground_is_said_plainly(size: tuple[int, int], method: str) -> None:
    with pytest.raises(InputError) as error:
        remove_background(Image.new("RGB", size, (90, 120, 60)), method, name="grass.png")
    message = str(error.value)
    assert "grass.png" in message
    assert f"{size[0]} x {size[1]} pixels" in message
    assert "no foreground" in message


def test_a_wholly_transparent_picture_has_no_foreground() -> None:
    with pytest.raises(InputError, match="no foreground"):
        remove_background(Image.new("RGBA", (16, 16)))


def test_bad_requests() -> None:
    with pytest.raises(InputError, match=r"'magic'.*grabcut"):
        remove_background(Image.new("RGB", (8, 8)), "magic")
    with pytest.raises(InputError, match="no transparent background"):
        remove_background(Image.new("RGB", (8, 8)), "alpha")
    assert set(METHODS) == {"auto", "alpha", "u2netp", "rembg", "grabcut", "none"}


@pytest.mark.parametrize("seed", range(3))
def test_pure_noise_works_or_is_refused(seed: int) -> None:
    noise = np.random.default_rng(seed).integers(0, 255, (60, 90, 3), dtype=np.uint8)
    try:
        outcome = str(remove_background(Image.fromarray(noise), "grabcut").size)
    except InputError as error:
        outcome = str(error)
    assert outcome == "(90, 60)" or "no foreground" in outcome
