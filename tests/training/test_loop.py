"""The training loop: exact resumption, clean stops, precision, accumulation, logs, warm start and export."""

import json
import math
import os
import random
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from wavemesh.checkpoint import load_weights, save_weights
from wavemesh.errors import InputError
from wavemesh.training import processes
from wavemesh.training.loop import SNAPSHOTS, LoopConfig, export, train
from wavemesh.training.snapshots import list_snapshots, load_latest


def config(out_dir: Path, **changes: Any) -> LoopConfig:
    values: dict[str, Any] = {
        "total_steps": 20, "warmup_steps": 5, "learning_rate": 0.05, "amp": "no", "log_every": 1, "device": "cpu"
    }  # fmt: skip
    return LoopConfig(out_dir=out_dir, **{**values, **changes})


def logged(out_dir: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out_dir / "losses.jsonl").read_text().splitlines()]


def logged_losses(out_dir: Path) -> list[float]:
    return [line["loss"] for line in logged(out_dir)]


def test_learns(tmp_path: Path, line_task: Any) -> None:
    result = train(line_task(), config(tmp_path, total_steps=150))
    assert (result.step, result.stopped_by) == (150, "finished")
    assert np.mean(result.losses[-10:]) < 0.5 * np.mean(result.losses[:10])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("accumulation", [1, 2])
def test_a_signal_saves_and_the_resumed_run_has_the_losses_of_an_unbroken_one(
    tmp_path: Path, line_task: Any, number: signal.Signals, accumulation: int
) -> None:
    settings = {"grad_accumulation": accumulation, "sample_every": 3}
    whole = train(line_task(), config(tmp_path / "whole", **settings))

    def stop_at_tenth(step: int) -> None:
        if step == 9 * accumulation:
            os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    first = train(line_task(stop_at_tenth), config(tmp_path / "parts", **settings))
    assert (first.step, first.stopped_by) == (10, "signal")
    assert signal.getsignal(number) is before
    random.seed(99)
    torch.manual_seed(99)
    second = train(line_task(), config(tmp_path / "parts", **settings))
    assert (second.step, second.stopped_by) == (20, "finished")
    assert first.losses + second.losses == whole.losses
    assert logged_losses(tmp_path / "parts") == logged_losses(tmp_path / "whole")
    ends = [load_latest(tmp_path / name / SNAPSHOTS) for name in ("whole", "parts")]
    assert all(torch.equal(ends[0]["ema"][key], ends[1]["ema"][key]) for key in ends[0]["ema"])


def test_a_crash_goes_back_to_the_last_snapshot(tmp_path: Path, line_task: Any) -> None:
    whole = train(line_task(), config(tmp_path / "whole"))

    def crash(step: int) -> None:
        if step == 13:
            raise OSError("disk gone")

    with pytest.raises(OSError, match="disk gone"):
        train(line_task(crash), config(tmp_path / "parts", save_every_steps=5))
    assert len(logged(tmp_path / "parts")) == 13
    rest = train(line_task(), config(tmp_path / "parts"))
    assert rest.losses == whole.losses[10:]
    assert [line["step"] for line in logged(tmp_path / "parts")] == list(range(1, 21))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_with_the_good_weights_saved(
    tmp_path: Path, line_task: Any, bad: float
) -> None:
    def crash(step: int) -> None:
        if step == 6:
            raise OSError

    with pytest.raises(OSError):
        train(line_task(crash), config(tmp_path / "crashed", save_every_steps=6))
    result = train(line_task(lambda step: bad if step == 6 else None), config(tmp_path / "bad"))
    assert (result.step, result.stopped_by) == (6, "not finite")
    assert "step 6" in result.message
    expected, state = (load_latest(tmp_path / name / SNAPSHOTS) for name in ("crashed", "bad"))
    assert state["step"] == expected["step"] == 6
    for name, _ in line_task().model.named_parameters():
        assert torch.equal(state["model"][name], expected["model"][name])
        assert torch.equal(state["ema"][name], expected["ema"][name])
    assert train(line_task(), config(tmp_path / "bad")).step == 20


def test_time_limit_stops_saved_and_the_next_call_goes_on(tmp_path: Path, line_task: Any) -> None:
    result = train(line_task(), config(tmp_path, time_limit_s=1e-6))
    assert (result.step, result.stopped_by) == (1, "time limit")
    assert train(line_task(), config(tmp_path)).step == 20
    assert train(line_task(), config(tmp_path)).losses == []


def test_keeps_two_snapshots_and_passes_over_a_damaged_one(tmp_path: Path, line_task: Any, caplog: Any) -> None:
    train(line_task(), config(tmp_path, save_every_steps=4))
    names = [path.name for path in list_snapshots(tmp_path / SNAPSHOTS)]
    assert names == ["step-00000016.pt", "step-00000020.pt"]
    assert sorted(path.name for path in (tmp_path / SNAPSHOTS).iterdir()) == names
    newest = tmp_path / SNAPSHOTS / names[1]
    newest.write_bytes(newest.read_bytes()[:1000])
    assert load_latest(tmp_path / SNAPSHOTS)["step"] == 16
    assert names[1] in caplog.text
    (tmp_path / SNAPSHOTS / names[0]).write_bytes(b"")
    with pytest.raises(InputError, match="None of the 2"):
        train(line_task(), config(tmp_path))


def test_saves_after_seconds(tmp_path: Path, line_task: Any) -> None:
    seen: list[int] = []

    def look(step: int) -> None:
        seen.append(len(list_snapshots(tmp_path / SNAPSHOTS)))

    train(line_task(look), config(tmp_path, save_every_s=1e-9))
    assert seen[:4] == [0, 1, 2, 2]


def test_refuses_to_start_over_in_the_folder_of_a_run(tmp_path: Path, line_task: Any) -> None:
    train(line_task(), config(tmp_path, total_steps=2))
    with pytest.raises(InputError, match=str(tmp_path)):
        train(line_task(), config(tmp_path), resume=False)
    assert train(line_task(), config(tmp_path / "new", total_steps=2), resume=False).step == 2


def test_a_snapshot_of_another_model_is_refused(tmp_path: Path, line_task: Any) -> None:
    train(line_task(), config(tmp_path, total_steps=2))
    with pytest.raises(InputError, match="does not fit"):
        train(line_task(width=5), config(tmp_path))


@pytest.mark.parametrize("available, dtype", ((True, torch.bfloat16), (False, torch.float32)))
def test_by_default_the_loss_is_cast_where_bfloat16_is_fast(
    tmp_path: Path, line_task: Any, monkeypatch: pytest.MonkeyPatch, available: bool, dtype: torch.dtype
) -> None:
    monkeypatch.setattr(processes, "has_bfloat16", lambda device: available)
    task = line_task()
    train(task, config(tmp_path, amp="auto", total_steps=1))
    assert task.seen_dtype == dtype


def test_bf16_casts_inside_the_loss_only(tmp_path: Path, line_task: Any) -> None:
    task = line_task()
    result = train(task, config(tmp_path, amp="bf16", total_steps=3))
    assert task.seen_dtype == torch.bfloat16
    assert all(parameter.dtype == torch.float32 for parameter in task.model.parameters())
    assert not torch.is_autocast_enabled("cpu")
    assert all(math.isfinite(loss) for loss in result.losses)
    task = line_task()
    train(task, config(tmp_path / "full", total_steps=1))
    assert task.seen_dtype == torch.float32


def test_steps_equal_plain_adamw(tmp_path: Path, line_task: Any) -> None:
    """Accumulation, clipping, decay of matrices only, learning rates per group, against a loop written out."""
    settings = config(tmp_path, total_steps=6, warmup_steps=2, grad_accumulation=2, clip_norm=0.5, weight_decay=0.3)
    ours, theirs = line_task(), line_task()
    for task in (ours, theirs):
        task.model[2].p = 0.0
    train(ours, settings)

    named = dict(theirs.model.named_parameters())
    groups = [
        {"params": [p], "lr": 0.005 if name[0] == "0" else 0.05, "weight_decay": 0.3 if p.dim() > 1 else 0.0}
        for name, p in named.items()
    ]
    optimizer = torch.optim.AdamW(groups)
    rates = [group["lr"] for group in optimizer.param_groups]
    batches = theirs.batches(0, 0)
    generator = torch.Generator()
    for step in range(6):
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * settings.lr_factor(step)
        for part in range(2):
            generator.manual_seed(hash((0, step, part)) & 0x7FFFFFFF)
            (theirs.loss(next(batches), generator)[0] / 2).backward()
        torch.nn.utils.clip_grad_norm_(theirs.model.parameters(), 0.5)
        optimizer.step()
        optimizer.zero_grad()
    for name, parameter in ours.model.named_parameters():
        # A bias in front of a batch norm has no gradient but rounding errors, which Adam blows up.
        if name != "0.bias":
            torch.testing.assert_close(parameter, named[name], rtol=1e-4, atol=1e-5)


def test_learning_rate_warms_up_and_falls_as_a_cosine(tmp_path: Path) -> None:
    settings = config(tmp_path, total_steps=110, warmup_steps=10, final_lr_ratio=0.1)
    assert [settings.lr_factor(step) for step in (0, 4, 9, 10)] == pytest.approx([0.1, 0.5, 1.0, 1.0])
    assert settings.lr_factor(60) == pytest.approx(0.55)
    assert settings.lr_factor(110) == settings.lr_factor(500) == pytest.approx(0.1)


def test_logs_numbers_pictures_and_tensorboard(tmp_path: Path, line_task: Any) -> None:
    train(line_task(), config(tmp_path, total_steps=10, log_every=4, sample_every=5, tracker="tensorboard"))
    lines = logged(tmp_path)
    assert [line["step"] for line in lines] == [4, 8, 10]
    expected = {"step", "loss", "mean_output", "grad_norm", "lr", "seconds_per_step", "memory_mib"}
    assert all(set(line) == expected and line["memory_mib"] > 0 for line in lines)
    pictures = sorted(path.name for path in (tmp_path / "samples").iterdir())
    assert pictures == ["step-00000005-grey.png", "step-00000010-grey.png"]
    assert list(tmp_path.rglob("events.out.tfevents*"))


def test_exports_averaged_weights_that_warm_start_another_run(tmp_path: Path, line_task: Any) -> None:
    train(line_task(), config(tmp_path / "run", total_steps=5))
    folder = export(line_task(), tmp_path / "run", tmp_path / "weights")
    weights, saved_config = load_weights(folder)
    averaged = load_latest(tmp_path / "run" / SNAPSHOTS)["ema"]
    assert saved_config == {"width": 4}
    for key, tensor in averaged.items():
        torch.testing.assert_close(weights["line"][key], tensor, rtol=1e-3, atol=1e-3)

    task = line_task()
    frozen = config(tmp_path / "warm", total_steps=1, learning_rate=1e-12, init_from=folder)
    train(task, frozen)
    torch.testing.assert_close(task.model[0].weight.detach(), weights["line"]["0.weight"], rtol=1e-4, atol=1e-5)
    with pytest.raises(InputError, match=r"line\.0\.weight"):
        train(line_task(width=5), config(tmp_path / "other", init_from=folder))
    save_weights(tmp_path / "named", {"curve": weights["line"]}, {})
    with pytest.raises(InputError, match="'line'"):
        train(line_task(), config(tmp_path / "other", init_from=tmp_path / "named"))


def test_export_without_a_run_is_refused(tmp_path: Path, line_task: Any) -> None:
    with pytest.raises(InputError, match="nothing to export"):
        export(line_task(), tmp_path, tmp_path / "weights")


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"total_steps": 0}, "total_steps"),
        ({"learning_rate": -1.0}, r"-1\.0"),
        ({"amp": "fp8"}, "'fp8'"),
        ({"ema_decay": 1.5}, r"1\.5"),
        ({"tracker": "notebook"}, "'notebook'"),
        ({"save_every_steps": 0}, "save_every_steps"),
        ({"warmup_steps": -1}, "-1"),
        ({"device": "tpu"}, "'tpu'"),
    ],
)
def test_refuses_bad_settings(tmp_path: Path, changes: dict[str, Any], shown: str) -> None:
    with pytest.raises(InputError, match=shown):
        config(tmp_path, **changes)


def test_fp16_needs_cuda(tmp_path: Path, line_task: Any) -> None:
    with pytest.raises(InputError, match="fp16"):
        train(line_task(), config(tmp_path, amp="fp16"))
