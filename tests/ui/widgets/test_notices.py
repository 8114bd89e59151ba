"""What fails in a handler is said and changes nothing; what works goes through."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from wavemesh import ui
from wavemesh.errors import InputError
from wavemesh.ui.widgets.notices import explained, tell


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


def test_a_notice_begins_with_its_title_and_takes_no_markup_from_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(gr, "Info", lambda message, title: told.append(message))
    tell("<b>.png is empty.", "Left out", fault=False)
    assert told == ["<strong>Left out</strong>&lt;b&gt;.png is empty."]


def test_every_notice_is_told_in_this_way() -> None:
    """Otherwise gradio would call it "Warning" or "Info", whatever it says."""
    calls = {
        path.name
        for path in Path(ui.__path__[0]).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and ast.unparse(node) in ("gr.Warning", "gr.Info")
    }
    assert calls == {"notices.py"}
