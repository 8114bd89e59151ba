"""Files appear whole or not at all; a JSON file that holds no object is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from wavemesh import files
from wavemesh.errors import InputError


@pytest.mark.parametrize("text", ["", "[1, 2]", "{", '{"width": NaN}', "\xff"])
def test_a_file_that_holds_no_object_is_an_error_that_names_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=r"config\.json"):
        files.read_json(path)


def test_a_missing_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.json does not exist"):
        files.read_json(tmp_path / "none.json")


def test_a_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "config.json"
    files.write_text(path, "old")

    def broken(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(files.os, "replace", broken)
    with pytest.raises(OSError, match="disk full"):
        files.write_text(path, "new")
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["config.json"]


def test_files_that_belong_together_are_all_written_or_none(tmp_path: Path) -> None:
    first, second, last = tmp_path / "new" / "a", tmp_path / "b", tmp_path / "c"
    files.write_files({first: b"1", second: b"2"})
    assert (first.read_bytes(), second.read_bytes()) == (b"1", b"2")
    second.unlink()
    last.mkdir()
    with pytest.raises(OSError):
        files.write_files({second: b"3", last: b"4"})
    assert sorted(tmp_path.iterdir()) == [last, first.parent]
