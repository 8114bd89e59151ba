"""A run as a program asks for it: the arguments of the endpoint "generate", the job that they mean, and its progress.

The declared settings of all methods are arguments: a new one is one by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from wavemesh.errors import InputError
from wavemesh.geometry.frame import SIDES, Side
from wavemesh.settings import METHODS, Setting, Settings, by_option, options, settings_class
from wavemesh.ui.endpoint import Option
from wavemesh.ui.generate.content import make_job
from wavemesh.ui.pictures import MAX_VIEWS, cut_out, parse_cameras, parse_sides
from wavemesh.ui.runner import Job, Update

# Programs may give arguments by place, so what is new comes behind these.
_FIRST = (
    "coarse_steps", "detail_steps", "guidance", "sampler", "seed", "method", "resolution", "threshold", "frames",
    "colours", "background", "steps",
)  # fmt: skip
_MEASURED = ("noise_level", "change", "active_sites", "guidance_norm")
_SIDES_HELP = (
    f"For each picture without a camera the side that it shows, {', '.join(SIDES)} or null; [] says nothing. "
    "Right is what comes in front after walking round to the right."
)
_METHOD_HELP = "The way from pictures to a mesh; what another method has is not looked at."
_STEPS_HELP = "Of every stage, in place of the other steps; a method of one stage takes coarse_steps without it."


def run_options(shipped: Mapping[str, Settings]) -> dict[str, Option]:
    """Each setting of the methods by its option name, the method itself, and the sides of the pictures.

    shipped: the filled settings by method; those of the first are the defaults. None, for what the method says, is the
    default of settings that the first method has not, or whose default is another one elsewhere.
    """
    first = next(iter(shipped))
    found = {"method": Option(_one_of(shipped), first, _METHOD_HELP)}
    for each in METHODS.values():
        for name, setting in options(each).items():
            found.setdefault(name, Option(_hint(setting) | None, None, _help(setting)))
    for name, setting in options(METHODS[first]).items():
        if all(options(each).get(name, setting).default == setting.default for each in METHODS.values()):
            found[name] = Option(_hint(setting), getattr(shipped[first], setting.name), _help(setting))
    found["steps"] = found["steps"]._replace(help=_STEPS_HELP)
    ordered = {name: found[name] for name in (*_FIRST, *(name for name in found if name not in _FIRST))}
    return {**ordered, "sides": Option(tuple[Side | None, ...], (), _SIDES_HELP)}


def requested_job(
    paths: Sequence[str], cameras: Any, given: Mapping[str, Any], masks: Sequence[str | None] = ()
) -> Job:
    """The job of a program, from picture files, cameras as JSON has them, and arguments such as `run_options` names.

    masks: files that say what is the object, one or None for each picture; none at all has all cut out.
    Raises InputError for what cannot be used.
    """
    if len(paths) > MAX_VIEWS:
        raise InputError(f"At most {MAX_VIEWS} pictures can be used, not {len(paths)}.")
    if masks and len(masks) != len(paths):
        raise InputError(
            f"Masks must be a list with one entry for each of the {len(paths)} pictures, not {len(masks)}."
        )
    known, settings = parse_cameras(cameras, len(paths)), chosen_settings(given)
    sides = parse_sides(given.get("sides"), len(paths))
    pairs = zip(paths, masks or [None] * len(paths), strict=True)
    pictures = [cut_out(path, background=settings.background, mask=mask) for path, mask in pairs]
    job = make_job(pictures, True, settings)
    # Pictures with their cameras as they are: nothing has to be cropped around what a person turned.
    views = tuple((picture, camera) for (picture, _), camera in zip(job.views, known, strict=True))
    return replace(job, views=views, sides=sides)


def progress_facts(update: Update) -> dict[str, Any]:
    """An update as numbers and words; after a step with what was measured of it, at the end with what was made."""
    facts: dict[str, Any] = {"stage": update.stage, "step": update.step, "num_steps": update.num_steps}
    facts["message"] = update.progress.message
    if update.measured is not None:
        facts |= {name: getattr(update.measured, name) for name in _MEASURED}
    if update.result is not None:
        made = update.result
        facts |= {"vertices": made.vertices, "faces": made.faces, "seconds": round(made.seconds, 2)}
        pairs = zip(made.cut_by, made.notes, strict=True)
        facts["pictures"] = [{"cut_by": cut_by, "notes": list(notes)} for cut_by, notes in pairs]
    return facts


def chosen_settings(given: Mapping[str, Any]) -> Settings:
    """The settings of a run from such arguments; InputError for what a visitor may not ask for."""
    own = options(settings_class(str(given["method"])))
    chosen = {name: value for name, value in given.items() if name in own}
    steps = given["coarse_steps"] if given["steps"] is None and "steps" in own else given["steps"]
    if steps is not None:
        chosen = {name: value for name, value in chosen.items() if not name.endswith("steps")} | {"steps": steps}
    for name in own.keys() & chosen.keys():
        own[name].check_visitor(chosen[name])
    return by_option(str(given["method"]), chosen)


def _hint(setting: Setting) -> Any:
    # Of numbers gradio would say that they are strings.
    return _one_of(setting.choices) if setting.choices and setting.kind is str else setting.kind


def _one_of(values: Iterable[Any]) -> Any:
    literal: Any = Literal
    return literal[tuple(values)]


def _help(setting: Setting) -> str:
    allowed, most = setting.offered or setting.choices, setting.limit or setting.maximum
    spread = f"one of {', '.join(map(str, allowed))}" if allowed else f"{setting.minimum or 0} to {most}"
    return f"{setting.label}, {spread}. {setting.help}"
