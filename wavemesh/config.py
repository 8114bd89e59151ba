"""Strict conversion between configuration dataclasses and JSON values.

Every model, preset and bundle is described by a dataclass of plain values. A file that was written by hand or by
another version is read with the types checked, so that a typing error is a sentence and not a network of the wrong
width. Stands at the bottom of the package: checkpoints, training and the pipelines read their settings through it.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import pydantic

from wavemesh.errors import InputError

Config = TypeVar("Config")

# What a file may ask for. Code may build what it likes: the bounds hold where a configuration is read.
Pixels = Annotated[int, pydantic.Field(ge=16, le=1024)]  # a side of a picture
Cells = Annotated[int, pydantic.Field(ge=4, le=256)]  # a side of a grid
Width = Annotated[int, pydantic.Field(ge=1, le=4096)]  # channels
Widths = Annotated[tuple[Width, ...], pydantic.Field(min_length=1, max_length=8)]
Count = Annotated[int, pydantic.Field(ge=0, le=64)]  # of blocks, heads, steps of a few
Heads = Annotated[int, pydantic.Field(ge=1, le=64)]
Counts = Annotated[tuple[Count, ...], pydantic.Field(min_length=1, max_length=8)]
Positive = Annotated[float, pydantic.Field(gt=0.0, le=1e6)]


def to_dict(cfg: Any) -> dict[str, Any]:
    """A dictionary of JSON values with every field of the dataclass; tuples become lists, paths become strings.

    Raises TypeError for a value that JSON cannot carry and ValueError for a number that is not finite.
    """
    return json.loads(json.dumps(dataclasses.asdict(cfg), allow_nan=False, default=os.fspath))


def from_dict(cls: type[Config], data: dict[str, Any], *, fill_defaults: bool = False) -> Config:
    """An instance of the dataclass `cls` made of JSON values.

    Unknown keys, missing keys, numbers that are not finite and values of the wrong type raise InputError with the path
    of the key and the value. fill_defaults: a missing key takes the field's default, if there is one.
    """
    try:
        cfg = _reader(cls)(json.dumps({cls.__name__: data}))[cls.__name__]  # type: ignore[arg-type]
    except (TypeError, RecursionError) as error:
        raise InputError(f"{cls.__name__} is read from JSON values: {error}.") from None
    except pydantic.ValidationError as error:
        raise _explained(error, {cls.__name__: data}) from None
    if not fill_defaults:
        _refuse_gaps(data, to_dict(cfg), cls.__name__)
    return cfg


@functools.cache
def _reader(cls: type) -> Callable[[str], dict[str, Any]]:
    # Under its name: the paths of errors begin with it, and the settings here reach dataclasses within dataclasses.
    settings = pydantic.ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
    return pydantic.TypeAdapter(dict[str, cls], config=settings).validate_json  # type: ignore[valid-type]


def _explained(error: pydantic.ValidationError, data: Any) -> InputError:
    """What does not fit, as one sentence; the InputError of a dataclass itself stays as it is."""
    problem = max(error.errors(include_url=False), key=lambda each: len(each["loc"]))  # of a union, the nearest member
    own = problem.get("ctx", {}).get("error")
    if isinstance(own, InputError):
        return own
    where, value = "", data
    for key in problem["loc"]:
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):  # a key that is missing, or pydantic's name of a union's member
            continue
        where += f"[{key}]" if isinstance(key, int) else f".{key}"
    if problem["type"] == "missing":
        return InputError(f"{where[1:]} lacks the setting {key!r}; it has {_shown(value)}.")
    if problem["type"] == "unexpected_keyword_argument":
        return InputError(f"{where[1:].removesuffix(f'.{key}')} has no setting {key!r}; its value was {_shown(value)}.")
    said = problem["msg"]
    return InputError(f"{where[1:]}: {said[0].lower()}{said[1:]}; it is {_shown(value)}.")


def _refuse_gaps(data: Any, whole: Any, where: str) -> None:
    """Raise InputError where the whole configuration has a setting that the data had not."""
    if isinstance(whole, dict):
        for key, value in whole.items():
            if key not in data:
                raise InputError(f"{where} lacks the setting {key!r}; it has {_shown(data)}.")
            _refuse_gaps(data[key], value, f"{where}.{key}")
    elif isinstance(whole, list):
        for index, value in enumerate(whole):
            _refuse_gaps(data[index], value, f"{where}[{index}]")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
