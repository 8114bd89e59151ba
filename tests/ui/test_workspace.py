"""The page's folder: its own, private, and swept of what dead processes left."""

from __future__ import annotations

import os
import stat
import tempfile
import time
from pathlib import Path

import pytest

from wavemesh.ui.workspace import KEPT_S, new_result_folder, open_workspace


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GRADIO_TEMP_DIR", "")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_leftovers_of_dead_processes_are_swept(temporary: Path) -> None:
    first = open_workspace()
    assert os.environ["GRADIO_TEMP_DIR"] == str(first)
    assert stat.S_IMODE(first.stat().st_mode) == 0o700
    base = first.parent
    dead, alive, other = base / "run-999999999", base / f"run-{os.getppid()}", base / "notes"
    for folder in (dead, alive, other, first / "old upload"):
        folder.mkdir()
    os.environ["GRADIO_TEMP_DIR"] = ""
    assert open_workspace() == first
    assert not dead.exists()
    assert not (first / "old upload").exists()
    assert alive.exists()
    assert other.exists()


def test_a_chosen_folder_is_left_alone(temporary: Path) -> None:
    chosen = temporary / "mine"
    chosen.mkdir()
    (chosen / "keep").touch()
    os.environ["GRADIO_TEMP_DIR"] = str(chosen)
    assert open_workspace() == chosen
    assert (chosen / "keep").exists()


def test_old_results_go_and_new_ones_stay(tmp_path: Path) -> None:
    old, new = new_result_folder(tmp_path), new_result_folder(tmp_path)
    past = time.time() - KEPT_S - 60
    os.utime(old, (past, past))
    newest = new_result_folder(tmp_path)
    assert not old.exists()
    assert new.exists()
    assert newest.exists()
    assert newest.name != new.name
