"""What all sessions share: one run at a time, stopped, watched, and kept, with a pipeline that pretends."""

from __future__ import annotations

import pickle
import sys
import threading
import time
import zipfile
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import trimesh

from wavemesh.errors import InputError
from wavemesh.geometry.export import MESH_SUFFIXES
from wavemesh.pipelines.record import RunRecord
from wavemesh.settings import TriplaneSettings, WaveMeshSettings
from wavemesh.ui.generate.content import add_pictures, caption, make_job
from wavemesh.ui.generate.stage import written
from wavemesh.ui.runner import Job, Update
from wavemesh.ui.studio import Studio, open_studio

SETTINGS = WaveMeshSettings(coarse_steps=4, detail_steps=2, guidance_scale=1.5, sampler="ddim", seed=7)


def job_of(pictures: list[Path], **changes: Any) -> Job:
    held, problems = add_pictures([], pictures)
    assert problems == []
    return make_job(held, True, replace(SETTINGS, **changes))


def test_a_run_reports_every_step_and_leaves_files_when_asked(
    studio: Studio, pipeline: Any, pictures: list[Path]
) -> None:
    updates = list(studio.generate(job_of(pictures), "session"))
    steps = [(update.stage, update.step, update.num_steps) for update in updates if update.stage]
    assert steps == [("coarse", k, 4) for k in (1, 2, 3, 4)] + [("detail", k, 2) for k in (1, 2)]
    fractions = [update.progress.fraction for update in updates]
    assert fractions == sorted(fractions)
    previews = [update.preview for update in updates if update.preview is not None]
    assert previews
    assert previews[0].first == updates[-1].result.first
    for preview in previews:
        assert Path(preview.mesh).parent == Path(updates[-1].result.folder)
        assert len(trimesh.load(preview.mesh, force="mesh").faces) > 10
    result = updates[-1].result
    assert result is not None
    assert not result.stopped
    assert {Path(path).name for path in result.files.values()} == {"disc-0-mesh.glb", "run.zip", "picture.webp"}
    for suffix in (".glb", ".obj", ".ply", ".stl"):
        path = Path(result.folder) / f"disc-0-mesh{suffix}"
        assert path.exists() == (suffix == ".glb")  # the others only cost time before they are wanted
        assert written(studio, suffix, (result, [])) == str(path)
        mesh = trimesh.load(path, force="mesh")
        assert len(mesh.faces) == result.faces
        assert np.allclose(mesh.extents, 100.0 if suffix == ".stl" else 1.4, rtol=0.04)
        assert path.is_relative_to(studio.workspace)
    assert written(studio, ".zip", (result, [])) == result.files[".zip"]
    everything = written(studio, ".all", (result, []))
    assert everything is not None
    with zipfile.ZipFile(everything) as archive:
        assert sorted(archive.namelist()) == sorted(f"disc-0-mesh{suffix}" for suffix in MESH_SUFFIXES)
        assert archive.read("disc-0-mesh.glb") == Path(result.files[".glb"]).read_bytes()
    assert written(studio, ".obj", None) is None
    call = pipeline.calls[0]
    asked = {name: call[name] for name in ("coarse_steps", "detail_steps", "guidance_scale", "seed", "sampler")}
    assert asked == {name: value for name, value in asdict(SETTINGS).items() if name in asked}
    assert call["background"] == "none", "it is cut away already"
    assert [view.camera for view in call["views"]] == [None] * 3
    assert all(view.image.mode == "RGBA" and np.asarray(view.image)[0, 0, 3] == 0 for view in call["views"])
    assert "triangles" in caption(result)


def test_a_mesh_is_there_before_its_bundle(studio: Studio, pictures: list[Path], monkeypatch: Any) -> None:
    may_write, save = threading.Event(), RunRecord.save

    def slow_save(self: RunRecord, *arguments: Any) -> Path:
        assert may_write.wait(30)
        return save(self, *arguments)

    monkeypatch.setattr(RunRecord, "save", slow_save)
    run = studio.runs.begin(job_of(pictures), [], True)
    *_, last = run.follow()
    assert last.result is not None
    assert Path(last.result.files[".glb"]).is_file()
    assert not Path(last.result.files[".zip"]).exists()
    threading.Timer(0.3, may_write.set).start()
    assert len(studio.record(last.result.folder).steps) == 6  # who needs the record waits for it


def test_the_glb_is_smooth_matt_and_plain(studio: Studio, pictures: list[Path]) -> None:
    result = list(studio.generate(job_of(pictures), "session"))[-1].result
    assert result is not None
    scene = trimesh.load(result.files[".glb"])
    geometry = next(iter(scene.geometry.values()))
    assert geometry.visual.kind in ("vertex", "texture")
    content = Path(result.files[".glb"]).read_bytes()
    assert b'"metallicFactor":0.0' in content
    assert b'"NORMAL"' in content
    assert b"draco" not in content.lower()


def test_stop_ends_within_a_step_and_keeps_the_partial_mesh(
    studio: Studio, pipeline: Any, pictures: list[Path]
) -> None:
    pipeline.pause_s = 0.15
    updates = []
    for update in studio.generate(job_of(pictures, coarse_steps=40), "session"):
        updates.append(update)
        if update.stage and update.step == 2:
            studio.stop_flag("session").set()
            done_then = pipeline.steps_done
    result = updates[-1].result
    assert result is not None
    assert result.stopped
    assert pipeline.steps_done <= done_then + 1  # the step in flight sees the request
    assert result.faces > 0
    assert caption(result).startswith("Stopped early")
    # The next run starts afresh.
    assert not studio.stop_flag("session").is_set()


def test_one_sessions_stop_leaves_others_alone(studio: Studio, pictures: list[Path]) -> None:
    studio.stop_flag("another").set()
    result = list(studio.generate(job_of(pictures), "session"))[-1].result
    assert result is not None
    assert not result.stopped


def test_closing_the_stream_ends_the_work_before_the_lock_is_free(
    studio: Studio, pipeline: Any, pictures: list[Path]
) -> None:
    pipeline.pause_s = 0.1
    stream = studio.generate(job_of(pictures, coarse_steps=50), "session")
    next(update for update in stream if update.stage)
    assert pipeline.running.is_set()
    begin = time.perf_counter()
    stream.close()  # type: ignore[attr-defined]
    assert time.perf_counter() - begin < 1.0
    assert not pipeline.running.is_set()
    assert list(studio.generate(job_of(pictures), "session"))[-1].result is not None


def test_runs_wait_for_each_other(studio: Studio, pipeline: Any, pictures: list[Path]) -> None:
    pipeline.pause_s = 0.2
    job = job_of(pictures)
    messages: list[str] = []
    first = studio.generate(job, "first")
    next(update for update in first if update.stage)

    def second() -> None:
        messages.extend(update.progress.message for update in studio.generate(job, "second"))

    thread = threading.Thread(target=second)
    thread.start()
    time.sleep(0.8)
    assert len(pipeline.calls) == 1
    list(first)
    thread.join()
    assert messages[0] == "Waiting for another run to end"
    assert messages[-1] == "Done"
    assert len(pipeline.calls) == 2


@pytest.mark.parametrize("error", [InputError("The disc is too round."), RuntimeError("out of memory")])
def test_what_the_pipeline_raises_arrives(
    studio: Studio, pipeline: Any, pictures: list[Path], error: Exception
) -> None:
    pipeline.fails_with = error
    with pytest.raises(type(error), match=str(error)):
        list(studio.generate(job_of(pictures), "session"))
    pipeline.fails_with = None
    assert list(studio.generate(job_of(pictures), "session"))[-1].result is not None


def test_the_pipeline_is_made_once_and_late(pictures: list[Path], tmp_path: Path, pipeline: Any) -> None:
    made = []

    def factory() -> Any:
        made.append(1)
        return pipeline

    studio = Studio({"wavemesh": factory}, tmp_path)
    assert made == []
    for _ in range(2):
        list(studio.generate(job_of(pictures), "session"))
    assert made == [1]


def test_updates_are_plain_data(studio: Studio, pictures: list[Path]) -> None:
    """On a lent GPU they cross a process border."""
    import pickle

    for update in studio.generate(job_of(pictures), "session"):
        assert isinstance(pickle.loads(pickle.dumps(update)), Update)


def test_a_run_gets_a_gpu_where_one_is_lent_and_sends_plain_data_there(
    pipeline: Any, pictures: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lend(duration: int) -> Any:
        def decorate(function: Any) -> Any:
            def called(*arguments: Any) -> Any:
                # Hugging Face sends arguments and results to another process and back.
                for update in function(*pickle.loads(pickle.dumps(arguments))):
                    yield pickle.loads(pickle.dumps(update))

            return called

        return decorate

    monkeypatch.setitem(sys.modules, "spaces", SimpleNamespace(GPU=lend))
    studio = Studio({"wavemesh": lambda: pipeline}, tmp_path / "workspace", tmp_path / "none")
    job = job_of(pictures[:1])
    assert studio.estimate(job.settings) is None
    *_, last = studio.generate(job, "session")
    assert last.result is not None
    assert len(pipeline.calls) == 1
    assert (studio.estimate(job.settings) or 0.0) > 0.0, "what the run learnt stayed in the other process"


def test_what_is_not_said_is_what_the_weights_were_shipped_with(
    studio: Studio, pipeline: Any, pictures: list[Path]
) -> None:
    list(studio.generate(job_of(pictures, coarse_steps=None, detail_steps=1), "session"))
    assert (pipeline.calls[0]["coarse_steps"], pipeline.calls[0]["detail_steps"]) == (4, 1)
    with pytest.raises(InputError, match="no method 'triplane' here; choose one of wavemesh"):
        list(studio.generate(replace(job_of(pictures), settings=TriplaneSettings()), "session"))


def test_a_studio_offers_the_bundled_methods_at_their_own_settings(tmp_path: Path) -> None:
    bundled = open_studio(tmp_path)
    assert bundled.methods == ["wavemesh", "triplane"]
    (tmp_path / "config.json").write_text('{"sampling": {"coarse_steps": 9, "sampler": "ddpm", "turns": 4, "else": 1}}')
    mine = open_studio(tmp_path, tmp_path)
    expected = WaveMeshSettings(coarse_steps=9, sampler="ddpm", frames=4).filled()
    assert mine.shipped == {"wavemesh": expected, "triplane": bundled.shipped["triplane"]}
    elsewhere = open_studio(tmp_path, "owner/name").shipped
    assert elsewhere == open_studio(tmp_path, tmp_path / "nowhere").shipped
