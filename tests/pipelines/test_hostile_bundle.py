"""Bundles from strangers: small lies and large claims, each one sentence at the door, before anything is computed."""

from __future__ import annotations

import copy
import io
import json
import re
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.pipelines.conftest import ellipse_picture, new_tiny_pipeline
from tests.test_hostile_weights import VALUES, changed, places
from wavemesh.errors import InputError
from wavemesh.geometry.camera import Camera
from wavemesh.geometry.isosurface import sdf_to_mesh
from wavemesh.pipelines import View
from wavemesh.pipelines.bundle import read_bundle
from wavemesh.pipelines.record import Recorder


@pytest.fixture(scope="module")
def members() -> dict[str, bytes]:
    """The members of a good bundle of two views and three steps."""
    recorder = Recorder()
    output = new_tiny_pipeline()(
        [View(ellipse_picture(), Camera(30.0, 20.0)), ellipse_picture()], (2, 1), callback=recorder
    )
    with zipfile.ZipFile(io.BytesIO(recorder.record(output).to_bytes())) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(members: dict[str, bytes], folder: Path) -> Path:
    path = folder / "run.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def array(content: bytes) -> np.ndarray:
    return np.load(io.BytesIO(content))


def refused(path: Path) -> str:
    begin = time.perf_counter()
    with pytest.raises(InputError) as caught:
        read_bundle(path)
    assert time.perf_counter() - begin < 10.0
    assert "\n" not in str(caught.value)
    return str(caught.value)


FACTS: list[tuple[tuple[Any, ...], Any, str]] = [
    (("settings",), [1], "should be an object"),
    (("settings",), None, "should be an object"),
    (("settings", "seed"), "seven", "seed must be a whole number"),
    (("settings", "method"), ["wavemesh"], "settings"),
    (("cameras", 0), 3, "Facts.cameras"),
    (("cameras", 0, "azimuth_deg"), "left", "azimuth_deg: input should be a valid number"),
    (("cameras", 0, "distance"), -1.0, "Distance must be positive"),
    (("cameras", 0, "offset"), [1.0], "offset"),
    (("cameras",), [], "0 cameras"),
    (("cameras",), {"0": {}}, "no lists of cameras"),
    (("estimated",), [True], "does not say which|tells of"),
    (("steps", 0, "t"), 0.5, "steps\\[0\\].t"),
    (("steps", 0, "stage"), "fine", "steps\\[0\\].stage"),
    (("steps", 0, "noise_level"), "much", "noise_level"),
    (("steps", 1), None, "steps\\[1\\]"),
    (("steps",), "abc", "no lists"),
    (("bank",), 7, "Facts.bank"),
    (("bank",), "db99", "db99"),
    (("resolution",), 2**40, "Facts.resolution"),
    (("resolution",), 64, "at resolution 64"),
    (("timings",), {"coarse": "long"}, "timings"),
    (("stopped",), "no", "Facts.stopped"),
    (("sides",), ["front"], "tells of 1 sides of 2"),
    (("front_deg",), "north", "front_deg"),
    (("format",), 99, "Facts.format"),
]


@pytest.mark.parametrize(("path", "value", "words"), FACTS, ids=lambda each: str(each)[:40])
def test_small_lies_of_the_facts(
    path: tuple[Any, ...], value: Any, words: str, members: dict[str, bytes], tmp_path: Path
) -> None:
    facts = changed(json.loads(members["bundle.json"]), path, value)
    said = refused(zipped({**members, "bundle.json": json.dumps(facts).encode()}, tmp_path))
    assert re.search(words, said), said


def spoiled(values: np.ndarray, value: float) -> np.ndarray:
    result = values.copy()
    result.reshape(-1)[len(result) // 2] = value
    return result


ARRAYS: list[tuple[str, Any, str]] = [
    ("vertices", lambda a: spoiled(a, np.nan), "vertices holds numbers that are not finite"),
    ("vertices", lambda a: spoiled(a, 1e300), "a vertex lies 1e\\+300"),
    ("vertices", lambda a: a.astype(np.int32), "the mesh is of int32"),
    ("faces", lambda a: a[:0], "has 0 faces"),
    ("faces", lambda a: a.astype(np.float32), "float32"),
    ("faces", lambda a: spoiled(a, -1), "a face names"),
    ("faces", lambda a: np.zeros((1_500_000, 3), np.int32), "1,500,000 faces"),
    ("colours", lambda a: a.astype(np.float64), "float64"),
    ("sdf", lambda a: a[:0, :0, :0], "shape \\(0, 0, 0\\)"),
    ("sdf", lambda a: spoiled(a, np.inf), "sdf holds numbers that are not finite"),
    ("sdf", lambda a: np.zeros((300,) * 3, np.float16), "shape \\(300, 300, 300\\)"),
    ("sdf", lambda a: np.zeros((640, 640, 640), np.float16), "more than the"),
    ("sdf", lambda a: (a > 0).astype(np.uint8), "of uint8"),
    ("result.coarse", lambda a: a[:, :-1], "have the shape"),
    ("result.coords", lambda a: a + 10_000, "a site of result lies"),
    ("result.features", lambda a: a[:-1], "have the shapes"),
    ("step0.coarse", lambda a: spoiled(a, np.nan), "step0.coarse holds numbers"),
    ("step2.coords", lambda a: spoiled(a, -3), "a site of step2 lies"),
]


@pytest.mark.parametrize(("name", "change", "words"), ARRAYS, ids=[f"{each[0]} {each[2]}"[:40] for each in ARRAYS])
def test_small_lies_of_the_arrays(
    name: str, change: Any, words: str, members: dict[str, bytes], tmp_path: Path
) -> None:
    member = f"arrays/{name}.npy"
    said = refused(zipped({**members, member: npy(change(array(members[member])))}, tmp_path))
    assert re.search(words, said), said


def test_pictures_and_members_that_no_run_has(members: dict[str, bytes], tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.new("RGBA", (3000, 20), (200, 0, 0, 255)).save(buffer, "PNG")
    assert "a picture has 3000 x 20 pixels" in refused(
        zipped({**members, "pictures/0.png": buffer.getvalue()}, tmp_path)
    )
    many = {f"{number:09d}" * 6: b"" for number in range(20_000)}
    assert "more members than a run has" in refused(zipped({**members, **many}, tmp_path))


@pytest.mark.parametrize("side", [128, 256])
def test_a_checkerboard_is_refused_before_it_is_built(side: int) -> None:
    parity = np.indices((side,) * 3, dtype=np.int8).sum(axis=0, dtype=np.int8) % 2
    begin = time.perf_counter()
    with pytest.raises(InputError, match=r"surface of [\d,]+ vertices; up to 300,000"):
        sdf_to_mesh((parity - 0.5).astype(np.float32) * 0.1)
    assert time.perf_counter() - begin < 20.0


def test_the_counted_vertices_are_those_that_are_made() -> None:
    field = np.random.default_rng(0).normal(size=(12, 12, 12)).astype(np.float32)
    count = len(sdf_to_mesh(field).vertices)
    assert len(sdf_to_mesh(field, max_vertices=count).vertices) == count
    with pytest.raises(InputError, match=f"surface of {count:,} vertices"):
        sdf_to_mesh(field, max_vertices=count - 1)


def check_mutation(members: dict[str, bytes], folder: Path, data: st.DataObject) -> None:
    """One mutation of a bundle: it is read and its fields decode, or it is refused in one sentence."""
    changed_members = dict(members)
    what = data.draw(st.sampled_from(["facts", "facts", "member", "file"]), "what")
    if what == "facts":
        facts = json.loads(members["bundle.json"])
        for _ in range(data.draw(st.integers(1, 2))):
            facts = changed(facts, data.draw(st.sampled_from(list(places(facts))), "place"), data.draw(VALUES, "value"))
        changed_members["bundle.json"] = json.dumps(facts).encode()
    name = data.draw(st.sampled_from(sorted(members)), "member")
    if what == "member":
        content = bytearray(members[name])
        for _ in range(data.draw(st.integers(1, 4))):
            content[data.draw(st.integers(0, min(len(content), 256) - 1))] = data.draw(st.integers(0, 255))
        changed_members[name] = bytes(content[: data.draw(st.one_of(st.none(), st.integers(0, len(content))))])
    path = zipped(changed_members, folder)
    if what == "file":
        content = bytearray(path.read_bytes())
        for _ in range(data.draw(st.integers(1, 6))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        path.write_bytes(content)
    try:
        record = read_bundle(path)
    except InputError as error:
        said = str(error)
    else:
        said = ""
    assert "\n" not in said
    if said:
        return
    if record.steps:
        assert np.isfinite(record.field(len(record.steps) - 1)).all()
    assert len(record.views()) == len(record.cameras)
    json.dumps(copy.deepcopy(record.facts()), allow_nan=False)


def fuzzed(members: dict[str, bytes], tmp_path: Path, examples: int) -> None:
    @settings(
        max_examples=examples, derandomize=examples < 1000, suppress_health_check=list(HealthCheck), database=None
    )
    @given(st.data())
    def fuzz(data: st.DataObject) -> None:
        check_mutation(members, tmp_path, data)

    fuzz()


def test_mutations_are_read_or_are_one_sentence(members: dict[str, bytes], tmp_path: Path) -> None:
    fuzzed(members, tmp_path, 40)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_many_mutations_are_read_or_are_one_sentence(members: dict[str, bytes], tmp_path: Path) -> None:
    fuzzed(members, tmp_path, 5000)


def surface(sdf: np.ndarray) -> dict[str, bytes]:
    """The arrays of a field and of its surface."""
    mesh = sdf_to_mesh(sdf)
    colours = np.full((len(mesh.vertices), 4), 200, np.uint8)
    arrays = {"sdf": sdf, "vertices": mesh.vertices, "faces": mesh.faces.astype(np.int32), "colours": colours}
    return {f"arrays/{name}.npy": npy(np.asarray(each)) for name, each in arrays.items()}


@pytest.mark.parametrize("kind", ["soup", "heap"])
def test_faces_that_no_grid_can_have_made(kind: str, members: dict[str, bytes], tmp_path: Path) -> None:
    own = array(members["arrays/sdf.npy"])
    vertices = np.random.default_rng(0).uniform(-0.9, 0.9, (3000, 3))
    if kind == "heap":
        vertices = vertices / len(own)
    changes = {
        "vertices": vertices.astype(np.float32),
        "faces": np.arange(3000, dtype=np.int32).reshape(-1, 3),
        "colours": np.full((3000, 4), 200, np.uint8),
    }
    told = {f"arrays/{name}.npy": npy(each) for name, each in changes.items()}
    said = refused(zipped({**members, **told}, tmp_path))
    assert re.search("cells of its grid long" if kind == "soup" else r"faces lie in one cell of its grid", said), said


def test_any_field_has_faces_that_its_grid_can_have_made(members: dict[str, bytes], tmp_path: Path) -> None:
    side = len(array(members["arrays/sdf.npy"]))
    noise = np.random.default_rng(0).uniform(-0.05, 0.05, (side,) * 3).astype(np.float32)
    parity = (np.indices((side,) * 3).sum(axis=0) % 2 * 0.1 - 0.05).astype(np.float32)
    for field in (noise, parity):
        read_bundle(zipped({**members, **surface(field)}, tmp_path))
