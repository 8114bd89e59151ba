"""Weights from strangers: whatever a configuration, a manifest or a shard says, one sentence, and little memory."""

from __future__ import annotations

import copy
import hashlib
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.models.conftest import TINY
from tests.pipelines.conftest import new_tiny_pipeline
from tests.pipelines.triplane_model import tiny_triplane
from wavemesh.errors import InputError
from wavemesh.models.camera_head import CameraHead
from wavemesh.models.multiview_encoder import DinoBackbone
from wavemesh.models.wavelet_triplane import WaveletTriplaneDiffusion
from wavemesh.models.wavemesh import WaveMeshModel
from wavemesh.pipelines import WaveMeshPipeline

ROOT = Path(__file__).resolve().parents[1]
LOADERS: dict[str, Callable[[Path], Any]] = {
    "wavemesh": WaveMeshModel.load,
    "triplane": WaveletTriplaneDiffusion.load,
    "camera_head": CameraHead.load,
}


def saved(folder: Path) -> Path:
    """Tiny weights of every kind, each in a folder of its name."""
    pipeline = new_tiny_pipeline()
    pipeline.model.save(folder / "wavemesh")
    pipeline.camera_head.save(folder / "camera_head")
    tiny_triplane().save(folder / "triplane")
    return folder


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("weights"))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def write(folder: Path, files: dict[str, bytes], manifest: dict[str, Any] | None = None) -> Path:
    """A folder of the files with a manifest whose sums agree, as a stranger would make it."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    told = manifest if manifest is not None else json.loads(files["manifest.json"])
    if manifest is None:
        told["files"] = {
            name: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
            for name, content in files.items()
            if name != "manifest.json"
        }
    (folder / "manifest.json").write_text(json.dumps(told))
    return folder


def refused(loader: Callable[[Path], Any], folder: Path) -> str:
    """The sentence with which a folder is refused, within five seconds."""
    begin = time.perf_counter()
    with pytest.raises(InputError) as caught:
        loader(folder)
    assert time.perf_counter() - begin < 5.0
    assert "\n" not in str(caught.value)
    return str(caught.value)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from places(item, (*path, key))


def changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    result = copy.deepcopy(value)
    target = result
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = new
    return result


HUGE: list[tuple[str, tuple[Any, ...], Any, str]] = [
    ("wavemesh", ("encoder", "widths"), [10**6, 10**6, 10**6], "less than or equal to 4096"),
    ("wavemesh", ("encoder", "widths"), [4096, 4096, 4096], "do not fit"),
    ("wavemesh", ("encoder", "widths"), [], "at least 1"),
    ("wavemesh", ("encoder", "blocks"), 10**8, "less than or equal to 64"),
    ("wavemesh", ("encoder", "image_size"), 10**6, "less than or equal to 1024"),
    ("wavemesh", ("encoder", "token_blocks"), -1, "greater than or equal to 0"),
    ("wavemesh", ("resolution",), 4096, "less than or equal to 256"),
    ("wavemesh", ("resolution",), 100_000, "less than or equal to 256"),
    ("wavemesh", ("resolution",), 0, "greater than or equal to 4"),
    ("wavemesh", ("resolution",), -128, "greater than or equal to 4"),
    ("wavemesh", ("coarse", "blocks"), [0, 10**7, 1], "less than or equal to 64"),
    ("wavemesh", ("coarse", "widths"), [0, 0], "greater than or equal to 1"),
    ("wavemesh", ("coarse", "time_dim"), 4095, "do not fit|makes no network"),
    ("wavemesh", ("coarse_scale",), [0.0] * 8, "greater than 0"),
    ("wavemesh", ("diffusion", "timesteps"), 10**9, "makes no network: .*timesteps"),
    ("wavemesh", ("bank",), "db99", "makes no network"),
    ("wavemesh", ("encoder", "backbone"), "/etc", "comes without its architecture"),
    ("wavemesh", ("encoder", "backbone"), "../../elsewhere", "comes without its architecture"),
    ("camera_head", ("heads",), 0, "greater than or equal to 1"),
    ("camera_head", ("heads",), 3, "not a multiple of its 3 heads"),
    ("camera_head", ("attention_blocks",), 10**7, "less than or equal to 64"),
    ("camera_head", ("image_size",), 1024, "do not fit"),
    ("triplane", ("triplane_channels",), 4096, "do not fit|makes no network"),
    ("triplane", ("image_size",), 10**7, "less than or equal to 1024"),
    ("triplane", ("width",), 4096, "do not fit"),
    ("triplane", ("truncation",), -1.0, "greater than 0"),
]


@pytest.mark.parametrize(("kind", "path", "value", "words"), HUGE, ids=lambda each: str(each)[:40])
def test_sizes_are_checked_before_anything_is_built(
    kind: str, path: tuple[Any, ...], value: Any, words: str, originals: Path, tmp_path: Path
) -> None:
    files = contents(originals / kind)
    files["config.json"] = json.dumps(changed(json.loads(files["config.json"]), path, value)).encode()
    said = refused(LOADERS[kind], write(tmp_path / "w", files))
    assert re.search(words, said), said


def test_a_huge_network_takes_no_memory(originals: Path, tmp_path: Path) -> None:
    files = contents(originals / "wavemesh")
    config = json.loads(files["config.json"])
    config["encoder"] |= {"widths": [4096] * 3, "blocks": 64}
    config["coarse"] |= {"widths": [4096] * len(config["coarse"]["widths"])}
    files["config.json"] = json.dumps(config).encode()
    folder = write(tmp_path / "w", files)
    code = (
        "import resource, sys, time; from wavemesh.errors import InputError\n"
        "from wavemesh.models.wavemesh import WaveMeshModel\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss; begin = time.perf_counter()\n"
        "try:\n    WaveMeshModel.load(sys.argv[1])\nexcept InputError: pass\nelse: raise SystemExit('loaded')\n"
        "took = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before\n"
        "assert took < 200_000, took\nassert time.perf_counter() - begin < 10\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr


def test_numbers_that_are_not_finite_are_refused(originals: Path, tmp_path: Path) -> None:
    files = contents(originals / "camera_head")
    name = "camera_head-00.safetensors"
    state = safetensors.torch.load(files[name])
    state["cameras.bias"][2] = float("nan")
    files[name] = safetensors.torch.save(state)
    said = refused(CameraHead.load, write(tmp_path / "w", files))
    assert said.endswith("hold numbers that are not finite: camera_head.cameras.bias.")


def test_numbers_of_another_kind_are_refused(originals: Path, tmp_path: Path) -> None:
    files = contents(originals / "camera_head")
    name = "camera_head-00.safetensors"
    state = safetensors.torch.load(files[name])
    state["cameras.bias"] = state["cameras.bias"].to(torch.complex64)
    files[name] = safetensors.torch.save(state)
    assert "numbers of the kind" in refused(CameraHead.load, write(tmp_path / "w", files))


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b"null",
        b"",
        b"\xff\xfe",
        b'{"format": 1}',
        b'{"format": 1, "files": [], "networks": []}',
        b'{"format": 1, "files": {"config.json": 7}, "networks": ["encoder"]}',
        b'{"format": 1, "files": {"config.json": {}}, "networks": [{}]}',
        b'{"format": 1, "files": {"config.json": {}, "a\\u0000b": {}}, "networks": []}',
        b'{"format": 1, "files": {"config.json": {}, "..": {}}, "networks": []}',
        b'{"format": 1, "files": {"config.json": {}, "\\ud800": {}}, "networks": []}',
    ],
)
def test_any_manifest_is_one_sentence(text: bytes, originals: Path, tmp_path: Path) -> None:
    files = contents(originals / "camera_head")
    folder = write(tmp_path / "w", files)
    (folder / "manifest.json").write_bytes(text)
    refused(CameraHead.load, folder)
    files["config.json"] = text
    refused(CameraHead.load, write(tmp_path / "w", files))


def test_a_backbone_is_saved_whole_and_nothing_else_is_read(tmp_path: Path) -> None:
    from dataclasses import replace

    from transformers import Dinov2Config, Dinov2Model

    torch.manual_seed(0)
    config = Dinov2Config(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=56, patch_size=14)
    Dinov2Model(config).save_pretrained(tmp_path / "dino")
    encoder = replace(TINY.encoder, backbone=str(tmp_path / "dino"), image_size=56)
    model = WaveMeshModel(replace(TINY, encoder=encoder))
    model.save(tmp_path / "w")
    (tmp_path / "dino").rename(tmp_path / "gone")
    loaded = WaveMeshModel.load(tmp_path / "w")
    assert isinstance(loaded.encoder.vision_encoder, DinoBackbone)
    for before, after in zip(model.parameters(), loaded.parameters(), strict=True):
        torch.testing.assert_close(after, before.half().float(), rtol=0, atol=0)
    files = contents(tmp_path / "w")
    stored = json.loads(files["config.json"])
    for name, value in (("num_hidden_layers", 10**6), ("hidden_size", 10**6), ("model_type", "gpt2")):
        files["config.json"] = json.dumps(changed(stored, ("encoder", "architecture", name), value)).encode()
        refused(WaveMeshModel.load, write(tmp_path / "w", files))


def test_weights_without_a_camera_head_use_the_bundled_one(originals: Path, tmp_path: Path) -> None:
    pipeline = WaveMeshPipeline.from_pretrained(write(tmp_path / "w", contents(originals / "wavemesh")), "cpu")
    assert pipeline.camera_head.config == CameraHead.load(ROOT / "assets/weights/wavemesh/camera_head").config


NUMBERS = st.one_of(
    st.integers(-(10**30), 10**30), st.integers(-4, 300), st.floats(), st.sampled_from([2**31, 2**63, 2**64, 10**400])
)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, st.text(max_size=12))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=8,
)


def check_mutation(originals: Path, folder: Path, kind: str, data: st.DataObject) -> None:
    """One mutation of a folder: it loads and holds finite numbers, or is refused in one sentence."""
    files = contents(originals / kind)
    what = data.draw(st.sampled_from(["config", "config", "manifest", "shard"]), "what")
    manifest = None
    if what == "shard":
        name = data.draw(st.sampled_from([each for each in sorted(files) if each.endswith(".safetensors")]))
        content = bytearray(files[name])
        head = 8 + int.from_bytes(content[:8], "little")
        for _ in range(data.draw(st.integers(1, 4))):
            at = data.draw(st.integers(0, head + 64))
            content[at % len(content)] = data.draw(st.integers(0, 255))
        cut = data.draw(st.one_of(st.none(), st.integers(0, len(content))), "cut")
        files[name] = bytes(content[:cut])
    else:
        file = f"{what}.json"
        told = write(folder, files) / file
        stored = json.loads(told.read_text())
        path = data.draw(st.sampled_from(list(places(stored))), "place")
        new = changed(stored, path, data.draw(VALUES, "value"))
        if what == "manifest":
            manifest = new
        else:
            files[file] = json.dumps(new).encode()
    write(folder, files, manifest)
    begin = time.perf_counter()
    said = ""
    try:
        loaded = LOADERS[kind](folder)
    except InputError as error:
        said = str(error)
    else:
        assert all(torch.isfinite(parameter).all() for parameter in loaded.parameters())
    assert "\n" not in said
    assert time.perf_counter() - begin < 5.0


def fuzzed(originals: Path, tmp_path: Path, kind: str, examples: int) -> None:
    @settings(
        max_examples=examples,
        derandomize=examples < 1000,
        suppress_health_check=list(HealthCheck),
        database=None,
        deadline=None,
    )
    @given(st.data())
    def fuzz(data: st.DataObject) -> None:
        check_mutation(originals, tmp_path / "w", kind, data)

    fuzz()


@pytest.mark.parametrize("kind", LOADERS)
def test_mutations_load_or_are_one_sentence(kind: str, originals: Path, tmp_path: Path) -> None:
    fuzzed(originals, tmp_path, kind, 25)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", LOADERS)
def test_many_mutations_load_or_are_one_sentence(kind: str, originals: Path, tmp_path: Path) -> None:
    fuzzed(originals, tmp_path, kind, 3000)
