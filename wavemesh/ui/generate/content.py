"""What the tab "Generate" does when a person acts, without gradio, so that tests can call it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from wavemesh.errors import InputError
from wavemesh.gallery.format import Example
from wavemesh.geometry.camera import Camera
from wavemesh.settings import Settings, declared, settings_class
from wavemesh.ui.generate.presets import presets
from wavemesh.ui.pictures import MAX_VIEWS, Picture, cut_out
from wavemesh.ui.progress import estimate_text
from wavemesh.ui.runner import Job, Result
from wavemesh.ui.studio import Studio

FIRST = "teddy-bear"  # what a first visit shows


def add_pictures(pictures: Sequence[Picture], paths: Sequence[str | Path]) -> tuple[list[Picture], list[str]]:
    """The pictures with new ones behind them, and a sentence for each file that could not be used."""
    result, problems = list(pictures), []
    for number, path in enumerate(paths):
        if len(result) >= MAX_VIEWS:
            left = len(paths) - number
            problems.append(
                f"At most {MAX_VIEWS} pictures can be used; {left} more {'was' if left == 1 else 'were'} left out."
            )
            break
        try:
            result.append(cut_out(path))
        except InputError as error:
            problems.append(str(error))
    return result, problems


def example_pictures(example: Example) -> list[Picture]:
    """The pictures of an example with their cameras."""
    pairs = zip(example.pictures, example.cameras, strict=True)
    return [
        replace(cut_out(path, Camera(**camera), f"{example.name} {number}"), example=example.key)
        for number, (path, camera) in enumerate(pairs, start=1)
    ]


def first_example(examples: Sequence[Example]) -> Example | None:
    """The example that a first visit shows; None where no example has a cached result."""
    having = [example for example in examples if example.result is not None]
    return next((example for example in having if example.key == FIRST), next(iter(having), None))


def chosen_settings(method: str, values: Mapping[str, Any]) -> Settings:
    """The settings of a method from the values of the controls by field name; what other methods have is left out.

    Raises InputError where a value is missing or out of range.
    """
    known = declared(settings_class(method))
    given = {name: value for name, value in values.items() if name in known}
    for name, value in given.items():
        if value is None:
            raise InputError(f"The {known[name].label.lower()} must be given, not {value}.")
        known[name].check_visitor(value)
    return settings_class(method).asked(**given)


def preset_values(settings: Settings) -> dict[str, Any]:
    """The values, by field name, that a preset with these settings sets."""
    return {name: getattr(settings, name) for name, each in declared(type(settings)).items() if each.in_presets}


def agreeing_preset(shipped: Settings, values: Mapping[str, Any]) -> str | None:
    """The preset that the values of the controls happen to agree with, None for values of one's own."""
    for key, preset in presets(shipped).items():
        if all(values[name] == value for name, value in preset_values(preset.settings).items()):
            return key
    return None


def estimate_line(studio: Studio, method: str, values: Mapping[str, Any], variants: int = 1) -> str:
    """How long so many runs with these values of the controls will take, or what is wrong with them."""
    try:
        seconds = studio.estimate(chosen_settings(method, values))
        return estimate_text(None if seconds is None else variants * seconds)
    except InputError as error:
        return str(error)


def make_job(pictures: Sequence[Picture], estimate: bool, settings: Settings) -> Job:
    """The job of a visitor. estimate: whether the cameras are estimated, whatever the pictures say of them.

    Raises InputError without a picture, and for settings that would take too long.
    """
    if not pictures:
        raise InputError("No picture yet: upload one or choose an example first.")
    settings.check_visitor()
    # A camera that is estimated, or that somebody turned, has nothing to do with where the mesh stands.
    origins = {None if estimate else picture.origin for picture in pictures}
    # The network takes cameras in the frame in which it estimated them, whatever the page calls the front.
    front = next((picture.front_deg for picture in pictures if picture.found), 0.0)
    placed = [(image, camera.turned(front)) for image, camera in (picture.placed() for picture in pictures)]
    stem = re.sub(r"[^a-z0-9]+", "-", Path(pictures[0].name).stem.lower()).strip("-")[:40]
    return Job(
        views=tuple((picture.used, None) for picture in pictures) if estimate else tuple(placed),
        sides=tuple(picture.side for picture in pictures) if estimate else (),
        front_deg=None if estimate else front,
        settings=replace(settings, background="none"),  # is cut away already, or to be kept
        name=f"{stem or 'object'}-mesh",
        origin=origins.pop() if len(origins) == 1 else None,
        cut_by=tuple("none" if picture.keeps_background else picture.cut_by for picture in pictures),
    )


def with_found(pictures: Sequence[Picture], ran: Sequence[Picture], result: Result) -> list[Picture] | None:
    """The pictures with the cameras that a run of `ran` estimated for them; None where it had none of the pictures."""
    left = list(zip(ran, result.found, strict=True))
    updated = []
    for picture in pictures:
        place = next((index for index, (each, _) in enumerate(left) if _same_file(each, picture)), None)
        found = None if place is None else left.pop(place)[1]
        updated.append(picture if found is None else replace(picture, found=found, front_deg=result.front_deg))
    return updated if len(left) < len(ran) else None


def same_pictures(ones: Sequence[Picture], others: Sequence[Picture]) -> bool:
    """Whether these are the same pictures, whatever is known of their cameras."""
    return len(ones) == len(others) and all(_same_file(*pair) for pair in zip(ones, others, strict=True))


def _same_file(one: Picture, other: Picture) -> bool:
    same = [(each.name, each.example, each.keeps_background) for each in (one, other)]
    return same[0] == same[1] and one.cutout == other.cutout


def caption(result: Result) -> str:
    """One line about a finished run."""
    facts = f"{result.vertices:,} vertices, {result.faces:,} triangles, {result.seconds:.1f} s, seed {result.seed}"
    return f"Stopped early: this is the shape so far ({facts})." if result.stopped else facts
