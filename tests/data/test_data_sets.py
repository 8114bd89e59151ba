"""The field's data sets in the layouts in which they are distributed, written here."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import trimesh

from wavemesh.data.formats import FORMATS, read_models
from wavemesh.data.prepare import prepare
from wavemesh.data.prepare_model import placed_mesh
from wavemesh.errors import InputError

TINY = {"num_views": 2, "image_size": 32, "resolution": 32, "workers": 1, "backend": "threads", "progress": False}


def write(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode())
    return path


@pytest.fixture
def modelnet(tmp_path: Path) -> Path:
    """Two categories. Boxes 1 wide, 2 deep and 3 high, z up; half of the headers lack their line break."""
    off = trimesh.creation.box((1.0, 2.0, 3.0)).export(file_type="off")
    broken = off.replace("OFF\n", "OFF", 1)
    root = tmp_path / "ModelNet10"
    write(root / "README.txt", "text")
    for number in range(30):
        write(root / "chair" / "train" / f"chair_{number:04d}.off", broken if number % 2 else off.replace("\n", "\r\n"))
    write(root / "chair" / "test" / "chair_0030.off", broken)
    write(root / "night_stand" / "test" / "night_stand_0001.off", off)
    return root


def test_modelnet(modelnet: Path, tmp_path: Path) -> None:
    assert next(name for name, known in FORMATS.items() if known.fits(modelnet)) == "modelnet"
    models = read_models(modelnet, tmp_path)
    assert len({model.key for model in models}) == 32
    assert {model.name for model in models if model.split == "test"} == {"chair_0030", "night_stand_0001"}
    splits = [model.split for model in models if "/train/" in model.path]
    assert set(splits) == {"train", "val"}
    assert splits.count("train") > splits.count("val")
    for model in (models[0], models[1]):
        np.testing.assert_allclose(placed_mesh(model).extents, (0.6, 1.8, 1.2), atol=1e-6)
    assert models[-1].category == "night_stand"


def test_a_data_set_keeps_its_split_when_it_is_prepared(modelnet: Path, tmp_path: Path) -> None:
    for path in sorted((modelnet / "chair" / "train").iterdir())[1:]:
        path.unlink()
    (modelnet / "chair" / "test" / "chair_0030.off").write_text(trimesh.creation.icosphere(2).export(file_type="off"))
    report = prepare(modelnet, tmp_path / "out", **TINY)
    assert report.splits["test"] == 2
    index = json.loads((tmp_path / "out" / "index.json").read_text())
    held_out = {entry["name"] for entry in index if entry["split"] == "test"}
    assert held_out == {"chair_0030", "night_stand_0001"}


@pytest.fixture
def shapenet(tmp_path: Path) -> Path:
    """Two synsets, one without a name; a chair whose back, at +z of the file, is 2 high."""
    root = tmp_path / "ShapeNetCore.v2"
    seat, back = trimesh.creation.box((1.0, 0.2, 1.0)), trimesh.creation.box((1.0, 2.0, 0.2))
    back.apply_translation((0.0, 1.0, 0.4))
    obj = "mtllib model_normalized.mtl\n" + trimesh.util.concatenate([seat, back]).export(file_type="obj")
    for model in ("a1B", "c2"):
        write(root / "03001627" / model / "models" / "model_normalized.obj", obj)
    write(root / "09999999" / "d3" / "models" / "model_normalized.obj", obj)
    write(root / "03001627" / "broken" / "models" / "model_normalized.json", "{}")
    write(root / "taxonomy.json", json.dumps([{"synsetId": "03001627", "name": "chair,seat", "children": []}]))
    write(
        root / "all.csv",
        "id,synsetId,subSynsetId,modelId,split\r\n1,03001627,03001627,a1B,test\r\n2,3001627,,c2,val\r\n",
    )
    return root


def test_shapenet(shapenet: Path, tmp_path: Path) -> None:
    assert next(name for name, known in FORMATS.items() if known.fits(shapenet)) == "shapenet"
    models = read_models(shapenet, tmp_path)
    assert [(model.category, model.split) for model in models] == [
        ("chair", "test"),
        ("chair", "val"),
        ("09999999", None),
    ]
    assert models[0].key == "shape-net-core-v2_03001627-a1b"
    mesh = placed_mesh(models[0])
    high = mesh.vertices[mesh.vertices[:, 1] > 0.5]
    assert (high[:, 2] < 0.0).all(), "the back is behind: fronts face +z"


def test_shapenet_v1(shapenet: Path, tmp_path: Path) -> None:
    root = tmp_path / "ShapeNetCore.v1"
    for model in (shapenet / "03001627").iterdir():
        file = model / "models" / "model_normalized.obj"
        if file.is_file():
            write(root / "03001627" / model.name / "model.obj", file.read_text())
            write(root / "03001627" / model.name / "model.mtl", "")
    write(root / "all.csv", (shapenet / "all.csv").read_text())
    assert next(name for name, known in FORMATS.items() if known.fits(root)) == "shapenet"
    first, second = read_models(root, tmp_path)
    assert (first.key, first.category, first.split) == ("shape-net-core-v1_03001627-a1b", "03001627", "test")
    assert (second.path, second.split) == ("03001627/c2/model.obj", "val")
    mesh = placed_mesh(first)
    high = mesh.vertices[mesh.vertices[:, 1] > 0.5]
    assert (high[:, 0] < 0.0).all(), "+z of the file is on our left, +x is our front"
    np.testing.assert_allclose(placed_mesh(read_models(root, tmp_path, up="z")[0]).extents[2], mesh.extents[1])


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("taxonomy.json", "[{]", "is no taxonomy of ShapeNet"),
        ("taxonomy.json", "[3]", "is no taxonomy of ShapeNet"),
        ("all.csv", "id,model\n1,2\n", "is no split of ShapeNet"),
        ("all.csv", "synsetId,modelId,split\n03001627,c2,dev\n", "names the split 'dev'"),
    ],
)
def test_damaged_tables_are_refused(shapenet: Path, tmp_path: Path, name: str, content: str, reason: str) -> None:
    write(shapenet / name, content)
    with pytest.raises(InputError, match=reason):
        read_models(shapenet, tmp_path)


@pytest.mark.parametrize("name", ["shapenet", "modelnet"])
def test_another_layout_is_refused_where_the_format_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"The folder .* holds no"):
        read_models(tmp_path, tmp_path, name)
