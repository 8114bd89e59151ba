"""Files appear whole or not at all; a JSON file that holds no object is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from wavemesh import files
from wavemesh.errors import InputError
from wavemesh.pipelines.bundle import read_bundle


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


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no devices here")
def test_what_never_ends_is_not_read() -> None:
    """It has a size of 0; reading it took all memory that there was."""
    with pytest.raises(InputError, match="/dev/zero is a device or a pipe"):
        files.read_json("/dev/zero")
    with pytest.raises(InputError, match="/dev/zero is no run bundle or is damaged: it is a device or a pipe"):
        read_bundle("/dev/zero")


def test_only_devices_and_pipes_may_never_end(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert [files.is_endless(path) for path in (tmp_path, tmp_path / "file", tmp_path / "missing")] == [False] * 3
