"""Furniture libraries written here byte by byte: what is read, and what is refused."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import trimesh

from wavemesh.data import sources
from wavemesh.data.sources import find_libraries, read_library, read_properties, slug, unpack_library
from wavemesh.errors import InputError
from wavemesh.geometry.mesh import load_mesh


def archive_of(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_a_library_is_read_with_its_descriptions(tmp_path: Path, write_library: Callable[..., Path]) -> None:
    models = {"sideTable": trimesh.creation.box(), "lamp": trimesh.creation.icosphere(subdivisions=1)}
    extra = {
        "sideTable": {
            "name": r"Table \u00e0 manger",
            "category": "Living room",
            "modelRotation": "1 0 0 0 0 -1 0 1 0",
        },
        "lamp": {"modelRotation": "sideways"},
    }
    archive = write_library(tmp_path / "My Library.sh3f", models, extra)
    folder = unpack_library(archive, tmp_path / "unpacked")
    table, lamp = read_library(folder)
    assert table.key == "my-library_side-table"
    assert (table.name, table.category, table.library) == ("Table à manger", "Living room", "My Library")
    assert (table.creator, table.licence) == ("A tester", "CC0 1.0 (public domain)")
    assert table.rotation == (1, 0, 0, 0, 0, -1, 0, 1, 0)
    assert (lamp.name, lamp.rotation) == ("lamp", None)
    mesh = load_mesh(folder / lamp.path)
    assert len(mesh.faces) == len(models["lamp"].faces)
    assert mesh.visual.material.materials[0].image is not None


def test_models_that_are_missing_or_no_obj_are_passed_over_and_keys_are_unique(tmp_path: Path) -> None:
    folder = tmp_path / "lib"
    for name in ("a/chair.obj", "b/chair.obj", "c/chair.3ds"):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text("v 0 0 0\n")
    (tmp_path / "outside.obj").write_text("v 0 0 0\n")
    paths = ("a/chair.obj", "b/chair.obj", "c/chair.3ds", "d/gone.obj", "../outside.obj")
    lines = [f"model#{number}=/{path}" for number, path in enumerate(paths, start=1)]
    (folder / "PluginFurnitureCatalog.properties").write_text("\n".join(lines))
    assert [model.key for model in read_library(folder)] == ["lib_chair", "lib_chair-2"]


def test_a_library_without_a_catalogue_is_refused(tmp_path: Path) -> None:
    folder = unpack_library(archive_of(tmp_path / "plain.sh3f", {"a.obj": b"v 0 0 0"}), tmp_path / "unpacked")
    with pytest.raises(InputError, match=r"plain has no PluginFurnitureCatalog.properties"):
        read_library(folder)


def test_unpacking_happens_once(tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "lib.sh3f", {"a.txt": b"first"})
    folder = unpack_library(archive, tmp_path / "unpacked")
    (folder / "a.txt").write_text("changed")
    assert unpack_library(archive, tmp_path / "unpacked") == folder
    assert (folder / "a.txt").read_text() == "changed"


@pytest.mark.parametrize("name", ["../evil.obj", "a/../../evil.obj", "/etc/evil", "..\\evil.obj", "C:\\evil.obj"])
def test_members_outside_the_folder_are_refused(tmp_path: Path, name: str) -> None:
    archive = archive_of(tmp_path / "lib.sh3f", {"fine.txt": b"", name: b"evil"})
    with pytest.raises(InputError, match="holds a file outside its folder"):
        unpack_library(archive, tmp_path / "unpacked")
    assert list((tmp_path / "unpacked").iterdir()) == []
    assert not list(tmp_path.rglob("evil*"))


def test_links_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "lib.sh3f"
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(link, "/etc/passwd")
        archive.writestr("file", "content")
    folder = unpack_library(path, tmp_path / "unpacked")
    assert [entry.name for entry in folder.iterdir()] == ["file"]


def test_a_zip_bomb_is_refused_before_it_grows(tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "bomb.sh3f", {"zeros": bytes(4 * 2**20)})
    with pytest.raises(InputError, match=r"bomb.sh3f would grow \d+-fold"):
        unpack_library(archive, tmp_path / "unpacked")
    assert list((tmp_path / "unpacked").iterdir()) == []


def test_a_member_larger_than_its_header_says_is_refused(tmp_path: Path) -> None:
    honest = archive_of(tmp_path / "honest.sh3f", {"noise": bytes(range(256)) * 64})
    raw = honest.read_bytes()
    true_size = (256 * 64).to_bytes(4, "little")
    assert raw.count(true_size) == 2  # in the member's own header and in the directory
    liar = tmp_path / "liar.sh3f"
    liar.write_bytes(raw.replace(true_size, (100).to_bytes(4, "little")))
    with pytest.raises(InputError, match=r"liar.sh3f|larger than its header says"):
        unpack_library(liar, tmp_path / "unpacked")
    assert list((tmp_path / "unpacked").iterdir()) == []


@pytest.mark.parametrize(("limit", "value"), [("MAX_MEMBERS", 1), ("MAX_UNPACKED_BYTES", 10)])
def test_too_many_or_too_large_files_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    monkeypatch.setattr(sources, limit, value)
    archive = archive_of(tmp_path / "lib.sh3f", {"a": b"12345678", "b": b"12345678"})
    with pytest.raises(InputError, match="would unpack to 2 files of 16 bytes together: too much"):
        unpack_library(archive, tmp_path / "unpacked")


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
    with pytest.raises(InputError, match=r"lib.sh3f is not a furniture library that can be read"):
        unpack_library(archive, tmp_path / "unpacked")
    assert list((tmp_path / "unpacked").iterdir()) == []


def test_libraries_are_found_in_folders_below(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    paths = [tmp_path / "a.sh3f", tmp_path / "deep" / "b.sh3f"]
    for path in paths:
        archive_of(path, {})
    assert find_libraries(tmp_path) == paths
    assert find_libraries(paths[1]) == [paths[1]]


def test_a_missing_or_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"There is no folder or .sh3f file .*nowhere"):
        find_libraries(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"holds no .sh3f furniture library"):
        find_libraries(tmp_path)


def test_without_apt_one_sentence_says_what_to_give(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "INSTALLED_FOLDER", Path("/nowhere/furniture"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"Give a folder of .sh3f files"):
        find_libraries(None, tmp_path / "download")


def test_a_package_that_was_fetched_before_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "INSTALLED_FOLDER", Path("/nowhere/furniture"))
    monkeypatch.setenv("PATH", str(tmp_path))
    folder = tmp_path / "sweethome3d-furniture" / "nowhere" / "furniture"
    folder.mkdir(parents=True)
    archive = archive_of(folder / "a.sh3f", {})
    assert find_libraries(None, tmp_path) == [archive]


def test_java_properties() -> None:
    text = (
        "# comment = no\n! neither: this\n\n"
        "plain=value\n  spaced   =   some words  \ncolon: x\nblank y z\n"
        "key\\ with\\=signs = 1\nunicode=\\u00e9t\\u00E9\nescapes=a\\tb\\\\c\n"
        "long = one, \\\n    two, \\\r\n    three\npath=C\\:\\\\x\nno-value=\n"
    )
    assert read_properties(text) == {
        "plain": "value",
        "spaced": "some words",
        "colon": "x",
        "blank": "y z",
        "key with=signs": "1",
        "unicode": "été",
        "escapes": "a\tb\\c",
        "long": "one, two, three",
        "path": "C:\\x",
        "no-value": "",
    }


@pytest.mark.parametrize(
    ("text", "expected"), [("sideTable", "side-table"), ("a  b__C.1", "a-b-c-1"), ("Übung", "bung"), ("---", "model")]
)
def test_slugs_are_safe_as_keys(text: str, expected: str) -> None:
    assert slug(text) == expected
