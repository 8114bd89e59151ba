"""Furniture libraries written here byte by byte: what is read, and what is refused."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import trimesh

from wavemesh.data import sweet_home
from wavemesh.data.sweet_home import find_libraries, read_library, read_properties
from wavemesh.errors import InputError
from wavemesh.geometry.archives import unpack_archive
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
    folder = unpack_archive(archive, tmp_path / "unpacked")
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
    folder = unpack_archive(archive_of(tmp_path / "plain.sh3f", {"a.obj": b"v 0 0 0"}), tmp_path / "unpacked")
    with pytest.raises(InputError, match=r"plain has no PluginFurnitureCatalog.properties"):
        read_library(folder)


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
    monkeypatch.setattr(sweet_home, "INSTALLED_FOLDER", Path("/nowhere/furniture"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"Give a folder of .sh3f files"):
        find_libraries(None, tmp_path / "download")


def test_a_package_that_was_fetched_before_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweet_home, "INSTALLED_FOLDER", Path("/nowhere/furniture"))
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
