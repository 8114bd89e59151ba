"""Preparing a library from end to end, interrupted and continued; every member of the result has an oracle."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import trimesh

from wavemesh.data import prepare as preparation
from wavemesh.data.dataset import PreparedShapes
from wavemesh.data.prepare import PrepareReport, prepare, read_sample
from wavemesh.data.prepare_model import Sample
from wavemesh.data.sources import split_of
from wavemesh.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
TINY = {"num_views": 3, "image_size": 32, "resolution": 32, "workers": 1, "backend": "threads", "progress": False}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory, write_library: Callable[..., Path]) -> Path:
    """Five models: a ball, its copy, a box that lies on its side, a tower, and one without faces."""
    ball = trimesh.creation.icosphere(subdivisions=3, radius=20.0)
    models = {
        "ball": ball,
        "ball-copy": ball,
        "board": trimesh.creation.box((180.0, 60.0, 120.0)),
        "empty": trimesh.Trimesh(np.eye(3), np.zeros((0, 3), dtype=int)),
        "tower": trimesh.creation.cylinder(radius=10.0, height=60.0, sections=24),
    }
    # What was z becomes y: the board of 180 x 60 x 120 stands 120 high.
    extra = {"board": {"modelRotation": "1 0 0 0 0 1 0 -1 0", "category": "Boards"}}
    folder = tmp_path_factory.mktemp("source")
    return write_library(folder / "tests.sh3f", models, extra)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, library: Path) -> tuple[Path, PrepareReport]:
    """The prepared library; to be read, not written to."""
    out = tmp_path_factory.mktemp("prepared") / "set"
    return out, prepare(library, out, **TINY)


@pytest.fixture
def copied(tmp_path: Path, finished: tuple[Path, PrepareReport]) -> Path:
    return shutil.copytree(finished[0], tmp_path / "set")


def contents(folder: Path) -> dict[str, bytes]:
    """The shards and lists of a prepared data set."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.suffix in (".tar", ".json")}


def counting(monkeypatch: pytest.MonkeyPatch, stop_at: str | None = None) -> list[str]:
    """The keys of the models that are prepared from now on; at `stop_at` somebody presses Ctrl-C."""
    keys: list[str] = []
    original = preparation.prepare_model

    def counted(model: preparation.SourceModel, *args: object) -> Sample:
        if model.key == stop_at:
            raise KeyboardInterrupt
        keys.append(model.key)
        return original(model, *args)

    monkeypatch.setattr(preparation, "prepare_model", counted)
    return keys


def test_the_report_counts_samples_rejections_and_duplicates(finished: tuple[Path, PrepareReport]) -> None:
    out, report = finished
    assert sum(report.splits.values()) == 3
    assert [(entry["key"], entry["reason"]) for entry in report.rejected] == [
        ("tests_empty", "empty.obj holds no faces, so there is no surface in it.")
    ]
    assert json.loads((out / "rejected.json").read_text()) == report.rejected
    assert report.rejected[0]["name"] == "empty"
    assert [(entry["key"], entry["kept"]) for entry in report.duplicates] == [("tests_ball-copy", "tests_ball")]
    assert json.loads((out / "duplicates.json").read_text()) == report.duplicates


def test_shards_hold_whole_samples_of_one_split(finished: tuple[Path, PrepareReport]) -> None:
    out, report = finished
    index = json.loads((out / "index.json").read_text())
    assert sorted(entry["key"] for entry in index) == ["tests_ball", "tests_board", "tests_tower"]
    assert all(entry["split"] == split_of(entry["key"]) for entry in index)
    for entry in index:
        with tarfile.open(out / entry["shard"]) as shard:
            names = [name for name in shard.getnames() if name.startswith(f"{entry['key']}.")]
        assert len(names) == 3 + 4 + 2
    counts = {split: sum(entry["split"] == split for entry in index) for split in report.splits}
    assert counts == report.splits


def test_prepared_shapes_read_what_was_prepared(finished: tuple[Path, PrepareReport]) -> None:
    out, report = finished
    shapes = {}
    for split, count in report.splits.items():
        if count:
            prepared = PreparedShapes(out, split)
            assert (prepared.resolution, prepared.num_views, prepared.image_size) == (32, 3, 32)
            shapes |= {prepared.keys[index]: prepared[index] for index in range(len(prepared))}
    centres = (np.arange(32) + 0.5) / 32 * 2 - 1
    x, y, z = np.meshgrid(centres, centres, centres, indexing="ij")
    radius = np.sqrt(x**2 + y**2 + z**2)
    np.testing.assert_allclose(shapes["tests_ball"].sdf, (radius - 0.9).clip(-0.09, 0.09), atol=0.25 * 2 / 32)
    # Turned upright and scaled: 180 x 120 x 60 with the longest side 1.8.
    board = np.maximum.reduce([np.abs(x) - 0.9, np.abs(y) - 0.6, np.abs(z) - 0.3])
    clear = np.abs(board) > 1 / 32
    np.testing.assert_array_equal((shapes["tests_board"].sdf < 0)[clear], (board < 0)[clear])
    meta = shapes["tests_board"].meta
    assert (meta["category"], meta["creator"], meta["library"]) == ("Boards", "A tester", "tests")
    assert meta["licence"] == "CC0 1.0 (public domain)"
    for shape in shapes.values():
        assert [picture.shape for picture in shape.pictures] == [(256, 256, 4)] * 4
        seen = shape.pictures[0][shape.pictures[0][..., 3] > 200]
        assert seen[:, 0].mean() > 2 * seen[:, 2].mean()  # the texture is red, the material under it blue


def test_a_second_run_prepares_nothing_and_gives_the_same_bytes(
    copied: Path, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, keys = contents(copied), counting(monkeypatch)
    prepare(library, copied, **TINY)
    assert keys == []
    assert contents(copied) == before


def test_an_interrupted_run_goes_on_where_it_was(copied: Path, library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = contents(copied)
    for path in [*copied.glob("*.tar"), *copied.glob("*ed.json"), copied / "index.json"]:
        path.unlink()
    for key in ("tests_ball", "tests_tower"):
        (copied / "models" / f"{key}.tar").unlink()
    (copied / "models" / "tests_tower.tar.part").write_bytes(b"half a sample")
    with monkeypatch.context() as patch:
        keys = counting(patch, stop_at="tests_tower")
        with pytest.raises(KeyboardInterrupt):
            prepare(library, copied, **TINY)
        assert keys == ["tests_ball"]
    assert not list(copied.glob("shard-*"))
    keys = counting(monkeypatch)
    prepare(library, copied, **TINY)
    assert keys == ["tests_tower"]
    assert contents(copied) == whole


def test_a_limit_takes_models_from_all_over(copied: Path, library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = counting(monkeypatch)
    report = prepare(library, copied, limit=2, **TINY)
    assert keys == []
    listed = [entry["key"] for entry in json.loads((copied / "index.json").read_text())]
    assert sorted(listed) == ["tests_ball", "tests_tower"]
    assert sum(report.splits.values()) == 2


def test_a_model_is_kept_as_a_tar_of_its_own(finished: tuple[Path, PrepareReport]) -> None:
    sample = read_sample(finished[0] / "models" / "tests_ball.tar")
    assert sample.key == "tests_ball"
    assert {"sdf.npz", "meta.json", "view02.webp", "canonical03.webp"} <= set(sample.files)


def test_other_settings_need_another_folder(copied: Path, library: Path) -> None:
    with pytest.raises(InputError, match=r"was begun with .*'num_views': 3.*take another folder"):
        prepare(library, copied, **{**TINY, "num_views": 4})


def test_a_library_of_nothing_usable_is_refused(tmp_path: Path, write_library: Callable[..., Path]) -> None:
    nothing = trimesh.Trimesh(np.eye(3), np.zeros((0, 3), dtype=int))
    source = write_library(tmp_path / "void.sh3f", {"nothing": nothing})
    with pytest.raises(InputError, match="None of the 1 models could be prepared"):
        prepare(source, tmp_path / "set", **TINY)


def test_a_missing_source_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"There is no folder, zip or .sh3f file .*nowhere"):
        prepare(tmp_path / "nowhere", tmp_path / "set", **TINY)
    assert list(tmp_path.iterdir()) == []


def test_two_libraries_of_one_name_are_refused(tmp_path: Path, write_library: Callable[..., Path]) -> None:
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
        write_library(tmp_path / folder / "same.sh3f", {"box": trimesh.creation.box()})
    with pytest.raises(InputError, match="Two libraries are called 'same'"):
        prepare(tmp_path, tmp_path / "set", **TINY)


@pytest.mark.parametrize(("backend", "module"), [("ray", "ray"), ("dask", "distributed")])
def test_a_cluster_that_is_not_installed_is_one_sentence(
    tmp_path: Path, library: Path, monkeypatch: pytest.MonkeyPatch, backend: str, module: str
) -> None:
    for name in (module, f"{module}.util", f"{module}.util.joblib"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError, match=rf'^This needs the package {module}: pip install "wavemesh\[{backend}\]"\.$'):
        prepare(library, tmp_path / "set", **{**TINY, "backend": backend})


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ({"backend": "spark"}, "processes, threads, ray, dask, not 'spark'"),
        ({"workers": 0}, "not 0 and None"),
        ({"limit": 0}, "not 1 and 0"),
        ({"resolution": 8}, "resolution=8"),
    ],
)
def test_arguments_out_of_range_are_refused(tmp_path: Path, library: Path, values: dict, shown: str) -> None:
    with pytest.raises(InputError, match=shown):
        prepare(library, tmp_path / "set", **{**TINY, **values})
    assert not (tmp_path / "set").exists()


@pytest.mark.slow
def test_processes_give_the_same_bytes_as_threads(
    tmp_path: Path, library: Path, finished: tuple[Path, PrepareReport]
) -> None:
    prepare(library, tmp_path / "set", **{**TINY, "backend": "processes", "workers": 2})
    assert contents(tmp_path / "set") == contents(finished[0])


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("backend", ["dask", "ray"])
def test_a_cluster_of_two_workers_gives_the_same_bytes(
    tmp_path: Path, library: Path, finished: tuple[Path, PrepareReport], backend: str
) -> None:
    """The cluster is one of this machine, started by the script."""
    command = [sys.executable, "-m", "tests.data.on_cluster", backend, str(library), str(tmp_path / "set")]
    # No token in the home folder, no worker ended where others fill the memory, time to start on a busy machine.
    ray = {"AUTH_MODE": "disabled", "memory_monitor_refresh_ms": "0", "raylet_start_wait_time_s": "300"}
    environment = {**os.environ, **{f"RAY_{name}": value for name, value in ray.items()}}
    child = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=900)
    assert child.returncode == 0, child.stderr[-3000:]
    assert contents(tmp_path / "set") == contents(finished[0])
    assert child.stdout.split()[-1] == "2"  # as many workers
