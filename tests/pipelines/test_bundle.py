"""Bundles: the run comes back to the bit, other weights are said plainly, and hostile files do nothing."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image

from tests.pipelines.conftest import ellipse_picture, new_tiny_pipeline
from wavemesh.errors import InputError
from wavemesh.geometry.camera import Camera
from wavemesh.geometry.export import mesh_bytes
from wavemesh.pipelines import StepReport, View, WaveMeshPipeline
from wavemesh.pipelines.bundle import read_bundle, replay
from wavemesh.pipelines.record import Recorder, RunRecord


@pytest.fixture(scope="module")
def record() -> RunRecord:
    """Of one run for all tests, which change copies only."""
    tiny_pipeline, ellipse, recorder = new_tiny_pipeline(), ellipse_picture(), Recorder()
    views = [View(ellipse, Camera(30.0, 20.0)), ellipse]
    output = tiny_pipeline(views, (2, 2), seed=9, sampler="ddpm", callback=recorder)
    assert not output.stopped
    return recorder.record(output)


def written(record: RunRecord, tmp_path: Path) -> Path:
    return record.save(tmp_path, {"mesh.glb": mesh_bytes(record.mesh, ".glb")})


def rewritten(path: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """The bundle with its members changed by hand."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def test_a_bundle_is_reproduced_exactly(record: RunRecord, tiny_pipeline: WaveMeshPipeline, tmp_path: Path) -> None:
    path = written(record, tmp_path)
    assert path.read_bytes() == written(record, tmp_path / "again").read_bytes()
    again = read_bundle(path)
    assert json.dumps(again.facts()) == json.dumps(record.facts())
    result = replay(again, tiny_pipeline)
    assert result.identical
    assert result.message == "The mesh is identical."
    assert np.array_equal(result.mesh.vertices, record.mesh.vertices)
    with zipfile.ZipFile(path) as archive:
        facts = json.loads(archive.read("bundle.json"))
        mesh = trimesh.load(io.BytesIO(archive.read("mesh.glb")), file_type="glb", force="mesh")
    assert facts["versions"]["torch"] == torch.__version__
    assert facts["provenance"]["weights"] == tiny_pipeline.fingerprint
    assert len(mesh.faces) == len(record.mesh.faces)


def test_a_bundle_of_the_first_format_is_reproduced(
    record: RunRecord, tiny_pipeline: WaveMeshPipeline, tmp_path: Path
) -> None:
    def as_it_was(members: dict[str, bytes]) -> None:
        facts = json.loads(members["bundle.json"])
        asked, provenance = facts["settings"], facts.pop("provenance")
        steps = [asked.pop("coarse_steps"), asked.pop("detail_steps")]
        del asked["background"], facts["cut_by"], facts["notes"]
        asked |= {"num_inference_steps": steps, "turns": asked.pop("frames"), **provenance}
        members["bundle.json"] = json.dumps({**facts, "format": 1, "method": asked["method"]}).encode()

    old = read_bundle(rewritten(written(record, tmp_path), as_it_was))
    assert old.provenance == record.provenance
    assert old.settings == record.settings
    assert (old.cut_by, old.notes) == (["none"] * len(old.pictures), [[]] * len(old.pictures))
    assert replay(old, tiny_pipeline).identical


def test_a_stopped_run_stops_again(tiny_pipeline: WaveMeshPipeline, ellipse: Image.Image, tmp_path: Path) -> None:
    recorder = Recorder()

    def stop(report: StepReport) -> bool:
        recorder(report)
        return report.step == 1

    output = tiny_pipeline([ellipse], (4, 2), callback=stop)
    assert output.stopped
    result = replay(read_bundle(written(recorder.record(output), tmp_path)), tiny_pipeline)
    assert result.identical


def test_a_difference_is_measured(record: RunRecord, tiny_pipeline: WaveMeshPipeline, tmp_path: Path) -> None:
    again = read_bundle(written(record, tmp_path))
    again.settings = replace(again.settings, seed=10)
    result = replay(again, tiny_pipeline)
    assert not result.identical
    assert f"instead of {len(record.mesh.vertices):,}" in result.message
    assert "IoU of the two solids 0." in result.message


def test_other_weights_are_one_sentence(record: RunRecord, tiny_pipeline: WaveMeshPipeline, tmp_path: Path) -> None:
    path = written(record, tmp_path)
    made_by = tiny_pipeline.fingerprint
    with torch.no_grad():
        next(tiny_pipeline.model.parameters()).view(-1)[0] += 1.0
    del tiny_pipeline.fingerprint
    assert tiny_pipeline.fingerprint != made_by
    with pytest.raises(InputError, match=f"weights {made_by} and cannot be reproduced with the weights [0-9a-f]{{12}}"):
        replay(read_bundle(path), tiny_pipeline)


def test_a_bundle_that_names_its_weights_in_the_old_way(
    record: RunRecord, tiny_pipeline: WaveMeshPipeline, tmp_path: Path
) -> None:
    digest = hashlib.sha256()
    for network in (tiny_pipeline.model, tiny_pipeline.camera_head):
        for name, tensor in sorted(network.state_dict().items()):
            digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype};".encode() + tensor.numpy().tobytes())
    old = replace(record, provenance={**record.provenance, "weights": digest.hexdigest()[:16]})
    assert replay(read_bundle(written(old, tmp_path)), tiny_pipeline).identical
    other = replace(record, provenance={**record.provenance, "weights": "0123456789abcdef"})
    with pytest.raises(InputError, match="weights 0123456789abcdef and cannot be reproduced"):
        replay(other, tiny_pipeline)


HUGE = npy(np.zeros(2, np.float32)).replace(b"(2,), }" + b" " * 12, b"(99999999999,), }  ")
CHANGES: list[tuple[str, Callable[[dict[str, bytes]], object], str]] = [
    ("no settings", lambda members: members.pop("bundle.json"), r"it has no bundle\.json"),
    ("no array", lambda members: members.pop("arrays/sdf.npy"), r"it has no arrays/sdf\.npy"),
    ("no picture", lambda members: members.pop("pictures/1.png"), r"it has no pictures/1\.png"),
    ("not JSON", lambda members: members.update({"bundle.json": b"{"}), "bundle or is damaged"),
    ("a list", lambda members: members.update({"bundle.json": b"[]"}), "bundle or is damaged"),
    ("deep JSON", lambda members: members.update({"bundle.json": b"[" * 100_000}), "bundle or is damaged"),
    ("large JSON", lambda members: members.update({"bundle.json": b" " * 2**21}), "more than the 1,048,576 allowed"),
    ("pickle", lambda members: members.update({"arrays/sdf.npy": npy(np.array([{}], object))}), "not of plain numbers"),
    ("claims much", lambda members: members.update({"arrays/sdf.npy": HUGE}), "which its content does not fill"),
    ("cut off", lambda members: members.update({"arrays/sdf.npy": members["arrays/sdf.npy"][:-9]}), "does not fill"),
    ("faces", lambda members: members.update({"arrays/faces.npy": npy(np.full((2, 3), 2**30, np.int32))}), "names the"),
    ("text", lambda members: members.update({"pictures/0.png": b"hello"}), "not a PNG"),
]


@pytest.mark.parametrize(("change", "words"), [case[1:] for case in CHANGES], ids=[case[0] for case in CHANGES])
def test_damaged_and_hostile_bundles(
    change: Callable[[dict[str, bytes]], None], words: str, record: RunRecord, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=words) as caught:
        read_bundle(rewritten(written(record, tmp_path), change))
    assert "\n" not in str(caught.value)


def test_members_that_nobody_asked_for_are_not_read(record: RunRecord, tmp_path: Path) -> None:
    path = rewritten(
        written(record, tmp_path), lambda members: members.update({"../../evil.py": b"1", "arrays/x.npy": b"0" * 2**22})
    )
    before = set(tmp_path.iterdir())
    assert len(read_bundle(path).steps) == len(record.steps)
    assert set(tmp_path.iterdir()) == before


def test_what_is_no_zip_is_said(tmp_path: Path) -> None:
    path = tmp_path / "run.zip"
    with pytest.raises(InputError, match=r"There is no file .*run\.zip"):
        read_bundle(path)
    path.write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(InputError, match=r"not a whole \.zip"):
        read_bundle(path)
