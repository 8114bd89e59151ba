"""The screenshots command says in one sentence what it lacks."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from tests.cli.test_generate import refuse


def test_a_missing_browser_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "pictures"
    assert "no Chromium at '/nowhere'" in refuse(["screenshots", "-o", str(out), "--chromium", "/nowhere"], capsys)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert "apt install chromium" in refuse(["screenshots", "-o", str(out)], capsys)
    monkeypatch.setitem(sys.modules, "playwright", None)
    assert "need playwright" in refuse(["screenshots", "-o", str(out)], capsys)
    assert not out.exists()
