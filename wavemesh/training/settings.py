"""Settings of a training run and the learning rate they imply."""

import math
from dataclasses import dataclass
from pathlib import Path

from wavemesh.errors import InputError
from wavemesh.training.journal import check_tracker


@dataclass(frozen=True)
class LoopConfig:
    """Settings of one run; a step is one optimizer step over `grad_accumulation` batches.

    Args:
        out_dir: folder of snapshots, the loss log and pictures.
        total_steps: steps of the whole run, which the cosine of the learning rate ends at.
        batch_size: used by the task.
        learning_rate: peak of the schedule, reached after `warmup_steps` and falling to `final_lr_ratio` of it.
        amp: "bf16", "fp16" (needs CUDA), "no", or "auto": bf16 where the device has it.
        ema_decay: decay of the averaged weights, warmed up.
        save_every_s: seconds between snapshots; also `save_every_steps`, if given. The last `keep_snapshots` stay.
        save_every_epochs, sample_every_epochs: the same counted in passes over the data, beside the others.
        sample_every: steps between pictures, None for no pictures.
        tracker: "tensorboard", "wandb" or None; `losses.jsonl` is written in any case.
        time_limit_s: stop after this long, saved; the next call goes on.
        init_from: folder of exported weights to begin from; a snapshot in out_dir goes before it.
        threads: CPU threads of torch, None to leave them.
        device: "auto" or "cpu".
        workers: processes that make batches ahead of the training, each process of it its own; 0 for none.

    Raises InputError for values out of range.
    """

    out_dir: str | Path
    total_steps: int
    batch_size: int = 8
    learning_rate: float = 3e-4
    weight_decay: float = 0.01
    warmup_steps: int = 100
    final_lr_ratio: float = 0.05
    grad_accumulation: int = 1
    clip_norm: float = 1.0
    amp: str = "auto"
    ema_decay: float = 0.999
    save_every_s: float = 600.0
    save_every_steps: int | None = None
    save_every_epochs: int | None = None
    keep_snapshots: int = 2
    log_every: int = 20
    sample_every: int | None = None
    sample_every_epochs: int | None = None
    tracker: str | None = None
    time_limit_s: float | None = None
    init_from: str | Path | None = None
    seed: int = 0
    threads: int | None = None
    device: str = "auto"
    workers: int = 0

    def __post_init__(self) -> None:
        for name in ("total_steps", "batch_size", "grad_accumulation", "log_every", "keep_snapshots"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, not {getattr(self, name)}.")
        for name in ("learning_rate", "clip_norm", "save_every_s"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} must be above 0, not {getattr(self, name)}.")
        for name in (
            "save_every_steps", "save_every_epochs", "sample_every", "sample_every_epochs", "threads", "time_limit_s",
        ):  # fmt: skip
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InputError(f"{name} must be above 0, not {value}.")
        for name in ("ema_decay", "final_lr_ratio"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} must be between 0 and 1, not {getattr(self, name)}.")
        if self.warmup_steps < 0 or self.weight_decay < 0:
            raise InputError(
                f"warmup_steps and weight_decay must not be negative: {self.warmup_steps}, {self.weight_decay}."
            )
        if not 0 <= self.workers <= 1024:
            raise InputError(f"workers must be from 0 to 1024, not {self.workers}.")
        if not 0 <= self.seed < 2**32:
            raise InputError(f"seed must be from 0 to {2**32 - 1}, not {self.seed}.")
        if self.amp not in ("auto", "bf16", "fp16", "no"):
            raise InputError(f"amp must be auto, bf16, fp16 or no, not {self.amp!r}.")
        if self.device not in ("auto", "cpu"):
            raise InputError(f"device must be auto or cpu, not {self.device!r}.")
        check_tracker(self.tracker)

    def is_due(self, step: int, steps: int | None, epochs: int | None, epoch_size: int | None, processes: int) -> bool:
        """Whether something that comes every so many steps or epochs comes after step `step`.

        epoch_size: samples in a pass over the data. An epoch ends with the step that completes it. Raises InputError
        for epochs of a task that does not know its data's size.
        """
        if steps is not None and step % steps == 0:
            return True
        if epochs is None:
            return False
        if epoch_size is None:
            raise InputError("This task has no epochs: count in steps.")
        per_step = self.batch_size * self.grad_accumulation * processes
        passes, before = step * per_step // epoch_size, (step - 1) * per_step // epoch_size
        return passes // epochs > before // epochs

    def lr_factor(self, step: int) -> float:
        """Share of the peak learning rate at step `step` (from 0): linear warm-up, then a cosine."""
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        progress = (step - self.warmup_steps) / max(1, self.total_steps - self.warmup_steps)
        cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
        return self.final_lr_ratio + (1 - self.final_lr_ratio) * cosine
