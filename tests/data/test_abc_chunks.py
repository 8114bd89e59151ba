"""Chunks of ABC as they are unpacked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.data.box_files import box_obj, write
from wavemesh.data.abc_chunks import read_metadata
from wavemesh.data.formats import FORMATS, read_models
from wavemesh.data.prepare_model import placed_mesh
from wavemesh.errors import InputError

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


def test_step_files_are_refused_in_one_sentence(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "chunk 0",
        {mesh(1, 0, "step", "step"): b"ISO", mesh(2): box_obj((1, 1, 1)), mesh(2, 0, "step", "step"): b"ISO"},
    )
    assert FORMATS["abc"].fits(folder)
    first, second = read_models(folder, tmp_path)
    with pytest.raises(InputError, match=r"_step_000.step is a STEP file, .* convert it to OBJ or STL with FreeCAD or"):
        placed_mesh(first)
    assert not second.refusal
    assert len(placed_mesh(second).faces) == 12


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
