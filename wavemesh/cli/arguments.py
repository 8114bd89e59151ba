"""Argument types and option groups that several commands share, and the checks made before anything is computed."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from wavemesh.errors import InputError
from wavemesh.geometry.frame import Side, named_side
from wavemesh.settings import METHODS, Settings, all_options, by_option, options

UNKNOWN = "unknown"  # the word for a picture of which nobody says what side it shows

if TYPE_CHECKING:
    from wavemesh.geometry.camera import Camera


MAX_INTEGER = 2**31 - 1


def integer(minimum: int, maximum: int = MAX_INTEGER) -> Callable[[str], int]:
    """A type for argparse: integers from `minimum` to `maximum`."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:  # of more than 4,300 digits, too
            raise argparse.ArgumentTypeError(f"it takes an integer, not {text!r:.60}") from None
        if value < minimum:
            raise argparse.ArgumentTypeError(f"it must be at least {minimum}, not {text:.60}")
        if value > maximum:
            raise argparse.ArgumentTypeError(f"it must be at most {maximum}, not {text:.60}")
        return value

    return parse


def data_set(text: str) -> str | Path:
    """A folder, or the address of a set that is streamed, which a path would shorten; as a type for argparse."""
    return text if "://" in text else Path(text)


def number(text: str) -> float:
    """A finite number, as a type for argparse."""
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"it takes a number, not {text!r:.60}") from None
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"it takes a finite number, not {text!r:.60}")
    return value


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add --device and --weights."""
    parser.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"), default="auto", help="where to compute")
    parser.add_argument("--weights", metavar="SOURCE", help="a folder or Hub id; the bundled weights if left out")


def add_sampling(parser: argparse.ArgumentParser) -> None:
    """Add --steps and --guidance; what is left out takes the defaults that the weights were shipped with."""
    parser.add_argument("--steps", type=integer(1), metavar="N", help="denoising steps per stage")
    parser.add_argument("--guidance", type=number, metavar="G", help="guidance scale; 1 is plain conditional")


def add_tables(parser: argparse.ArgumentParser, summary: str) -> None:
    """Add --docs and --readme, Markdown files with a place for what the command measures; see `outputs.fill_table`."""
    parser.add_argument("--docs", type=Path, metavar="FILE", help="put the tables into this Markdown file as well")
    parser.add_argument("--readme", type=Path, metavar="FILE", help=f"put {summary} into this Markdown file as well")


_WHOLE = integer(0, 2**63 - 1)  # the settings say themselves what is too much


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Add an option for every declared setting of any method, and --steps for all stages at once."""
    group = parser.add_argument_group("settings", "what is left out takes the default that came with the weights")
    group.add_argument("--steps", type=integer(1), metavar="N", help="denoising steps of every stage")
    for option, declaration in all_options().items():
        if option == "steps":
            continue
        owners = [method for method, kind in METHODS.items() if option in options(kind)]
        only = "" if len(owners) == len(METHODS) else f" ({owners[0]} only)"
        choices = declaration.choices
        group.add_argument(
            f"--{option.replace('_', '-')}",
            type=number if declaration.kind is float else _WHOLE if declaration.kind is int else str,
            choices=None if choices is None else list(choices),
            metavar=None if choices else option[:1].upper(),
            help=(declaration.help.rstrip(".") + only).replace("%", "%%"),
        )


def settings_from(args: argparse.Namespace, method: str) -> Settings:
    """The settings that the options of `add_settings` ask for; InputError for one that the method has not."""
    return by_option(method, {option: getattr(args, option) for option in all_options()})


def cameras_for(
    num_pictures: int,
    azimuths: Sequence[float] | None,
    elevations: Sequence[float] | None,
    distance: float | None,
    fov: float | None,
) -> list[Camera | None]:
    """A camera for every picture, or None for every one if no azimuth is given: then they are estimated.

    Each picture has its own azimuth; one elevation may serve them all. Raises InputError if the counts do not agree.
    """
    if azimuths is None:
        given = {"--elevation": elevations, "--distance": distance, "--fov": fov}
        for name, value in given.items():
            if value is not None:
                raise InputError(f"{name} needs --azimuth as well: without it the cameras are estimated.")
        return [None] * num_pictures
    if len(azimuths) != num_pictures:
        raise InputError(_mismatch("--azimuth", len(azimuths), num_pictures) + "give one for each.")
    levels = list(elevations) if elevations is not None else [0.0]
    if len(levels) == 1:
        levels *= num_pictures
    if len(levels) != num_pictures:
        raise InputError(_mismatch("--elevation", len(levels), num_pictures) + "give one for all, or one for each.")
    from wavemesh.geometry.camera import Camera

    usual = Camera()
    distance = usual.distance if distance is None else distance
    fov = usual.fov_deg if fov is None else fov
    return [Camera(azimuth, elevation, distance, fov) for azimuth, elevation in zip(azimuths, levels, strict=True)]


def sides_for(num_pictures: int, words: Sequence[str] | None, azimuths: Sequence[float] | None) -> list[Side | None]:
    """The side that each picture shows, None where nobody says; InputError for words and counts that do not fit."""
    if words is None:
        return [None] * num_pictures
    if azimuths is not None:
        raise InputError("--view is for cameras that are estimated: leave it out, or --azimuth.")
    sides = [None if word == UNKNOWN else named_side(word) for word in words]
    if len(words) != num_pictures:
        raise InputError(_mismatch("--view", len(words), num_pictures) + "give one for each.")
    return sides


def _mismatch(option: str, num_values: int, num_pictures: int) -> str:
    values, pictures = "value" + "s" * (num_values != 1), "picture" + "s" * (num_pictures != 1)
    return f"There are {num_values} {values} for {option} and {num_pictures} {pictures}: "
