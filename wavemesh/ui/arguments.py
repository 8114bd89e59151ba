"""Arguments of endpoints with schemas that hold for themselves, so that agents (MCP) can call what takes them.

gradio's own say {"type": {}} for JSON, and refer to definitions that are lost on the way for lists of files; a
validator accepts neither.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import gradio as gr


def json_argument(value: list[Any] | dict[str, Any], label: str, entries: dict[str, Any] | None = None) -> gr.JSON:
    """A JSON component for a list or an object, whichever the default value is.

    entries: the schema of the list's items or of the object's values; None lets them be anything.
    """
    holds: dict[str, Any]
    if isinstance(value, list):
        holds = {"type": "array", "items": entries or {}}
    else:
        holds = {"type": "object", "additionalProperties": entries or {}}
    return _described(gr.JSON(value, label=label), {**holds, "description": label})


def files_argument(label: str) -> gr.File:
    """A component for several files."""
    component = gr.File(label=label, file_count="multiple", type="filepath")
    return _described(component, _inlined(component.api_info(), {}))


def accept_file_lists(server: Any) -> None:
    """Let gradio's MCP server read lists of files; by itself it looks for files in single arguments only."""
    convert = server.convert_strings_to_filedata

    def converted(value: Any, positions: Sequence[Sequence[str | int]]) -> Any:
        return convert(value, [place for position in positions for place in _places(value, position)])

    server.convert_strings_to_filedata = converted


def _described(component: Any, schema: dict[str, Any]) -> Any:
    # On the object: a subclass would need a template of its own in the page.
    component.api_info_as_input = lambda: schema
    return component


def _inlined(node: Any, definitions: dict[str, Any]) -> Any:
    """A JSON schema with its definitions where they are referred to."""
    if isinstance(node, list):
        return [_inlined(entry, definitions) for entry in node]
    if not isinstance(node, dict):
        return node
    definitions = {**definitions, **node.get("$defs", {})}
    if "$ref" in node:
        return _inlined(definitions[node["$ref"].rpartition("/")[2]], definitions)
    return {key: _inlined(entry, definitions) for key, entry in node.items() if key != "$defs"}


def _places(value: Any, position: Sequence[str | int]) -> Iterator[list[str | int]]:
    """Where in a value the position in its schema points to: "items" stands for every entry of a list."""
    if not position:
        yield []
    elif position[0] == "items" and isinstance(value, list):
        for index, entry in enumerate(value):
            yield from ([index, *rest] for rest in _places(entry, position[1:]))
    elif isinstance(value, dict) and position[0] in value:
        yield from ([position[0], *rest] for rest in _places(value[str(position[0])], position[1:]))
