"""Typed functions as endpoints: gradio makes documentation, OpenAPI and tools for agents of their annotations.

What comes in is checked against its annotation, and what cannot be done reaches the program as one sentence.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
from gradio import FileData
from pydantic import TypeAdapter, ValidationError

from wavemesh.budget import QUESTION_CPU_S, budget
from wavemesh.errors import InputError


class Option(NamedTuple):
    """A keyword argument of an endpoint: its type, its default, and what it means."""

    hint: Any
    default: Any
    help: str


def offer(
    endpoint: Callable[..., Any],
    options: Mapping[str, Option] | None = None,
    cpu_s: float = QUESTION_CPU_S,
    **limits: Any,
) -> None:
    """Make a typed function an endpoint of the current Blocks, under its name; limits go to `gr.api`.

    Of an iterator each item is sent when it comes. options: what the function takes by keyword behind its own
    parameters, unchecked. None stands for the default of any argument that has one. cpu_s: its budget, unless it
    iterates.
    """
    hints = typing.get_type_hints(endpoint, include_extras=True)
    signature, documentation, streams = _described(endpoint, options or {})
    answer = TypeAdapter(signature.return_annotation)

    def call(values: tuple[Any, ...]) -> Any:
        arguments = {}
        for parameter, value in zip(signature.parameters.values(), values, strict=True):
            if value is None and parameter.default is not parameter.empty:
                value = parameter.default
            own = parameter.name in hints and parameter.annotation is not gr.Request
            arguments[parameter.name] = checked(parameter.name, hints[parameter.name], value) if own else value
        return endpoint(**arguments)

    def answered(*values: Any) -> Any:
        with _refusals(), budget(cpu_s):
            return answer.dump_python(call(values))

    def streamed(*values: Any) -> Iterator[Any]:
        with _refusals():
            for each in call(values):
                yield answer.dump_python(each)

    # Without the wrapper of a type checker, which would hide from gradio that it is a generator.
    function: Any = inspect.unwrap(streamed if streams else answered)
    function.__name__, function.__doc__, function.__signature__ = endpoint.__name__, documentation, signature
    function.__annotations__ = {name: each.annotation for name, each in signature.parameters.items()}
    gr.api(function, api_name=endpoint.__name__, **limits)


def checked(name: str, hint: Any, value: Any) -> Any:
    """The value of an argument as its type says; InputError where it is something else."""
    try:
        # As gradio's own components: a file that it has not checked itself, on its way in, is refused.
        return TypeAdapter(hint).validate_python(value, context={"validate_meta": True})
    except ValidationError as error:
        if FileData in (hint, *typing.get_args(hint)) or hint == list[FileData | None]:
            wanted = "a list of files" if typing.get_origin(hint) is list else "a file"
            raise InputError(f"The argument {name} must be {wanted}, not {value!r:.80}.") from None
        first = error.errors()[0]
        said = first["msg"].replace("Input", "input").replace("tuple", "list")
        raise InputError(f"The argument {name}: {said}, not {first['input']!r:.60}.") from None


def sent_file(path: str | Path) -> FileData:
    """A file as an endpoint gives it back."""
    path = Path(path)
    return FileData(path=str(path), orig_name=path.name, size=path.stat().st_size)


@contextmanager
def _refusals() -> Iterator[None]:
    """What cannot be done reaches the program as one sentence."""
    try:
        yield
    except InputError as error:
        raise gr.Error(str(error), print_exception=False) from error


def _described(endpoint: Callable[..., Any], options: Mapping[str, Option]) -> tuple[inspect.Signature, str, bool]:
    """The signature with types for names of types and with the options, the docstring, and whether it iterates."""
    hints = typing.get_type_hints(endpoint)
    gives = hints["return"]
    streams = typing.get_origin(gives) is Iterator
    parameters = [
        parameter.replace(annotation=hints[name])
        for name, parameter in inspect.signature(endpoint).parameters.items()
        if parameter.kind is not parameter.VAR_KEYWORD
    ]
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    for name, option in options.items():
        parameters.append(inspect.Parameter(name, kind, default=option.default, annotation=option.hint))
    lines = "".join(f"\n    {name}: {option.help}" for name, option in options.items())
    documentation = (inspect.getdoc(endpoint) or "").replace("\n\nReturns:", f"{lines}\n\nReturns:")
    signature = inspect.Signature(parameters, return_annotation=typing.get_args(gives)[0] if streams else gives)
    return signature, documentation, streams
