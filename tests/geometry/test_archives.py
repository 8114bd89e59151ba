"""Archives written here byte by byte: what is unpacked, and what is refused."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from wavemesh.errors import InputError
from wavemesh.geometry import archives
from wavemesh.geometry.archives import unpack_archive


def archive_of(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_unpacking_happens_once(tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "lib.sh3f", {"a.txt": b"first"})
    folder = unpack_archive(archive, tmp_path / "unpacked")
    (folder / "a.txt").write_text("changed")
    assert unpack_archive(archive, tmp_path / "unpacked") == folder
    assert (folder / "a.txt").read_text() == "changed"


@pytest.mark.parametrize("name", ["../evil.obj", "a/../../evil.obj", "/etc/evil", "..\\evil.obj", "C:\\evil.obj"])
def test_members_outside_the_folder_are_refused(tmp_path: Path, name: str) -> None:
    archive = archive_of(tmp_path / "lib.sh3f", {"fine.txt": b"", name: b"evil"})
    with pytest.raises(InputError, match="holds a file outside its folder"):
        unpack_archive(archive, tmp_path / "unpacked")
    assert list((tmp_path / "unpacked").iterdir()) == []
    assert not list(tmp_path.rglob("evil*"))


def test_links_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "lib.sh3f"
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(link, "/etc/passwd")
        archive.writestr("file", "content")
    folder = unpack_archive(path, tmp_path / "unpacked")
    assert [entry.name for entry in folder.iterdir()] == ["file"]


def test_a_zip_bomb_is_refused_before_it_grows(tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "bomb.sh3f", {"zeros": bytes(4 * 2**20)})
    with pytest.raises(InputError, match=r"bomb.sh3f would grow \d+-fold"):
        unpack_archive(archive, tmp_path / "unpacked")
    assert list((tmp_path / "unpacked").iterdir()) == []


def test_a_member_larger_than_its_header_says_is_refused(tmp_path: Path) -> None:
    honest = archive_of(tmp_path / "honest.sh3f", {"noise": bytes(range(256)) * 64})
    raw = honest.read_bytes()
    true_size = (256 * 64).to_bytes(4, "little")
    assert raw.count(true_size) == 2  # in the member's own header and in the directory
    liar = tmp_path / "liar.sh3f"
    liar.write_bytes(raw.replace(true_size, (100).to_bytes(4, "little")))
    with pytest.raises(InputError, match=r"liar.sh3f|larger than its header says"):
        unpack_archive(liar, tmp_path / "unpacked")
    assert list((tmp_path / "unpacked").iterdir()) == []


@pytest.mark.parametrize(("limit", "value"), [("MAX_MEMBERS", 1), ("MAX_UNPACKED_BYTES", 10)])
def test_too_many_or_too_large_files_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    monkeypatch.setattr(archives, limit, value)
    archive = archive_of(tmp_path / "lib.sh3f", {"a": b"12345678", "b": b"12345678"})
    with pytest.raises(InputError, match="would unpack to 2 files of 16 bytes together: too much"):
        unpack_archive(archive, tmp_path / "unpacked")


@pytest.mark.parametrize("damage", ["not a zip", "cut off", "overwritten"])
def test_a_damaged_archive_is_refused_by_name(tmp_path: Path, damage: str) -> None:
    archive = archive_of(tmp_path / "lib.sh3f", {"text": b"".join(b"line %d\n" % number for number in range(2000))})
    raw = bytearray(archive.read_bytes())
    if damage == "not a zip":
        raw = bytearray(b"hello")
    elif damage == "cut off":
        raw = raw[: len(raw) // 2]
    else:
        raw[60:80] = b"\xff" * 20
    archive.write_bytes(raw)
    with pytest.raises(InputError, match=r"lib.sh3f cannot be unpacked"):
        unpack_archive(archive, tmp_path / "unpacked")
    assert list((tmp_path / "unpacked").iterdir()) == []
