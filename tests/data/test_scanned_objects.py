"""Google Scanned Objects as Gazebo Fuel hands them out."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.data.box_files import box_obj, write
from wavemesh.data.formats import FORMATS, read_models
from wavemesh.data.prepare import prepare
from wavemesh.data.prepare_model import placed_mesh
from wavemesh.data.scanned_objects import read_metadata
from wavemesh.errors import InputError

METADATA = r"""# proto-message: ignition.msgs.FuelMetadata
name: "Ana\"s Schuh №1"
authors {
  name: "GoogleResearch"
}
legal {
  copyright: "Copyright 2020 Google LLC"
  license: "Creative Commons Attribution 4.0 International"
}
categories {
  first: "Shoe"
}
"""
CORNERS = "mtllib model.mtl\nusemtl material_0\n"


def scanned(metadata: bytes | None = METADATA.encode()) -> dict[str, bytes]:
    """The files of an object 1 wide, 2 deep and 3 high, red by its texture."""
    picture = io.BytesIO()
    Image.new("RGB", (4, 4), (200, 30, 20)).save(picture, "PNG")
    return {
        "meshes/model.obj": box_obj((1, 2, 3), "\n", CORNERS),
        "meshes/model.mtl": b"newmtl material_0\nmap_Kd texture.png\n",
        "materials/textures/texture.png": picture.getvalue(),
        "model.config": b"<model/>",
        **({} if metadata is None else {"metadata.pbtxt": metadata}),
    }


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.fixture
def objects(tmp_path: Path) -> Path:
    """A folder with an object unpacked, one zipped, one without metadata, and two zips that are none."""
    root = tmp_path / "Scanned Objects"
    write(root / "ASICS GEL (Größe 42)", scanned(METADATA.replace("\n", "\r\n").encode()))
    write(root / "Big_Shoe", scanned(None))
    packed = scanned(b"\xef\xbb\xbf" + METADATA.replace("Shoe", "Toys").encode())
    return write(
        root, {"Truck.v2.zip": zipped(packed), "Cut.zip": zipped(packed)[:300], "Empty.zip": zipped({"a": b""})}
    )


def test_objects_in_folders_and_zips(objects: Path, tmp_path: Path) -> None:
    assert next(name for name, known in FORMATS.items() if known.fits(objects)) == "scanned-objects"
    models = {model.root.name: model for model in read_models(objects, tmp_path / "work")}
    assert list(models) == ["ASICS GEL (Größe 42)", "Big_Shoe", "Cut.zip", "Empty", "Truck.v2"]
    first, second, third = models["ASICS GEL (Größe 42)"], models["Big_Shoe"], models["Truck.v2"]
    licence = "Creative Commons Attribution 4.0 International"
    assert (first.name, first.category, first.creator, first.licence) == (
        'Ana"s Schuh №1',
        "Shoe",
        "GoogleResearch",
        licence,
    )
    assert (second.name, second.category, second.creator, second.licence) == (
        "Big Shoe", "unknown", "Google Research", "CC-BY 4.0"
    )  # fmt: skip
    assert third.category == "Toys"
    assert {model.split for model in models.values()} == {"test"}
    assert len({model.key for model in models.values()}) == 5
    for model in (first, second, third):
        mesh = placed_mesh(model)
        np.testing.assert_allclose(mesh.extents, (0.6, 1.8, 1.2), atol=1e-6)
        assert mesh.visual.material.materials[0].image.getpixel((0, 0))[:3] == (200, 30, 20)
    with pytest.raises(InputError, match=r"Cut.zip cannot be unpacked"):
        placed_mesh(models["Cut.zip"])
    with pytest.raises(InputError, match="There is no mesh file"):
        placed_mesh(models["Empty"])


@pytest.mark.usefixtures("quick_samples")
def test_all_of_them_are_for_the_test(objects: Path, tmp_path: Path) -> None:
    (objects / "Truck.v2.zip").unlink()
    report = prepare(objects, tmp_path / "out", licences=["cc-by"], workers=1, backend="threads", progress=False)
    assert report.splits == {"train": 0, "val": 0, "test": 2}
    assert {entry["name"] for entry in report.rejected} == {"Cut", "Empty"}


def test_metadata_may_be_damaged_or_missing(tmp_path: Path) -> None:
    assert read_metadata(tmp_path / "gone") == {}
    (tmp_path / "odd").write_bytes(b'\xff name: "x\ncategories { first: Shoe }\n')
    assert read_metadata(tmp_path / "odd") == {}


def test_another_layout_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "chair", {"meshes/model.obj": box_obj((1, 1, 1))})
    assert not FORMATS["scanned-objects"].fits(tmp_path), "nothing else speaks for it"
    (tmp_path / "chair" / "meshes" / "model.obj").unlink()
    for path in (tmp_path, tmp_path / "gone"):
        with pytest.raises(InputError, match=r"holds no <name>/meshes/model.obj, and no zip of one"):
            FORMATS["scanned-objects"].models(path, tmp_path, "z")
