"""Objaverse as its package downloads it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
import trimesh

from tests.data.box_files import write
from wavemesh.data.formats import FORMATS, read_models
from wavemesh.data.objaverse import read_json
from wavemesh.data.prepare_model import placed_mesh
from wavemesh.errors import InputError

UIDS = ["8476c4170df24cf5bbe6967222d1a42d", "8ff7f1f2465347cd8b80c9b206c2781e", "c786b97d08b94d02a1fa3b87d2e86cf1"]
BOARD = trimesh.creation.box((1.8, 1.2, 0.6)).export(file_type="glb")
ANNOTATIONS = {
    UIDS[0]: {
        "uid": UIDS[0],
        "name": " Стул\r\n",
        "license": "by-nc-sa",
        "user": {"username": "ada", "displayName": "Ada B."},
        "categories": [{"name": "furniture-home"}],
        "tags": [{"name": "chair"}],
    },
    UIDS[1]: {"name": None, "license": "cc0", "user": {"username": "bob"}, "categories": [], "tags": [{"name": "old"}]},
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three objects in two folders; the third is not annotated, a fourth was not downloaded."""
    paths = {UIDS[0]: f"glbs/000-023/{UIDS[0]}.glb", UIDS[1]: f"glbs/000-023/{UIDS[1]}.glb"}
    gone = {"0" * 32: "glbs/000-001/gone.glb"}
    return write(
        tmp_path / "my objects",
        {
            **{f"hf-objaverse-v1/{path}": BOARD for path in paths.values()},
            f"hf-objaverse-v1/glbs/000-024/{UIDS[2]}.glb": b"glTF",
            "hf-objaverse-v1/metadata/000-023.json.gz": gzip.compress(json.dumps(ANNOTATIONS).encode()),
            "hf-objaverse-v1/object-paths.json.gz": gzip.compress(json.dumps({**paths, **gone}).encode()),
            "hf-objaverse-v1/lvis-annotations.json": b"\xef\xbb\xbf" + json.dumps({"armchair": [UIDS[1]]}).encode(),
        },
    )


def test_objects_with_their_names_owners_and_licences(root: Path, tmp_path: Path) -> None:
    for path in (root, root / "hf-objaverse-v1"):
        assert next(name for name, known in FORMATS.items() if known.fits(path)) == "objaverse"
        models = read_models(path, tmp_path / "work")
        assert [model.key for model in models] == [f"hf-objaverse-v1_{uid}" for uid in UIDS]
        assert [model.name for model in models] == ["Стул", UIDS[1], UIDS[2]]
        assert [model.licence for model in models] == ["CC-BY-NC-SA 4.0", "CC0 1.0", "unknown"]
        assert [model.creator for model in models] == ["Ada B.", "bob", "unknown"]
        assert [model.category for model in models] == ["furniture-home", "armchair", "unknown"]
        assert {model.split for model in models} == {None}
        assert placed_mesh(models[0]).extents == pytest.approx((1.8, 1.2, 0.6))
    with pytest.raises(InputError, match="is not a mesh that can be read"):
        placed_mesh(models[2])


def test_tags_stand_for_missing_categories_and_files_for_missing_lists(root: Path, tmp_path: Path) -> None:
    (root / "hf-objaverse-v1" / "lvis-annotations.json").unlink()
    (root / "hf-objaverse-v1" / "object-paths.json.gz").unlink()
    assert [model.category for model in read_models(root, tmp_path)] == ["furniture-home", "old", "unknown"]


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"[1]"])
@pytest.mark.parametrize("packed", [True, False])
def test_damaged_annotations_are_refused(tmp_path: Path, content: bytes, packed: bool) -> None:
    name = "000-023.json.gz" if packed else "000-023.json"
    (tmp_path / name).write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(InputError, match=rf"{name} (is no JSON that can be read|holds no object but a list)"):
        read_json(tmp_path / "000-023.json")


def test_what_is_not_packed_though_it_is_called_so_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json.gz").write_bytes(b"{}")
    with pytest.raises(InputError, match=r"a.json.gz is no JSON"):
        read_json(tmp_path / "a.json")


def test_another_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="as Objaverse does"):
        read_models(write(tmp_path, {"glbs/a.glb": BOARD}), tmp_path, "objaverse")
