"""Lists of files for agents: gradio's MCP server reads single files only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any


def accept_file_lists(server: Any) -> None:
    """Let gradio's MCP server read files in lists, and files that may be left out."""
    convert = server.convert_strings_to_filedata

    def converted(value: Any, positions: Sequence[Sequence[str | int]]) -> Any:
        return convert(value, [place for position in positions for place in _places(value, position)])

    server.convert_strings_to_filedata = converted


def _places(value: Any, position: Sequence[str | int]) -> Iterator[list[str | int]]:
    """Where in a value the position in its schema points to.

    "items" stands for every entry of a list; "oneOf" and the number behind it for the value itself.
    """
    if not position:
        yield []
    elif position[0] == "oneOf":
        yield from _places(value, position[2:])
    elif position[0] == "items" and isinstance(value, list):
        for index, entry in enumerate(value):
            yield from ([index, *rest] for rest in _places(entry, position[1:]))
    elif isinstance(value, dict) and position[0] in value:
        yield from ([position[0], *rest] for rest in _places(value[str(position[0])], position[1:]))
