"""Single settings of a training by name, as `train --set NAME=VALUE` gives them, checked against the typed ones.

A bare name is one of the loop, of the task or of the model's configuration; a dotted one goes further into the latter:
`ema_decay=0.99`, `drop_prob=0.1`, `encoder.scales=[128,64]`, `diffusion.timesteps=500`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from wavemesh.config import from_dict
from wavemesh.errors import InputError
from wavemesh.training.settings import LoopConfig

# These have options of their own, which everything else that they touch goes by.
ELSEWHERE = {"out_dir": "-o", "init_from": "--init", "device": "--device"}


@dataclass(frozen=True)
class Kinds:
    """The dataclasses that a task's options and its model's configuration are of; None where it has none to set."""

    options: type | None = None
    model: type | None = None


def parse_settings(pairs: Iterable[str]) -> dict[str, Any]:
    """Values by name of texts `NAME=VALUE`; a value is JSON, or else a word. Raises InputError for other texts."""
    settings = {}
    for pair in pairs:
        name, sign, text = pair.partition("=")
        if not sign or not name.strip():
            raise InputError(f"A setting is given as NAME=VALUE, not {pair!r:.80}.")
        try:
            settings[name.strip()] = json.loads(text)
        except (ValueError, RecursionError):
            settings[name.strip()] = text
    return settings


def typed_settings(
    kinds: Kinds,
    loop: Mapping[str, Any],
    options: Mapping[str, Any],
    model: Mapping[str, Any],
    settings: Mapping[str, Any],
) -> dict[str, dict[str, Any]]:
    """The `loop`, `task_options` and `model` of a preset with the settings in their places.

    Raises InputError for a setting that there is not, and for a value that cannot be one.
    """
    changed = {"loop": dict(loop), "task_options": dict(options), "model": _copy(model)}
    for name, value in settings.items():
        if name in ELSEWHERE:
            raise InputError(f"{name} is set by {ELSEWHERE[name]}.")
        if name in _names(LoopConfig):
            changed["loop"][name] = value
        elif name in _names(kinds.options):
            changed["task_options"][name] = value
        elif name.partition(".")[0] in _names(kinds.model):
            _place(changed["model"], name, value)
        else:
            known = sorted({*_names(LoopConfig), *_names(kinds.options), *_names(kinds.model)} - set(ELSEWHERE))
            raise InputError(f"Training has no setting {name!r:.80} here; it has {', '.join(known)}.")
    checked = from_dict(LoopConfig, {"out_dir": "", **_copy(changed["loop"])}, fill_defaults=True)
    changed["loop"] = {name: getattr(checked, name) for name in changed["loop"]}
    if kinds.options is not None:
        typed: Any = from_dict(kinds.options, _copy(changed["task_options"]), fill_defaults=True)
        changed["task_options"] = {name: getattr(typed, name) for name in changed["task_options"]}
    if kinds.model is not None:
        from_dict(kinds.model, changed["model"], fill_defaults=True)
    return changed


def _names(kind: type | None) -> set[str]:
    return set() if kind is None else {each.name for each in fields(kind)}


def _place(model: dict[str, Any], name: str, value: Any) -> None:
    """Put a value where a dotted name says, into dictionaries that are made on the way."""
    *way, last = name.split(".")
    for place, each in enumerate(way):
        model = model.setdefault(each, {})
        if not isinstance(model, dict):
            raise InputError(f"{'.'.join(way[: place + 1])} has no settings of its own, so there is no {name!r:.80}.")
    model[last] = value


def _copy(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as JSON has them: dictionaries and lists that are nobody else's."""
    return json.loads(json.dumps(values))
