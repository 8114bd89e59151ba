"""Strict conversion between configuration dataclasses and JSON.

Every model, preset and bundle is described by a dataclass of plain values. A file that was written by hand or by
another version is read with the types checked, so that a typing error is a sentence and not a network of the wrong
width. Stands at the bottom of the package: checkpoints, training and the pipelines read their settings through it.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import os
import tempfile
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, Union

from wavemesh.errors import InputError

Config = TypeVar("Config")


def to_dict(cfg: Any) -> dict[str, Any]:
    """A dictionary of JSON values with every field of the dataclass; tuples become lists, paths become strings.

    Raises TypeError for a value that JSON cannot carry and ValueError for a number that is not finite.
    """
    if not dataclasses.is_dataclass(cfg) or isinstance(cfg, type):
        raise TypeError(f"to_dict takes an instance of a dataclass, not {cfg!r}.")
    return {field.name: _to_json(getattr(cfg, field.name)) for field in dataclasses.fields(cfg)}


def from_dict(cls: type[Config], data: dict[str, Any], *, fill_defaults: bool = False) -> Config:
    """An instance of the dataclass `cls` made of JSON values.

    Unknown keys, missing keys and values of the wrong type raise InputError with the key and the value. Fields may be
    bool, int, float (which takes an int), str, Path, Literal, Optional and other unions, list, tuple, dict with string
    keys, and nested dataclasses. fill_defaults: a missing key takes the field's default, if there is one.
    """
    return _read_dataclass(cls, data, cls.__name__, fill_defaults)


def save_json(cfg: Any, path: str | Path) -> None:
    """Write the dataclass as indented JSON; the file appears whole or not at all."""
    write_text(path, json.dumps(to_dict(cfg), indent=2, allow_nan=False) + "\n")


def load_json(cls: type[Config], path: str | Path, *, fill_defaults: bool = False) -> Config:
    """The dataclass that `save_json` wrote; raises InputError if the file is missing, no JSON or does not fit."""
    return from_dict(cls, read_json(path), fill_defaults=fill_defaults)


def read_json(path: str | Path) -> dict[str, Any]:
    """The JSON object in a file; raises InputError if the file is missing or holds anything else."""
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except FileNotFoundError:
        raise InputError(f"The file {path} does not exist.") from None
    except (OSError, ValueError) as error:
        raise InputError(f"The file {path} is not readable JSON: {error}.") from None
    if not isinstance(data, dict):
        raise InputError(f"The file {path} should hold a JSON object, not {_shown(data)}.")
    return data


def write_text(path: str | Path, text: str) -> None:
    """Write a text file in UTF-8 as `write_bytes` does."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write a file through a temporary one beside it: it appears whole or not at all, and nothing else stays."""
    write_files({Path(path): content})


def write_files(contents: Mapping[Path, bytes]) -> None:
    """Write files that belong together, each through a temporary one beside it: all appear whole, or none at all.

    They are put in their places in the order given once every one of them is written.
    """
    staged: list[tuple[Path, Path]] = []
    placed: list[Path] = []
    try:
        for path, content in contents.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
            staged.append((Path(temporary), path))
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            umask = os.umask(0)
            os.umask(umask)
            os.chmod(temporary, 0o666 & ~umask)  # mkstemp makes files that only their owner may read
        for temporary_path, path in staged:
            new = not path.exists()
            os.replace(temporary_path, path)
            if new:
                placed.append(path)
    except BaseException:
        for leftover in [*(temporary_path for temporary_path, _ in staged), *placed]:
            leftover.unlink(missing_ok=True)
        raise


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number that JSON knows")


def _to_json(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"JSON has no number {value}.")
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return to_dict(value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, list | tuple):
        return [_to_json(item) for item in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: _to_json(item) for key, item in value.items()}
    raise TypeError(f"{value!r} cannot be written as JSON.")


@functools.cache
def _field_types(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _read_dataclass(cls: type[Config], data: Any, where: str, fill_defaults: bool) -> Config:
    if not dataclasses.is_dataclass(cls):
        raise TypeError(f"{cls!r} is not a dataclass.")
    if not isinstance(data, dict):
        raise InputError(f"{where} should be an object with named values, not {_shown(data)}.")
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}
    for key in data:
        if key not in fields:
            raise InputError(f"{where} has no setting {key!r} (its value was {_shown(data[key])}).")
    values = {}
    for name, field in fields.items():
        if name in data:
            values[name] = _read(_field_types(cls)[name], data[name], f"{where}.{name}", fill_defaults)
        elif not fill_defaults or (
            field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        ):
            raise InputError(f"{where} lacks the setting {name!r}; it has {sorted(data)}.")
    return typing.cast(Config, cls(**values))


def _read(hint: Any, value: Any, where: str, fill_defaults: bool) -> Any:
    """The JSON value as the type that the hint asks for."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return _read_dataclass(hint, value, where, fill_defaults)
    if origin is typing.Annotated:
        return _read(arguments[0], value, where, fill_defaults)
    if origin is Literal:
        # 1 == True in Python: the type has to agree as well.
        if any(value == choice and type(value) is type(choice) for choice in arguments):
            return value
        raise InputError(f"{where} must be one of {list(arguments)}, not {_shown(value)}.")
    if origin in (Union, types.UnionType):
        return _read_union(arguments, value, where, fill_defaults)
    if origin in (list, tuple, dict) or hint in (list, tuple, dict):
        return _read_container(origin or hint, arguments, value, where, fill_defaults)
    return _read_scalar(hint, value, where)


def _read_scalar(hint: Any, value: Any, where: str) -> Any:
    if hint in (None, type(None)) and value is None:
        return None
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        if math.isfinite(value):
            return float(value)
    elif hint is Path and isinstance(value, str):
        return Path(value)
    elif hint in (bool, int, str) and type(value) is hint:
        return value
    elif hint not in (bool, int, float, str, Path, None, type(None)):
        raise TypeError(f"{where} has the type {hint!r}, which a configuration cannot hold.")
    raise InputError(f"{where} must be {_type_name(hint)}, not {_shown(value)}.")


def _read_union(choices: tuple[Any, ...], value: Any, where: str, fill_defaults: bool) -> Any:
    # An exact type first: in `float | int` the number 3 stays an int.
    for choice in choices:
        if choice is type(value):
            return value
    problems = []
    for choice in choices:
        try:
            return _read(choice, value, where, fill_defaults)
        except InputError as error:
            problems.append((choice, error))
    # With Optional[X] the sentence about X says more than "none of these".
    informative = [error for choice, error in problems if choice is not type(None)]
    if len(informative) == 1:
        raise informative[0]
    raise InputError(f"{where} must be {' or '.join(_type_name(c) for c in choices)}, not {_shown(value)}.")


def _read_container(origin: type, arguments: tuple[Any, ...], value: Any, where: str, fill_defaults: bool) -> Any:
    if origin is dict:
        if not isinstance(value, dict):
            raise InputError(f"{where} must be an object with named values, not {_shown(value)}.")
        item = arguments[1] if arguments else Any
        return {key: _read(item, entry, f"{where}.{key}", fill_defaults) for key, entry in value.items()}
    if not isinstance(value, list | tuple):
        raise InputError(f"{where} must be a list, not {_shown(value)}.")
    if origin is tuple and arguments and arguments[-1] is not Ellipsis:
        if len(value) != len(arguments):
            raise InputError(f"{where} must have {len(arguments)} values, not {len(value)}: {_shown(value)}.")
        hints = list(arguments)
    else:
        hints = [arguments[0] if arguments else Any] * len(value)
    return origin(
        _read(hint, entry, f"{where}[{index}]", fill_defaults)
        for index, (hint, entry) in enumerate(zip(hints, value, strict=True))
    )


def _type_name(hint: Any) -> str:
    names: dict[Any, str] = {
        bool: "true or false",
        int: "an integer",
        float: "a finite number",
        str: "a string",
        Path: "a path",
    }
    if hint in (None, type(None)):
        return "null"
    return names.get(hint) or str(getattr(hint, "__name__", hint))


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
