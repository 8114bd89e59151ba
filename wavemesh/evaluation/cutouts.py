"""How well objects are cut out of photographs: composites whose masks are known.

    python -m wavemesh.evaluation.cutouts [--methods auto grabcut] [--scenes 64] [--sheet cutouts.png]

The objects are the pictures of the bundled examples. They stand on photographs (surroundings in `assets/backgrounds`
and textures that come with scikit-image) or on a plain ground, both with a soft shadow where they touch it, with noise
and JPEG. Every scene follows from its number.
"""

from __future__ import annotations

import argparse
import io
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image

from wavemesh.errors import InputError
from wavemesh.imaging import read_picture, remove_background
from wavemesh.rendering.turntable import contact_sheet

ROOT = Path(__file__).resolve().parents[2]
GROUNDS = ("photographs", "plain")
_HEIGHTS, _ASPECTS = (480, 640), (3 / 4, 1.0, 4 / 3)
_SHARP = ("grass.png", "gravel.png", "brick.png")  # the other photographs have a subject of their own


@dataclass(frozen=True)
class Scene:
    """A picture (h, w, 3) uint8 and the true mask (h, w) of its object."""

    picture: UInt8[np.ndarray, "h w 3"]
    mask: Bool[np.ndarray, "h w"]


@dataclass(frozen=True)
class CutoutScores:
    """IoU of cut-outs with the true masks: mean, median, and the shares of the scenes below .8 and .5.

    A refused picture counts as 0. seconds: median of one cut-out.
    """

    mean: float
    median: float
    below_80: float
    below_50: float
    seconds: float
    scenes: int

    def __str__(self) -> str:
        return (
            f"mean {self.mean:.3f}, median {self.median:.3f}, {self.below_80:.0%} below .8, {self.below_50:.0%} below "
            f".5, {self.seconds:.2f} s each, {self.scenes} scenes"
        )


def scenes(ground: str, count: int, examples: Path = ROOT / "examples") -> Iterator[Scene]:
    """The first `count` scenes on "photographs" or "plain" ground; the same ones in every call.

    Raises InputError for another ground, and where the examples or the backgrounds are missing.
    """
    if ground not in GROUNDS:
        raise InputError(f"The ground must be one of {', '.join(GROUNDS)}, not {ground!r}.")
    views = sorted(examples.glob("*/view*.webp"))
    if not views:
        raise InputError(f"There are no pictures in {examples}.")
    for number in range(count):
        rng = np.random.default_rng((number, GROUNDS.index(ground)))
        behind = _plain(_size(rng), rng) if ground == "plain" else surroundings(rng)
        yield composite(read_picture(views[number % len(views)]), behind, rng)


def surroundings(rng: np.random.Generator) -> UInt8[np.ndarray, "h w 3"]:
    """A part of a photograph for an object to stand in. Raises InputError where the photographs are missing."""
    size, backgrounds = _size(rng), _backgrounds()
    if not backgrounds:
        raise InputError(f"There are no backgrounds in {ROOT / 'assets'}.")
    return _window(np.asarray(read_picture(backgrounds[rng.integers(len(backgrounds))]))[..., :3], size, rng)


def composite(cutout: Image.Image, behind: UInt8[np.ndarray, "h w 3"], rng: np.random.Generator) -> Scene:
    """The object (RGBA) before a background: 45 to 80% of the shorter side, lit a little by it, shadow, noise, JPEG."""
    height, width = behind.shape[:2]
    piece = cutout.crop(cutout.getchannel("A").point(lambda a: 255 if a >= 128 else 0).getbbox())
    side = rng.uniform(0.45, 0.8) * min(height, width)
    scale = side / max(piece.size)
    piece = _resized(piece, (max(8, round(piece.width * scale)), max(8, round(piece.height * scale))))
    left = round((width - piece.width) * rng.uniform(0.25, 0.75))
    top = round((height - piece.height) * rng.uniform(0.4, 0.8))
    layer = np.zeros((height, width, 4), dtype=np.float32)
    layer[top : top + piece.height, left : left + piece.width] = np.asarray(piece, dtype=np.float32)
    alpha = layer[..., 3:] / 255.0
    light = rng.uniform(0.75, 1.1) * (0.85 + 0.15 * behind.mean(axis=(0, 1)) / max(1.0, float(behind.mean())))
    shade = _contact_shadow((height, width), (left, top, *piece.size), rng)
    picture = behind * (1.0 - shade) * (1.0 - alpha) + layer[..., :3] * light * alpha
    picture += rng.normal(0.0, rng.uniform(1.0, 4.0), picture.shape)
    file = io.BytesIO()
    Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=int(rng.integers(60, 96)))
    return Scene(np.array(Image.open(file)), alpha[..., 0] >= 0.5)


def cutout_iou(scene: Scene, method: str) -> float:
    """IoU of the cut-out by a method with the true mask; 0 where the picture is refused."""
    try:
        found = np.asarray(remove_background(Image.fromarray(scene.picture), method))[..., 3] >= 128
    except InputError:
        return 0.0
    return float((found & scene.mask).sum() / (found | scene.mask).sum())


def score(several: Sequence[Scene], method: str) -> CutoutScores:
    """The method's scores over scenes."""
    ious, seconds = [], []
    for scene in several:
        start = time.perf_counter()
        ious.append(cutout_iou(scene, method))
        seconds.append(time.perf_counter() - start)
    values = np.array(ious)
    return CutoutScores(
        float(values.mean()),
        float(np.median(values)),
        float((values < 0.8).mean()),
        float((values < 0.5).mean()),
        float(np.median(seconds)),
        len(values),
    )


def _backgrounds() -> list[Path]:
    import skimage.data

    folder = Path(skimage.data.__file__).parent
    surroundings = sorted((ROOT / "assets" / "backgrounds").glob("*.jpg"))
    return surroundings + [folder / name for name in _SHARP if (folder / name).is_file()]


def _size(rng: np.random.Generator) -> tuple[int, int]:
    height = int(rng.choice(_HEIGHTS))
    return height, round(height * float(rng.choice(_ASPECTS)))


def _window(
    photograph: UInt8[np.ndarray, "ph pw 3"], size: tuple[int, int], rng: np.random.Generator
) -> UInt8[np.ndarray, "h w 3"]:
    """A part of a photograph, 50 to 70% of its height, never its upper fifth: there is the sky of surroundings."""
    tall = rng.uniform(0.5, 0.7) * photograph.shape[0]
    high, wide = round(tall), min(photograph.shape[1], round(tall * size[1] / size[0]))
    top = int(rng.integers(photograph.shape[0] // 5, photograph.shape[0] - high + 1))
    left = int(rng.integers(0, photograph.shape[1] - wide + 1))
    part = photograph[top : top + high, left : left + wide]
    return cv2.resize(part, size[::-1], interpolation=cv2.INTER_CUBIC)


def _plain(size: tuple[int, int], rng: np.random.Generator) -> UInt8[np.ndarray, "h w 3"]:
    """One colour, brighter towards one side, from grey to white."""
    height, width = size
    colour = rng.uniform(120, 250) + rng.uniform(-12, 12, 3)
    down, across = np.linspace(-1, 1, height)[:, None, None], np.linspace(-1, 1, width)[None, :, None]
    ramp = 1.0 + rng.uniform(0.0, 0.12) * down + rng.uniform(-0.06, 0.06) * across
    return (colour * ramp).clip(0, 255).astype(np.uint8)


def _contact_shadow(
    size: tuple[int, int], box: tuple[int, int, int, int], rng: np.random.Generator
) -> Float[np.ndarray, "h w 1"]:
    """The share of light that the object keeps from the ground below it: a soft ellipse at the box's lower edge."""
    left, top, width, height = box
    down, across = np.mgrid[: size[0], : size[1]].astype(np.float32)
    half = 0.55 * width * rng.uniform(0.9, 1.2)
    flat = half * rng.uniform(0.12, 0.3)
    middle = left + width / 2 + rng.uniform(-0.15, 0.15) * width
    distance = ((across - middle) / half) ** 2 + ((down - (top + height - 0.3 * flat)) / flat) ** 2
    return (rng.uniform(0.25, 0.6) * np.exp(-1.5 * distance))[..., None].astype(np.float32)


def _resized(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    return picture.convert("RGBa").resize(size, Image.Resampling.LANCZOS).convert("RGBA")


def _sheet(several: Sequence[Scene], method: str) -> UInt8[np.ndarray, "h w 3"]:
    """Scenes beside their cut-outs."""
    pictures = []
    for scene in several:
        try:
            cutout = remove_background(Image.fromarray(scene.picture), method)
        except InputError:
            cutout = Image.new("RGBA", scene.picture.shape[1::-1])
        pink = Image.new("RGBA", cutout.size, (255, 0, 200, 255))
        pictures += [Image.fromarray(scene.picture), Image.alpha_composite(pink, cutout).convert("RGB")]
    return contact_sheet([np.asarray(each.resize((200, 200))) for each in pictures], columns=8)


def main(arguments: Sequence[str] | None = None) -> None:
    """Score methods on both grounds and write a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", default=["auto", "grabcut"])
    parser.add_argument("--scenes", type=int, default=64, help="of each ground")
    parser.add_argument("--sheet", type=Path, help="a picture of the scenes with the first method's cut-outs")
    asked = parser.parse_args(arguments)
    for ground in GROUNDS:
        several = list(scenes(ground, asked.scenes))
        for method in asked.methods:
            sys.stdout.write(f"{ground}, {method}: {score(several, method)}\n")
        if asked.sheet:
            path = asked.sheet.with_stem(f"{asked.sheet.stem}-{ground}")
            Image.fromarray(_sheet(several[:32], asked.methods[0])).save(path)


if __name__ == "__main__":
    main()
