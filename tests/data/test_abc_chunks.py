"""Chunks of ABC as they are unpacked."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.data.box_files import box_obj, write
from tests.data.step_files import step_box
from wavemesh.data.abc_chunks import read_metadata
from wavemesh.data.formats import FORMATS, read_models
from wavemesh.data.prepare_model import placed_mesh
from wavemesh.errors import InputError
from wavemesh.geometry.mesh import load_mesh

HASH = "1ffb81a71e5b402e966b9341"
META = "name: Halterung für Ж\r\nowner: {id: 1, name: Ada B., type: 0}\r\ncreatedAt: 2017-01-01T00:00:00Z\r\n"


def mesh(number: int, part: int = 0, kind: str = "trimesh", suffix: str = "obj") -> str:
    return f"{number:08d}/{number:08d}_{HASH}_{kind}_{part:03d}.{suffix}"


def test_a_chunk_stands_upright_and_has_its_owners(tmp_path: Path) -> None:
    obj, meta = tmp_path / "abc" / "obj", tmp_path / "abc" / "meta"
    write(
        obj, {mesh(1): box_obj((1, 2, 3), "\r\n"), mesh(2, 1): b"v 0 0 0\n", mesh(2, 0, "features", "yml"): b"x: 1\n"}
    )
    (obj / "00000003").mkdir()
    write(meta, {mesh(1, 0, "metadata", "yml"): b"\xef\xbb\xbf" + META.encode(), mesh(3, 0, "metadata", "yml"): b"{"})
    assert next(name for name, known in FORMATS.items() if known.fits(tmp_path / "abc")) == "abc"
    first, second = read_models(tmp_path / "abc", tmp_path)
    assert first.key == f"abc_00000001-{HASH}"
    assert (first.name, first.creator, first.licence) == ("Halterung für Ж", "Ada B.", "Onshape terms of use")
    assert (second.name, second.creator, second.category) == (f"00000002_{HASH}", "unknown", "CAD model")
    np.testing.assert_allclose(placed_mesh(first).extents, (0.6, 1.8, 1.2), atol=1e-6)
    with pytest.raises(InputError, match="no faces"):
        placed_mesh(second)


def test_step_files_stand_in_where_there_is_no_mesh(tmp_path: Path) -> None:
    pytest.importorskip("cascadio")
    step = step_box(10, 20, 30).encode()
    folder = write(
        tmp_path / "chunk 0",
        {mesh(1, 0, "step", "step"): step, mesh(2): box_obj((1, 1, 1)), mesh(2, 0, "step", "step"): step},
    )
    write(folder, {mesh(3, 0, "step", "step"): b"ISO-10303-21;"})
    assert FORMATS["abc"].fits(folder)
    first, second, third = read_models(folder, tmp_path)
    np.testing.assert_allclose(placed_mesh(first).extents, (0.6, 1.8, 1.2), atol=1e-6)
    assert placed_mesh(first).volume == pytest.approx(0.6 * 1.8 * 1.2)
    np.testing.assert_allclose(placed_mesh(second).extents, (1.8, 1.8, 1.8), atol=1e-6)
    with pytest.raises(InputError, match=r"_step_000\.step is no STEP file that can be read"):
        placed_mesh(third)


def test_without_the_extra_a_step_file_is_refused_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cascadio", None)
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "cascadio" else find(name))
    folder = write(tmp_path / "chunk 0", {mesh(1, 0, "step", "step"): b"ISO"})
    (model,) = read_models(folder, tmp_path)
    sentence = r'^This needs the package cascadio: pip install "wavemesh\[step\]"\.$'
    with pytest.raises(InputError, match=sentence):
        placed_mesh(model)
    with pytest.raises(InputError, match=sentence):
        load_mesh(folder / model.path)


def test_damaged_metadata_says_nothing(tmp_path: Path) -> None:
    for number, content in enumerate([b"\xff\xfe", b"- 1", b"name: [1, 2]\nowner: x", b"a: b: c", b""]):
        path = tmp_path / f"{number}.yml"
        path.write_bytes(content)
        assert read_metadata(path) == {}
    assert read_metadata(tmp_path / "gone.yml") == {}


def test_another_layout_is_refused(tmp_path: Path) -> None:
    write(tmp_path, {"00000001/chair.obj": box_obj((1, 1, 1)), mesh(3, 0, "metadata", "yml"): b"name: x"})
    assert not FORMATS["abc"].fits(tmp_path)
    with pytest.raises(InputError, match="as ABC does"):
        read_models(tmp_path, tmp_path, "abc")
