"""Folders of meshes as people have them: every kind of file, odd names, odd contents, a table beside them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import trimesh

from tests.data.box_files import box_obj, write
from wavemesh.data.formats import FORMATS, read_models
from wavemesh.data.mesh_folder import read_table
from wavemesh.data.prepare import PrepareReport, prepare, write_shards
from wavemesh.data.prepare_model import placed_mesh
from wavemesh.errors import InputError
from wavemesh.evaluation.samples import PreparedSamples

TINY = {"num_views": 2, "image_size": 32, "resolution": 32, "workers": 1, "backend": "threads", "progress": False}
BOARD = trimesh.creation.box((1.8, 1.2, 0.6))  # of the world frame: 1.2 high


@pytest.mark.parametrize("suffix", ["glb", "gltf", "obj", "ply", "stl", "off"])
@pytest.mark.parametrize("up", ["y", "z"])
def test_every_kind_of_file_stands_upright(tmp_path: Path, suffix: str, up: str) -> None:
    mesh = BOARD.copy()
    if up == "z":
        mesh.apply_transform([[1, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])  # lies down, as Blender has it
    exported = mesh.export(file_type=suffix)
    if isinstance(exported, dict):  # glTF: a JSON with files beside it
        write(tmp_path, {"board.gltf" if name.endswith(".gltf") else name: data for name, data in exported.items()})
    else:
        write(tmp_path, {f"board.{suffix}": exported.encode() if isinstance(exported, str) else exported})
    (model,) = read_models(tmp_path, tmp_path, up=up)
    np.testing.assert_allclose(placed_mesh(model).extents, (1.8, 1.2, 0.6), atol=1e-6)


def test_what_the_layout_says(tmp_path: Path) -> None:
    box = box_obj((1, 2, 3))
    names = ["лампы/настольная лампа.obj", "chairs/old ones/a chair.OBJ", "loose.obj"]
    hidden = ["chairs/._a chair.obj", "__MACOSX/chairs/b.obj", ".git/c.obj", "readme.txt"]
    write(tmp_path / "mine", dict.fromkeys([*names, *hidden], box))
    models = read_models(tmp_path / "mine", tmp_path)
    found = {model.path: (model.category, model.name, model.library, model.licence) for model in models}
    assert found == {
        "chairs/old ones/a chair.OBJ": ("chairs", "a chair", "mine", "unknown"),
        "loose.obj": ("unknown", "loose", "mine", "unknown"),
        "лампы/настольная лампа.obj": ("лампы", "настольная лампа", "mine", "unknown"),
    }
    before = {model.path: model.key for model in models}
    write(tmp_path / "mine", {"A chair.obj": box, "chairs/a chair.obj": box})
    after = {model.path: model.key for model in read_models(tmp_path / "mine", tmp_path)}
    assert len(set(after.values())) == 5
    assert before.items() <= after.items()


def test_what_the_table_says(tmp_path: Path) -> None:
    write(tmp_path, dict.fromkeys(["a b.obj", "deep/c.obj"], box_obj((1, 2, 3))))
    table = 'file_name,licence,creator,up,split,name,note\r\n"a b.obj",CC-BY-4.0,"Ada, B.",z,test,,x\r\n'
    (tmp_path / "metadata.csv").write_bytes(b"\xef\xbb\xbf" + table.encode())
    first, second = read_models(tmp_path, tmp_path)
    assert (first.licence, first.creator, first.split, first.name) == ("CC-BY-4.0", "Ada, B.", "test", "a b")
    assert (first.rotation is None, second.rotation, second.licence) == (False, None, "unknown")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("name,licence\nx,CC0\n", "no column 'file_name'"),
        ("file_name\nb.obj\n", "names 'b.obj', which is no mesh file"),
        ("file_name\na.obj\na.obj\n", "names 'a.obj' twice"),
        ("file_name,up\na.obj,x\n", "no valid axis or split for 'a.obj'"),
        ("file_name,split\na.obj,all\n", "no valid axis or split for 'a.obj'"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    write(tmp_path, {"a.obj": box_obj((1, 2, 3)), "metadata.csv": text.encode()})
    with pytest.raises(InputError, match=reason):
        read_models(tmp_path, tmp_path)


def test_a_table_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "metadata.csv").write_bytes(b"\xff\xfe\x00file")
    with pytest.raises(InputError, match="is not a table that can be read"):
        read_table(tmp_path / "metadata.csv")


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PrepareReport]:
    """A folder of odd files, prepared as a held-out set; two of them are sound, six are not meshes."""
    folder = tmp_path_factory.mktemp("odd") / "odd files"
    skin = "mtllib gone.mtl\nusemtl skin\n"
    write(
        folder,
        {
            "crlf.obj": box_obj((3, 2, 1), "\r\n", "\ufeff" + skin),
            "far/away.obj": box_obj((1e30, 5e29, 5e29)),
            "nothing.obj": b"v 0 0 0\n",
            "empty.glb": b"",
            "cut.glb": trimesh.creation.icosphere(1).export(file_type="glb")[:400],
            "nan.obj": box_obj((float("nan"), 1, 1)),
            "point.obj": b"v 1 1 1\nv 1 1 1\nv 1 1 1\nf 1 2 3\n",
            "words.ply": b"ply\nformat ascii 1.0\nend_header\nhello\n",
        },
    )
    out = tmp_path_factory.mktemp("prepared") / "set"
    return out, prepare(folder, out, split="test", **TINY)


def test_several_sources_make_one_data_set(tmp_path: Path) -> None:
    write(tmp_path / "boxes", {"long.obj": box_obj((4, 2, 1))})
    ball = trimesh.creation.icosphere(2).export(file_type="glb")
    write(tmp_path / "balls", {"ball.glb": ball, "metadata.csv": b"file_name,split,licence\nball.glb,val,CC0\n"})
    sources = [tmp_path / "boxes", tmp_path / "balls"]
    out = tmp_path / "set"
    report = prepare(sources, out, **TINY)
    assert sum(report.splits.values()) == 2
    assert report.splits["val"] >= 1
    index = {entry["name"]: entry for entry in json.loads((out / "index.json").read_text())}
    assert index.keys() == {"long", "ball"}
    assert (index["ball"]["split"], index["ball"]["licence"]) == ("val", "CC0")
    with pytest.raises(InputError, match=r"Two models have the key 'boxes_long.*boxes"):
        prepare([sources[0], sources[0]], tmp_path / "twice", **TINY)


def test_odd_files_are_prepared_or_rejected_with_a_reason(odd: tuple[Path, PrepareReport]) -> None:
    out, report = odd
    assert report.splits == {"train": 0, "val": 0, "test": 2}
    assert {entry["name"] for entry in json.loads((out / "index.json").read_text())} == {"crlf", "away"}
    reasons = {entry["name"]: entry["reason"] for entry in report.rejected}
    assert reasons.keys() == {"nothing", "empty", "cut", "nan", "point", "words"}
    assert "no faces" in reasons["nothing"]
    assert "not finite" in reasons["nan"]
    assert "no extent" in reasons["point"]


def test_held_out_models_keep_their_true_surface(odd: tuple[Path, PrepareReport]) -> None:
    samples = PreparedSamples(odd[0], "test", with_meshes=True)
    extents = {}
    for sample in samples:
        assert sample.mesh is not None
        extents[sample.key.partition("_")[2].partition("-")[0]] = sample.mesh.extents
    np.testing.assert_allclose(extents["crlf"], (1.8, 1.2, 0.6), rtol=1e-6)
    np.testing.assert_allclose(extents["away"], (1.8, 0.9, 0.9), rtol=1e-6)


def test_a_zip_of_a_folder_is_read_like_the_folder(tmp_path: Path) -> None:
    write(
        tmp_path / "mine",
        {"chairs/a.obj": box_obj((1, 2, 3)), "metadata.csv": b"file_name,licence\nchairs/a.obj,CC0\n"},
    )
    (direct,) = read_models(tmp_path / "mine", tmp_path / "work")
    archive = shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path, "mine")
    (unpacked,) = read_models(archive, tmp_path / "work")
    assert unpacked == direct
    assert placed_mesh(unpacked).extents == pytest.approx(placed_mesh(direct).extents)


def test_changes_of_the_table_reach_what_was_prepared_before(tmp_path: Path) -> None:
    folder = write(tmp_path / "mine", {"a.obj": box_obj((1, 2, 3))})
    prepare(folder, tmp_path / "out", **TINY)
    write(folder, {"metadata.csv": b"file_name,licence,split\na.obj,CC0-1.0,val\n"})
    models = read_models(folder, tmp_path / "out")
    write_shards(tmp_path / "out", models)
    (sample,) = PreparedSamples(tmp_path / "out", "val").shapes.meta
    assert (sample["licence"], sample["split"]) == ("CC0-1.0", "val")


def test_another_axis_is_another_data_set(tmp_path: Path) -> None:
    folder = write(tmp_path / "mine", {"a.obj": box_obj((1, 2, 3))})
    prepare(folder, tmp_path / "out", **TINY)
    with pytest.raises(InputError, match=r"was begun with .* take another folder"):
        prepare(folder, tmp_path / "out", up="z", **TINY)


def test_sources_are_told_apart_by_their_layout(tmp_path: Path) -> None:
    meshes = write(tmp_path / "meshes", {"deep/a.obj": box_obj((1, 2, 3))})
    libraries = write(tmp_path / "libraries", {"deep/a.sh3f": b""})
    assert [name for name, known in FORMATS.items() if known.fits(meshes)] == ["meshes"]
    assert [name for name, known in FORMATS.items() if known.fits(libraries)] == ["sh3f"]
    with pytest.raises(InputError, match=r"There is no folder, zip or .sh3f file .*nowhere"):
        read_models(tmp_path / "nowhere", tmp_path)
    with pytest.raises(InputError, match="holds nothing that can be prepared"):
        read_models(write(tmp_path / "text", {"readme.txt": b"hello"}), tmp_path)
    with pytest.raises(InputError, match=r"The format must be one of sh3f, .*meshes, not 'stones'"):
        read_models(meshes, tmp_path, "stones")
    with pytest.raises(InputError, match="holds no meshes"):
        read_models(libraries, tmp_path, "meshes")


def test_an_unknown_split_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="The split must be one of train, val, test, not 'all'"):
        prepare(tmp_path, tmp_path / "out", split="all")
