"""What fails in a handler is said and changes nothing; what works goes through."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from wavemesh import ui
from wavemesh.errors import InputError
from wavemesh.ui.widgets.notices import explained


@pytest.mark.parametrize("error, said", [(InputError("No such band."), "No such band."), (KeyError("x"), "its log")])
def test_a_failure_is_said_and_changes_nothing(error: Exception, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(gr, "Warning", lambda message, title: told.append(message))

    @explained
    def fail(values: Any) -> Any:
        raise error

    assert fail({}) == gr.skip()
    assert len(told) == 1
    assert said in told[0]


def test_what_works_goes_through() -> None:
    assert explained(lambda values: {"a": values})(1) == {"a": 1}


def test_every_notice_has_a_title_of_its_own() -> None:
    """Without one gradio would call it "Warning" or "Info", whatever it says."""
    calls = [
        (path.name, node)
        for path in Path(ui.__path__[0]).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("gr.Warning", "gr.Info")
    ]
    assert len(calls) > 5
    untitled = [(name, node.lineno) for name, node in calls if "title" not in {each.arg for each in node.keywords}]
    assert untitled == []
