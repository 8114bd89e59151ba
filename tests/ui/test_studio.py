"""What the page's handlers do, with a pipeline that pretends."""

from __future__ import annotations

import pickle
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import trimesh
from PIL import Image

from wavemesh.errors import InputError
from wavemesh.ui.pictures import MAX_VIEWS
from wavemesh.ui.runner import Job, Update
from wavemesh.ui.studio import Studio, add_pictures, caption, make_job, parse_cameras, shipped_defaults, with_found

SETTINGS: dict[str, Any] = {
    "coarse_steps": 4, "detail_steps": 2, "guidance_scale": 1.5, "sampler": "ddim", "seed": 7
}  # fmt: skip


def job_of(pictures: list[Path], estimate: bool = True, **changes: Any) -> Job:
    held, problems = add_pictures([], pictures)
    assert problems == []
    return make_job(held, estimate, **{**SETTINGS, **changes})


def test_a_run_reports_every_step_and_leaves_four_files(studio: Studio, pipeline: Any, pictures: list[Path]) -> None:
    updates = list(studio.generate(job_of(pictures), "session"))
    steps = [(update.stage, update.step, update.num_steps) for update in updates if update.stage]
    assert steps == [("coarse", k, 4) for k in (1, 2, 3, 4)] + [("detail", k, 2) for k in (1, 2)]
    fractions = [update.progress.fraction for update in updates]
    assert fractions == sorted(fractions)
    previews = [update.preview for update in updates if update.preview is not None]
    assert previews
    assert all(preview.dtype == np.uint8 and preview.ndim == 3 for preview in previews)
    result = updates[-1].result
    assert result is not None
    assert not result.stopped
    assert {Path(path).name for path in result.files.values()} == {
        f"disc-0-mesh{s}" for s in (".glb", ".obj", ".ply", ".stl")
    } | {"run.zip"}
    for suffix, path in result.files.items():
        if suffix == ".zip":
            continue
        mesh = trimesh.load(path, force="mesh")
        assert len(mesh.faces) == result.faces
        assert np.allclose(mesh.extents, 1.4, atol=0.05)
        assert Path(path).is_relative_to(studio.workspace)
    call = pipeline.calls[0]
    assert (call["num_inference_steps"], call["guidance_scale"], call["seed"], call["sampler"]) == (
        (4, 2),
        1.5,
        7,
        "ddim",
    )
    assert [view.camera for view in call["views"]] == [None] * 3
    assert all(view.image.mode == "RGBA" and np.asarray(view.image)[0, 0, 3] == 0 for view in call["views"])
    assert "triangles" in caption(result)


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

    studio = Studio(factory, tmp_path)
    assert made == []
    for _ in range(2):
        list(studio.generate(job_of(pictures), "session"))
    assert made == [1]


def test_bad_files_are_named_and_good_ones_kept(pictures: list[Path], tmp_path: Path) -> None:
    note = tmp_path / "note.png"
    note.write_text("hello")
    empty = tmp_path / "empty.jpg"
    empty.touch()
    plain = tmp_path / "plain.png"
    Image.new("RGB", (40, 30), (10, 120, 10)).save(plain)
    held, problems = add_pictures([], [note, pictures[0], empty, plain, pictures[1]])
    assert [picture.name for picture in held] == ["disc 0.png", "disc 1.png"]
    assert len(problems) == 3
    for problem, name in zip(problems, ("note.png", "empty.jpg", "plain.png"), strict=True):
        assert name in problem


def test_no_more_pictures_than_the_pipeline_takes(pictures: list[Path]) -> None:
    held, problems = add_pictures([], [pictures[0]] * (MAX_VIEWS + 3))
    assert len(held) == MAX_VIEWS
    assert len(problems) == 1
    assert "3 more were left out" in problems[0]


def test_examples_come_with_their_cameras(studio: Studio, pipeline: Any) -> None:
    assert [example.name for example in studio.examples] == ["Ball", "Cube"]
    held = studio.example_pictures(1)
    assert [picture.angles for picture in held] == [(0.0, 20.0), (90.0, 20.0), (-180.0, 20.0), (-90.0, 20.0)]
    list(studio.generate(make_job(held, False, **SETTINGS), "session"))
    cameras = [view.camera for view in pipeline.calls[0]["views"]]
    assert [camera.azimuth_deg for camera in cameras] == [0.0, 90.0, 180.0, 270.0]
    assert all(camera.distance == 4.56 and camera.fov_deg == 40.0 for camera in cameras)


def test_estimates_come_back_for_the_sliders(studio: Studio, pipeline: Any, pictures: list[Path]) -> None:
    held, _ = add_pictures([], pictures)
    result = list(studio.generate(make_job(held, True, **SETTINGS), "session"))[-1].result
    assert result is not None
    held = with_found(held, held, result) or []
    assert [picture.angles for picture in held] == [(40.0, 25.0)] * 3
    list(studio.generate(make_job(held, False, **SETTINGS), "session"))
    assert [view.camera.azimuth_deg for view in pipeline.calls[1]["views"]] == [40.0] * 3
    assert pipeline.calls[1]["views"][0].image.size == (64, 64)


def test_estimates_find_their_pictures_when_some_have_gone(studio: Studio, pictures: list[Path]) -> None:
    ran, _ = add_pictures([], pictures)
    result = list(studio.generate(make_job(ran, True, **SETTINGS), "session"))[-1].result
    assert result is not None
    result = replace(result, found=tuple((crop, {"azimuth_deg": 10.0 * i}) for i, (crop, _) in enumerate(result.found)))
    held = with_found(ran[1:], ran, result)
    assert held is not None
    assert [picture.angles[0] for picture in held] == [10.0, 20.0]
    assert with_found(studio.example_pictures(0), ran, result) is None
    assert with_found([], ran, result) is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"coarse_steps": 0}, "coarse steps.*not 0"),
        ({"detail_steps": 2.5}, "detail steps.*not 2.5"),
        ({"coarse_steps": None}, "not None"),
        ({"turns": 3}, "frames must be 1, 2 or 4, not 3"),
        ({"turns": None}, "not None"),
        ({"guidance_scale": -1.0}, "not -1.0"),
        ({"guidance_scale": float("nan")}, "not nan"),
        ({"sampler": "magic"}, "'magic'"),
        ({"seed": -3}, "seed.*not -3"),
        ({"seed": 2**40}, "seed"),
    ],
)
def test_settings_out_of_range(pictures: list[Path], changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        job_of(pictures, **changes)


def test_no_picture_is_said_plainly() -> None:
    with pytest.raises(InputError, match="No picture yet"):
        make_job([], True, **SETTINGS)


def test_cameras_of_programs() -> None:
    assert parse_cameras(None, 2) == [None, None]
    cameras = parse_cameras([{"azimuth_deg": 30, "offset": [0, 0.5]}, None], 2)
    assert cameras == [{"azimuth_deg": 30.0, "offset": (0.0, 0.5)}, None]
    for bad in (
        [None],
        "north",
        [{"azimuth_deg": "north"}, None],
        [{"roll": 3}, None],
        [3, None],
        [{"offset": [1]}, None],
    ):
        with pytest.raises(InputError):
            parse_cameras(bad, 2)


def test_shipped_defaults_are_read_without_loading(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"sampling": {"coarse_steps": 9, "sampler": "ddpm", "turns": 4, "else": 1}}')
    defaults = shipped_defaults(tmp_path)
    assert (defaults.coarse_steps, defaults.sampler, defaults.detail_steps, defaults.turns) == (9, "ddpm", 2, 4)
    assert shipped_defaults("owner/name") == shipped_defaults(tmp_path / "nowhere")


def test_names_of_files_come_from_no_one_else(pictures: list[Path], tmp_path: Path) -> None:
    odd = tmp_path / "..; rm -rf ~ ÄÖ.png"
    odd.write_bytes(pictures[0].read_bytes())
    assert job_of([odd]).name == "rm-rf-mesh"


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
    studio = Studio(lambda: pipeline, tmp_path / "workspace", tmp_path / "none")
    job = job_of(pictures[:1])
    assert studio.estimate(job.stage_steps(), job.passes()) is None
    *_, last = studio.generate(job, "session")
    assert last.result is not None
    assert len(pipeline.calls) == 1
    assert (studio.estimate(job.stage_steps(), job.passes()) or 0.0) > 0.0, (
        "what the run learnt stayed in the other process"
    )
