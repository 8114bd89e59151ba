"""A subset of Objaverse-XL: downloads from several sources beside a table of them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.data.box_files import box_obj, write
from wavemesh.data.formats import FORMATS, read_models
from wavemesh.data.objaverse_xl import read_table
from wavemesh.data.prepare_model import placed_mesh
from wavemesh.errors import InputError

OBJECTS = {
    "github/repos/ada/things/my chair.obj": (
        "https://github.com/ada/things/blob/0a1b/meshes/my%20chair.obj", "github", "MIT License", (1, 2, 3)
    ),
    "thingiverse/thing-1-file-2.obj": (
        "https://www.thingiverse.com/thing:1?file=2", "thingiverse", "Creative Commons - Attribution", (2, 3, 1)
    ),
    "smithsonian/objects/0b.obj": ("https://3d-api.si.edu/content/лампа.glb", "smithsonian", "", (1, 2, 3.5)),
}  # fmt: skip
HEAD = ",fileIdentifier,source,license,fileType,sha256,metadata"


@pytest.fixture
def subset(tmp_path: Path) -> Path:
    files, lines = {}, [HEAD]
    for number, (path, (identifier, source, licence, sides)) in enumerate(OBJECTS.items()):
        files[path] = box_obj(sides, "\r\n")
        digest = hashlib.sha256(files[path]).hexdigest()
        lines.append(f'{number},{identifier},{source},{licence},obj,{digest},"{{}}"')
    lines.append(f"9,https://github.com/x/gone/blob/1/a.stl,github,,stl,{'0' * 64},{{}}")
    files["github/repos/ada/things/another.obj"] = box_obj((5, 5, 5))
    files["copies/my chair.obj"] = files["github/repos/ada/things/my chair.obj"]
    files["annotations.csv"] = b"\xef\xbb\xbf" + "\r\n".join(lines).encode()
    return write(tmp_path / "XL subset", files)


def test_files_are_found_by_their_digest(subset: Path, tmp_path: Path) -> None:
    assert next(name for name, known in FORMATS.items() if known.fits(subset)) == "objaverse-xl"
    models = {model.library: model for model in read_models(subset, tmp_path / "work")}
    assert models.keys() == {f"XL subset, {name}" for name in ("github", "thingiverse", "smithsonian")}
    chair, thing, lamp = (models[f"XL subset, {name}"] for name in ("github", "thingiverse", "smithsonian"))
    assert (chair.name, chair.creator, chair.licence) == ("my chair", "ada", "MIT License")
    assert (lamp.name, lamp.creator, lamp.licence) == ("лампа", "unknown", "unknown")
    assert thing.licence == "Creative Commons - Attribution"
    assert chair.key.startswith("xl-subset_")
    assert placed_mesh(chair).extents == pytest.approx((0.6, 1.2, 1.8))
    assert placed_mesh(thing).extents == pytest.approx((1.2, 0.6, 1.8)), "things to print are z up"


def test_other_tables_are_refused(tmp_path: Path) -> None:
    folder = write(tmp_path, {"a.obj": box_obj((1, 2, 3)), "annotations.csv": b"name,licence\na,CC0\n"})
    assert not FORMATS["objaverse-xl"].fits(folder)
    with pytest.raises(InputError, match="is no table of Objaverse-XL"):
        read_models(folder, tmp_path, "objaverse-xl")
    write(folder, {"annotations.csv": HEAD.encode() + b"\n1,https://a/b,github,,obj,00,{}\n"})
    with pytest.raises(InputError, match=r"holds no mesh that its annotations.csv knows"):
        read_models(folder, tmp_path, "objaverse-xl")
    assert read_table(tmp_path / "gone.csv") == {}
